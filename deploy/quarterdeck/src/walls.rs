//! Which walls the configuration asks for, and whether this computer has them.

use std::{path::PathBuf, sync::Arc};

use qd_config::{Repository, Sandbox, SandboxKind, SandboxNetwork};
use qd_sandbox::{Bounds, Bubblewrap, Docker, Landlock, Limits, Network, Unwalled};
use qd_team::AgentWalls;

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

/// What agents run in.
pub fn of_agents(config: &Sandbox) -> Result<AgentWalls, UserError> {
    let program = program()?;
    let bounds = || Bounds(program.clone());
    let mib = |count: u32| u64::from(count) << 20;
    let sandbox: Arc<dyn qd_sandbox::Sandbox> = match config.kind {
        SandboxKind::None => Arc::new(Unwalled(bounds())),
        SandboxKind::Landlock => Arc::new(Landlock(bounds())),
        SandboxKind::Docker => match &config.image {
            Some(image) => Arc::new(docker(config, image, &program)),
            None => {
                return Err(UserError::failed("sandbox.kind is docker: say which image with sandbox.image"));
            }
        },
        SandboxKind::Bubblewrap | SandboxKind::Auto => {
            let bubblewrap = Bubblewrap::new(bounds());
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
        network: match config.network {
            SandboxNetwork::Open => Network::Open,
            SandboxNetwork::Closed => Network::Closed,
        },
        read: config.read.clone(),
        write: config.write.clone(),
    })
}

/// The container that a repository demands. Without any image, the engine will say so, and the repository's agents wait.
pub fn demanded(config: &Sandbox, repository: &Repository, program: &std::path::Path) -> Option<Docker> {
    let image = repository.image.as_ref().or(config.image.as_ref()).map_or("", String::as_str);
    repository.container.then(|| docker(config, image, program))
}

fn docker(config: &Sandbox, image: &str, program: &std::path::Path) -> Docker {
    Docker { socket: config.socket.clone(), ..Docker::new(Bounds(program.to_owned()), image) }
}
