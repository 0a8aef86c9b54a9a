//! The instance's own approvals as the inbox and whoever asked read them.

use jiff::Timestamp;
use qd_approvals::{Answer, Approvals, Directory, Executor, Record, face::Face};
use qd_types::{Action, Approval, ApprovalId, FeatureId, PersonId, RunId};
use qd_wire::v1::ApprovalCard;
use rusqlite::{Connection, OptionalExtension as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Keeper;
use crate::{Store, StoreError, rows};

/// One person's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Whose.
    pub person: PersonId,
    /// A text, or what the question's schema takes.
    pub value: Value,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self { person: answer.person, value: answer.value }
    }
}

impl Store {
    /// One own approval, with the votes that count; none if there is no such.
    pub async fn own(
        &self,
        keeper: &Keeper,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        let Some(id) = keeper.id(key) else { return Ok(None) };
        self.look(keeper, now, move |approvals| {
            Ok(if approvals.exists(&id)? { Some(approvals.show(&id)?) } else { None })
        })
        .await
    }

    /// What was asked for in a run, oldest first.
    pub async fn own_of(
        &self,
        keeper: &Keeper,
        run: &RunId,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let run = run.clone();
        self.look(keeper, now, move |approvals| Ok(approvals.of_run(&run)?)).await
    }

    /// Own approvals that people or the instance may still do something about, oldest first.
    pub async fn own_live(&self, keeper: &Keeper, now: Timestamp) -> Result<Vec<Record>, StoreError> {
        self.look(keeper, now, |approvals| Ok(approvals.live()?)).await
    }

    /// The answers to a question that was answered.
    pub async fn answers(&self, id: &ApprovalId) -> Result<Vec<Answered>, StoreError> {
        let id = id.clone();
        self.read(move |c| answers(c, &id)).await
    }
}

/// The newest own approvals as cards, at most `limit`, those that wait for people first.
pub(crate) fn cards(
    c: &Connection,
    keeper: &Keeper,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<ApprovalCard>, StoreError> {
    let approvals = Approvals::reading(c, &keeper.executor, &keeper.people, now)?;
    let newest = approvals.newest(u32::try_from(limit).unwrap_or(u32::MAX))?;
    // What waits behind others of its run has no card yet.
    newest.into_iter().filter(|record| !record.queued).map(|record| card(c, record)).collect()
}

/// One own approval as a card.
pub(crate) fn card_of(
    c: &Connection,
    keeper: &Keeper,
    key: &str,
    now: Timestamp,
) -> Result<Option<ApprovalCard>, StoreError> {
    let Some(id) = keeper.id(key) else { return Ok(None) };
    let approvals = Approvals::reading(c, &keeper.executor, &keeper.people, now)?;
    if !approvals.exists(&id)? {
        return Ok(None);
    }
    card(c, approvals.show(&id)?).map(Some)
}

/// The newest own approval of a feature that people are asked about.
pub(crate) fn open_of(
    c: &Connection,
    feature: &FeatureId,
    now: Timestamp,
) -> Result<Option<Approval>, StoreError> {
    let sql = "SELECT 1 FROM approval_requests WHERE state = 'requested' LIMIT 1";
    if c.prepare_cached(sql)?.query_row([], |_| Ok(())).optional()?.is_none() {
        return Ok(None);
    }
    // What it waits for is said without a tally: that one takes the people who are known.
    let (nobody, people) = (Executor::new(""), Directory::default());
    let live = Approvals::reading(c, &nobody, &people, now)?.live()?;
    let mut open = live.into_iter().map(|record| record.approval);
    Ok(open.rfind(|approval| approval.state.is_open() && approval.subject.feature == *feature))
}

/// The unique parts of the ids of own approvals that people are asked about, oldest first.
pub(crate) fn open_keys(c: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement =
        c.prepare_cached("SELECT id FROM approval_requests WHERE state = 'requested' ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let id: ApprovalId = rows::parse("approval_requests", &row.get::<_, String>(0)?)?;
        keys.push(id.key());
    }
    Ok(keys)
}

/// As it is shown, on whichever surface.
pub(super) fn card(c: &Connection, record: Record) -> Result<ApprovalCard, StoreError> {
    let face = Face::of(&record);
    let shown = face.fields.iter().filter(|(name, _)| matches!(*name, "On" | "With" | "Arguments"));
    let facts: Vec<String> = shown.map(|(name, value)| format!("{name}: {value}.")).collect();
    let answers = answers(c, record.id())?;
    let said: Vec<String> = answers.iter().map(Answered::sentence).collect();
    let ended = if said.is_empty() { face.ended } else { Some(said.join(" ")) };
    let asked = match &record.approval.subject.action {
        Action::Question(question) => Some(question.text.clone()),
        _ => None,
    };
    Ok(ApprovalCard {
        facts: facts.join(" "),
        words: asked.or(record.words),
        ended,
        confirm: Some(record.confirm),
        decide_until: record.decide_until,
        approval: record.approval,
    })
}

impl Answered {
    /// "ines answered: “Blue.”"
    fn sentence(&self) -> String {
        let value = match &self.value {
            Value::String(text) => format!("“{text}”"),
            other => other.to_string(),
        };
        format!("{} answered: {value}", self.person)
    }
}

fn answers(c: &Connection, id: &ApprovalId) -> Result<Vec<Answered>, StoreError> {
    let text: Option<String> = c
        .prepare_cached("SELECT answers FROM answers WHERE approval = ?1")?
        .query_row([id.to_string()], |row| row.get(0))
        .optional()?;
    text.map_or_else(|| Ok(Vec::new()), |text| rows::json("answers", &text))
}
