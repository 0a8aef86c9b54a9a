//! The inbox of a forge's deliveries: rows before they are answered, told to the core once and in order, in one transaction
//! with what follows.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::{
    Event,
    inbox::{Delivery, Inbox, InboxError, News, Settled, Taken, Waiting},
    outside::{Asked, Outside},
};
use qd_types::{ApprovalId, PersonId};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Hub, HubError, turn::Turn};

/// Deliveries that may wait: a day of a large organization.
const MOST: u64 = 100_000;
/// Ids of deliveries that are remembered: GitHub sends one again within three days (docs.github.com, "Redelivering webhooks").
const REMEMBERED: i64 = 500_000;
/// Bytes of ignored deliveries are kept for so many.
const IGNORED: i64 = 2_000;
/// News that were told are remembered for so long, in milliseconds: longer than anybody looks back.
const TOLD: i64 = 30 * 24 * 3600 * 1000;

/// How many deliveries wait. Counted at the start, and kept from then on.
#[derive(Default)]
pub(crate) struct Waits(AtomicU64);

impl Waits {
    /// As the rows have it.
    pub(crate) fn of(c: &Connection) -> Result<u64, HubError> {
        let count: i64 = c
            .prepare_cached("SELECT count(*) FROM deliveries WHERE state = 'waiting'")?
            .query_row([], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }

    pub(crate) fn set(&self, waiting: u64) {
        self.0.store(waiting, Ordering::Relaxed);
    }
}

fn broken(error: &HubError) -> InboxError {
    InboxError::Broken(error.to_string())
}

/// What is answered once it is known, and where the answer goes.
enum Late {
    /// A word of a person that is on its way to an instance.
    Word(Asked, PersonId, ApprovalId),
    /// A code that was said with an account, by its hash.
    Code(Asked, String),
}

/// Tells the core; what it says to whoever did it is an answer at the forge.
fn tell(turn: &mut Turn<'_>, news: Vec<News>) -> Result<Vec<Late>, HubError> {
    let (mut late, now) = (Vec::new(), turn.now.as_millisecond());
    for News { key, what } in news {
        if let Some(key) = key {
            let fresh = turn
                .c
                .prepare_cached("INSERT INTO told_once VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![key, now])?;
            if fresh == 0 {
                continue;
            }
        }
        let (asked, person) = (what.asks(), what.commander().map(|person| person.id.clone()));
        // First what they were not there to hear.
        let missed = match &person {
            Some(person) => turn.happens(Event::Collect { person: person.clone(), of: None })?,
            None => None,
        };
        (turn.awaits, turn.links) = (None, None);
        let reply = turn.happens(Event::Outside(Box::new(what)))?;
        let said: Vec<String> = missed.into_iter().chain(reply).collect();
        let Some(to) = asked else { continue };
        if !said.is_empty() {
            let text = said.join("\n");
            turn.happens(Event::Outside(Box::new(Outside::Answer { to: to.clone(), text })))?;
        }
        if let Some(hash) = turn.links.take() {
            late.push(Late::Code(to, hash));
        } else if let (Some(person), Some(approval)) = (person, turn.awaits.take()) {
            late.push(Late::Word(to, person, approval));
        }
    }
    turn.c.prepare_cached("DELETE FROM told_once WHERE at < ?1")?.execute([now - TOLD])?;
    Ok(late)
}

impl Hub {
    /// What instances say to words of people is the better answer: the comment is edited if it comes soon. An account is
    /// linked after its code is on disk.
    fn answer_late(&self, late: Vec<Late>) {
        for late in late {
            let hub = self.clone();
            tokio::spawn(async move {
                let answered = match late {
                    Late::Word(to, person, approval) => hub.answer_when_heard(to, &person, approval).await,
                    Late::Code(to, hash) => hub.answer_when_linked(to, hash).await,
                };
                if let Err(error) = answered {
                    tracing::warn!(%error, "somebody at the forge is not answered now");
                }
            });
        }
    }

    async fn answer_when_linked(&self, to: Asked, hash: String) -> Result<(), HubError> {
        let Some(text) = self.linked(hash).await? else { return Ok(()) };
        let answer = Event::Outside(Box::new(Outside::Answer { to, text }));
        self.process(answer, |_| Ok(())).await.map(drop)
    }

    async fn answer_when_heard(
        &self,
        to: Asked,
        person: &PersonId,
        approval: ApprovalId,
    ) -> Result<(), HubError> {
        let mut commits = self.inner.db.commits();
        commits.borrow_and_update();
        let Some(text) = self.heard(&mut commits, person, approval).await? else { return Ok(()) };
        let answer = Event::Outside(Box::new(Outside::Answer { to, text }));
        self.process(answer, |_| Ok(())).await.map(drop)
    }
}

#[async_trait]
impl Inbox for Hub {
    async fn take(&self, delivery: Delivery) -> Result<Taken, InboxError> {
        let waiting = self.inner.waits.0.load(Ordering::Relaxed);
        if waiting >= MOST {
            return Err(InboxError::Full { waiting, most: MOST });
        }
        let Delivery { id, kind, body } = delivery;
        let at = Timestamp::now().as_millisecond();
        // Beside the lock of the state: many that come at once are one commit.
        let fresh = self.inner.db.write(move |c| {
            let fresh = c
                .prepare_cached(
                    "INSERT INTO deliveries (delivery, kind, body, taken_at) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (delivery) DO NOTHING",
                )?
                .execute(params![id, kind, body, at])?;
            Ok::<_, HubError>(fresh > 0)
        });
        match fresh.await {
            Ok(true) => {
                self.inner.waits.0.fetch_add(1, Ordering::Relaxed);
                qd_failpoint::reached("delivery_kept");
                Ok(Taken::New)
            }
            Ok(false) => Ok(Taken::Again),
            Err(error) => Err(broken(&error)),
        }
    }

    async fn next(&self) -> Result<Waiting, InboxError> {
        let mut commits = self.inner.db.commits();
        loop {
            commits.borrow_and_update();
            let oldest = self.inner.db.read(oldest).await.map_err(|error| broken(&error))?;
            if let Some(place) = oldest {
                let begun = self.inner.db.write(move |c| begin(c, place)).await;
                if let Some(waiting) = begun.map_err(|error| broken(&error))? {
                    return Ok(waiting);
                }
            }
            if commits.changed().await.is_err() {
                return Err(InboxError::Broken("the database is closed".to_owned()));
            }
        }
    }

    async fn settle(
        &self,
        place: i64,
        settled: Settled,
        became: &str,
        news: Vec<News>,
    ) -> Result<(), InboxError> {
        let became = became.to_owned();
        let done = self
            .within(move |turn| {
                let late = tell(turn, news)?;
                Ok((end(turn.c, place, settled, &became)?, late))
            })
            .await;
        let (ended, late) = done.map_err(|error| broken(&error))?;
        if ended {
            let less = |waiting: u64| Some(waiting.saturating_sub(1));
            let _before = self.inner.waits.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        qd_failpoint::reached("delivery_settled");
        self.answer_late(late);
        Ok(())
    }

    async fn tell(&self, news: Vec<News>) -> Result<(), InboxError> {
        let late = self.within(move |turn| tell(turn, news)).await.map_err(|error| broken(&error))?;
        self.answer_late(late);
        Ok(())
    }

    async fn note(&self, key: &str, value: &str) -> Result<(), InboxError> {
        let (key, value) = (key.to_owned(), value.to_owned());
        let noted = self.inner.db.write(move |c| {
            let sql =
                "INSERT INTO forge_notes VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
            c.prepare_cached(sql)?.execute([key, value])?;
            Ok::<_, HubError>(())
        });
        noted.await.map_err(|error| broken(&error))
    }

    async fn noted(&self, key: &str) -> Result<Option<String>, InboxError> {
        let key = key.to_owned();
        let noted = self.inner.db.read(move |c| {
            let sql = "SELECT value FROM forge_notes WHERE key = ?1";
            Ok::<_, HubError>(c.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?)
        });
        noted.await.map_err(|error| broken(&error))
    }
}

fn oldest(c: &Connection) -> Result<Option<i64>, HubError> {
    Ok(c.prepare_cached("SELECT place FROM deliveries WHERE state = 'waiting' ORDER BY place LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Counts an attempt.
fn begin(c: &Connection, place: i64) -> Result<Option<Waiting>, HubError> {
    let row = c
        .prepare_cached(
            "UPDATE deliveries SET attempts = attempts + 1 WHERE place = ?1 AND state = 'waiting'
             RETURNING attempts - 1, delivery, kind, body",
        )?
        .query_row([place], |row| {
            let delivery = Delivery { id: row.get(1)?, kind: row.get(2)?, body: row.get(3)? };
            Ok(Waiting { place, attempts: row.get(0)?, delivery })
        });
    Ok(row.optional()?)
}

/// Ends a delivery; `false` if it has ended before. What is old is forgotten.
fn end(c: &Connection, place: i64, settled: Settled, became: &str) -> Result<bool, HubError> {
    let (state, keeps) = match settled {
        Settled::Done => ("done", false),
        Settled::Ignored => ("ignored", true),
        Settled::Left => ("left", true),
    };
    let ended = c
        .prepare_cached(
            "UPDATE deliveries SET state = ?2, became = ?3, body = CASE ?4 WHEN 1 THEN body END
             WHERE place = ?1 AND state = 'waiting'",
        )?
        .execute(params![place, state, became, keeps])?;
    c.prepare_cached("DELETE FROM deliveries WHERE place < ?1 - ?2 AND state <> 'waiting'")?
        .execute([place, REMEMBERED])?;
    c.prepare_cached(
        "UPDATE deliveries SET body = NULL WHERE state = 'ignored' AND body IS NOT NULL AND place < ?1 - ?2",
    )?
    .execute([place, IGNORED])?;
    Ok(ended > 0)
}
