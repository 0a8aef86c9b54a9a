//! Which instances belong to the fleet: invitations, keys, their change and their end.

use jiff::{SignedDuration, Timestamp};
use qd_audit::{About, Actor, Entry, Kind, pseudonym};
use qd_sqlite::outbox;
use qd_types::{InstanceName, PersonId};
use qd_wire::{
    signed::{fingerprint, hex},
    v1::Order,
};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Hub, HubError, json::to_json, keeper};

/// How long a token works.
const WORKS: SignedDuration = SignedDuration::from_mins(15);

/// How long an owner's yes to an invitation counts, where another one has to say it, too.
const AGREED: SignedDuration = SignedDuration::from_hours(24);

/// What came of an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invited {
    /// The secret of a token, shown once.
    Token {
        /// 16 random bytes as lower-case hex.
        secret: String,
        /// Until when it works.
        until: Timestamp,
    },
    /// Other people have to give the same command first.
    Waits {
        /// Who did.
        said: Vec<PersonId>,
    },
}

/// An instance's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// Whose.
    pub instance: InstanceName,
    /// Ed25519: it signs.
    pub signing: [u8; 32],
    /// X25519: it is sealed to; `None` for an instance that runs beside the bot.
    pub sealing: Option<[u8; 32]>,
    /// Since when; 1970 for one of before.
    pub since: Timestamp,
    /// It was revoked.
    pub revoked: bool,
}

