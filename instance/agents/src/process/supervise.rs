//! One process group from its start to its end: start behind a gate, record, feed, read, limit, stop, and be sure.

use std::{
    ffi::OsStr,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::Path,
    process::Stdio,
    time::Duration,
};

use qd_types::RunId;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::{
    io::{AsyncWriteExt, unix::AsyncFd},
    process::{Child, Command},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Confined, Ended, Environment, GRACE, OnStart, ProcessError, ProcessGroup, Stop, Stream, output::pump,
};
use crate::text::RawLine;

/// The gate. `read` takes no more than one line from the pipe, and `exec` keeps the process id. If the gate's keeper
/// dies, `read` fails and nothing was done. Its exit code is seen by nobody then. The group's number goes along in the
/// environment: who leaves the group is known by it.
const GATE: &str = r#"read -r _ || exit 125; export QUARTERDECK_GROUP=$$; exec "$@""#;

/// Becomes another program in a new session. It does not lead a group yet, so it keeps its process id.
const SESSION: &str = "/usr/bin/setsid";

/// Lines that may wait between reader and writer: a burst of output is taken at once, and a flood slows its source down.
const LINES: usize = 256;

/// How long output is waited for after the group is gone: only a process that left the group can hold the pipe then.
const DRAIN: Duration = Duration::from_secs(1);

/// What is to be run.
pub(crate) struct Job<'a> {
    pub(crate) run: &'a RunId,
    pub(crate) program: &'a OsStr,
    pub(crate) args: Vec<String>,
    pub(crate) cwd: &'a Path,
    pub(crate) environment: &'a Environment,
    /// Goes to its standard input, which is then closed.
    pub(crate) stdin: String,
    pub(crate) limit: Duration,
    /// What keeps it from writing elsewhere.
    pub(crate) confined: Option<&'a Confined>,
}

/// Either the process or the one who takes its lines failed.
#[derive(Debug)]
pub(crate) enum SuperviseError<E> {
    Process(ProcessError),
    Sink(E),
}

impl<E> From<ProcessError> for SuperviseError<E> {
    fn from(error: ProcessError) -> Self {
        Self::Process(error)
    }
}

/// The leader, not waited for yet: as long as that is so, the group's number can't be given to anybody else.
pub(crate) struct Leader {
    pub(crate) child: Child,
    exit: AsyncFd<OwnedFd>,
    pub(crate) group: ProcessGroup,
    over: bool,
}

impl Leader {
    /// Waits until the leader is over, and leaves its exit code where it is.
    pub(crate) async fn exited(&self) -> Result<(), ProcessError> {
        let watch = |source| ProcessError::Watch { doing: "watch", pgid: self.group.pgid(), source };
        self.exit.readable().await.map(drop).map_err(watch)
    }

    /// Opens the gate: the process begins its work, and its standard input stays open.
    pub(crate) async fn open(&mut self) -> Result<(), ProcessError> {
        let Some(stdin) = &mut self.child.stdin else { return Ok(()) };
        let opened = stdin.write_all(b"\n").await;
        opened.map_err(|source| ProcessError::Watch {
            doing: "open the gate of",
            pgid: self.group.pgid(),
            source,
        })
    }

    /// Ends what is left of the group, takes the exit code, and says how the leader ended.
    pub(crate) async fn end(mut self, grace: Duration, stop: Stop) -> Result<Ended, ProcessError> {
        end_group(&self.group, grace, stop).await?;
        self.take_exit().await
    }

    /// How the leader ended. The group is gone; its number may now be given to somebody else.
    async fn take_exit(&mut self) -> Result<Ended, ProcessError> {
        self.over = true;
        let watch = |source| ProcessError::Watch { doing: "wait for", pgid: self.group.pgid(), source };
        let status = self.child.wait().await.map_err(watch)?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, signal) => Ended::Signalled(signal.unwrap_or(0)),
        })
    }
}

impl Drop for Leader {
    /// When the one who waits is dropped, nobody is left to be polite.
    fn drop(&mut self) {
        if !self.over
            && let Err(error) = self.group.kill()
        {
            tracing::error!(%error, run = %self.group.run(), "a process group may be left");
        }
    }
}

