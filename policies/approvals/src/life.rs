//! The one place where an approval moves through its life, and what comes with each move: the queue of its run, the
//! denials, the clocks.

use std::time::Duration;

use jiff::Timestamp;
use qd_types::{Action, ApprovalEvent, ApprovalId, ApprovalState, PersonId, RunId};
use rusqlite::{Connection, params};

use crate::{
    ApprovalError, Directory, Exposure, Record,
    clock::{self, Elapsed},
    decide, rows,
};

/// Cards that one run may have open. More would bury the people who decide (`approvals.md`, Many at once).
pub const OPEN_PER_RUN: i64 = 5;

/// Denials after which a run is paused (`approvals.md`, No means no).
pub const DENIALS_PER_RUN: i64 = 5;

/// What this executor goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How long people have to decide, from the first delivered card, where a request's own terms say nothing.
    pub decide_within: Duration,
    /// How long a grant holds, where a request's own terms say nothing.
    pub execute_within: Duration,
    /// How long a card may be on its way before somebody is alerted.
    pub deliver_within: Duration,
    /// The bot takes votes that an instance signed, for that instance's own requests; beside what their terms say.
    pub local_votes: bool,
    /// Agents run now that could reach the state folder and the socket: local votes are refused meanwhile.
    pub exposed: Exposure,
}

impl Default for Rules {
    fn default() -> Self {
        const HOUR: u64 = 60 * 60;
        Self {
            decide_within: Duration::from_secs(24 * HOUR),
            execute_within: Duration::from_secs(HOUR),
            deliver_within: Duration::from_secs(HOUR / 4),
            local_votes: false,
            exposed: Exposure::default(),
        }
    }
}

/// Who keeps the approvals: `bot`, or an instance's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// The first half of every id that it gives.
    pub name: String,
    /// What it goes by.
    pub rules: Rules,
}

impl Executor {
    /// An executor with the default rules.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), rules: Rules::default() }
    }
}

/// The approvals of an executor, within one transaction of its database, at one moment.
///
/// Every function writes what it found out; the caller writes its own rows beside it and lets the transaction go only on an
/// error of the database.
pub struct Approvals<'c> {
    pub(crate) c: &'c Connection,
    pub(crate) executor: &'c Executor,
    pub(crate) people: &'c Directory,
    pub(crate) wall: Timestamp,
    pub(crate) now: Elapsed,
}

impl<'c> Approvals<'c> {
    /// Begins: looks at the clock. `wall` is the wall clock.
    pub fn at(
        c: &'c Connection,
        executor: &'c Executor,
        people: &'c Directory,
        wall: Timestamp,
    ) -> Result<Self, ApprovalError> {
        let now = clock::look(c, wall)?;
        Ok(Self { c, executor, people, wall, now })
    }

    /// As [`Self::at`], on a connection that only reads: nothing is written, so only what reads works.
    pub fn reading(
        c: &'c Connection,
        executor: &'c Executor,
        people: &'c Directory,
        wall: Timestamp,
    ) -> Result<Self, ApprovalError> {
        let now = clock::peek(c, wall)?;
        Ok(Self { c, executor, people, wall, now })
    }

    /// One approval, with the votes that count.
    pub fn show(&self, id: &ApprovalId) -> Result<Record, ApprovalError> {
        let mut record =
            rows::find(self.c, id, self.now)?.ok_or_else(|| ApprovalError::NoSuch { id: id.clone() })?;
        record.approval.votes = decide::counted(self, &record)?;
        Ok(record)
    }

    /// Whether there is such an approval here.
    pub fn exists(&self, id: &ApprovalId) -> Result<bool, ApprovalError> {
        let sql = "SELECT 1 FROM approval_requests WHERE id = ?1";
        Ok(rows::one::<i64>(self.c, sql, [id.to_string()])?.is_some())
    }

    /// Everything that people or the executor may still do something about, oldest first, with the votes that count.
    pub fn live(&self) -> Result<Vec<Record>, ApprovalError> {
        let mut records =
            rows::select(self.c, "state IN ('requested', 'granted', 'executing')", [], self.now)?;
        for record in &mut records {
            record.approval.votes = decide::counted(self, record)?;
        }
        Ok(records)
    }

    /// The newest, whatever became of them, at most `limit`, with the votes that count; those that wait for people first.
    pub fn newest(&self, limit: u32) -> Result<Vec<Record>, ApprovalError> {
        let newest =
            "seq IN (SELECT seq FROM approval_requests ORDER BY state = 'requested' DESC, seq DESC LIMIT ?1)";
        let mut records = rows::select(self.c, newest, [limit], self.now)?;
        for record in &mut records {
            record.approval.votes = decide::counted(self, record)?;
        }
        records.sort_by_key(|record| (!record.state().is_open(), std::cmp::Reverse(record.seq)));
        Ok(records)
    }

