//! Processes that are known before they work and gone when they are over. Not a sandbox: it finds a process that leaves
//! its group by its parents and by what its environment says, not one that hides from both.

mod confined;
mod environment;
mod group;
mod output;
mod proc;
mod stop;
mod supervise;

use std::{io, path::PathBuf, time::Duration};

use async_trait::async_trait;
use qd_types::RunId;

pub use confined::{Confined, NOT_CONFINED};
pub(crate) use environment::{ALLOW, CHECK_ALLOW, Environment, allowed_secrets, find_program, locate};
pub use group::{Leftover, ProcessGroup, kill_leftover};
pub(crate) use output::{Stream, pump};
pub use stop::{Stop, Stopper, stop};
pub(crate) use supervise::{Job, Leader, SuperviseError, start, supervise};

/// How long a process group is given after SIGTERM before SIGKILL, unless the one who stops it is in more of a hurry.
pub const GRACE: Duration = Duration::from_secs(10);

/// What a group's keeper may say when it can't keep it.
pub type KeepError = Box<dyn std::error::Error + Send + Sync>;

/// Keeps process groups, so that a later program can end what a crash left behind.
#[async_trait]
pub trait OnStart: Send + Sync {
    /// A process group was started and waits. It gets its work only after this returns `Ok`; otherwise it is killed.
    async fn started(&self, group: &ProcessGroup) -> Result<(), KeepError>;
}

/// How a process ended. A fact about the process, not about its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with an exit code.
    Exited(i32),
    /// By a signal that did not come from here.
    Signalled(i32),
    /// It was over its time limit, and was ended.
    TimeLimit(Duration),
    /// It was told to stop.
    Stopped,
    /// Its turn was over, and its process was ended. That proves nothing about its work either.
    Turn(TurnEnd),
}

/// How a turn ended, as the agent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// It has nothing more to do.
    Done,
    /// Its model would say no more.
    TokenLimit,
    /// It would ask its model no more.
    RequestLimit,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "ended with exit code {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimeLimit(limit) => write!(f, "was ended at its time limit of {}", Seconds(*limit)),
            Self::Stopped => f.write_str("was stopped"),
            Self::Turn(TurnEnd::Done) => f.write_str("ended its turn"),
            Self::Turn(TurnEnd::TokenLimit) => f.write_str("ended its turn at its model's limit of tokens"),
            Self::Turn(TurnEnd::RequestLimit) => f.write_str("ended its turn at its limit of requests"),
        }
    }
}

/// A time as people read it: "1.2 s", "15 min".
pub(crate) struct Seconds(pub(crate) Duration);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_secs() {
            secs if secs >= 60 && secs.is_multiple_of(60) => write!(f, "{} min", secs / 60),
            secs if secs >= 60 => write!(f, "{} min {} s", secs / 60, secs % 60),
            _ => write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0),
        }
    }
}

/// Why a process could not be started, watched or ended.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such program.
    #[error(
        "there is no program {program:?} in {looked}; install it, or give its full path in the configuration"
    )]
    NotFound {
        /// What was asked for.
        program: String,
        /// Where it was looked for: a folder, or the value of `PATH`.
        looked: String,
    },
    /// It could not be started.
    #[error("cannot start {program:?} in {cwd}")]
    Spawn {
        /// The program.
        program: String,
        /// The folder it should work in.
        cwd: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// It could not be watched.
    #[error("cannot {doing} process group {pgid}")]
    Watch {
        /// What was tried.
        doing: &'static str,
        /// The group.
        pgid: i32,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Its walls could not be put up, so it did not run.
    #[error(
        "the walls around {program:?} could not be put up, so it did not run: the transcript or log says why"
    )]
    NotConfined {
        /// The program.
        program: String,
    },
    /// Its group could not be stored, so it was killed before it worked.
    #[error("process group {pgid} of run {run} could not be recorded, so it was killed before it began")]
    NotKept {
        /// The group.
        pgid: i32,
        /// The run it would have worked for.
        run: RunId,
        /// The keeper's answer.
        #[source]
        source: KeepError,
    },
    /// It does not go, not even after SIGKILL: it hangs in the kernel.
    #[error(
        "processes {pids:?} of group {pgid} are still there after SIGKILL; look at them with `ps -o pid,stat,wchan,args`"
    )]
    Stuck {
        /// The group.
        pgid: i32,
        /// What is left of it.
        pids: Vec<i32>,
    },
    /// What the system says about a process could not be read.
    #[error("cannot read {path}; process groups can only be told apart where /proc is mounted")]
    Proc {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
}
