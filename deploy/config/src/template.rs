//! The file that `init` writes: what was found, and comments that a person needs to change it. Not a reference of all
//! keys: the schema is.

use qd_types::{InstanceName, PersonId, RepositoryName};

use crate::{Agent, Check, Config};

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

/// The file's text.
pub fn template(facts: &InitFacts) -> String {
    let parts = [
        HEAD.to_owned(),
        fleet(facts),
        team(facts),
        repository(facts),
        checks(&facts.checks),
        agents(&facts.agents),
        rest(&Config::default()),
    ];
    parts.join("\n\n") + "\n"
}

const HEAD: &str = "\
# Quarterdeck. `quarterdeck config check` reads this, `quarterdeck config show` says what holds and why,
# `quarterdeck config schema` describes every key.

# Repositories are read only below this folder. To read others, name the folders that they may be in:
# roots = [\".\", \"../elsewhere\"]";

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

fn fleet(facts: &InitFacts) -> String {
    format!(
        "\
[fleet]
# Its state is kept in a folder of this name; `quarterdeck config check` says where.
name = {}
# You work alone: you may approve what you asked for. Every card says so.
# With a second person, set this to false and add them below.
solo = true

# Who may command and decide: owner, manager, operator, reviewer, viewer.
[[people]]
name = {}
roles = [\"owner\", \"manager\", \"operator\"]",
        quoted(facts.repository.as_str()),
        quoted(facts.person.as_str())
    )
}

fn team(facts: &InitFacts) -> String {
    let agent = facts.agents.first().map_or_else(
        || "# agent = \"claude\"   # none was found: features wait until one is named".to_owned(),
        |(name, _)| format!("agent = {}", quoted(name)),
    );
    let name = quoted(facts.team.as_str());
    format!(
        "\
# A team works on its own board.
[[teams]]
name = {name}
{agent}
slots = 2          # runs at once"
    )
}

fn repository(facts: &InitFacts) -> String {
    format!(
        "\
# What the teams work on.
[[repositories]]
name = {}
path = \".\"         # the embedded forge starts from here and follows it
target = {}",
        quoted(facts.repository.as_str()),
        quoted(&facts.target)
    )
}

fn checks(checks: &[Check]) -> String {
    if checks.is_empty() {
        return "\
# No check was found. Without one, work is unverified, and every card says so.
# [[repositories.checks]]
# name = \"test\"
# command = \"make test\"
# minutes = 15"
            .to_owned();
    }
    let each = checks.iter().map(|check| {
        let (name, command) = (quoted(&check.name), quoted(&check.command));
        format!("[[repositories.checks]]\nname = {name}\ncommand = {command}\nminutes = {}", check.minutes)
    });
    let each: Vec<String> = each.collect();
    format!(
        "# What decides about a change, in a fresh check-out of exactly that commit.\n{}",
        each.join("\n\n")
    )
}

fn agents(agents: &[(String, Agent)]) -> String {
    let each = agents.iter().map(|(name, agent)| {
        let (command, env) = (list(agent.command.as_deref().unwrap_or_default()), list(&agent.env));
        format!("[agents.{name}]\ncommand = {command}\nenv = {env}\nminutes = {}", agent.minutes)
    });
    let mut each: Vec<String> = each.collect();
    if each.is_empty() {
        let example = "\
# [agents.claude]
# command = [\"claude\", \"-p\", \"--permission-mode\", \"acceptEdits\"]
# env = [\"ANTHROPIC_API_KEY\"]
# minutes = 30";
        each.push(example.to_owned());
    }
    format!(
        "\
# A coding agent is any command line. It runs in a worktree; the prompt comes on standard input,
# or as a file: {{prompt_file}}. It sees only the environment variables that are named.
{}",
        each.join("\n\n")
    )
}

/// What most people leave as it is, with the defaults as they are in the code.
fn rest(defaults: &Config) -> String {
    let Config { runs, web, log, .. } = defaults;
    format!(
        "\
# What most people leave as it is:
# [runs]
# repair_rounds = {}   # rounds that an agent gets to repair red checks, before a person is asked
# log_lines = {}     # last lines of a red check's log that the agent is given
#
# [web]
# listen = \"{}\"   # where the pages are; port 0 takes a free one
#
# [log]
# level = \"{}\"",
        runs.repair_rounds, runs.log_lines, web.listen, log.level
    )
}
