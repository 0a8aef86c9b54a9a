//! Plans of runs: what an agent wrote is accepted once, or goes back to it with the reason. One that is a page of the
//! repository is as people last pushed it.

use jiff::Timestamp;
use qd_board::{Feedback, Refused, Run};
use qd_types::{CommitId, RunId, Step};
use rusqlite::{Connection, params};

use crate::{Store, StoreError, rows, runs, runs::RunFact, store::Lens};

/// A page as people pushed it to the branch of its run.
#[derive(Debug, Clone)]
pub struct Edited {
    /// The head of the branch.
    pub head: CommitId,
    /// Where it starts from the target branch.
    pub base: CommitId,
    /// The plan that stands on it.
    pub text: String,
    /// The page.
    pub path: String,
}

impl Store {
    /// People changed the page of a run's plan: what they pushed is what is asked about from now on.
    pub async fn page_edited(&self, run: &RunId, edited: Edited, now: Timestamp) -> Result<(), StoreError> {
        let (id, lens) = (run.clone(), self.lens());
        self.write(move |c| {
            let Edited { head, base, text, path } = edited;
            let told = format!("People changed the plan: {} counts.", head.short());
            let facts = [
                RunFact::Base(base),
                RunFact::Commit(head.clone()),
                RunFact::Pushing(head.clone()),
                RunFact::Pushed(head),
                RunFact::Words(Some(text.clone())),
                RunFact::Plan(text),
                RunFact::Touched(vec![path]),
            ];
            runs::write_facts(c, &id, &facts)?;
            c.prepare_cached("UPDATE runs SET approval = NULL, approved_by = '[]' WHERE id = ?1")?
                .execute([id.to_string()])?;
            c.prepare_cached("UPDATE approvals SET open = 0 WHERE run = ?1")?.execute([id.to_string()])?;
            for step in [Step::Review, Step::Merge] {
                c.prepare_cached("DELETE FROM steps WHERE run = ?1 AND step = ?2")?
                    .execute(params![id.to_string(), step.as_str()])?;
            }
            runs::told(c, &lens, &id, "plan", told, now)
        })
        .await
    }

    /// A person accepts the run's plan, as it is or as they changed it. Refused where no plan waits.
    pub async fn accept_plan(
        &self,
        run: &RunId,
        actor: &str,
        text: Option<String>,
        now: Timestamp,
    ) -> Result<Run, StoreError> {
        let lens = self.lens();
        let (id, actor) = (run.clone(), actor.to_owned());
        self.write(move |c| {
            accepted(c, &lens, &id, &actor, text, now)?;
            runs::one(c, &id)
        })
        .await
    }

    /// A person said no to the run's plan: its agent makes another one, and is told why.
    pub async fn plan_denied(&self, run: &RunId, why: String, now: Timestamp) -> Result<(), StoreError> {
        let (id, lens) = (run.clone(), self.lens());
        self.write(move |c| {
            let feedback = Feedback { about: "its plan".to_owned(), text: why.clone() };
            c.prepare_cached(
                "UPDATE runs SET plan = NULL, feedback = ?2
                 WHERE id = ?1 AND plan_accepted IS NULL AND ending IS NULL",
            )?
            .execute(params![id.to_string(), rows::to_json("runs", &feedback)?])?;
            runs::told(c, &lens, &id, "plan", format!("Its plan went back to its agent: {why}"), now)
        })
        .await
    }
}

/// The run's plan is accepted, as it is or as `text` has it. Refused where no plan waits.
pub(crate) fn accepted(
    c: &Connection,
    lens: &Lens,
    id: &RunId,
    by: &str,
    text: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let run = runs::one(c, id)?;
    if run.plan.is_none() || run.plan_accepted.is_some() || run.end.is_some() {
        return Err(Refused { reason: format!("No plan of run {id} waits.") }.into());
    }
    c.prepare_cached("UPDATE runs SET plan = coalesce(?2, plan), plan_accepted = ?3 WHERE id = ?1")?
        .execute(params![id.to_string(), text, by])?;
    runs::told(c, lens, id, "plan", format!("{by} accepted the plan."), now)
}
