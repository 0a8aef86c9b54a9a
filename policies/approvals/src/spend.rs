//! Spending a grant: once, on exactly what was approved, in the transaction that writes the effect's row. The one place
//! that makes a `SpentGrant`: from rows that are committed, and from nothing else.

use jiff::Timestamp;
use qd_sqlite::Db;
use qd_types::{Action, ApprovalEvent, ApprovalId, ApprovalState, Digest, Grant, SpentGrant, Subject, Tier};
use rusqlite::params;

use crate::{
    ApprovalError, Approvals, Difference, Directory, EffectState, Executor, Record,
    difference::{self, between},
    rows,
};

/// The item of an approval that is not a plan.
pub const WHOLE: &str = "whole";

/// What became of a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spending {
    /// It is spent on this effect, whose row is written and was not begun.
    Planned,
    /// What would be done is not what was approved. Nothing may be done.
    Lapsed {
        /// Field by field; empty if it is not the subject that changed.
        difference: Vec<Difference>,
        /// The same in words.
        reason: String,
    },
    /// There is nothing to spend.
    Refused(SpendRefusal),
}

/// Why there is nothing to spend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpendRefusal {
    /// Another executor keeps it.
    #[error("{0} is kept by another executor, and only that one carries it out.")]
    WrongExecutor(ApprovalId),
    /// It is not granted.
    #[error("{id} is {state}, not granted. {reason}")]
    NotGranted {
        /// Which.
        id: ApprovalId,
        /// Where it stands.
        state: String,
        /// Why.
        reason: String,
    },
    /// The plan has no such item.
    #[error("{id} has no item {item}.")]
    NoItem {
        /// Which approval.
        id: ApprovalId,
        /// The item's name.
        item: String,
    },
    /// The item needs its own approval.
    #[error(
        "The item {item} can't be brought back, so the plan's approval does not pay for it: ask for it on its own."
    )]
    OwnCard {
        /// The item's name.
        item: String,
    },
    /// It was spent on another effect.
    #[error("The grant of {id} was spent on {effect}. A grant pays once: ask again for something else.")]
    Spent {
        /// Which approval.
        id: ApprovalId,
        /// On what it was spent.
        effect: String,
    },
    /// The effect runs, or a crash cut it short.
    #[error("The effect {effect} was begun. Look whether it happened, and say so, before it is tried again.")]
    Begun {
        /// Which.
        effect: String,
    },
    /// The effect has ended.
    #[error("The effect {effect} has ended: {state}.")]
    Ended {
        /// Which.
        effect: String,
        /// How.
        state: String,
    },
}

/// What [`authorise`] says.
#[derive(Debug)]
pub enum Authorised {
    /// Carry it out, now and once: its row says that it is under way.
    Go(SpentGrant),
    /// What would be done is not what was approved. Nothing may be done.
    Lapsed {
        /// Field by field; empty if it is not the subject that changed.
        difference: Vec<Difference>,
        /// The same in words.
        reason: String,
    },
    /// There is nothing to spend.
    Refused(SpendRefusal),
}

/// The last question before an effect: whether exactly this may be done, now.
///
/// `rebuilt` is the subject of what is about to be done, built anew at this moment, live fingerprint and policies
/// included. `item` is [`WHOLE`], or the item of a plan. `effect` is the executor's own key of the act: the same key after
/// a crash is the same act resumed, another one is a second use and refused. On [`Authorised::Go`] the spending, and that
/// the effect is under way, are on disk.
pub async fn authorise(
    db: &Db,
    executor: &Executor,
    people: &Directory,
    (id, item): (&ApprovalId, &str),
    rebuilt: Subject,
    effect: &str,
    wall: Timestamp,
) -> Result<Authorised, ApprovalError> {
    let (executor, people) = (executor.clone(), people.clone());
    let (id, item, effect) = (id.clone(), item.to_owned(), effect.to_owned());
    let spent = db
        .write(move |c| {
            Approvals::at(c, &executor, &people, wall)?.spend_and_begin((&id, &item), &rebuilt, &effect)
        })
        .await?;
    Ok(match spent {
        (Spending::Lapsed { difference, reason }, _) => Authorised::Lapsed { difference, reason },
        (Spending::Refused(refusal), _) => Authorised::Refused(refusal),
        (Spending::Planned, Some(grant)) => Authorised::Go(SpentGrant::committed(grant)),
        (Spending::Planned, None) => {
            return Err(ApprovalError::corrupt("approval_effects", "a spent grant is not there"));
        }
    })
}

