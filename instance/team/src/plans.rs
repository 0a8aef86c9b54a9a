//! Plans that people accept: of a feature, before its work begins, and of a goal, whose features are filed by it.

use jiff::Timestamp;
use qd_api::{AcceptPlan, RunView};
use qd_board::{Feature, PlanMode, Source, SourceKind, exchange::Plan, goal};
use qd_store::Import;
use qd_types::{RunId, Stage, Verb};

use crate::{
    problem,
    team::{Answer, Caller, Team},
};

impl Team {
    /// Accepts the plan of a run, as it is or as the person changed it. For a goal, its features are filed.
    pub async fn accept_plan(&self, caller: &Caller, id: &RunId, plan: AcceptPlan) -> Answer<RunView> {
        self.permit(caller, Verb::PlanAccept)?;
        let (actor, now) = (&caller.person.id, Timestamp::now());
        let snapshot = self.store().snapshot(id.feature(), now).await.map_err(problem::from_store)?;
        let feature = snapshot.feature;
        if feature.wanted.plan == PlanMode::Page {
            return Err(problem::refused("Its plan is a page: it is accepted by merging its pull request."));
        }
        if feature.wanted.plan != PlanMode::Goal {
            let accepted = self.store().accept_plan(id, actor.as_str(), plan.text, now).await;
            accepted.map_err(problem::from_store)?;
            return self.run(id, caller).await;
        }
        let run = self.store().run(id).await.map_err(problem::from_store)?;
        let text = plan.text.or(run.plan).unwrap_or_default();
        let tree = self.tree(&feature, &text)?;
        let how = Import {
            author: feature.author.clone(),
            repository: Some(feature.repository.clone()),
            ready: !plan.backlog,
            dry_run: false,
        };
        self.store().accept_goal(id, actor, text, tree, how, now).await.map_err(problem::from_store)?;
        let settled = self.no_verdict(&run.agent, &feature.repository).await;
        settled.map_err(problem::from_store)?;
        self.run(id, caller).await
    }

    /// What a person accepts for a goal: in its project, unless the tree says otherwise, and known by where it came from.
    pub(crate) fn tree(&self, of: &Feature, text: &str) -> Answer<Plan> {
        let invalid = |error: qd_board::FieldError| problem::invalid(format!("{error}."));
        self.placed(of, goal::read(&of.id, &self.name(), text).map_err(invalid)?)
    }

    /// The same of a plan that was read.
    pub(crate) fn placed(&self, of: &Feature, mut tree: Plan) -> Answer<Plan> {
        self.settle_repositories(&mut tree)?;
        for item in &mut tree.items {
            // A proposal is of what is to come.
            item.stage = Stage::Backlog;
            item.wanted.project = item.wanted.project.take().or_else(|| of.wanted.project.clone());
            item.wanted.source = Some(Source { kind: SourceKind::Plan, reference: of.id.to_string() });
        }
        Ok(tree)
    }
}
