//! One container: made, fed, read, waited for, and ended with everything in it.

use std::{collections::HashMap, path::Path, time::Duration};

use bollard::{
    Docker as Engine,
    container::{AttachContainerResults, LogOutput},
    errors::Error,
    exec::StartExecOptions,
    models::{ContainerCreateBody, ExecConfig, HostConfig, HostConfigLogConfig, Mount, MountType},
    query_parameters::{
        AttachContainerOptionsBuilder, KillContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use futures_util::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _, DuplexStream},
    time::timeout,
};

use super::{Docker, FLEET, INSTANCE, RUN, TURN, carried::carried, failed, remove};
use crate::port::{Network, SandboxError, Spec};

/// Bytes that wait between the engine and a reader.
const PIPE: usize = 64 * 1024;

/// The home inside. It is kept nowhere.
const HOME: &str = "/home/agent";

/// Variables that are the image's own; and the mark by which processes of a group are found and ended outside: what is in a
/// container ends with that.
const ITS_OWN: [&str; 4] = ["PATH", "HOME", "TMPDIR", "QUARTERDECK_GROUP"];

/// Git's word for that it may work in a folder of somebody else's.
const GIT_TRUSTS: [&str; 3] =
    ["GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"];

/// What runs inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Program and arguments, as the image has them.
    pub argv: Vec<String>,
    /// Its environment, beside the image's own `PATH`, and a home and a temporary folder in memory.
    pub env: Vec<(String, String)>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(
    /// The exit code; 128 and the signal's number if one ended it, and 137 if it took too much memory.
    pub i64,
);

/// A container that was started. Dropped, it lives on.
pub struct Contained {
    engine: Engine,
    id: String,
    /// Goes to its standard input, which ends with this.
    pub stdin: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it says.
    pub stdout: DuplexStream,
    /// What it complains of.
    pub stderr: DuplexStream,
}

impl Contained {
    pub(super) async fn start(
        engine: Engine,
        docker: &Docker,
        spec: &Spec,
        inside: Inside,
    ) -> Result<Self, SandboxError> {
        let body = body(docker, spec, inside).map_err(|error| failed("find its own program", error))?;
        let made = engine.create_container(None, body).await;
        let id = made.map_err(|error| failed("make a container", error))?.id;
        // Attached before it starts: nothing that it says is lost.
        let started = match Self::attach(engine.clone(), id.clone(), false).await {
            Ok(contained) => match engine.start_container(&id, None).await {
                Ok(()) => Ok(contained),
                Err(error) => Err(failed("start a container", error)),
            },
            Err(error) => Err(error),
        };
        if started.is_err() {
            remove(&engine, &id).await?;
        }
        started
    }

    pub(super) async fn attach(engine: Engine, id: String, again: bool) -> Result<Self, SandboxError> {
        let options = AttachContainerOptionsBuilder::new()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .logs(again)
            .build();
        let attached = engine.attach_container(&id, Some(options)).await;
        let AttachContainerResults { output, input } =
            attached.map_err(|error| failed("attach to a container", error))?;
        let (out, stdout) = tokio::io::duplex(PIPE);
        let (err, stderr) = tokio::io::duplex(PIPE);
        tokio::spawn(part(output, out, err));
        Ok(Self { engine, id, stdin: Box::new(input), stdout, stderr })
    }

    /// What the engine calls it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A handle to wait for it and end it while its streams are elsewhere.
    pub fn handle(&self) -> Handle {
        Handle { engine: self.engine.clone(), id: self.id.clone() }
    }
}

/// Waits for a container and ends it.
#[derive(Debug, Clone)]
pub struct Handle {
    engine: Engine,
    id: String,
}

impl Handle {
    /// Waits for its end. The container itself stays until it is removed.
    pub async fn wait(&self) -> Result<Exit, SandboxError> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        match self.engine.wait_container(&self.id, Some(options)).next().await {
            Some(Ok(over)) => Ok(Exit(over.status_code)),
            Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(Exit(code)),
            Some(Err(error)) => Err(failed("wait for a container", error)),
            None => Err(failed("wait for a container", std::io::Error::other("the engine hung up"))),
        }
    }

    /// Asks everything in it to end, gives it `grace`, kills what is left, and removes it.
    pub async fn stop(&self, grace: Duration) -> Result<(), SandboxError> {
        if !grace.is_zero() {
            self.ask_to_end().await;
            let _ = timeout(grace, self.wait()).await;
        }
        remove(&self.engine, &self.id).await
    }

    /// An image without a shell has only its first process asked: it is the one that passes a signal on.
    async fn ask_to_end(&self) {
        let words = ["/bin/sh", "-c", "kill -TERM -1"].map(str::to_owned).to_vec();
        let asked = ExecConfig { cmd: Some(words), ..ExecConfig::default() };
        if let Ok(exec) = self.engine.create_exec(&self.id, asked).await {
            let options = StartExecOptions { detach: true, ..StartExecOptions::default() };
            let _ = self.engine.start_exec(&exec.id, Some(options)).await;
        }
        let options = KillContainerOptionsBuilder::new().signal("SIGTERM").build();
        let _ = self.engine.kill_container(&self.id, Some(options)).await;
    }

    /// Removes it, dead or alive.
    pub async fn remove(&self) -> Result<(), SandboxError> {
        remove(&self.engine, &self.id).await
    }
}

