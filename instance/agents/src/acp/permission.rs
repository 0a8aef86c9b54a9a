//! The port for permissions: what an agent wants to do, and who says whether it may. An answer is for this once: what
//! holds for longer is policy, and policy is on our side of the port.

use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use qd_types::RunId;
use serde::Serialize;

use super::command::Command;
use crate::redact::Redactor;

/// Decides what an agent may do.
#[async_trait]
pub trait Permissions: Send + Sync {
    /// Decides by policy, or names who is asked. The agent waits; nothing else does.
    async fn decide(&self, ask: &Ask) -> Verdict;
}

/// What the policy says.
pub enum Verdict {
    /// This once.
    Allow,
    /// No. The text says why, for the transcript.
    Deny(String),
    /// A person decides. The clock of the run stands still until this is ready. If the turn ends before, it is dropped.
    Person(BoxFuture<'static, Decision>),
}

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// This once.
    Allow,
    /// No. The text says why, for the transcript.
    Deny(String),
}

/// Nobody is there to ask: every request is denied.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

#[async_trait]
impl Permissions for DenyAll {
    async fn decide(&self, _: &Ask) -> Verdict {
        Verdict::Deny("nobody decides about permissions here".to_owned())
    }
}

/// What an agent wants to do. All of it is the agent's own account: it is shown as a quotation, and what it does not say
/// is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ask {
    /// The run it works for.
    pub run: RunId,
    /// The agent's name in the registry.
    pub agent: String,
    /// The agent's id of the tool call.
    pub call: String,
    /// The agent's title for it.
    pub title: String,
    /// The tool's name, if the agent tells it: MCP tools are known by it.
    pub tool: Option<String>,
    /// What kind of tool it is, as the agent says.
    pub kind: ToolKind,
    /// Files and folders that it names.
    pub paths: Vec<AskedPath>,
    /// The command, if it is one. [`Command::Unclear`] must be asked, whatever the kind.
    pub command: Option<Command>,
    /// Hosts that it names. None named does not mean that it stays off the network.
    pub hosts: Vec<String>,
}

impl Ask {
    /// The same without the secrets: what people decide about is stored and shown.
    pub(super) fn without(mut self, redactor: &Redactor) -> Self {
        self.title = redactor.redact(self.title);
        self.tool = self.tool.map(|tool| redactor.redact(tool));
        for asked in &mut self.paths {
            let path = asked.path.to_string_lossy();
            let clean = redactor.redact(path.clone().into_owned());
            if clean != path {
                asked.path = clean.into();
            }
        }
        self.command = self.command.map(|command| match command {
            Command::Plain(words) => {
                Command::Plain(words.into_iter().map(|word| redactor.redact(word)).collect())
            }
            Command::Unclear(line) => Command::Unclear(redactor.redact(line)),
        });
        self.hosts = self.hosts.into_iter().map(|host| redactor.redact(host)).collect();
        self
    }
}

/// A path in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AskedPath {
    /// The path, absolute, without `.` and `..`.
    pub path: PathBuf,
    /// It is in the worktree, also when symbolic links are followed, and not in git's own folder.
    pub inside: bool,
}

/// The kinds of tools that the protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files.
    Read,
    /// Writes files.
    Edit,
    /// Deletes files.
    Delete,
    /// Moves files.
    Move,
    /// Looks for something.
    Search,
    /// Runs a command.
    Execute,
    /// Thinks.
    Think,
    /// Gets something from the network.
    Fetch,
    /// Wants to work in another mode: with other permissions.
    SwitchMode,
    /// Something else, or not said.
    Other,
}

impl ToolKind {
    /// The word for it in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::Move => "move",
            Self::Search => "search",
            Self::Execute => "execute",
            Self::Think => "think",
            Self::Fetch => "fetch",
            Self::SwitchMode => "switch_mode",
            Self::Other => "other",
        }
    }
}

/// What is sent back to the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// The id of the option that is chosen.
    Option(String),
    /// The turn is over, or there is no option for a no.
    Cancelled,
}

/// The option for a yes or a no. Options are known by their kind: ids and names differ between agents. The only yes is
/// `allow_once`; an agent that offers none gets a no.
pub(super) fn choose(options: &[(String, String)], decision: &Decision) -> (Reply, Option<&'static str>) {
    let of =
        |kind: &str| options.iter().find(|(_, known)| known == kind).map(|(id, _)| Reply::Option(id.clone()));
    let no = || of("reject_once").or_else(|| of("reject_always")).unwrap_or(Reply::Cancelled);
    match decision {
        Decision::Allow => match of("allow_once") {
            Some(yes) => (yes, None),
            None => (no(), Some("it offers no way to allow this once")),
        },
        Decision::Deny(_) => (no(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[(&str, &str)], decision: &Decision, expect: &str) {
        let options: Vec<_> =
            options.iter().map(|(id, kind)| ((*id).to_owned(), (*kind).to_owned())).collect();
        let expect = if expect.is_empty() { Reply::Cancelled } else { Reply::Option(expect.to_owned()) };
        assert_eq!(choose(&options, decision).0, expect, "{options:?}");
    }

    #[test]
    fn options_are_known_by_kind_and_the_only_yes_is_once() {
        let (yes, no) = (Decision::Allow, Decision::Deny("no".to_owned()));
        let opencode = [("once", "allow_once"), ("always", "allow_always"), ("reject", "reject_once")];
        let gemini =
            [("proceed_always", "allow_always"), ("proceed_once", "allow_once"), ("cancel", "reject_once")];
        check(&opencode, &yes, "once");
        check(&opencode, &no, "reject");
        check(&gemini, &yes, "proceed_once");
        check(&gemini, &no, "cancel");
        check(&[("allow_once", "allow_always"), ("n", "reject_always")], &yes, "n");
        check(&[("allow_once", "allow_always")], &yes, "");
        check(&[("reject_once", "allow_once")], &no, "");
        check(&[], &yes, "");
    }
}
