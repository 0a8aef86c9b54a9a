//! The port for coding agents: what a run asks of one, and the facts it gets back. Not a judgement of the work: whether
//! a run is done is for its checks to say.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_types::RunId;
use secrecy::SecretString;

use crate::{
    acp::{AcpError, Permissions},
    metered::Metered,
    process::{Confined, Ended, OnStart, ProcessError, Seconds, Stop},
    transcript::{Transcript, TranscriptError},
};

/// Something that changes code when it is told what is wanted.
#[async_trait]
pub trait Agent: Send + Sync {
    /// Its name, as the configuration and the transcript have it.
    fn name(&self) -> &str;

    /// Files of this machine that its command line names: walls must let it read them.
    fn reads(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Folders that it keeps from one run to the next: walls must let it write them.
    fn writes(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Values of ours that it may see and that must be written nowhere, besides the token of its turn.
    fn secrets(&self) -> Vec<SecretString> {
        Vec::new()
    }

    /// Whether it may only work within walls: it can ask for permission, and never does.
    fn needs_walls(&self) -> bool {
        false
    }

    /// Whether its models would be where this says, as far as we can tell it.
    fn is_metered(&self, metered: &Metered) -> bool;

    /// Whether a turn of it needs nobody who talks to it: what a sandbox keeps alive can be taken over after a restart.
    fn outlives(&self) -> bool {
        false
    }

    /// Works on the task until it is done, stopped, or out of time. When this returns `Ok`, nothing of it runs any more.
    ///
    /// Every process group goes to `on_start` before it gets its work. If the future is dropped, its processes are
    /// killed at once.
    async fn work(
        &self,
        task: Task,
        transcript: &mut Transcript,
        on_start: &dyn OnStart,
        stop: Stop,
    ) -> Result<AgentEnd, AgentError>;
}

/// One turn of work.
#[derive(Clone)]
pub struct Task {
    /// The run it is for.
    pub run: RunId,
    /// The worktree. The agent works here and nowhere else.
    pub cwd: PathBuf,
    /// A folder for a home of the run's own, for an agent that must not have ours. Walls let it be written.
    pub home: PathBuf,
    /// What is wanted, see [`crate::prompt`].
    pub prompt: String,
    /// Where the prompt is written if the agent's command line asks for a file. Outside the worktree.
    pub prompt_file: PathBuf,
    /// The model to use, if one was chosen. In a command line, `{model}` stands for it.
    pub model: Option<String>,
    /// What keeps it from writing elsewhere; without, writes elsewhere are only found afterwards.
    pub confined: Option<Confined>,
    /// Where its models are, if they are metered. Without, that is its own business.
    pub metered: Option<Metered>,
    /// Who decides what it may do, if it asks.
    pub permissions: Arc<dyn Permissions>,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentEnd {
    /// A fact about the process. An exit code of 0 proves nothing.
    pub ended: Ended,
    /// The last of what it said, at most 500 characters.
    pub words: String,
    /// How long it took.
    pub took: Duration,
    /// What it says that it used.
    pub own: OwnCount,
}

/// What an agent says that it used. Nobody checked it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnCount {
    /// Tokens of this turn.
    pub tokens: u64,
    /// What the session has cost so far, in millionths of a US dollar; none if it does not say, or counts in other money.
    pub micro_dollars: Option<u64>,
}

impl AgentEnd {
    /// One sentence for people: "scripted ended with exit code 0 after 1.2 s."
    pub fn sentence(&self, name: &str) -> String {
        format!("{name} {} after {}.", self.ended, Seconds(self.took))
    }
}

/// Why there is no end to speak of.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its process could not be started, watched, or ended.
    #[error("agent {agent}: its process failed")]
    Process {
        /// The agent.
        agent: String,
        /// What went wrong.
        #[source]
        source: ProcessError,
    },
    /// Its command line is empty.
    #[error("agent {agent} has an empty command line; set its `command` in the configuration")]
    NoCommand {
        /// The agent.
        agent: String,
    },
    /// The prompt could not be written to the file that its command line asks for.
    #[error("agent {agent}: cannot write its prompt to {path}")]
    Prompt {
        /// The agent.
        agent: String,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The conversation with it failed.
    #[error("agent {agent}: its session failed")]
    Acp {
        /// The agent.
        agent: String,
        /// What went wrong.
        #[source]
        source: AcpError,
    },
    /// What it says could not be stored. It was killed.
    #[error("agent {agent} was ended because its transcript could not be written")]
    Transcript {
        /// The agent.
        agent: String,
        /// What went wrong.
        #[source]
        source: TranscriptError,
    },
}
