//! The file that `init` writes.

use std::os::unix::fs::PermissionsExt as _;

use qd_config::{InitFacts, detect, template};

use crate::support::Place;

fn facts() -> InitFacts {
    let place = Place::new("");
    place.write("Cargo.toml", "");
    place.write("bin/claude", "");
    let program = place.here.join("bin/claude");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    InitFacts {
        repository: "billing".parse().unwrap(),
        target: "main".into(),
        team: "alpha".parse().unwrap(),
        person: "ines".parse().unwrap(),
        checks: detect::checks(&place.here),
        agents: detect::agents(&place.here.join("bin").display().to_string()),
    }
}

#[test]
fn it_is_readable_and_loads() {
    let text = template(&facts());
    insta::assert_snapshot!(text, @r#"
    # Quarterdeck. `quarterdeck config check` reads this, `quarterdeck config show` says what holds and why,
    # `quarterdeck config schema` describes every key.

    # Repositories are read only below this folder. To read others, name the folders that they may be in:
    # roots = [".", "../elsewhere"]

    [fleet]
    # Its state is kept in a folder of this name; `quarterdeck config check` says where.
    name = "billing"
    # You work alone: you may approve what you asked for. Every card says so.
    # With a second person, set this to false and add them below.
    solo = true

    # Who may command and decide: owner, manager, operator, reviewer, viewer.
    [[people]]
    name = "ines"
    roles = ["owner", "manager", "operator"]

    # A team works on its own board.
    [[teams]]
    name = "alpha"
    agent = "claude"
    slots = 2          # runs at once

    # What the teams work on.
    [[repositories]]
    name = "billing"
    path = "."         # the embedded forge starts from here and follows it
    target = "main"

    # What decides about a change, in a fresh check-out of exactly that commit.
    [[repositories.checks]]
    name = "cargo-test"
    command = "cargo test"
    minutes = 15

    # A coding agent is any command line. It runs in a worktree; the prompt comes on standard input,
    # or as a file: {prompt_file}. It sees only the environment variables that are named.
    [agents.claude]
    command = ["claude", "-p", "--permission-mode", "acceptEdits"]
    env = ["ANTHROPIC_API_KEY"]
    minutes = 30

    # What most people leave as it is:
    # [runs]
    # repair_rounds = 3   # rounds that an agent gets to repair red checks, before a person is asked
    # log_lines = 200     # last lines of a red check's log that the agent is given
    #
    # [web]
    # listen = "127.0.0.1:7717"   # where the pages are; port 0 takes a free one
    #
    # [log]
    # level = "info"
    "#);
    let config = Place::new(&text).load().config;
    assert!(config.fleet.solo && config.repositories[0].checks.len() == 1);
    assert_eq!(config.teams[0].agent.as_deref(), Some("claude"));
}

#[test]
fn it_loads_when_nothing_was_found_and_when_its_examples_are_taken() {
    let bare = template(&InitFacts { checks: vec![], agents: vec![], ..facts() });
    insta::assert_snapshot!(bare, @r#"
    # Quarterdeck. `quarterdeck config check` reads this, `quarterdeck config show` says what holds and why,
    # `quarterdeck config schema` describes every key.

    # Repositories are read only below this folder. To read others, name the folders that they may be in:
    # roots = [".", "../elsewhere"]

    [fleet]
    # Its state is kept in a folder of this name; `quarterdeck config check` says where.
    name = "billing"
    # You work alone: you may approve what you asked for. Every card says so.
    # With a second person, set this to false and add them below.
    solo = true

    # Who may command and decide: owner, manager, operator, reviewer, viewer.
    [[people]]
    name = "ines"
    roles = ["owner", "manager", "operator"]

    # A team works on its own board.
    [[teams]]
    name = "alpha"
    # agent = "claude"   # none was found: features wait until one is named
    slots = 2          # runs at once

    # What the teams work on.
    [[repositories]]
    name = "billing"
    path = "."         # the embedded forge starts from here and follows it
    target = "main"

    # No check was found. Without one, work is unverified, and every card says so.
    # [[repositories.checks]]
    # name = "test"
    # command = "make test"
    # minutes = 15

    # A coding agent is any command line. It runs in a worktree; the prompt comes on standard input,
    # or as a file: {prompt_file}. It sees only the environment variables that are named.
    # [agents.claude]
    # command = ["claude", "-p", "--permission-mode", "acceptEdits"]
    # env = ["ANTHROPIC_API_KEY"]
    # minutes = 30

    # What most people leave as it is:
    # [runs]
    # repair_rounds = 3   # rounds that an agent gets to repair red checks, before a person is asked
    # log_lines = 200     # last lines of a red check's log that the agent is given
    #
    # [web]
    # listen = "127.0.0.1:7717"   # where the pages are; port 0 takes a free one
    #
    # [log]
    # level = "info"
    "#);
    let config = Place::new(&bare).load().config;
    assert!(config.teams[0].agent.is_none() && config.repositories[0].checks.is_empty());
    // A person takes the marks off all examples: lines that are TOML, not sentences.
    let taken: Vec<&str> = bare
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(example) if example.starts_with('[') || example.contains(" = ") => example,
            _ => line,
        })
        .collect();
    let place = Place::new(&taken.join("\n"));
    let place = place.flag("roots", "[\".\"]");
    let config = place.load().config;
    assert_eq!(config.teams[0].agent.as_deref(), Some("claude"));
    assert_eq!(config.repositories[0].checks[0].command, "make test");
    assert_eq!(config.runs.log_lines, 200);
}

#[test]
fn odd_texts_are_quoted() {
    let mut odd = facts();
    odd.target = "feature/\"x\"\\y".into();
    odd.checks[0].command = "echo \"a\" && echo 'b' # \\".into();
    let config = Place::new(&template(&odd)).load().config;
    assert_eq!(config.repositories[0].target, odd.target);
    assert_eq!(config.repositories[0].checks[0].command, odd.checks[0].command);
}
