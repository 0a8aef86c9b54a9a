//! The tools that a turn of an agent is served.

use qd_agents::transcript::Kind;
use qd_worktrees::Worktree;
use secrecy::SecretString;

use super::{Here, StepError, answer};
use crate::{
    metering::Metering,
    tools::{self, Served},
};

/// The tools of a turn. Where they can't be served, it works without them and its transcript says so.
pub(super) async fn tools(
    here: &Here<'_>,
    worktree: &Worktree,
    metering: Option<&Metering>,
    secrets: Vec<SecretString>,
) -> Result<Option<Served>, StepError> {
    let Some(tools) = here.team.tools() else { return Ok(None) };
    let turn = tools::Turn {
        run: here.run.id.clone(),
        agent: here.run.agent.clone(),
        repository: here.repository.spec.name.clone(),
        worktree: worktree.path.clone(),
        base: worktree.base.clone(),
        on_behalf: here.feature.requesters(),
        socket: here.team.options().socket(&here.run.id),
        gateway: metering.map(|metering| metering.address),
        secrets,
        only_reads: answer::is_question(here),
        hosts: here.team.options().walls.as_ref().map(|walls| walls.hosts.clone()).unwrap_or_default(),
    };
    match tools.open(here.team, turn).await {
        Ok(served) => {
            for text in &served.left_out {
                here.transcript()?.append(Kind::System, text)?;
            }
            Ok(Some(served))
        }
        Err(error) => {
            let text = format!("It works without the fleet's tools: their socket can't be made: {error}.");
            here.transcript()?.append(Kind::System, &text)?;
            Ok(None)
        }
    }
}
