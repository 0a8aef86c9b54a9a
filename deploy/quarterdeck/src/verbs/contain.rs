//! `contain`: a process that stands for a container, so that it is started, fed, read, stopped and found like any other.
//! `forward`: the one way out of a sandbox without a network.

use std::{ffi::OsString, path::Path, process::ExitCode, time::Duration};

use qd_sandbox::{
    Docker, SandboxError,
    docker::{Exit, Inside},
};
use tokio::{
    io::{AsyncWriteExt as _, copy, stderr, stdin, stdout},
    signal::unix::{SignalKind, signal},
};

use crate::say;

/// What a container gets after it was asked to end. The fleet gives us ten seconds, and then kills us.
const GRACE: Duration = Duration::from_secs(7);

pub(super) async fn contain(order: &str, command: Vec<String>) -> ExitCode {
    match run(order, command).await {
        Ok(Exit(code)) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(error) => {
            say::problem(&error.to_string());
            ExitCode::from(u8::try_from(qd_agents::NOT_CONFINED).unwrap_or(1))
        }
    }
}

async fn run(order: &str, argv: Vec<String>) -> Result<Exit, SandboxError> {
    let (docker, spec) = Docker::ordered(order)?;
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let failed = |source: std::io::Error| SandboxError::Failed {
        kind: qd_sandbox::Kind::Docker,
        doing: "listen for the wish to end",
        source: source.into(),
    };
    let mut asked = signal(SignalKind::terminate()).map_err(failed)?;
    let fleet = std::os::unix::process::parent_id();
    let mut contained = docker.run(&spec, Inside { argv, env }).await?;
    let handle = contained.handle();
    let mut input = contained.stdin;
    // One that is taken over has heard everything.
    if spec.adopt.is_none() {
        tokio::spawn(async move {
            let _ = copy(&mut stdin(), &mut input).await;
            let _ = input.shutdown().await;
        });
    }
    let said = async {
        let (mut out, mut err) = (stdout(), stderr());
        let _ = tokio::join!(copy(&mut contained.stdout, &mut out), copy(&mut contained.stderr, &mut err));
        let _ = tokio::join!(out.flush(), err.flush());
    };
    let mut said = std::pin::pin!(said);
    let mut over = false;
    let exit = loop {
        tokio::select! {
            () = &mut said, if !over => over = true,
            exit = handle.wait() => break exit,
            _ = asked.recv() => {
                // The fleet that started us is gone, and the next one clears up: it decides what becomes of the container.
                if std::os::unix::process::parent_id() != fleet {
                    return Ok(Exit(143));
                }
                handle.stop(GRACE).await?;
                return Ok(Exit(143));
            }
        }
    };
    if !over {
        let _ = tokio::time::timeout(Duration::from_secs(2), said).await;
    }
    handle.remove().await?;
    exit
}

/// Comes back only if it could not, or as the helper whose sandbox ends.
pub(super) fn forward(port: Option<u16>, socket: &Path, command: &[OsString]) -> ExitCode {
    let error = match (port, qd_sandbox::again()) {
        (None, _) => match qd_sandbox::forward::serve(socket) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => error,
        },
        (Some(_), Err(error)) => error,
        (Some(port), Ok(mut helper)) => {
            helper.arg("forward").arg(socket).env_clear();
            qd_sandbox::forward::enter(port, &mut helper, command)
        }
    };
    say::problem(&format!("the port into the sandbox can't be opened: {error}"));
    ExitCode::from(u8::try_from(qd_agents::NOT_CONFINED).unwrap_or(1))
}