/// Runs the job to its end, whatever that is. When this returns `Ok`, the group is gone.
pub(crate) async fn supervise<E>(
    job: Job<'_>,
    on_start: &dyn OnStart,
    mut stop: Stop,
    sink: &mut (dyn FnMut(Stream, RawLine) -> Result<(), E> + Send),
) -> Result<Ended, SuperviseError<E>> {
    let mut leader = start(&job)?;
    let mut pumps = JoinSet::new();
    let (sender, mut lines) = mpsc::channel(LINES);
    if let Some(out) = leader.child.stdout.take() {
        pumps.spawn(pump(out, Stream::Out, sender.clone()));
    }
    if let Some(err) = leader.child.stderr.take() {
        pumps.spawn(pump(err, Stream::Err, sender.clone()));
    }
    drop(sender);

    let (pgid, run) = (leader.group.pgid(), job.run);
    on_start.started(&leader.group).await.map_err(|source| ProcessError::NotKept {
        pgid,
        run: run.clone(),
        source,
    })?;
    if let Some(mut stdin) = leader.child.stdin.take() {
        let input = format!("\n{}", job.stdin);
        // A process that doesn't read its input is free not to.
        pumps.spawn(async move {
            let _ = stdin.write_all(input.as_bytes()).await;
        });
    }

    let limit = sleep(job.limit);
    tokio::pin!(limit);
    let (cut_short, grace) = loop {
        tokio::select! {
            Some((stream, line)) = lines.recv() => sink(stream, line).map_err(SuperviseError::Sink)?,
            exited = leader.exited() => { exited?; break (None, GRACE) }
            () = &mut limit => break (Some(Ended::TimeLimit(job.limit)), GRACE),
            grace = stop.wanted() => break (Some(Ended::Stopped), grace),
        }
    };

    let group = leader.group.clone();
    let ending = end_group(&group, grace, stop);
    tokio::pin!(ending);
    loop {
        tokio::select! {
            Some((stream, line)) = lines.recv() => sink(stream, line).map_err(SuperviseError::Sink)?,
            ended = &mut ending => { ended?; break }
        }
    }
    let drained = Instant::now() + DRAIN;
    while let Ok(Some((stream, line))) = timeout_at(drained, lines.recv()).await {
        sink(stream, line).map_err(SuperviseError::Sink)?;
    }
    let exit = leader.take_exit().await?;
    Ok(cut_short.unwrap_or(exit))
}

/// Ends what is left of the group. A stop that comes meanwhile may shorten the grace.
async fn end_group(group: &ProcessGroup, grace: Duration, mut stop: Stop) -> Result<(), ProcessError> {
    let hurry = async {
        let grace = stop.wanted().await;
        sleep(grace).await;
    };
    tokio::select! {
        ended = group.end(grace) => ended,
        () = hurry => group.end(Duration::ZERO).await,
    }
}

/// Starts the job behind the gate. It begins its work with the first line on its standard input.
pub(crate) fn start(job: &Job<'_>) -> Result<Leader, ProcessError> {
    let spawn_failed = |source| ProcessError::Spawn {
        program: job.program.to_string_lossy().into_owned(),
        cwd: job.cwd.to_owned(),
        source,
    };
    // A session of its own: no terminal is within reach, and it leads its group.
    let mut gate = Command::new(SESSION);
    gate.args(["/bin/sh", "-c", GATE, "gate"]);
    if let Some(confined) = job.confined {
        gate.args(&confined.launch.argv);
    }
    let mut child = gate
        .arg(job.program)
        .args(&job.args)
        .current_dir(job.cwd)
        .env_clear()
        .envs(job.environment.vars())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(spawn_failed)?;
    match watch(&child, job.run) {
        Ok((exit, group)) => Ok(Leader { child, exit, group, over: false }),
        Err(error) => {
            // It waits at the gate. Without its input it ends; this makes sure.
            let _ = child.start_kill();
            Err(error)
        }
    }
}

fn watch(child: &Child, run: &RunId) -> Result<(AsyncFd<OwnedFd>, ProcessGroup), ProcessError> {
    let pid = child.id().unwrap_or(0);
    let group = ProcessGroup::of(pid, run)?;
    let failed = |source| ProcessError::Watch { doing: "watch", pgid: group.pgid(), source };
    let raw = Pid::from_raw(group.pgid()).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    let exit = pidfd_open(raw, PidfdFlags::NONBLOCK).map_err(|error| failed(error.into()))?;
    #[allow(
        deprecated,
        reason = "its replacement is unsafe because a type could swap its descriptor; an OwnedFd that nobody else has cannot"
    )]
    let exit = AsyncFd::with_interest(exit, tokio::io::Interest::READABLE).map_err(failed)?;
    Ok((exit, group))
}