/// Parts the engine's one stream into two. A reader that is gone is no reason to stop reading the other.
async fn part(
    mut output: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
    mut out: DuplexStream,
    mut err: DuplexStream,
) {
    while let Some(Ok(piece)) = output.next().await {
        let _ = match piece {
            LogOutput::StdErr { message } => err.write_all(&message).await,
            LogOutput::StdOut { message } | LogOutput::Console { message } => out.write_all(&message).await,
            LogOutput::StdIn { .. } => Ok(()),
        };
    }
}

fn body(docker: &Docker, spec: &Spec, inside: Inside) -> std::io::Result<ContainerCreateBody> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut argv = inside.argv;
    let mut read = spec.read.clone();
    let carried = carried(&docker.bounds)?;
    if let Network::Forward { socket, port } = &spec.network {
        read.push(socket.clone());
        let forward =
            ["forward".to_owned(), "--port".to_owned(), port.to_string(), text(socket), "--".to_owned()];
        argv = carried.argv.iter().cloned().chain(forward).chain(argv).collect();
    }
    let own = |name: &str| ITS_OWN.contains(&name);
    let mut env: Vec<String> = inside
        .env
        .iter()
        .filter(|(name, _)| !own(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    env.push(format!("HOME={HOME}"));
    if docker.is_other_user() && !inside.env.iter().any(|(name, _)| name.starts_with("GIT_CONFIG_")) {
        // The worktree is ours, and git asks whose it is.
        env.extend(GIT_TRUSTS.map(str::to_owned));
    }
    let mount = |source: String, target: String, read_only: bool| Mount {
        source: Some(source),
        target: Some(target),
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        ..Mount::default()
    };
    let mut mounts: Vec<Mount> =
        carried.files.into_iter().map(|(from, to)| mount(text(&from), to, true)).collect();
    let writable = spec.writable().map(|path| (path, false));
    // What is in a folder that it reads is seen there, and stays so when it is made anew.
    let outermost =
        read.iter().filter(|path| !read.iter().any(|outer| outer != *path && path.starts_with(outer)));
    for (path, read_only) in writable.chain(outermost.map(|path| (path, true))) {
        let there = text(path);
        if path.exists() && !mounts.iter().any(|mount| mount.target.as_ref() == Some(&there)) {
            mounts.push(mount(there.clone(), there, read_only));
        }
    }
    let memory = spec.limits.memory.and_then(|bytes| i64::try_from(bytes).ok());
    let in_memory = |mode: &str| format!("rw,nosuid,nodev,exec,mode={mode}");
    let host = HostConfig {
        mounts: Some(mounts),
        memory,
        // Swap is memory, too.
        memory_swap: memory,
        nano_cpus: spec.limits.millicpus.and_then(|milli| i64::try_from(milli * 1_000_000).ok()),
        pids_limit: spec.limits.processes.and_then(|count| i64::try_from(count).ok()),
        network_mode: Some(if spec.network == Network::Open { "bridge" } else { "none" }.to_owned()),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([
            (HOME.to_owned(), in_memory("1777")),
            ("/tmp".to_owned(), in_memory("1777")),
        ])),
        // Somebody must bury the dead and pass signals on.
        init: Some(true),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([("max-size".to_owned(), "16m".to_owned())])),
        }),
        ..HostConfig::default()
    };
    let labels =
        [(FLEET, docker.fleet.clone()), (INSTANCE, spec.instance.to_string()), (RUN, spec.run.to_string())];
    let turn = spec.turn.clone().map(|turn| (TURN, turn));
    let labels = labels.into_iter().chain(turn).map(|(name, value)| (name.to_owned(), value));
    Ok(ContainerCreateBody {
        image: Some(docker.image.clone()),
        // The image's own entry point is not what was asked for.
        entrypoint: Some(argv),
        cmd: Some(Vec::new()),
        env: Some(env),
        user: Some(docker.user.clone()),
        working_dir: Some(text(&spec.cwd)),
        labels: Some(labels.collect()),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    })
}
