//! Going on: whoever waits for a decision is resumed by it exactly once, whatever restarts in between.

use qd_types::{Action, ApprovalEvent, ApprovalId, ApprovalState, PersonId};
use rusqlite::params;
use serde_json::Value;

use crate::{ApprovalError, Approvals, decide, rows};

/// One person's answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whose.
    pub person: PersonId,
    /// What they said: a text, or what the question's schema takes.
    pub value: Value,
}

/// What somebody who waited is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumption {
    /// Which approval.
    pub approval: ApprovalId,
    /// Who waited, in the executor's own words.
    pub waiter: String,
    /// How it was decided.
    pub state: ApprovalState,
    /// Why, as a sentence.
    pub reason: String,
    /// The answers, if it was a question that was answered.
    pub answers: Vec<Answer>,
}

impl Approvals<'_> {
    /// Who waits for something that is decided, oldest first.
    pub fn resumable(&self) -> Result<Vec<(ApprovalId, String)>, ApprovalError> {
        let mut statement = self.c.prepare_cached(
            "SELECT waits.approval, waits.waiter FROM approval_continuations AS waits
             JOIN approval_requests AS requests ON requests.id = waits.approval
             WHERE waits.resumed_at IS NULL AND requests.state <> 'requested' ORDER BY requests.seq, waits.waiter",
        )?;
        let mut rows = statement.query([])?;
        let mut waiting = Vec::new();
        while let Some(row) = rows.next()? {
            waiting.push((rows::id(&row.get::<_, String>(0)?)?, row.get(1)?));
        }
        Ok(waiting)
    }

    /// Resumes one waiter: to be called in the transaction that writes the row by which the turn goes on. `None` if it is not
    /// decided, or if this was done before.
    pub fn resume(&self, id: &ApprovalId, waiter: &str) -> Result<Option<Resumption>, ApprovalError> {
        let mut record = self.settled(id)?;
        if !decide::is_decided(record.state()) {
            return Ok(None);
        }
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_continuations SET resumed_at = ?3
                 WHERE approval = ?1 AND waiter = ?2 AND resumed_at IS NULL",
            )?
            .execute(params![id.to_string(), waiter, self.wall.as_millisecond()])?;
        if changed == 0 {
            return Ok(None);
        }
        let mut answers = Vec::new();
        if matches!(record.approval.subject.action, Action::Question(_)) {
            if record.state() == ApprovalState::Granted && !self.spend_answer(&mut record)? {
                let reason = "The people who answered it may not decide on it any more.";
                self.step(&mut record, ApprovalEvent::Lapse, reason)?;
            }
            if record.state() == ApprovalState::Executed {
                answers = self.answers(&record)?;
            }
        }
        Ok(Some(Resumption {
            approval: id.clone(),
            waiter: waiter.to_owned(),
            state: record.state(),
            reason: record.reason.unwrap_or_default(),
            answers,
        }))
    }

    /// The last answer of each person, in the order of their names.
    fn answers(&self, record: &crate::Record) -> Result<Vec<Answer>, ApprovalError> {
        let mut answers: Vec<Answer> = Vec::new();
        for statement in decide::statements(self, record)? {
            if let Some(value) = statement.answer {
                answers.retain(|answer| answer.person != statement.vote.person.id);
                answers.push(Answer { person: statement.vote.person.id, value });
            }
        }
        answers.sort_by(|one, other| one.person.cmp(&other.person));
        Ok(answers)
    }

    pub(crate) fn wait(&self, id: &ApprovalId, waiter: Option<&str>) -> Result<(), ApprovalError> {
        if let Some(waiter) = waiter {
            self.c
                .prepare_cached(
                    "INSERT INTO approval_continuations (approval, waiter) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
                )?
                .execute(params![id.to_string(), waiter])?;
        }
        Ok(())
    }

    /// Whoever waited for one waits for the other.
    pub(crate) fn wait_too(&self, from: &ApprovalId, to: &ApprovalId) -> Result<(), ApprovalError> {
        self.c
            .prepare_cached(
                "INSERT INTO approval_continuations (approval, waiter)
                 SELECT ?2, waiter FROM approval_continuations WHERE approval = ?1 ON CONFLICT DO NOTHING",
            )?
            .execute(params![from.to_string(), to.to_string()])?;
        Ok(())
    }
}
