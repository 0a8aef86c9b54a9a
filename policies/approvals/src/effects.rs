//! Effects: rows before they are calls. What a crash cut short is looked at before it is tried again; what can't be told
//! is never tried again.

use qd_types::{Action, ApprovalEvent, ApprovalId, ApprovalState};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::{ApprovalError, Approvals, Record, WHOLE, plan, rows, spend};

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectState {
    /// Paid for, and not begun.
    Planned,
    /// Begun. After a crash: look whether it happened.
    UnderWay,
    /// It happened.
    Done,
    /// It surely did not happen.
    Failed,
    /// It can't be told. A person is asked; it is never tried again.
    Unknown,
}

/// An effect's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The approval that pays.
    pub approval: ApprovalId,
    /// Its item.
    pub item: String,
    /// The executor's own key of the act.
    pub effect: String,
    /// Where it stands.
    pub state: EffectState,
    /// How it ended: a commit, a pull request, a task's id, or a reason.
    pub outcome: Option<String>,
    /// How often it was begun.
    pub attempts: u32,
}

/// How an effect ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It happened; what it left: a commit, a pull request, a task's id.
    Done(String),
    /// It surely did not happen, and why.
    Failed(String),
    /// It can't be told, and why.
    Unknown(String),
}

/// What a look at the world said about an effect that was cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It happened; what it left.
    Happened(String),
    /// It did not happen: it may be tried again, if it is still approved.
    DidNot,
    /// It can't be told, and why.
    CantTell(String),
}

impl Approvals<'_> {
    /// An effect's row, if the grant was spent.
    pub fn effect(&self, id: &ApprovalId, item: &str) -> Result<Option<Effect>, ApprovalError> {
        Ok(self.effects("approval = ?1 AND item = ?2", params![id.to_string(), item])?.pop())
    }

    /// What was paid for and has not ended. At start, each that is under way was cut short: look whether it happened and say
    /// so with [`Self::probed`]; then, like what is planned, it may be authorised again.
    pub fn interrupted(&self) -> Result<Vec<Effect>, ApprovalError> {
        self.effects("state IN ('planned', 'under_way')", [])
    }

    /// Says how an effect that is under way ended. `false` if it is not under way: it was said before.
    pub fn finish(&self, id: &ApprovalId, item: &str, outcome: &Outcome) -> Result<bool, ApprovalError> {
        let (state, text) = match outcome {
            Outcome::Done(text) => (EffectState::Done, text),
            Outcome::Failed(text) => (EffectState::Failed, text),
            Outcome::Unknown(text) => (EffectState::Unknown, text),
        };
        if self.effect(id, item)?.is_none_or(|row| row.state != EffectState::UnderWay) {
            return Ok(false);
        }
        let mut record =
            rows::find(self.c, id, self.now)?.ok_or_else(|| ApprovalError::NoSuch { id: id.clone() })?;
        self.end_effect(&mut record, item, state, text)?;
        Ok(true)
    }

    /// Says what became of an effect that was cut short. `false` if it is not under way.
    pub fn probed(&self, id: &ApprovalId, item: &str, probe: &Probe) -> Result<bool, ApprovalError> {
        let outcome = match probe {
            Probe::Happened(text) => Outcome::Done(text.clone()),
            Probe::CantTell(text) => Outcome::Unknown(text.clone()),
            Probe::DidNot => {
                let changed = self
                    .c
                    .prepare_cached(
                        "UPDATE approval_effects SET state = 'planned', changed_at = ?3
                         WHERE approval = ?1 AND item = ?2 AND state = 'under_way'",
                    )?
                    .execute(params![id.to_string(), item, self.wall.as_millisecond()])?;
                return Ok(changed == 1);
            }
        };
        self.finish(id, item, &outcome)
    }

    /// Ends an effect that has not ended, and with the last one the approval.
    pub(crate) fn end_effect(
        &self,
        record: &mut Record,
        item: &str,
        state: EffectState,
        text: &str,
    ) -> Result<(), ApprovalError> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_effects SET state = ?3, outcome = ?4, changed_at = ?5
                 WHERE approval = ?1 AND item = ?2 AND state IN ('planned', 'under_way')",
            )?
            .execute(params![
                record.id().to_string(),
                item,
                rows::word("approval_effects", &state)?,
                text,
                self.wall.as_millisecond()
            ])?;
        if changed != 1 {
            return Err(ApprovalError::corrupt("approval_effects", format!("{item} of {}", record.id())));
        }
        self.conclude(record, text)
    }

    /// What was paid for and never begun, or never paid for, does not happen any more. `true` if that changed anything.
    pub(crate) fn abandon(&self, record: &mut Record, reason: &str) -> Result<bool, ApprovalError> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_effects SET state = 'failed', outcome = ?2, changed_at = ?3
                 WHERE approval = ?1 AND state = 'planned'",
            )?
            .execute(params![record.id().to_string(), reason, self.wall.as_millisecond()])?;
        let before = record.state();
        self.conclude(record, reason)?;
        Ok(changed > 0 || record.state() != before)
    }

    /// Ends an approval whose effects have all ended. A plan ends with its last item, or when its time is over.
    fn conclude(&self, record: &mut Record, reason: &str) -> Result<(), ApprovalError> {
        if record.state() != ApprovalState::Executing || spend::is_running(self, record.id())? {
            return Ok(());
        }
        let effects = self.effects("approval = ?1", [record.id().to_string()])?;
        let over = record.deadline().is_some_and(|end| self.now >= end);
        if !over && effects.len() < payable(&record.approval.subject.action) {
            return Ok(());
        }
        let any = |state| effects.iter().any(|effect| effect.state == state);
        let event = if any(EffectState::Unknown) {
            ApprovalEvent::Lose
        } else if any(EffectState::Failed) {
            ApprovalEvent::Fail
        } else {
            ApprovalEvent::Succeed
        };
        self.step(record, event, reason)
    }

    fn effects(&self, condition: &str, args: impl rusqlite::Params) -> Result<Vec<Effect>, ApprovalError> {
        let mut statement = self.c.prepare_cached(&format!(
            "SELECT approval, item, effect, state, outcome, attempts FROM approval_effects WHERE {condition}
             ORDER BY spent_at, approval, item"
        ))?;
        let mut rows = statement.query(args)?;
        let mut effects = Vec::new();
        while let Some(row) = rows.next()? {
            effects.push(Effect {
                approval: rows::id(&row.get::<_, String>(0)?)?,
                item: row.get(1)?,
                effect: row.get(2)?,
                state: rows::from_word("approval_effects", &row.get::<_, String>(3)?)?,
                outcome: row.get(4)?,
                attempts: row.get(5)?,
            });
        }
        Ok(effects)
    }
}

/// How many effects an approval pays for at most.
fn payable(action: &Action) -> usize {
    match action {
        Action::Plan(plan) => plan.items.len() - plan::alone(action).count(),
        _ => [WHOLE].len(),
    }
}
