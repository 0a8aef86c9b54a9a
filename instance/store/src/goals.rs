//! Goals: what an agent proposed is accepted once. That its features are filed and that its run ends is one transaction.

use jiff::Timestamp;
use qd_board::{Happened, Refused, RunEnd, exchange};
use qd_types::{FeatureId, PersonId, RunId, Stage, Step};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{
    Import, Store, StoreError,
    exchange::import,
    features::{self, Then},
    rows, runs,
    store::Lens,
};

impl Store {
    /// A person accepts what a run proposed for a goal, as `text` has it and `plan` was read from it: its features are
    /// filed on behalf of whoever wanted the goal and of this person. Refused where nothing waits to be accepted.
    pub async fn accept_goal(
        &self,
        run: &RunId,
        actor: &PersonId,
        text: String,
        plan: exchange::Plan,
        how: Import,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, actor, lens) = (run.clone(), actor.clone(), self.lens());
        self.write(move |c| {
            let by = actor.as_str();
            let goal = Goal { run: &id, by, editor: Some(&actor), text: &text, how: &how, step: Step::Agent };
            file(c, &lens, &goal, plan, now).map(|_| ())
        })
        .await
    }

    /// The page with a goal's plan is merged: its features are filed as it has them, and its run ends at this step.
    /// `false` if that was done before.
    pub async fn page_merged(
        &self,
        run: &RunId,
        step: Step,
        (by, text): (String, String),
        plan: exchange::Plan,
        how: Import,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (id, lens) = (run.clone(), self.lens());
        self.write(move |c| {
            if runs::one(c, &id)?.end.is_some() {
                return Ok(false);
            }
            let goal = Goal { run: &id, by: &by, editor: None, text: &text, how: &how, step };
            file(c, &lens, &goal, plan, now).map(|_| true)
        })
        .await
    }
}

/// A goal whose proposal is accepted.
pub(crate) struct Goal<'a> {
    /// The run that proposed.
    pub(crate) run: &'a RunId,
    /// Who accepts, as the log says it.
    pub(crate) by: &'a str,
    /// Whoever had a hand in what is filed; who only approved it had none.
    pub(crate) editor: Option<&'a PersonId>,
    /// The proposal, as it was accepted.
    pub(crate) text: &'a str,
    /// How its features are filed.
    pub(crate) how: &'a Import,
    /// The step that it is accepted in.
    pub(crate) step: Step,
}

/// Files what was proposed and ends the run that proposed it. How many features were filed.
pub(crate) fn file(
    c: &Connection,
    lens: &Lens,
    goal: &Goal<'_>,
    plan: exchange::Plan,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let Goal { run: id, by, editor, text, how, step } = *goal;
    let run = runs::one(c, id)?;
    if run.plan.is_none() || run.plan_accepted.is_some() || run.end.is_some() {
        return Err(Refused { reason: format!("No plan of run {id} waits.") }.into());
    }
    let imported = import(c, lens, plan, how, now)?;
    if let Some(editor) = editor.filter(|editor| **editor != how.author) {
        let editors = rows::to_json("features", &[editor])?;
        for filed in &imported.filed {
            c.prepare_cached("UPDATE features SET editors = ?2 WHERE id = ?1")?
                .execute(params![filed.id.to_string(), editors])?;
        }
    }
    c.prepare_cached("UPDATE runs SET plan = ?2, plan_accepted = ?3 WHERE id = ?1")?.execute(params![
        id.to_string(),
        text,
        by
    ])?;
    runs::told(c, lens, id, "plan", format!("{by} accepted the plan."), now)?;
    let features = u32::try_from(imported.filed.len()).unwrap_or(u32::MAX);
    runs::end(c, lens, id, Some(step), &RunEnd::Planned { features }, now)?;
    settle(c, lens, id.feature(), now)?;
    Ok(features)
}

/// A goal whose features are all done or cancelled is done.
pub(crate) fn settle(
    c: &Connection,
    lens: &Lens,
    goal: &FeatureId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let planned: Option<bool> = c
        .prepare_cached(
            "SELECT ending ->> '$.end' = 'planned' FROM runs WHERE feature = ?1 ORDER BY attempt DESC LIMIT 1",
        )?
        .query_row([goal.to_string()], |row| row.get::<_, Option<bool>>(0))
        .optional()?
        .flatten();
    if planned != Some(true) || rows::feature_by_id(c, goal)?.stage != Stage::Backlog {
        return Ok(());
    }
    let open: bool = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM features WHERE epic = ?1 AND stage NOT IN ('done', 'cancelled'))",
        )?
        .query_row([goal.to_string()], |row| row.get(0))?;
    if open {
        return Ok(());
    }
    features::happen(c, lens, "team", goal, &Happened::PartsDone, Then::default(), now)
}
