//! What an agent wants to do, as the policies know it: a tool of the server `agent`. It is known by what it does, and not by
//! the agent's word for it: where it would write, what it would run, and whether it would leave this machine.

use qd_agents::acp::{Ask, Command, ToolKind};
use qd_types::{Tier, Verb};

/// The server that stands for what agents do by themselves.
pub const SERVER: &str = "agent";

/// What an agent can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Look at its worktree, or think.
    Read,
    /// Look at something else.
    ReadElsewhere,
    /// Change files of its worktree.
    Edit,
    /// Change something else, or something that it does not name.
    EditElsewhere,
    /// Run a command that the configuration lets it run, or a check of its repository.
    Check,
    /// Run another command.
    Command,
    /// Get something from the network.
    Network,
    /// Work with other permissions.
    Mode,
    /// Something that it does not say clearly.
    Other,
}

impl Wish {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::Read,
        Self::ReadElsewhere,
        Self::Edit,
        Self::EditElsewhere,
        Self::Check,
        Self::Command,
        Self::Network,
        Self::Mode,
        Self::Other,
    ];

    /// Its name in the policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadElsewhere => "read_elsewhere",
            Self::Edit => "edit",
            Self::EditElsewhere => "edit_elsewhere",
            Self::Check => "check",
            Self::Command => "command",
            Self::Network => "network",
            Self::Mode => "mode",
            Self::Other => "other",
        }
    }

    /// Its tier: only a look at its own worktree is one that just reads.
    pub fn tier(self) -> Tier {
        if self == Self::Read { Tier::Read } else { Tier::Operate }
    }

    /// Whether it changes nothing, whoever allows it.
    pub(crate) fn only_reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadElsewhere | Self::Check)
    }

    /// The action in the policies.
    pub(crate) fn verb(self) -> Verb {
        Verb::of_tool(self.tier())
    }

    /// What is asked for. `known` are the beginnings of commands that may be run.
    pub(crate) fn of(ask: &Ask, known: &[Vec<String>]) -> Self {
        let inside = ask.paths.iter().all(|path| path.inside);
        match &ask.command {
            Some(Command::Plain(words)) => {
                let may = known.iter().any(|start| !start.is_empty() && words.starts_with(start));
                return if may && inside && ask.hosts.is_empty() { Self::Check } else { Self::Command };
            }
            // It can't be known what it does, whatever the agent calls it.
            Some(Command::Unclear(_)) => return Self::Command,
            None => {}
        }
        if !ask.hosts.is_empty() {
            return Self::Network;
        }
        match ask.kind {
            ToolKind::Read | ToolKind::Search if inside => Self::Read,
            ToolKind::Read | ToolKind::Search => Self::ReadElsewhere,
            ToolKind::Think => Self::Read,
            ToolKind::Edit | ToolKind::Delete | ToolKind::Move if inside && !ask.paths.is_empty() => {
                Self::Edit
            }
            ToolKind::Edit | ToolKind::Delete | ToolKind::Move if ask.paths.is_empty() => Self::Other,
            ToolKind::Edit | ToolKind::Delete | ToolKind::Move => Self::EditElsewhere,
            ToolKind::Fetch => Self::Network,
            ToolKind::SwitchMode => Self::Mode,
            // A command that is not said is none that could be judged.
            ToolKind::Execute | ToolKind::Other => Self::Other,
        }
    }
}

/// On what it would be done, as people read it, and as a no sticks to it.
pub(crate) fn target(ask: &Ask) -> String {
    let paths = || {
        let paths: Vec<String> = ask.paths.iter().map(|path| path.path.display().to_string()).collect();
        paths.join(", ")
    };
    let text = match &ask.command {
        Some(command) => command.text(),
        None if !ask.hosts.is_empty() => ask.hosts.join(", "),
        None if !ask.paths.is_empty() => paths(),
        None => ask.tool.clone().unwrap_or_else(|| ask.title.clone()),
    };
    if text.trim().is_empty() { "something that it does not name".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use qd_agents::acp::AskedPath;

    use super::*;

    fn ask(kind: ToolKind, paths: &[(&str, bool)], command: Option<&str>) -> Ask {
        Ask {
            run: "A-1.1".parse().unwrap(),
            agent: "opencode".into(),
            call: "1".into(),
            title: "does it".into(),
            tool: None,
            kind,
            paths: paths
                .iter()
                .map(|(path, inside)| AskedPath { path: path.into(), inside: *inside })
                .collect(),
            command: command.map(Command::parse),
            hosts: Vec::new(),
        }
    }

    #[test]
    fn what_counts_is_what_it_does() {
        let known = [vec!["cargo".to_owned(), "test".to_owned()]];
        let check = |asked: Ask, wish: Wish| assert_eq!(Wish::of(&asked, &known), wish, "{asked:?}");
        check(ask(ToolKind::Read, &[("/w/a", true)], None), Wish::Read);
        check(ask(ToolKind::Read, &[("/w/a", true), ("/etc/passwd", false)], None), Wish::ReadElsewhere);
        check(ask(ToolKind::Edit, &[("/w/a", true)], None), Wish::Edit);
        check(ask(ToolKind::Delete, &[("/w/a", true), ("/b", false)], None), Wish::EditElsewhere);
        check(ask(ToolKind::Edit, &[], None), Wish::Other);
        check(ask(ToolKind::Execute, &[], Some("cargo test --quiet")), Wish::Check);
        check(ask(ToolKind::Execute, &[("/etc", false)], Some("cargo test")), Wish::Command);
        check(ask(ToolKind::Execute, &[], Some("cargo build")), Wish::Command);
        // What it is called does not matter.
        check(ask(ToolKind::Read, &[], Some("cargo test; rm -rf /")), Wish::Command);
        check(ask(ToolKind::Execute, &[], None), Wish::Other);
        check(ask(ToolKind::Fetch, &[], None), Wish::Network);
        check(Ask { hosts: vec!["example.com".into()], ..ask(ToolKind::Read, &[], None) }, Wish::Network);
        check(ask(ToolKind::SwitchMode, &[], None), Wish::Mode);
    }

    #[test]
    fn a_target_is_what_a_person_would_look_at() {
        let of = |kind, paths: &[(&str, bool)], command| target(&ask(kind, paths, command));
        insta::assert_snapshot!(of(ToolKind::Execute, &[], Some("rm -rf 'a b'")), @"rm -rf 'a b'");
        insta::assert_snapshot!(of(ToolKind::Edit, &[("/w/a", true), ("/b", false)], None), @"/w/a, /b");
        insta::assert_snapshot!(of(ToolKind::Other, &[], None), @"does it");
    }
}
