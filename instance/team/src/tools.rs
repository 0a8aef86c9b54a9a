//! Who serves tools to runs: the port. For each turn there is one socket; what stands behind it, with guard, policy and
//! credentials, is somebody else's.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use qd_agents::acp::McpServers;
use qd_sandbox::egress::Hosts;
use qd_types::{Ask, CommitId, PersonId, RepositoryName, RunId, Subject};
use secrecy::SecretString;

use crate::team::Team;

/// Serves tools to the runs of a team. What an agent is told of them is [`McpServers::of_run`], from the beginning of a turn
/// to its end.
#[async_trait]
pub trait Tools: McpServers {
    /// Opens the run's socket for one turn.
    ///
    /// # Errors
    /// If the socket can't be made. The turn goes on without tools.
    async fn open(&self, team: &Team, turn: Turn) -> io::Result<Served>;

    /// What a run's agent called and nobody decided on in time, as it would be asked about now, and whom the policies ask.
    ///
    /// # Errors
    /// Why it can't be asked about any more, as a sentence.
    async fn again(
        &self,
        agent: &str,
        on_behalf: Vec<PersonId>,
        called: &Subject,
    ) -> Result<(Subject, Ask), String>;
}

/// A turn of an agent.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Its run.
    pub run: RunId,
    /// Whose: the agent's name in the configuration.
    pub agent: String,
    /// Where it works.
    pub repository: RepositoryName,
    /// Its worktree.
    pub worktree: PathBuf,
    /// The commit that it started from: what the repository said before the agent worked.
    pub base: CommitId,
    /// The people on whose behalf it works.
    pub on_behalf: Vec<PersonId>,
    /// Where its socket is to be, in a folder of the run's own that stays until the run is cleaned up.
    pub socket: PathBuf,
    /// The metering gateway, if there is one: the socket leads there, too.
    pub gateway: Option<SocketAddr>,
    /// What its agent may see and must be written nowhere.
    pub secrets: Vec<SecretString>,
    /// Hosts that the socket leads to besides, as a proxy.
    pub hosts: Hosts,
    /// Whether it may change nothing: it is served no tools then, for some of them do.
    pub only_reads: bool,
}

/// What serves a turn, until it is dropped.
pub struct Served {
    /// The run's socket.
    pub socket: PathBuf,
    /// What the agent has to be able to read, the socket included.
    pub reads: Vec<PathBuf>,
    /// What of the servers is not served, and why: sentences for the run's transcript.
    pub left_out: Vec<String>,
    /// Ends it when dropped: the socket, what is connected to it, and the run's token.
    pub end: Box<dyn Send + Sync>,
}

impl Team {
    /// Who serves tools to its runs.
    pub fn tools(&self) -> Option<Arc<dyn Tools>> {
        self.options().tools.clone()
    }

    /// The people whom the policies know, with their roles.
    pub fn known(&self, person: &PersonId) -> Option<qd_types::Person> {
        let policies = self.options().policies.current();
        policies.people().map(|known| &known.person).find(|known| known.id == *person).cloned()
    }
}