impl Hub {
    /// A person who may do so invites an instance. Where `needed` people have to, each gives the command, within a day.
    ///
    /// # Errors
    /// If the name is the bot's own, or the database fails.
    pub async fn invite(
        &self,
        instance: &InstanceName,
        by: &PersonId,
        needed: u32,
    ) -> Result<Invited, HubError> {
        if instance.as_str() == keeper::BOT {
            return Err(HubError::Refused(
                "no instance can be called bot: that is the bot's own name".into(),
            ));
        }
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)
            .map_err(|error| HubError::Refused(format!("no chance to be had: {error}")))?;
        let (instance, by, now) = (instance.clone(), by.clone(), Timestamp::now());
        let job = move |c: &Connection| invite(c, &instance, &by, needed, &hex(&secret), now);
        self.inner.db.write(job).await
    }

    /// An instance joins with the secret of its token. The keys that it had before count no more.
    ///
    /// # Errors
    /// If the token does not work, a key was revoked or is another instance's, or the database fails.
    pub async fn join(
        &self,
        instance: &InstanceName,
        secret: &str,
        keys: ([u8; 32], [u8; 32]),
    ) -> Result<(), HubError> {
        let (peer, hash) = (instance.clone(), hash(secret));
        self.change_keys(move |c, now| {
            let sql = "UPDATE instance_invitations SET used_at = ?3
                       WHERE hash = ?1 AND instance = ?2 AND used_at IS NULL AND expires_at > ?3";
            let used = c.prepare_cached(sql)?.execute(params![hash, peer.as_str(), now.as_millisecond()])?;
            if used != 1 {
                return Err(HubError::NotInvited { instance: peer.to_string() });
            }
            keeper::enrol(c, &peer, &keys.0, now)?;
            seal_to(c, keys, now)?;
            let text = format!("{peer} joined with the key {}", fingerprint(&keys.0));
            note(c, Actor::Team(peer), json!({ "text": text, "key": hex(&keys.0) }), now)
        })
        .await
    }

    /// An instance takes another key. The one that it asked with counts beside it; any third does no more.
    ///
    /// # Errors
    /// If the new key was revoked or is another instance's, or the database fails.
    pub async fn rotate(
        &self,
        instance: &InstanceName,
        old: [u8; 32],
        new: ([u8; 32], [u8; 32]),
    ) -> Result<(), HubError> {
        let peer = instance.clone();
        self.change_keys(move |c, now| {
            let known = alive(c, &peer, &new.0)?;
            // To insert it does not bring it back: one that was revoked stays so.
            c.prepare_cached(
                "INSERT INTO surface_keys (public, instance) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute(params![new.0, peer.as_str()])?;
            if !alive(c, &peer, &new.0)? || !alive(c, &peer, &old)? {
                return Err(HubError::KeyWithdrawn { instance: peer.to_string() });
            }
            let sql = "UPDATE surface_keys SET revoked_at = ?4
                       WHERE instance = ?3 AND public NOT IN (?1, ?2) AND revoked_at IS NULL";
            c.prepare_cached(sql)?.execute(params![new.0, old, peer.as_str(), now.as_millisecond()])?;
            qd_audit::enrol(c, peer.as_str(), &new.0)?;
            if known {
                return Ok(());
            }
            seal_to(c, new, now)?;
            let text = format!("{peer} has the key {} beside {}", fingerprint(&new.0), fingerprint(&old));
            note(c, Actor::Team(peer), json!({ "text": text, "key": hex(&new.0) }), now)
        })
        .await
    }

    /// Puts an instance out: none of its keys counts from now on, and no token that was made for it. Answers how many keys
    /// that were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn revoke(&self, instance: &InstanceName, by: &PersonId) -> Result<usize, HubError> {
        let (peer, by) = (instance.clone(), by.clone());
        self.change_keys(move |c, now| {
            let millis = now.as_millisecond();
            let sql = "UPDATE surface_keys SET revoked_at = ?2 WHERE instance = ?1 AND revoked_at IS NULL";
            let keys = c.prepare_cached(sql)?.execute(params![peer.as_str(), millis])?;
            let sql = "UPDATE instance_invitations SET used_at = ?2 WHERE instance = ?1 AND used_at IS NULL";
            let tokens = c.prepare_cached(sql)?.execute(params![peer.as_str(), millis])?;
            c.prepare_cached("DELETE FROM instance_invited WHERE instance = ?1")?.execute([peer.as_str()])?;
            if keys + tokens > 0 {
                let actor = Actor::Person(pseudonym(c, &by)?);
                note(c, actor, json!({ "text": format!("{peer} was put out of the fleet") }), now)?;
            }
            Ok(keys)
        })
        .await
    }

    /// Has an instance take another key in the place of its newest, because `by` wants it.
    ///
    /// # Errors
    /// If it has none that counts, or runs in the bot's own process, or the database fails.
    pub async fn order_rotation(&self, instance: &InstanceName, by: &PersonId) -> Result<(), HubError> {
        let (peer, by) = (instance.clone(), by.clone());
        self.change_keys(move |c, now| {
            let sql = "SELECT public FROM surface_keys
                       WHERE instance = ?1 AND revoked_at IS NULL AND sealing IS NOT NULL
                       ORDER BY since DESC LIMIT 1";
            let old: Option<[u8; 32]> =
                c.prepare_cached(sql)?.query_row([peer.as_str()], |row| row.get(0)).optional()?;
            let Some(old) = old else {
                return Err(HubError::Refused(format!("{peer} has not joined with a key that counts.")));
            };
            let order = to_json("outbox", &Order::RotateKey { old: hex(&old) })?;
            outbox::push(c, peer.as_str(), Some("key:rotate"), now.as_millisecond(), &order)?;
            let actor = Actor::Person(pseudonym(c, &by)?);
            note(c, actor, json!({ "text": format!("{peer} is to take another key") }), now)
        })
        .await
    }

    /// Every key of every instance, newest last.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn enrolled(&self) -> Result<Vec<Enrolled>, HubError> {
        self.inner
            .db
            .read(|c| {
                let sql = "SELECT instance, public, sealing, since, revoked_at IS NOT NULL FROM surface_keys
                           ORDER BY instance, since, public";
                let mut statement = c.prepare_cached(sql)?;
                let mut rows = statement.query([])?;
                let mut keys = Vec::new();
                while let Some(row) = rows.next()? {
                    let name: String = row.get(0)?;
                    keys.push(Enrolled {
                        instance: name.parse().map_err(|error| HubError::corrupt("surface_keys", error))?,
                        signing: row.get(1)?,
                        sealing: row.get(2)?,
                        since: Timestamp::from_millisecond(row.get(3)?)
                            .map_err(|error| HubError::corrupt("surface_keys", error))?,
                        revoked: row.get(4)?,
                    });
                }
                Ok(keys)
            })
            .await
    }
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn invite(
    c: &Connection,
    instance: &InstanceName,
    by: &PersonId,
    needed: u32,
    secret: &str,
    now: Timestamp,
) -> Result<Invited, HubError> {
    let (millis, since) = (now.as_millisecond(), (now - AGREED).as_millisecond());
    c.prepare_cached("DELETE FROM instance_invited WHERE at < ?1")?.execute([since])?;
    c.prepare_cached("DELETE FROM instance_invitations WHERE expires_at < ?1")?.execute([since])?;
    let sql = "INSERT INTO instance_invited VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = excluded.at";
    c.prepare_cached(sql)?.execute(params![instance.as_str(), by.as_str(), millis])?;
    let said: Vec<String> = c
        .prepare_cached("SELECT person FROM instance_invited WHERE instance = ?1 ORDER BY at")?
        .query_map([instance.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let actor = Actor::Person(pseudonym(c, by)?);
    if said.len() < needed as usize {
        let text = format!("{instance} is to be invited, which {needed} people decide");
        note(c, actor, json!({ "text": text }), now)?;
        let said = said.iter().map(|name| name.parse());
        let said =
            said.collect::<Result<_, _>>().map_err(|error| HubError::corrupt("instance_invited", error))?;
        return Ok(Invited::Waits { said });
    }
    // What was agreed is spent.
    c.prepare_cached("DELETE FROM instance_invited WHERE instance = ?1")?.execute([instance.as_str()])?;
    let until = now + WORKS;
    c.prepare_cached("INSERT INTO instance_invitations (hash, instance, expires_at) VALUES (?1, ?2, ?3)")?
        .execute(params![hash(secret), instance.as_str(), until.as_millisecond()])?;
    note(c, actor, json!({ "text": format!("{instance} is invited to join") }), now)?;
    Ok(Invited::Token { secret: secret.to_owned(), until })
}

fn alive(c: &Connection, instance: &InstanceName, key: &[u8; 32]) -> Result<bool, HubError> {
    let sql = "SELECT 1 FROM surface_keys WHERE public = ?1 AND instance = ?2 AND revoked_at IS NULL";
    let row: Option<i64> =
        c.prepare_cached(sql)?.query_row(params![key, instance.as_str()], |row| row.get(0)).optional()?;
    Ok(row.is_some())
}

fn seal_to(c: &Connection, (signing, sealing): ([u8; 32], [u8; 32]), now: Timestamp) -> Result<(), HubError> {
    c.prepare_cached("UPDATE surface_keys SET sealing = ?2, since = ?3 WHERE public = ?1")?
        .execute(params![signing, sealing, now.as_millisecond()])?;
    Ok(())
}

pub(crate) fn note(c: &Connection, actor: Actor, payload: Value, now: Timestamp) -> Result<(), HubError> {
    let payload = match payload {
        Value::Object(payload) => payload,
        _ => serde_json::Map::new(),
    };
    qd_audit::append(c, &Entry { kind: Kind::Enrolment, actor, about: About::default(), at: now, payload })?;
    Ok(())
}
