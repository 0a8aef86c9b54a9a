//! Heads of audit chains, exchanged with the bot: it signs the team's and the team signs the bot's, so that who wants to
//! rewrite one of them needs both machines.

use std::path::Path;

use jiff::Timestamp;
use qd_approvals::SurfaceKey;
use qd_audit::{Actor, Archived, AuditError, Countersignature, Head, Retention};
use qd_board::Refused;
use qd_types::{IdError, PersonId};
use qd_wire::v1::{AuditHead, AuditSigned, Envelope, Order, Report};
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Applied, Store, StoreError, orders, report, rows};

/// What goes up under this key is the newest head.
const LIVING: &str = "audit:head";

/// The cause under which people are told that the trails of the two do not fit.
const ALERT: &str = "audit";

impl Store {
    /// Begins the trail, if that was not done yet, and lists whose signatures count in it: the bot's. The team's own key
    /// is listed beside, so that it is known from here when the bot's trail is verified. Votes that the bot signs count from
    /// now on by these keys alone, the newest first; one that was withdrawn does not come back. Without any, those of before
    /// go on to count.
    pub async fn enrol(&self, own: [u8; 32], bot: Vec<[u8; 32]>) -> Result<(), StoreError> {
        let lens = self.lens();
        self.write(move |c| {
            let name = lens.settings.instance.as_str();
            qd_audit::begin(c, name)?;
            qd_audit::enrol(c, name, &own)?;
            for key in &bot {
                qd_audit::enrol(c, rows::BOT, key)?;
                let sql = "INSERT INTO surface_keys VALUES (?1, 0) ON CONFLICT DO NOTHING";
                c.prepare_cached(sql)?.execute([key])?;
            }
            if let Some(newest) = bot.first() {
                let before = bot.get(1).unwrap_or(newest);
                let sql = "UPDATE surface_keys SET revoked = 1 WHERE public NOT IN (?1, ?2)
                    AND EXISTS (SELECT 1 FROM surface_keys WHERE public = ?1 AND revoked = 0)";
                c.prepare_cached(sql)?.execute([newest, before])?;
            }
            Ok(())
        })
        .await
    }

    /// Where the trail ends.
    pub async fn trail_head(&self) -> Result<Head, StoreError> {
        self.read(|c| Ok(qd_audit::head(c)?)).await
    }

    /// Sends the trail's head up to be signed, unless it has no rows or ends at `shown`. Returns where it ends.
    pub async fn show_head(&self, shown: Option<&Head>, now: Timestamp) -> Result<Head, StoreError> {
        let head = self.trail_head().await?;
        if head.seq == 0 || shown == Some(&head) {
            return Ok(head);
        }
        self.write(move |c| {
            // As it stands now: rows may have come meanwhile.
            let head = qd_audit::head(c)?;
            report::push(c, Some(LIVING), now, &Report::AuditHead(same::<_, AuditHead>(&head)?))?;
            Ok(head)
        })
        .await
    }

    /// Applies an order about trails: signs the bot's head, or keeps its signature. What does not fit is refused, and
    /// people are told.
    pub async fn apply_audit(
        &self,
        order: Envelope<Order>,
        key: &SurfaceKey,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let (lens, key) = (self.lens(), key.signing().clone());
        self.write(move |c| {
            if let Some(applied) = orders::received(c, &order)? {
                return Ok(applied);
            }
            let name = lens.settings.instance.as_str();
            let done = match order.body {
                Order::AuditHead(head) => {
                    sign(c, &head, name, now, |head| qd_audit::witness(c, head, name, now, &key))
                }
                Order::AuditSigned(signed) => keep(c, &signed),
                _ => return Ok(Applied::Refused("it is not about a trail".to_owned())),
            };
            match done {
                Ok(()) => Ok(Applied::Yes),
                Err(StoreError::Audit(AuditError::Db(error)) | StoreError::Db(error)) => {
                    Err(StoreError::Db(error))
                }
                Err(refused) => {
                    let text = format!("The audit trails of {name} and the bot do not fit: {refused}");
                    report::raise(c, ALERT, text, false, now)?;
                    Ok(Applied::Refused(refused.to_string()))
                }
            }
        })
        .await
    }

    /// Whether somebody else signed the last row, or there is none to sign.
    pub async fn head_is_signed(&self) -> Result<bool, StoreError> {
        self.read(|c| {
            let head = qd_audit::head(c)?;
            let signed: bool = c
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM audit_signatures WHERE seq = ?1)")?
                .query_row([head.seq.cast_signed()], |row| row.get(0))?;
            Ok(signed || head.seq == 0)
        })
        .await
    }

    /// Forgets who stands behind a pseudonym in the trail, which stays as it is. The board is not changed.
    pub async fn forget(&self, person: &PersonId) -> Result<(), StoreError> {
        let person = person.clone();
        self.write(move |c| Ok(qd_audit::erase(c, &person).map(drop)?)).await
    }

    /// What the trail says of something, a line each, at most so many; it is known by its id. What was archived is not among it.
    pub async fn outline(&self, of: String, most: usize) -> Result<Vec<String>, StoreError> {
        self.read(move |c| {
            let of = of.parse().map_err(|error: IdError| Refused { reason: format!("{error}.") })?;
            Ok(qd_audit::outline(c, &of, most)?)
        })
        .await
    }

    /// Moves old rows of the trail to segment files in `folder`, and lets go of those that were kept long enough.
    pub async fn archive_trail(
        &self,
        folder: &Path,
        retention: Retention,
        now: Timestamp,
    ) -> Result<Archived, StoreError> {
        let actor = Actor::Team(self.lens().settings.instance.clone());
        Ok(qd_audit::archive(&self.db, folder, retention, &actor, now).await?)
    }
}

fn sign(
    c: &Connection,
    head: &AuditHead,
    name: &str,
    now: Timestamp,
    witness: impl FnOnce(Head) -> Result<Countersignature, AuditError>,
) -> Result<(), StoreError> {
    if head.chain != rows::BOT {
        let problem = format!("the bot shows a head of {} and has {name} sign it", head.chain);
        return Err(StoreError::Corrupt { table: "inbox", problem });
    }
    let signed = witness(same(head)?)?;
    report::push(c, None, now, &Report::AuditSigned(same(&signed)?))
}

fn keep(c: &Connection, signed: &AuditSigned) -> Result<(), StoreError> {
    Ok(qd_audit::keep(c, &same(signed)?, &qd_audit::signers(c)?)?)
}

/// The trail's own words for what travels, and back: both are the same JSON.
fn same<T: Serialize, U: DeserializeOwned>(value: &T) -> Result<U, StoreError> {
    rows::json("inbox", &rows::to_json("outbox", value)?)
}
