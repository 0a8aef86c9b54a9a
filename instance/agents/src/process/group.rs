//! A process group that can be found again, by this program or a later one, and ended for sure.

use std::{io, time::Duration};

use qd_types::RunId;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{ProcessError, proc};

/// How long the kernel may take to remove a process after SIGKILL.
const AFTER_KILL: Duration = Duration::from_secs(5);

/// How long a group that a crash left behind is given after SIGTERM: nobody reads its output any more.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// A process group and the proof of which one is meant. Process ids are used again; an id, a start time and a boot
/// together are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct ProcessGroup {
    pgid: i32,
    started: u64,
    boot: String,
    run: RunId,
}

#[derive(Deserialize)]
struct Stored {
    pgid: i32,
    started: u64,
    boot: String,
    run: RunId,
}

impl TryFrom<Stored> for ProcessGroup {
    type Error = String;

    /// A signal to group 0 hits the sender's own group, and one to group 1 hits every process there is.
    fn try_from(Stored { pgid, started, boot, run }: Stored) -> Result<Self, String> {
        if pgid > 1 {
            Ok(Self { pgid, started, boot, run })
        } else {
            Err(format!("{pgid} is not a process group that an agent can have"))
        }
    }
}

/// What became of a group that an earlier program had started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// It was still there, and was ended.
    Killed,
    /// Nothing of it was left.
    AlreadyGone,
    /// The number belongs to somebody else now. Nothing was done.
    NotOurs,
}

impl ProcessGroup {
    /// The group that `leader` leads. It must be a child that was not waited for yet, so that the number is still its own.
    pub fn of(leader: u32, run: &RunId) -> Result<Self, ProcessError> {
        let pgid = i32::try_from(leader).unwrap_or(0);
        let watch = |source| ProcessError::Watch { doing: "find", pgid, source };
        let stat = proc::stat(pgid)?.ok_or_else(|| watch(io::ErrorKind::NotFound.into()))?;
        let stored = Stored { pgid, started: stat.started, boot: proc::boot()?, run: run.clone() };
        stored.try_into().map_err(|reason: String| watch(io::Error::other(reason)))
    }

    /// The group's number, and the process id of its leader.
    pub fn pgid(&self) -> i32 {
        self.pgid
    }

