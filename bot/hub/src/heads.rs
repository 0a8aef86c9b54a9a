//! Heads of audit chains, exchanged with the instances: the bot signs theirs and they sign the bot's, so that who wants to
//! rewrite one of them needs both machines.

use std::{collections::BTreeSet, path::PathBuf, time::Duration};

use jiff::Timestamp;
use qd_approvals::{KeyOwner, SurfaceKey};
use qd_audit::{Actor, Archived, AuditError, Countersignature, Head, Retention};
use qd_core::{Event, text};
use qd_sqlite::outbox;
use qd_types::{InstanceName, PersonId};
use qd_wire::v1::{Alert, AuditHead, AuditSigned, Order, Report};
use rusqlite::Connection;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    HubError,
    hub::Hub,
    json::{from_json, to_json},
    keeper::{self, BOT},
    turn::Turn,
};

/// Heads are shown at most this often.
const PAUSE: Duration = Duration::from_secs(60);

/// It is looked at most this often whether there is a new one.
const LOOK: Duration = Duration::from_millis(100);

/// Rows in one answer.
const TOLD: usize = 20;

/// What goes down under this key is the newest head.
const LIVING: &str = "audit:head";

/// Begins the bot's chain and lists whose signatures count on it.
pub(crate) fn begin(c: &Connection, key: &SurfaceKey) -> Result<(), HubError> {
    qd_audit::begin(c, BOT)?;
    qd_audit::enrol(c, BOT, &key.public())?;
    for key in keeper::keys(c)? {
        if let KeyOwner::Instance(instance) = key.owner {
            qd_audit::enrol(c, instance.as_str(), &key.public)?;
        }
    }
    Ok(())
}

impl Turn<'_> {
    /// Takes a report. What is about the trail is signed or kept; what does not fit is refused, and people are told.
    pub(crate) fn reported(&mut self, from: &InstanceName, report: Report) -> Result<(), HubError> {
        let done = match &report {
            Report::AuditHead(head) => self.sign(from, head),
            Report::AuditSigned(signed) => self.keep(from, signed),
            _ => {
                let event = Event::Report { instance: from.clone(), report: Box::new(report) };
                return self.happens(event).map(drop);
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(HubError::Audit(AuditError::Db(error)) | HubError::Db(error)) => Err(HubError::Db(error)),
            Err(refused) => {
                let text = text::trails_apart(from, &refused);
                let alert = Report::Alert(Alert { key: "audit".to_owned(), text, over: false });
                self.happens(Event::Report { instance: from.clone(), report: Box::new(alert) }).map(drop)
            }
        }
    }

    fn sign(&mut self, from: &InstanceName, head: &AuditHead) -> Result<(), HubError> {
        if head.chain != from.as_str() {
            let problem = format!("{from} shows a head of {}", head.chain);
            return Err(HubError::corrupt("inbox", problem));
        }
        let key = self.keeper.key().signing();
        let signed = qd_audit::witness(self.c, same(head)?, BOT, self.now, key)?;
        self.told.insert(from.clone());
        tell(self.c, from, None, &Order::AuditSigned(same(&signed)?), self.now)
    }

    fn keep(&self, from: &InstanceName, signed: &AuditSigned) -> Result<(), HubError> {
        if signed.by != from.as_str() {
            return Err(HubError::corrupt("inbox", format!("{from} brings a signature of {}", signed.by)));
        }
        Ok(qd_audit::keep(self.c, &same(signed)?, &qd_audit::signers(self.c)?)?)
    }
}

impl Hub {
    /// The public half of the key that signs what people vote in chat, and heads of other chains.
    pub fn surface_key(&self) -> [u8; 32] {
        self.own().now.public()
    }

    /// The public halves of the bot's keys that count, the newest first.
    pub fn surface_keys(&self) -> Vec<[u8; 32]> {
        self.own().public()
    }