    /// Everything that was asked for in a run, oldest first, with the votes that count.
    pub fn of_run(&self, run: &RunId) -> Result<Vec<Record>, ApprovalError> {
        let mut records = rows::select(self.c, "run = ?1", [run.to_string()], self.now)?;
        for record in &mut records {
            record.approval.votes = decide::counted(self, record)?;
        }
        Ok(records)
    }

    /// Whoever asked no longer wants it. `false` if it is decided already.
    pub fn withdraw(&self, id: &ApprovalId, reason: &str) -> Result<bool, ApprovalError> {
        let mut record = self.settled(id)?;
        if !record.state().is_open() {
            return Ok(false);
        }
        self.step(&mut record, ApprovalEvent::Withdraw, reason)?;
        Ok(true)
    }

    /// A run ended: nobody is asked on its behalf any more, and what was granted to it and not used does not hold. Returns
    /// what that ended.
    pub fn run_ended(&self, run: &RunId, reason: &str) -> Result<Vec<ApprovalId>, ApprovalError> {
        let mut ended = Vec::new();
        let live = "run = ?1 AND state IN ('requested', 'granted')";
        for mut record in rows::select(self.c, live, [run.to_string()], self.now)? {
            if !self.settle(&mut record)? {
                let event =
                    if record.state().is_open() { ApprovalEvent::Withdraw } else { ApprovalEvent::Lapse };
                self.step(&mut record, event, reason)?;
                ended.push(record.approval.id);
            }
        }
        Ok(ended)
    }

    /// The world changed before a grant was used: a new push, say. `false` if there is no unused grant.
    pub fn lapse(&self, id: &ApprovalId, reason: &str) -> Result<bool, ApprovalError> {
        let mut record = self.settled(id)?;
        if record.state() != ApprovalState::Granted {
            return Ok(false);
        }
        self.step(&mut record, ApprovalEvent::Lapse, reason)?;
        Ok(true)
    }

