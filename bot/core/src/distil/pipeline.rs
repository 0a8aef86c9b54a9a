//! What runs on a default branch: workflows and deployments. One message for each, posted when it is red for the first time
//! and edited from then on.

use qd_types::{ApprovalId, CommitId};

use super::{Fact, Form, Pipeline, PipelineKind, Stands, digest, features::fact};
use crate::{chat::MessageKey, desk, effect::Effect, event::Moment, state::FleetState, text};

/// It ran on a commit of the default branch.
pub(crate) fn ran(
    state: &mut FleetState,
    pipeline: Pipeline,
    commit: CommitId,
    passed: bool,
    url: Option<String>,
    moment: Moment,
) -> Vec<Effect> {
    let route = match pipeline.kind {
        PipelineKind::Workflow => state.rules.distil.routes.workflow,
        PipelineKind::Environment => state.rules.distil.routes.environment,
    };
    let stands = match state.facts.pipelines.get(&pipeline) {
        // Green from the beginning is no news.
        None if passed => return Vec::new(),
        Some(before) if before.passed && passed => return Vec::new(),
        // The same again, as a forge delivers it twice.
        Some(before) if before.passed == passed && before.commit == commit => return Vec::new(),
        Some(before) if passed => Stands { commit, passed, url, ..before.clone() },
        Some(before) if !before.passed => {
            Stands { commit, passed, url, red_since: before.red_since, reds: before.reds.saturating_add(1) }
        }
        _ => Stands { commit, passed, url, red_since: moment.at, reds: 1 },
    };
    let (key, text) = (MessageKey(pipeline.key()), text::pipeline(&pipeline, &stands, moment.at));
    let mut effects = vec![fact(state, Fact::Pipeline { pipeline, stands })];
    match route.form {
        Form::Alert | Form::Living => effects.push(desk::put(route.channel, key, text)),
        Form::Digest => effects.push(digest::line(state, None, text, moment.at)),
        Form::Nothing => {}
    }
    effects
}

/// A merge whose checks passed is the default branch now: what was red there is green again.
pub(crate) fn merged(
    state: &mut FleetState,
    approval: &ApprovalId,
    commit: &CommitId,
    moment: Moment,
) -> Vec<Effect> {
    let merging = state.desk(approval).and_then(|desk| desk.filed.merging.clone());
    let Some(merging) = merging else { return Vec::new() };
    let mut effects = Vec::new();
    for check in merging.checks {
        let repository = merging.order.repository.clone();
        let pipeline = Pipeline { repository, kind: PipelineKind::Workflow, name: check.name };
        // Only what passed is merged.
        effects.extend(ran(state, pipeline, commit.clone(), true, None, moment));
    }
    effects
}
