//! Plans of runs: what an agent wrote is accepted once, or goes back to it with the reason.

use jiff::Timestamp;
use qd_board::{Feedback, Refused, Run};
use qd_types::RunId;
use rusqlite::{Connection, params};

use crate::{Store, StoreError, rows, runs, store::Lens};

impl Store {
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
