//! What goes up to the bot: written in the transaction of the change it reports.

use jiff::Timestamp;
use qd_board::{RunEnd, Source, SourceKind};
use qd_sqlite::outbox;
use qd_types::{FeatureId, Line};
use qd_wire::v1::{Alert, Envelope, FeatureReport, Report};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{Store, StoreError, facts, forge, presence, questions, rows, store, store::Lens};

/// Puts a report into the outbox. With a living key, the newest unshipped state wins.
pub(crate) fn push(
    c: &Connection,
    living: Option<&str>,
    now: Timestamp,
    report: &Report,
) -> Result<(), StoreError> {
    Ok(outbox::push(c, rows::BOT, living, now.as_millisecond(), &rows::to_json("outbox", report)?)?)
}

/// The living report of a feature, as it stands in this transaction.
pub(crate) fn feature(c: &Connection, lens: &Lens, id: &FeatureId, now: Timestamp) -> Result<(), StoreError> {
    let snapshot = store::snapshot(c, lens, rows::feature_by_id(c, id)?, now)?;
    let run = snapshot.run.as_ref();
    let merged = run.and_then(|run| match &run.end {
        Some(RunEnd::Merged { commit }) => Some(commit.clone()),
        _ => None,
    });
    let report = Report::Feature(FeatureReport {
        feature: id.clone(),
        title: snapshot.feature.wanted.title.clone(),
        stage: snapshot.feature.stage,
        line: run.map_or_else(Line::default, |run| run.line(snapshot.asks)),
        sentence: snapshot.why.sentence,
        agent: run.map(|run| run.agent.clone()),
        pull_request: run.and_then(|run| run.pull_request),
        merged,
        seconds: run.map(|run| run.seconds(now)),
        needs_person: snapshot.feature.held.is_some(),
        spent: snapshot.spent,
        repository: Some(snapshot.feature.repository.clone()),
        issue: issue(snapshot.feature.wanted.source.as_ref()),
        run: run.filter(|run| run.end.is_none()).map(|run| run.id.clone()),
        question: questions::asked(snapshot.feature.wanted.source.as_ref(), &snapshot.feature.author),
    });
    push(c, Some(&format!("feature:{id}")), now, &report)?;
    alert(c, id, snapshot.feature.held.as_deref(), &snapshot.feature.wanted.title, now)
}

/// The issue that something comes from.
fn issue(source: Option<&Source>) -> Option<String> {
    source.filter(|source| source.kind == SourceKind::Issue).map(|source| source.reference.clone())
}

/// Everything that holds now, for a bot that knows nothing of it: each feature that is not done, and what stands still.
pub(crate) fn anew(c: &Connection, lens: &Lens, now: Timestamp) -> Result<(), StoreError> {
    for feature in rows::features(c, "WHERE stage <> 'done' ORDER BY number", [])? {
        self::feature(c, lens, &feature.id, now)?;
        if let Some(why) = &feature.held {
            facts::blocked(c, &feature.id, Some(why), feature.updated_at)?;
        }
    }
    let open: Vec<(String, String)> = c
        .prepare_cached("SELECT key, text FROM alerts ORDER BY key")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, rusqlite::Error>>()?;
    for (key, text) in open {
        alerted(c, &key, text, false, now)?;
    }
    facts::anew(c, lens, now)?;
    forge::ask_again(c, now)?;
    presence::snapshot(c, now)
}

/// Tells the bot of a cause that needs people, or that is gone: a living state per cause.
pub(crate) fn alerted(
    c: &Connection,
    key: &str,
    text: String,
    over: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    if over {
        c.prepare_cached("DELETE FROM alerts WHERE key = ?1")?.execute([key])?;
    } else {
        let sql = "INSERT INTO alerts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET text = excluded.text";
        c.prepare_cached(sql)?.execute([key, &text])?;
    }
    let alert = Alert { key: key.to_owned(), over, text };
    push(c, Some(&format!("alert:{key}")), now, &Report::Alert(alert))
}

/// One alert per feature that stands still until a person does something; over when it moves again.
fn alert(
    c: &Connection,
    id: &FeatureId,
    held: Option<&str>,
    title: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let key = format!("held:{id}");
    let was_held: bool = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM events WHERE feature = ?1 AND kind = 'alert' AND text <> 'over'
             AND seq = (SELECT max(seq) FROM events WHERE feature = ?1 AND kind = 'alert'))",
        )?
        .query_row([id.to_string()], |row| row.get(0))?;
    let text = match held {
        Some(why) if !was_held => format!("{id} {title}: {why} Needs a person."),
        None if was_held => "over".to_owned(),
        _ => return Ok(()),
    };
    let mut event = crate::events::Draft::new("team", "alert", text.clone());
    event.feature = Some(id.clone());
    crate::events::write(c, &event, now)?;
    facts::blocked(c, id, held, now)?;
    alerted(c, &key, text, held.is_none(), now)
}

/// See [`Store::raise`].
pub(crate) fn raise(
    c: &Connection,
    key: &str,
    text: String,
    over: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    crate::events::write(c, &crate::events::Draft::new("team", "team_alert", text.clone()), now)?;
    alerted(c, key, text, over, now)
}

/// See [`Store::ship`].
pub(crate) fn ship(c: &Connection, limit: usize) -> Result<Vec<Envelope<Report>>, StoreError> {
    outbox::ship(c, rows::BOT, limit)?
        .into_iter()
        .map(|row| {
            Ok(Envelope {
                epoch: row.epoch,
                seq: row.seq,
                at: rows::time("outbox", row.at)?,
                body: rows::json("outbox", &row.body)?,
            })
        })
        .collect()
}

impl Store {
    /// Something about the team as a whole that people have to know, or that is over. Said once: whoever raises it again
    /// under the same key before it is over says nothing new to the bot.
    pub async fn raise(&self, key: &str, text: &str, over: bool, now: Timestamp) -> Result<(), StoreError> {
        let (key, text) = (key.to_owned(), text.to_owned());
        self.write(move |c| raise(c, &key, text, over, now)).await
    }

    /// What people were told of a cause that is not over.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn alert(&self, key: &str) -> Result<Option<String>, StoreError> {
        let key = key.to_owned();
        self.read(move |c| {
            let mut found = c.prepare_cached("SELECT text FROM alerts WHERE key = ?1")?;
            Ok(found.query_row([key], |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Reports to be shipped now, numbered, oldest first; the same again until they are acknowledged.
    pub async fn ship(&self, limit: usize) -> Result<Vec<Envelope<Report>>, StoreError> {
        self.write(move |c| ship(c, limit)).await
    }

    /// The bot has kept everything up to here.
    pub async fn acknowledged(&self, ack: qd_wire::v1::Ack) -> Result<(), StoreError> {
        self.write(move |c| Ok(outbox::acknowledge(c, rows::BOT, ack.epoch, ack.seq)?)).await
    }
}
