//! The file that `init` writes: what was found, and comments that a person needs to change it.

use std::fmt::Write as _;

use qd_types::{InstanceName, PersonId, RepositoryName};

use crate::{Agent, Check};

/// What `init` found.
#[derive(Debug, Clone)]
pub struct InitFacts {
    /// Name of the repository.
    pub repository: RepositoryName,
    /// Its main branch.
    pub target: String,
    /// Name of the team.
    pub team: InstanceName,
    /// The one person.
    pub person: PersonId,
    /// Checks that were found.
    pub checks: Vec<Check>,
    /// Agents that were found, the first one works.
    pub agents: Vec<(String, Agent)>,
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// The file's text.
pub fn template(facts: &InitFacts) -> String {
    let InitFacts { repository, target, team, person, checks, agents } = facts;
    let mut text = format!(
        "# Quarterdeck. `quarterdeck config check` reads this, `quarterdeck config show` says what holds.\n\
         # Every key: docs/src/reference/configuration.md\n\
         \n\
         [fleet]\n\
         # You work alone: you may approve what you asked for. Every card says so.\n\
         # With a second person, set this to false and add them below.\n\
         solo = true\n\
         \n\
         # Who may command and decide: owner, manager, operator, reviewer, viewer.\n\
         [[people]]\n\
         name = {}\n\
         roles = [\"owner\", \"manager\", \"operator\"]\n\
         \n\
         # A team works on its own board.\n\
         [[teams]]\n\
         name = {}\n",
        quoted(person.as_str()),
        quoted(team.as_str()),
    );
    match agents.first() {
        Some((name, _)) => {
            let _ = writeln!(text, "agent = {}", quoted(name));
        }
        None => text.push_str("# agent = \"claude\"   # none was found: features wait until one is named\n"),
    }
    let _ = write!(
        text,
        "slots = 2          # runs at once\n\
         \n\
         [[repositories]]\n\
         name = {}\n\
         path = \".\"         # the embedded forge starts from here and follows it\n\
         target = {}\n\
         \n",
        quoted(repository.as_str()),
        quoted(target),
    );
    if checks.is_empty() {
        text.push_str(
            "# No check was found. Without one, work is unverified, and every card says so.\n\
             # [[repositories.checks]]\n\
             # name = \"test\"\n\
             # command = \"make test\"\n",
        );
    } else {
        text.push_str("# What decides about a change, in a fresh check-out of exactly that commit.\n");
    }
    for check in checks {
        let _ = write!(
            text,
            "[[repositories.checks]]\nname = {}\ncommand = {}\nminutes = {}\n\n",
            quoted(&check.name),
            quoted(&check.command),
            check.minutes
        );
    }
    text.push_str(
        "\n# A coding agent is any command line. It runs in a worktree; the prompt comes on standard input,\n\
         # or as a file: {prompt_file}. It sees only the environment variables that are named.\n",
    );
    if agents.is_empty() {
        text.push_str("# [agents.claude]\n# command = [\"claude\", \"-p\", \"--permission-mode\", \"acceptEdits\"]\n# env = [\"ANTHROPIC_API_KEY\"]\n# minutes = 30\n");
    }
    for (name, agent) in agents {
        let _ = write!(
            text,
            "[agents.{name}]\ncommand = {}\nenv = {}\nminutes = {}\n\n",
            list(&agent.command),
            list(&agent.env),
            agent.minutes
        );
    }
    let mut text = text.trim_end().to_owned();
    text.push('\n');
    text
}