    /// Whoever asked gives it up, however far it is: nobody is asked any more, an unused grant lapses, and what was paid for
    /// and never begun does not happen. What is under way, or over, stays as it is: `false`.
    pub fn call_off(&self, id: &ApprovalId, reason: &str) -> Result<bool, ApprovalError> {
        let mut record = self.settled(id)?;
        match record.state() {
            ApprovalState::Requested => self.step(&mut record, ApprovalEvent::Withdraw, reason)?,
            ApprovalState::Granted => self.step(&mut record, ApprovalEvent::Lapse, reason)?,
            ApprovalState::Executing => return self.abandon(&mut record, reason),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Every unused grant lapses: after a restore, nothing that was granted before holds. Returns which.
    pub fn lapse_all(&self, reason: &str) -> Result<Vec<ApprovalId>, ApprovalError> {
        let mut lapsed = Vec::new();
        for mut record in rows::select(self.c, "state = 'granted'", [], self.now)? {
            self.step(&mut record, ApprovalEvent::Lapse, reason)?;
            lapsed.push(record.approval.id);
        }
        Ok(lapsed)
    }

    /// Everybody whose vote is kept on something undecided, and who may do nothing here: they were disabled or removed
    /// while nobody looked.
    pub fn strangers(&self) -> Result<Vec<PersonId>, ApprovalError> {
        let mut strangers = std::collections::BTreeSet::new();
        for record in rows::select(self.c, "state = 'requested'", [], self.now)? {
            let votes = decide::stored(self, record.id())?.into_iter().map(|vote| vote.person);
            strangers.extend(votes.filter(|person| self.people.person(person, &[]).is_none()));
        }
        Ok(strangers.into_iter().collect())
    }

    /// On what undecided a vote of this person is kept, whether or not it counts now.
    pub fn votes_of(&self, person: &PersonId) -> Result<Vec<ApprovalId>, ApprovalError> {
        let person = self.people.same(person);
        let mut ids = Vec::new();
        for record in rows::select(self.c, "state = 'requested'", [], self.now)? {
            let votes = decide::stored(self, record.id())?;
            if votes.iter().any(|vote| self.people.same(&vote.person) == person) {
                ids.push(record.approval.id);
            }
        }
        Ok(ids)
    }

    /// A person was disabled or removed: their votes on what is undecided are gone for good. Returns on what they were.
    pub fn drop_votes(&self, person: &PersonId) -> Result<Vec<ApprovalId>, ApprovalError> {
        let person = self.people.same(person);
        let mut dropped = Vec::new();
        for record in rows::select(self.c, "state = 'requested'", [], self.now)? {
            let votes = decide::stored(self, record.id())?;
            let theirs = votes.iter().filter(|vote| self.people.same(&vote.person) == person);
            let seqs: Vec<i64> = theirs.map(|vote| vote.seq).collect();
            for seq in &seqs {
                self.c
                    .prepare_cached("UPDATE approval_votes SET dropped_at = ?2 WHERE seq = ?1")?
                    .execute(params![seq, self.wall.as_millisecond()])?;
            }
            if !seqs.is_empty() {
                dropped.push(record.approval.id);
            }
        }
        Ok(dropped)
    }

    /// How many of a run's requests were denied.
    pub fn denials(&self, run: &RunId) -> Result<i64, ApprovalError> {
        let sql = "SELECT count(*) FROM approval_denials WHERE run = ?1";
        Ok(rows::one(self.c, sql, [run.to_string()])?.unwrap_or(0))
    }

    /// An approval, after its deadline was looked at.
    pub(crate) fn settled(&self, id: &ApprovalId) -> Result<Record, ApprovalError> {
        let mut record =
            rows::find(self.c, id, self.now)?.ok_or_else(|| ApprovalError::NoSuch { id: id.clone() })?;
        self.settle(&mut record)?;
        Ok(record)
    }

    /// Ends it if its time is over. What runs already is not stopped by the clock; what was never begun is.
    pub(crate) fn settle(&self, record: &mut Record) -> Result<bool, ApprovalError> {
        if record.deadline().is_none_or(|end| self.now < end) {
            return Ok(false);
        }
        match record.state() {
            ApprovalState::Requested => {
                self.step(record, ApprovalEvent::Expire, "Nobody decided in time.")?;
            }
            ApprovalState::Granted => {
                self.step(record, ApprovalEvent::Lapse, "It was not carried out in time.")?;
            }
            _ => return self.abandon(record, "It was not begun in time."),
        }
        Ok(true)
    }

    /// Takes one step of its life, and writes what comes with it.
    pub(crate) fn step(
        &self,
        record: &mut Record,
        event: ApprovalEvent,
        reason: &str,
    ) -> Result<(), ApprovalError> {
        let from = record.approval.state;
        let to = from.on(event)?;
        let decided = from.is_open() && to != from;
        if decided {
            record.approval.decided_at = Some(self.wall);
        }
        if to == ApprovalState::Granted {
            record.execute_from = Some(self.now);
        }
        record.approval.state = to;
        record.reason = Some(reason.to_owned());
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_requests SET state = ?3, reason = ?4, decided_at = ?5, execute_from = ?6
                 WHERE id = ?1 AND state = ?2",
            )?
            .execute(params![
                record.approval.id.to_string(),
                rows::word("approval_requests", &from)?,
                rows::word("approval_requests", &to)?,
                reason,
                record.approval.decided_at.map(Timestamp::as_millisecond),
                record.execute_from,
            ])?;
        if changed != 1 {
            return Err(ApprovalError::corrupt("approval_requests", format!("{} moved", record.id())));
        }
        record.left_ms = record.deadline().map(|end| end.saturating_sub(self.now).max(0));
        if event == ApprovalEvent::Deny {
            self.stick(record)?;
        }
        if decided { self.promote(record.run()) } else { Ok(()) }
    }

    /// A "no" holds for the run: whatever else asks for the same action on the same target ends with it.
    fn stick(&self, record: &Record) -> Result<(), ApprovalError> {
        let key = params![
            record.approval.id.to_string(),
            record.run().to_string(),
            record.approval.subject.action.name(),
            record.target(),
            self.wall.as_millisecond(),
        ];
        self.c
            .prepare_cached("INSERT INTO approval_denials (approval, run, action, target, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(key)?;
        let alike = rows::select(
            self.c,
            "run = ?1 AND action = ?2 AND target = ?3 AND state IN ('requested', 'granted')",
            params![record.run().to_string(), record.approval.subject.action.name(), record.target()],
            self.now,
        )?;
        for mut other in alike {
            let event = if other.state().is_open() { ApprovalEvent::Withdraw } else { ApprovalEvent::Lapse };
            self.step(&mut other, event, "The same was denied in this run.")?;
        }
        Ok(())
    }

    /// Whether this run was told no for this action on this target.
    pub(crate) fn denied(&self, run: &RunId, action: &Action, target: &str) -> Result<bool, ApprovalError> {
        let sql = "SELECT 1 FROM approval_denials WHERE run = ?1 AND action = ?2 AND target = ?3";
        let found: Option<i64> = rows::one(self.c, sql, params![run.to_string(), action.name(), target])?;
        Ok(found.is_some())
    }

    /// Requests that wait take the places that are free, oldest first.
    pub(crate) fn promote(&self, run: &RunId) -> Result<(), ApprovalError> {
        self.c
            .prepare_cached(
                "UPDATE approval_requests SET opened = ?2 WHERE seq IN (
                     SELECT seq FROM approval_requests WHERE run = ?1 AND state = 'requested' AND opened IS NULL
                     ORDER BY seq LIMIT max(0, ?3 - (
                         SELECT count(*) FROM approval_requests
                         WHERE run = ?1 AND state = 'requested' AND opened IS NOT NULL)))",
            )?
            .execute(params![run.to_string(), self.now, OPEN_PER_RUN])?;
        Ok(())
    }
}
