//! What is asked of the forge, by way of the bot, and what becomes of it.

use jiff::Timestamp;
use qd_sqlite::outbox;
use qd_types::ApprovalId;
use qd_wire::v1::{Ack, ForgeOutcome, ForgeRequest, Report};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{Store, StoreError, report, rows, runs, store::Lens, trail};

impl Store {
    /// Asks the bot for an outward act. Asking again with the same id asks nothing new.
    pub async fn request(&self, request: ForgeRequest, now: Timestamp) -> Result<(), StoreError> {
        let lens = self.lens();
        self.write(move |c| self::request(c, &lens, request, now)).await
    }

    /// Whether a request was made.
    pub async fn requested(&self, request: &str) -> Result<bool, StoreError> {
        let id = request.to_owned();
        self.read(move |c| {
            Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM forge_requests WHERE id = ?1)")?
                .query_row([id], |row| row.get(0))?)
        })
        .await
    }

    /// What became of a request so far.
    pub async fn outcome(&self, request: &str) -> Result<Option<ForgeOutcome>, StoreError> {
        let id = request.to_owned();
        self.read(move |c| self::outcome(c, &id)).await
    }

    /// Up to where orders were received.
    pub async fn received(&self) -> Result<Ack, StoreError> {
        self.read(received).await
    }
}

/// See [`Store::request`].
pub(crate) fn request(
    c: &Connection,
    lens: &Lens,
    request: ForgeRequest,
    now: Timestamp,
) -> Result<(), StoreError> {
    let fresh = c
        .prepare_cached(
            "INSERT INTO forge_requests (id, run, at, request) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            request.id,
            request.run.to_string(),
            now.as_millisecond(),
            rows::to_json("forge_requests", &request)?,
        ])?;
    if fresh > 0 {
        trail::asked(c, lens, &request, now)?;
        report::push(c, None, now, &Report::ForgeRequest(request))?;
    }
    Ok(())
}

/// Asks again for everything that the bot has not answered, or not to the end: it may have forgotten it. The same id is the
/// same act.
pub(crate) fn ask_again(c: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT forge_requests.id, request FROM forge_requests JOIN runs ON runs.id = run
        WHERE request IS NOT NULL AND runs.ending IS NULL
        AND (outcome IS NULL OR outcome ->> 'outcome' = 'asked') ORDER BY at, forge_requests.id";
    let open: Vec<(String, String)> = c
        .prepare_cached(sql)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, rusqlite::Error>>()?;
    for (id, request) in open {
        let request = Report::ForgeRequest(rows::json("forge_requests", &request)?);
        report::push(c, Some(&format!("request:{id}")), now, &request)?;
    }
    Ok(())
}

/// See [`Store::outcome`].
pub(crate) fn outcome(c: &Connection, request: &str) -> Result<Option<ForgeOutcome>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT outcome FROM forge_requests WHERE id = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?
        .flatten();
    text.map(|text| rows::json("forge_requests", &text)).transpose()
}

/// See [`Store::received`].
pub(crate) fn received(c: &Connection) -> Result<Ack, StoreError> {
    let (epoch, seq) = outbox::received(c, rows::BOT)?;
    Ok(Ack { epoch, seq })
}

/// What became of a request has come.
pub(crate) fn outcome_came(
    c: &Connection,
    lens: &Lens,
    request: &str,
    outcome: &ForgeOutcome,
    now: Timestamp,
) -> Result<(), StoreError> {
    let run: String = c
        .prepare_cached("SELECT run FROM forge_requests WHERE id = ?1")?
        .query_row([request], |row| row.get(0))
        .optional()?
        .ok_or_else(|| StoreError::no_such("forge request", request))?;
    c.prepare_cached("UPDATE forge_requests SET outcome = ?2 WHERE id = ?1")?
        .execute(params![request, rows::to_json("forge_requests", outcome)?])?;
    let set_approval = |id: &ApprovalId| {
        c.prepare_cached("UPDATE runs SET approval = ?2 WHERE id = ?1")?.execute(params![run, id.to_string()])
    };
    let text = match outcome {
        ForgeOutcome::Opened { number } => format!("Pull request {number} is open."),
        ForgeOutcome::Asked { approval } => {
            set_approval(approval)?;
            "People are asked.".to_owned()
        }
        ForgeOutcome::Approved { approval, by } => {
            set_approval(approval)?;
            let names: Vec<&str> = by.iter().map(qd_types::PersonId::as_str).collect();
            c.prepare_cached("UPDATE runs SET approved_by = ?2 WHERE id = ?1")?
                .execute(params![run, rows::to_json("runs", &names)?])?;
            format!("Approved by {}.", names.join(", "))
        }
        ForgeOutcome::NotApproved { reason } => reason.clone(),
        ForgeOutcome::Merged { commit } => format!("The target branch holds {}.", commit.short()),
        ForgeOutcome::BaseMoved { base } => format!("The target branch moved to {}.", base.short()),
        ForgeOutcome::IssueOpened { number } => format!("Issue {number} is open for the other team."),
        ForgeOutcome::Closed => "The pull request is closed.".to_owned(),
        ForgeOutcome::Refused { reason } | ForgeOutcome::Unknown { reason } => reason.clone(),
    };
    let run = rows::parse("forge_requests", &run)?;
    trail::outcome(c, lens, &run, outcome, now)?;
    runs::told(c, lens, &run, "forge", text, now)
}
