//! The effect of an approved plan: a run's plan is accepted, or what was proposed for a goal is filed, in the very
//! transaction that spends the grant and says that it was done.

use jiff::Timestamp;
use qd_approvals::Spending;
use qd_board::exchange;
use qd_types::{ApprovalId, Ballot, Step, Subject};

use super::Keeper;
use crate::{
    Import, Store, StoreError,
    goals::{self, Goal},
    plans, rows, runs,
};

/// What was asked about, as the rows had it when the subject was built.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The plan's text.
    pub text: String,
    /// The feature's version.
    pub version: u64,
    /// For a goal: the features that it becomes, and how they are filed.
    pub goal: Option<(exchange::Plan, Import)>,
}

/// What became of the grant of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The plan is accepted.
    Done,
    /// Its run or its feature has changed since the subject was built: build it anew.
    Look,
    /// Nothing was done: see [`Spending::Lapsed`] and [`Spending::Refused`].
    No(String),
}

impl Store {
    /// Accepts a plan as it was granted: spending it, accepting it and saying so is one transaction. `rebuilt` is its
    /// subject as it is now, and `proposal` what it was built from.
    ///
    /// # Errors
    /// What can't be filed is an error, and nothing is spent.
    pub async fn accept_granted(
        &self,
        keeper: &Keeper,
        id: &ApprovalId,
        rebuilt: Subject,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let id = id.clone();
        self.step(keeper, now, move |own| {
            let run = runs::one(own.c, &rebuilt.run)?;
            let feature = rows::feature_by_id(own.c, run.id.feature())?;
            let waits = run.plan_accepted.is_none() && run.end.is_none();
            let same = run.plan.as_ref() == Some(&proposal.text) && feature.version == proposal.version;
            if !waits || !same {
                return Ok(Accepted::Look);
            }
            let spending = own.approvals.spend_plan(&id, &rebuilt, &format!("plan/{}", id.key()))?;
            match spending {
                Spending::Planned => {}
                Spending::Lapsed { reason, .. } => {
                    own.noted(&id)?;
                    return Ok(Accepted::No(reason));
                }
                Spending::Refused(refusal) => return Ok(Accepted::No(refusal.to_string())),
            }
            own.noted(&id)?;
            let votes = own.approvals.show(&id)?.approval.votes;
            let yes = votes.iter().filter(|vote| vote.ballot == Ballot::Approve);
            let by = yes.map(|vote| vote.person.id.to_string()).collect::<Vec<_>>().join(" and ");
            let outcome = match proposal.goal {
                Some((plan, how)) => {
                    let goal = Goal {
                        run: &run.id,
                        by: &by,
                        editor: None,
                        text: &proposal.text,
                        how: &how,
                        step: Step::Agent,
                    };
                    let filed = goals::file(own.c, own.lens, &goal, plan, own.now)?;
                    if filed == 1 {
                        "1 feature is filed".to_owned()
                    } else {
                        format!("{filed} features are filed")
                    }
                }
                None => {
                    plans::accepted(own.c, own.lens, &run.id, &by, None, own.now)?;
                    format!("{} works by it", run.agent)
                }
            };
            own.approvals.finish_plan(&id, &outcome)?;
            own.noted(&id)?;
            Ok(Accepted::Done)
        })
        .await
    }
}
