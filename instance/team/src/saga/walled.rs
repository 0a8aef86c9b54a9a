//! The walls that a turn of an agent needs, and the wait for them.

use std::time::Duration;

use jiff::Timestamp;
use qd_agents::transcript::Kind;
use qd_sandbox::SandboxError;
use qd_worktrees::Layout;

use super::{Here, StepError, answer};
use crate::{
    tools::Served,
    walls::{Own, Walled},
};

/// The alert of walls that are not there.
const WALLS: &str = "walls";
/// The port that leads to the run's socket where nobody meters.
const PROXY: u16 = 3128;
/// After how long they are looked for again.
const WALLS_AGAIN: Duration = Duration::from_secs(5);

/// The walls around a turn. Where they are not there now, like an engine that does not answer, the turn waits for them,
/// and the board says so: it is no fault of the feature's.
pub(super) async fn walls(
    here: &Here<'_>,
    agent: &dyn qd_agents::Agent,
    (turn, metered): (&str, bool),
    worktree: &std::path::Path,
    served: Option<&Served>,
) -> Result<Option<Walled>, StepError> {
    let mut stop = here.stop.clone();
    let mut waits = false;
    loop {
        let options = here.team.options();
        let mut reads = agent.reads();
        reads.extend(here.team.folder(&here.run.id).prompt(here.run.round).parent().map(Into::into));
        let attached = here.feature.wanted.attachments.iter();
        reads.extend(attached.map(|file| here.team.attachment_path(file)));
        let git = Layout::new(&options.state).mirror(&here.repository.spec.name);
        reads.extend(served.iter().flat_map(|served| served.reads.clone()));
        // The addresses that an agent is given of the gateway hold this port.
        let port = here.team.metering().map(|metering| metering.address.port());
        let proxied = options.walls.as_ref().is_some_and(|walls| !walls.hosts.is_empty());
        let port = port.or(proxied.then_some(PROXY));
        let forward = served.zip(port).map(|(served, port)| (served.socket.clone(), port));
        let turn = agent.outlives().then(|| format!("{}-{turn}", here.run.round));
        let own = Own {
            run: &here.run.id,
            worktree,
            git,
            reads,
            writes: agent.writes(),
            forward,
            turn,
            metered,
            only_reads: answer::is_question(here),
        };
        match options.walled(&here.repository, own).await {
            Err(SandboxError::Unavailable { kind, reason }) => {
                let text = format!("Agents wait for their walls: {kind} can't be used here: {reason}.");
                if !waits {
                    here.transcript()?.append(Kind::System, &text)?;
                }
                waits = true;
                here.store().raise(WALLS, &text, false, Timestamp::now()).await?;
            }
            Err(error) => return Err(StepError::Again(error.into())),
            Ok(walls) => {
                if waits {
                    let text = "The walls around agents are there again.";
                    here.store().raise(WALLS, text, true, Timestamp::now()).await?;
                }
                return Ok(walls);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(WALLS_AGAIN) => {}
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}
