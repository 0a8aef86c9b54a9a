//! Which walls the configuration asks for, and whether this computer has them.

use std::{path::PathBuf, sync::Arc};

use qd_config::{Demand, Loaded, Sandbox, SandboxKind, SandboxNetwork, Walls};
use qd_sandbox::{Bounds, Bubblewrap, Cgroups, Docker, Kind, Landlock, Limits, Unwalled, egress::Hosts};
use qd_team::{AgentWalls, Reach};

use crate::context::UserError;

/// Our own program: it stands between the fleet and what runs within walls.
pub fn program() -> Result<PathBuf, UserError> {
    std::env::current_exe()
        .map_err(|error| UserError::failed(format!("this program can't find itself: {error}")))
}

/// Our own program, if it is to keep checks from writing elsewhere, and the kernel can.
pub fn launcher(kind: SandboxKind) -> Result<Option<PathBuf>, UserError> {
    match (kind, qd_confine::available()) {
        (SandboxKind::None, _)
        | (SandboxKind::Auto | SandboxKind::Bubblewrap | SandboxKind::Docker, false) => Ok(None),
        (SandboxKind::Landlock, false) => Err(UserError::failed(
            "sandbox.kind is landlock, and this kernel can't confine writes. Set it to auto or none to go without: \
             writes elsewhere are then found only afterwards",
        )),
        (_, true) => program().map(Some),
    }
}

/// Lets sandboxes be limited as a whole, where this process may make control groups. To be done once, by the fleet whose
/// state folder this is.
pub fn prepare(state: &std::path::Path) {
    if let Err(error) = Cgroups::delegated(state).and_then(|groups| groups.prepare()) {
        tracing::info!(%error, "limits of sandboxes other than containers hold for each process");
    }
}

/// What agents run in.
pub fn of_agents(config: &Sandbox, state: &std::path::Path) -> Result<AgentWalls, UserError> {
    let program = program()?;
    let bounds = || Bounds(program.clone());
    let mib = |count: u32| u64::from(count) << 20;
    let sandbox: Arc<dyn qd_sandbox::Sandbox> = match config.kind {
        SandboxKind::None => Arc::new(Unwalled(bounds())),
        SandboxKind::Landlock => Arc::new(Landlock(bounds())),
        SandboxKind::Docker => match &config.image {
            Some(image) => Arc::new(docker(config, state, image, &program)),
            None => {
                return Err(UserError::failed("sandbox.kind is docker: say which image with sandbox.image"));
            }
        },
        SandboxKind::Bubblewrap | SandboxKind::Auto => {
            let bubblewrap = bubblewrap(state, &program);
            match (bubblewrap.works(), config.kind) {
                (Ok(_), _) => Arc::new(bubblewrap),
                (Err(_), SandboxKind::Auto) => Arc::new(Landlock(bounds())),
                (Err(error), _) => {
                    let text = format!("sandbox.kind is bubblewrap. {error}. Or set it to auto");
                    return Err(UserError::failed(text));
                }
            }
        }
    };
    Ok(AgentWalls {
        sandbox,
        limits: Limits {
            memory: config.memory_mib.map(mib),
            processes: config.processes.map(u64::from),
            millicpus: config.cpus.map(|count| u64::from(count) * 1000),
        },
        reach: match config.network {
            SandboxNetwork::Auto => Reach::Auto,
            SandboxNetwork::Open => Reach::Open,
            SandboxNetwork::Closed => Reach::Closed,
        },
        hosts: hosts(config)?,
        read: config.read.clone(),
        write: config.write.clone(),
        unasked: config
            .unasked
            .iter()
            .map(|walls| match walls {
                Walls::Docker => Kind::Docker,
                Walls::Bubblewrap => Kind::Bubblewrap,
                Walls::Landlock => Kind::Landlock,
            })
            .collect(),
    })
}

/// The hosts that a closed network leads to.
fn hosts(config: &Sandbox) -> Result<Hosts, UserError> {
    let parsed = config.hosts.iter().enumerate().map(|(index, text)| {
        text.parse().map_err(|error| UserError::failed(format!("sandbox.hosts.{index}: {error}")))
    });
    parsed.collect::<Result<Vec<_>, _>>().map(Hosts::new)
}

/// What a team or a repository asks for, with the image of its own, if it has one. Without any image, the engine will say so,
/// and the agents wait; so they do where `bwrap` does not work.
pub fn demanded(
    loaded: &Loaded,
    demand: Option<Demand>,
    image: Option<&String>,
) -> Result<Option<Arc<dyn qd_sandbox::Sandbox>>, UserError> {
    let Some(demand) = demand else { return Ok(None) };
    let program = program()?;
    let image = image.or(loaded.config.sandbox.image.as_ref()).map_or("", String::as_str);
    Ok(Some(match demand {
        Demand::Docker => Arc::new(docker(&loaded.config.sandbox, &loaded.state_dir, image, &program)),
        Demand::Bubblewrap => Arc::new(bubblewrap(&loaded.state_dir, &program)),
    }))
}

fn bubblewrap(state: &std::path::Path, program: &std::path::Path) -> Bubblewrap {
    Bubblewrap::new(Bounds(program.to_owned())).with_cgroups(Cgroups::delegated(state).ok())
}

fn docker(config: &Sandbox, state: &std::path::Path, image: &str, program: &std::path::Path) -> Docker {
    Docker { socket: config.socket.clone(), ..Docker::new(Bounds(program.to_owned()), image, state) }
}