    /// The run that it works for.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Sends a signal to all of the group. That none is left is no error.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let Some(pid) = Pid::from_raw(self.pgid) else { return Ok(()) };
        match kill_process_group(pid, signal) {
            // EPERM: every member that is left has changed its user. The look at /proc will tell.
            Ok(()) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => Ok(()),
            Err(error) => Err(ProcessError::Watch { doing: "signal", pgid: self.pgid, source: error.into() }),
        }
    }

    /// The same for the group and those that have left it.
    fn signal_family(&self, signal: Signal, left: &[proc::Stat]) -> Result<(), ProcessError> {
        self.signal(signal)?;
        left.iter().filter(|stat| stat.pgrp != self.pgid).for_each(|stat| signal_one(*stat, signal));
        Ok(())
    }

    /// Kills the group and those that have left it, at once.
    pub(crate) fn kill(&self) -> Result<(), ProcessError> {
        self.signal_family(Signal::KILL, &self.family()?)
    }

    /// Asks the group to end, waits, makes it end, and returns when it is gone, with those that have left it. The caller
    /// knows that the number is still this group's.
    pub(crate) async fn end(&self, grace: Duration) -> Result<(), ProcessError> {
        let mut seen = Vec::new();
        let left = self.left(&mut seen).await?;
        if left.is_empty() {
            return Ok(());
        }
        self.signal_family(Signal::TERM, &left)?;
        // A group that was suspended would not hear it.
        self.signal_family(Signal::CONT, &left)?;
        let left = self.gone_within(grace, &mut seen).await?;
        if left.is_empty() {
            return Ok(());
        }
        tracing::warn!(run = %self.run, pgid = self.pgid, "the group did not end after SIGTERM, so it is killed");
        self.signal_family(Signal::KILL, &left)?;
        // One that was just being started may have been missed.
        let left = self.gone_within(AFTER_KILL / 2, &mut seen).await?;
        self.signal_family(Signal::KILL, &left)?;
        let left = self.gone_within(AFTER_KILL / 2, &mut seen).await?;
        let pids: Vec<i32> = left.iter().map(|stat| stat.pid).collect();
        if pids.is_empty() { Ok(()) } else { Err(ProcessError::Stuck { pgid: self.pgid, pids }) }
    }

    /// The processes that are left after the group is gone, or after `limit`.
    async fn gone_within(
        &self,
        limit: Duration,
        seen: &mut Vec<proc::Stat>,
    ) -> Result<Vec<proc::Stat>, ProcessError> {
        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(5);
        loop {
            let left = self.left(seen).await?;
            if left.is_empty() || Instant::now() >= deadline {
                return Ok(left);
            }
            sleep(pause.min(deadline.saturating_duration_since(Instant::now()))).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// What is left of the group and of those that have left it. Who was seen once is not lost when its parent is.
    async fn left(&self, seen: &mut Vec<proc::Stat>) -> Result<Vec<proc::Stat>, ProcessError> {
        let (group, known) = (self.clone(), std::mem::take(seen));
        let left = off_thread(move || {
            let mut left = group.family()?;
            for old in known {
                if !left.iter().any(|stat| stat.pid == old.pid)
                    && let Some(now) = proc::stat(old.pid)?
                    && now.started == old.started
                    && !now.dead
                {
                    left.push(now);
                }
            }
            Ok(left)
        })
        .await?;
        seen.clone_from(&left);
        Ok(left)
    }

    fn family(&self) -> Result<Vec<proc::Stat>, ProcessError> {
        proc::family(self.pgid, self.started, &self.run.to_string())
    }
}

/// Signals that process and no other that may get its number. That it is gone is no error.
fn signal_one(stat: proc::Stat, signal: Signal) {
    let Some(pid) = Pid::from_raw(stat.pid) else { return };
    let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    if proc::stat(stat.pid).is_ok_and(|now| now.is_some_and(|now| now.started == stat.started)) {
        let _ = pidfd_send_signal(&held, signal);
    }
}

/// A look at all of `/proc` takes milliseconds where there are thousands of processes.
async fn off_thread<T: Send + 'static>(
    look: impl FnOnce() -> Result<T, ProcessError> + Send + 'static,
) -> Result<T, ProcessError> {
    match tokio::task::spawn_blocking(look).await {
        Ok(result) => result,
        Err(error) => Err(ProcessError::Proc { path: "/proc".into(), source: io::Error::other(error) }),
    }
}

/// Ends what an earlier program left of this group, and only that.
///
/// If the leader is still there, its start time tells. If it is gone, a process of the group that carries the run in its
/// environment tells. A number that was given to somebody else is left alone.
pub async fn kill_leftover(group: &ProcessGroup) -> Result<Leftover, ProcessError> {
    let wanted = group.clone();
    match off_thread(move || whose(&wanted)).await? {
        Whose::Ours => group.end(LEFTOVER_GRACE).await.map(|()| Leftover::Killed),
        Whose::Nobodys => Ok(Leftover::AlreadyGone),
        Whose::Others => Ok(Leftover::NotOurs),
    }
}

enum Whose {
    Ours,
    Nobodys,
    Others,
}

fn whose(group: &ProcessGroup) -> Result<Whose, ProcessError> {
    if proc::boot()? != group.boot {
        return Ok(Whose::Nobodys);
    }
    let leader = proc::stat(group.pgid)?;
    if leader.is_some_and(|leader| leader.started != group.started) {
        // A number is not given to a process while a group of that number is left.
        return Ok(Whose::Others);
    }
    let run = group.run.to_string();
    let members = proc::family(group.pgid, group.started, &run)?;
    let led = |pid| pid == group.pgid;
    let mut in_group = members.iter().filter(|member| member.pgrp == group.pgid).peekable();
    // Who has left the group was found by its mark. The group itself may be somebody else's by now.
    let ours = in_group.peek().is_none()
        || in_group.any(|member| {
            led(member.pid) || (member.started >= group.started && proc::works_for(member.pid, &run))
        });
    Ok(match (members.is_empty(), ours) {
        (true, _) => Whose::Nobodys,
        (false, true) => Whose::Ours,
        (false, false) => Whose::Others,
    })
}