    /// Signs the head of a chain that lies beside the bot's and has no executor of its own to exchange heads with.
    ///
    /// # Errors
    /// If the chain went back or was rewritten, or the database fails.
    pub async fn witness(&self, head: Head) -> Result<Countersignature, HubError> {
        let key = self.own().now.signing().clone();
        self.inner
            .db
            // What contradicts is kept: the transaction ends well in either case.
            .write(move |c| Ok::<_, HubError>(qd_audit::witness(c, head, BOT, Timestamp::now(), &key)))
            .await?
            .map_err(HubError::Audit)
    }

    /// Forgets who stands behind a pseudonym in the bot's chain, which stays as it is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget(&self, person: &PersonId) -> Result<(), HubError> {
        let person = person.clone();
        self.inner.db.write(move |c| Ok(qd_audit::erase(c, &person).map(drop)?)).await
    }

    /// Moves old rows of the bot's chain to segment files in the folder `audit` beside it, and lets go of those that were
    /// kept long enough.
    ///
    /// # Errors
    /// If the chain is broken, or a file or the database fails.
    pub async fn archive(&self, folder: PathBuf, retention: Retention) -> Result<Archived, HubError> {
        Ok(qd_audit::archive(&self.inner.db, &folder, retention, &Actor::Bot, Timestamp::now()).await?)
    }

    /// What the bot's own trail says of something, which is known by its id. What was archived is not among it.
    pub(crate) async fn story(&self, of: String) -> Result<String, HubError> {
        let what = of.clone();
        let look = move |c: &Connection| {
            let of = of.parse().map_err(|error| HubError::corrupt("audit_chain", error))?;
            Ok::<_, HubError>(qd_audit::outline(c, &of, TOLD)?)
        };
        let lines = self.inner.db.read(look).await?;
        Ok(text::trail(&what, &lines))
    }

    /// Shows the bot's head to every instance, at the start and after new rows, until the task is dropped.
    pub(crate) async fn show_heads(self) {
        let mut commits = self.inner.db.commits();
        let mut shown = None;
        loop {
            commits.borrow_and_update();
            match self.show(shown.clone()).await {
                // What it says itself is a commit, too, and no news.
                Ok(now) if now.0.seq == 0 || shown.as_ref() == Some(&now) => {
                    if commits.changed().await.is_err() {
                        return;
                    }
                    // However much is committed: most of it is not in the trail.
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
                Ok(now) => shown = Some(now),
                Err(error) => tracing::error!(%error, "the head of the audit trail can't be shown"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where the chain ends, and whom that was shown to.
    async fn show(
        &self,
        shown: Option<(Head, BTreeSet<InstanceName>)>,
    ) -> Result<(Head, BTreeSet<InstanceName>), HubError> {
        let look = |c: &Connection| {
            let instances = keeper::keys(c)?.into_iter().filter_map(|key| match key.owner {
                KeyOwner::Instance(instance) => Some(instance),
                KeyOwner::Bot => None,
            });
            Ok::<_, HubError>((qd_audit::head(c)?, instances.collect::<BTreeSet<_>>()))
        };
        let now = self.inner.db.read(look).await?;
        if now.0.seq == 0 || shown.as_ref() == Some(&now) {
            return Ok(now);
        }
        let told = move |c: &Connection| {
            let (head, instances) = look(c)?;
            for instance in &instances {
                tell(c, instance, Some(LIVING), &Order::AuditHead(same(&head)?), Timestamp::now())?;
            }
            Ok::<_, HubError>((head, instances))
        };
        let (head, instances) = self.inner.db.write(told).await?;
        self.ring(&instances);
        Ok((head, instances))
    }
}

fn tell(
    c: &Connection,
    to: &InstanceName,
    living: Option<&str>,
    order: &Order,
    now: Timestamp,
) -> Result<(), HubError> {
    Ok(outbox::push(c, to.as_str(), living, now.as_millisecond(), &to_json("outbox", order)?)?)
}

/// The trail's own words for what travels, and back: both are the same JSON.
fn same<T: Serialize, U: DeserializeOwned>(value: &T) -> Result<U, HubError> {
    from_json("inbox", &to_json("outbox", value)?)
}