impl Approvals<'_> {
    /// What [`authorise`] writes, within the caller's transaction: the grant is spent, and its effect is under way. The grant
    /// pays for nothing before the transaction is committed.
    pub fn spend_and_begin(
        &self,
        (id, item): (&ApprovalId, &str),
        rebuilt: &Subject,
        effect: &str,
    ) -> Result<(Spending, Option<Grant>), ApprovalError> {
        match self.spend(id, item, rebuilt, effect)? {
            Spending::Planned => self.begin(id, item).map(|grant| (Spending::Planned, Some(grant))),
            other => Ok((other, None)),
        }
    }

    /// Spends a grant and writes the effect's row as planned; the caller writes its own row of the act beside it. Doing so
    /// again for the same effect, before it was begun, changes nothing.
    pub fn spend(
        &self,
        id: &ApprovalId,
        item: &str,
        rebuilt: &Subject,
        effect: &str,
    ) -> Result<Spending, ApprovalError> {
        let mut record = self.settled(id)?;
        if id.executor() != self.executor.name {
            return Ok(Spending::Refused(SpendRefusal::WrongExecutor(id.clone())));
        }
        let approved = match self.approved(&record, item)? {
            Ok(approved) => approved,
            Err(refusal) => return Ok(Spending::Refused(refusal)),
        };
        let row = self.effect(id, item)?;
        if let Some(row) = &row {
            let (effect_of, state) = (row.effect.clone(), format!("{:?}", row.state).to_lowercase());
            let refusal = match row.state {
                _ if row.effect != effect => SpendRefusal::Spent { id: id.clone(), effect: effect_of },
                EffectState::Planned => return self.resume_planned(record, item, &approved, rebuilt),
                EffectState::UnderWay => SpendRefusal::Begun { effect: effect_of },
                EffectState::Done | EffectState::Failed | EffectState::Unknown => {
                    SpendRefusal::Ended { effect: effect_of, state }
                }
            };
            return Ok(Spending::Refused(refusal));
        }
        let in_plan = item != WHOLE && record.state() == ApprovalState::Executing;
        if record.state() != ApprovalState::Granted && !in_plan {
            return Ok(Spending::Refused(not_granted(&record)));
        }
        match self.still_good(&mut record, &approved, rebuilt)? {
            Ok(digest) => {
                self.plan_effect(id, item, effect, &digest)?;
                if record.state() == ApprovalState::Granted {
                    let reason = record.reason.clone().unwrap_or_default();
                    self.step(&mut record, ApprovalEvent::Spend, &reason)?;
                }
                Ok(Spending::Planned)
            }
            Err((difference, reason)) => {
                if record.state() == ApprovalState::Granted {
                    self.step(&mut record, ApprovalEvent::Lapse, &reason)?;
                } else {
                    self.plan_effect(id, item, effect, &approved_digest(&approved)?)?;
                    self.end_effect(&mut record, item, EffectState::Failed, &reason)?;
                }
                Ok(Spending::Lapsed { difference, reason })
            }
        }
    }

    /// Spends the grant of a plan on all of its items at once, each a row of its own, where carrying the plan out is rows of
    /// this very transaction: the caller writes them beside it, and says so with [`Self::finish_plan`]. Either all of it is
    /// committed or nothing, so nothing is ever cut short. `rebuilt` is the plan's subject, which binds every item. A plan
    /// with an item that needs a card of its own is not carried out whole.
    pub fn spend_plan(
        &self,
        id: &ApprovalId,
        rebuilt: &Subject,
        effect: &str,
    ) -> Result<Spending, ApprovalError> {
        let mut record = self.settled(id)?;
        if id.executor() != self.executor.name {
            return Ok(Spending::Refused(SpendRefusal::WrongExecutor(id.clone())));
        }
        let Action::Plan(plan) = record.approval.subject.action.clone() else {
            return Ok(Spending::Refused(SpendRefusal::NoItem { id: id.clone(), item: "of a plan".into() }));
        };
        if record.state() != ApprovalState::Granted {
            return Ok(Spending::Refused(not_granted(&record)));
        }
        for listed in &plan.items {
            if let Err(refusal) = self.approved(&record, &listed.item)? {
                return Ok(Spending::Refused(refusal));
            }
        }
        let approved = record.approval.subject.clone();
        if let Err((difference, reason)) = self.still_good(&mut record, &approved, rebuilt)? {
            self.step(&mut record, ApprovalEvent::Lapse, &reason)?;
            return Ok(Spending::Lapsed { difference, reason });
        }
        for listed in &plan.items {
            self.plan_effect(id, &listed.item, &format!("{effect}/{}", listed.item), &listed.digest)?;
        }
        let reason = record.reason.clone().unwrap_or_default();
        self.step(&mut record, ApprovalEvent::Spend, &reason)?;
        Ok(Spending::Planned)
    }

    /// What a plan paid for was carried out in this transaction, and as what.
    pub fn finish_plan(&self, id: &ApprovalId, outcome: &str) -> Result<(), ApprovalError> {
        let mut record = self.settled(id)?;
        for effect in self.interrupted()?.into_iter().filter(|effect| effect.approval == *id) {
            self.end_effect(&mut record, &effect.item, EffectState::Done, outcome)?;
        }
        Ok(())
    }

    /// A row that was planned and never begun, taken up again. What was approved must still be so.
    fn resume_planned(
        &self,
        mut record: Record,
        item: &str,
        approved: &Subject,
        rebuilt: &Subject,
    ) -> Result<Spending, ApprovalError> {
        match self.still_good(&mut record, approved, rebuilt)? {
            Ok(_) => Ok(Spending::Planned),
            Err((difference, reason)) => {
                self.end_effect(&mut record, item, EffectState::Failed, &reason)?;
                Ok(Spending::Lapsed { difference, reason })
            }
        }
    }

    /// The subject that was approved for an item.
    fn approved(&self, record: &Record, item: &str) -> Result<Result<Subject, SpendRefusal>, ApprovalError> {
        let none = || Err(SpendRefusal::NoItem { id: record.id().clone(), item: item.to_owned() });
        let Action::Plan(plan) = &record.approval.subject.action else {
            return Ok(if item == WHOLE { Ok(record.approval.subject.clone()) } else { none() });
        };
        let Some(listed) = plan.items.iter().find(|listed| listed.item == item) else {
            return Ok(none());
        };
        if listed.tier == Tier::Destroy {
            return Ok(Err(SpendRefusal::OwnCard { item: item.to_owned() }));
        }
        match self.item(record.id(), item)? {
            Some(subject) if subject.digest().is_ok_and(|digest| digest == listed.digest) => Ok(Ok(subject)),
            _ => Err(ApprovalError::corrupt("approval_items", format!("{} of {}", item, record.id()))),
        }
    }

    /// The digest, if what would be done is what was approved, by people who still may, and nobody said no meanwhile.
    fn still_good(
        &self,
        record: &mut Record,
        approved: &Subject,
        rebuilt: &Subject,
    ) -> Result<Result<Digest, (Vec<Difference>, String)>, ApprovalError> {
        // Which request it reopens is a matter of the row, and nothing that the world could change.
        let mut rebuilt = rebuilt.clone();
        if let (Some(mine), Some(theirs)) = (&approved.binding, &mut rebuilt.binding) {
            theirs.reopens.clone_from(&mine.reopens);
        }
        let digest = match rebuilt.digest() {
            Ok(digest) => digest,
            Err(error) => {
                return Ok(Err((Vec::new(), format!("What would be done can't be bound: {error}."))));
            }
        };
        if digest != approved_digest(approved)? {
            let difference = between(approved, &rebuilt);
            let reason = difference::sentence(&difference);
            return Ok(Err((difference, reason)));
        }
        if self.denied(record.run(), &approved.action, target(approved))? {
            return Ok(Err((Vec::new(), "The same was denied in this run.".to_owned())));
        }
        if !self.tally(record)?.granted() {
            let reason = "The people who approved it may not decide on it any more.".to_owned();
            return Ok(Err((Vec::new(), reason)));
        }
        Ok(Ok(digest))
    }

    /// Marks a planned effect as under way, and gives the grant that pays for it. Only [`authorise`] hands it on, after the
    /// commit.
    fn begin(&self, id: &ApprovalId, item: &str) -> Result<Grant, ApprovalError> {
        let changed = self
            .c
            .prepare_cached(
                "UPDATE approval_effects SET state = 'under_way', attempts = attempts + 1, changed_at = ?3
                 WHERE approval = ?1 AND item = ?2 AND state = 'planned'",
            )?
            .execute(params![id.to_string(), item, self.wall.as_millisecond()])?;
        let record = self.show(id)?;
        let grant = match self.approved(&record, item)? {
            Ok(_) if item == WHOLE => Grant::of(&record.approval, &record.approval.digest),
            Ok(subject) => Grant::of_item(&record.approval, item, &approved_digest(&subject)?),
            Err(_) => None,
        };
        grant
            .filter(|_| changed == 1)
            .ok_or_else(|| ApprovalError::corrupt("approval_effects", format!("{id} pays for nothing")))
    }

    fn plan_effect(
        &self,
        id: &ApprovalId,
        item: &str,
        effect: &str,
        digest: &Digest,
    ) -> Result<(), ApprovalError> {
        self.c
            .prepare_cached(
                "INSERT INTO approval_effects (approval, item, effect, digest, state, spent_at, changed_at)
                 VALUES (?1, ?2, ?3, ?4, 'planned', ?5, ?5)",
            )?
            .execute(params![id.to_string(), item, effect, digest.as_str(), self.wall.as_millisecond()])?;
        Ok(())
    }

    /// Spends the grant of a question and notes its answer as given, in one step: the answer is the effect.
    pub(crate) fn spend_answer(&self, record: &mut Record) -> Result<bool, ApprovalError> {
        let digest = record.approval.digest.clone();
        if record.state() != ApprovalState::Granted || !self.tally(record)?.granted() {
            return Ok(false);
        }
        let reason = record.reason.clone().unwrap_or_default();
        self.plan_effect(&record.approval.id.clone(), WHOLE, "answer", &digest)?;
        self.step(record, ApprovalEvent::Spend, &reason)?;
        self.end_effect(record, WHOLE, EffectState::Done, &reason)?;
        Ok(true)
    }
}

fn approved_digest(subject: &Subject) -> Result<Digest, ApprovalError> {
    subject.digest().map_err(|error| ApprovalError::corrupt("approval_requests", error))
}

fn target(subject: &Subject) -> &str {
    subject.binding.as_ref().map_or("", |binding| &binding.target)
}

fn not_granted(record: &Record) -> SpendRefusal {
    SpendRefusal::NotGranted {
        id: record.id().clone(),
        state: format!("{:?}", record.state()).to_lowercase(),
        reason: record.reason.clone().unwrap_or_else(|| "Nobody decided yet.".to_owned()),
    }
}

/// Whether any effect of this approval is not ended.
pub(crate) fn is_running(approvals: &Approvals<'_>, id: &ApprovalId) -> Result<bool, ApprovalError> {
    let sql = "SELECT 1 FROM approval_effects WHERE approval = ?1 AND state IN ('planned', 'under_way')";
    Ok(rows::one::<i64>(approvals.c, sql, [id.to_string()])?.is_some())
}
