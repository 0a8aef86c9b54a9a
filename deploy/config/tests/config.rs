//! The configuration through its public face: layers, provenance, and every refusal with its place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use std::{collections::BTreeMap, path::Path};

use qd_config::{InitFacts, Sources, detect, load, reload, schema, show, template};

fn sources(dir: &Path, text: &str) -> Sources {
    std::fs::write(dir.join("quarterdeck.toml"), text).unwrap();
    Sources {
        cwd: dir.to_owned(),
        system_file: dir.join("etc/config.toml"),
        env: BTreeMap::from([("HOME".to_owned(), "/home/x".to_owned())]),
        ..Sources::default()
    }
}

fn problems(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    let error = load(&sources(&here, text)).unwrap_err().to_string();
    error.replace(&here.display().to_string(), "DIR")
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one() {
    insta::assert_snapshot!(problems("[runs]\nrepair_round = 2\n\n[[teams]]\nname = \"alpha\"\nslot = 1\n"), @r"
    DIR/quarterdeck.toml:2: unknown key runs.repair_round. Did you mean repair_rounds?
    DIR/quarterdeck.toml:6: unknown key teams.0.slot. Did you mean slots?
    ");
}

#[test]
fn wrong_values_are_refused_with_key_file_and_line() {
    insta::assert_snapshot!(problems("[runs]\n\nrepair_rounds = \"many\"\n"), @r#"DIR/quarterdeck.toml:3: runs.repair_rounds: invalid type: string "many", expected u32"#);
    insta::assert_snapshot!(problems("[[people]]\nname = \"Ines M\"\nroles = []\n"), @r#"DIR/quarterdeck.toml:2: people.0.name: "Ines M" is not a person's name: lower-case letters, digits, - and _, at most 64, like ines"#);
    insta::assert_snapshot!(problems("[runs\n"), @"DIR/quarterdeck.toml:1: unclosed table, expected `]`");
}

#[test]
fn what_does_not_fit_together_is_refused() {
    insta::assert_snapshot!(problems(r#"
[fleet]
me = "olaf"
merge_quorum = 2

[[people]]
name = "ines"
roles = ["owner"]

[agents.claude]
command = []

[[teams]]
name = "alpha"
agent = "cluade"

[[teams]]
name = "atlas"
slots = 0

[[repositories]]
name = "elsewhere"
path = "/"
"#), @r#"
    DIR/quarterdeck.toml:15: teams.0.agent: there is no agent cluade. Did you mean claude?
    DIR/quarterdeck.toml:17: teams.1.prefix: two teams would have A: give atlas a prefix of its own
    DIR/quarterdeck.toml:19: teams.1.slots: is 0, so nothing would ever run; from 1
    DIR/quarterdeck.toml:23: repositories.0.path: / is not below DIR: add its folder to roots
    DIR/quarterdeck.toml:3: fleet.me: olaf is not among the people: add [[people]] with name = "olaf"
    DIR/quarterdeck.toml:4: fleet.merge_quorum: 2 people have to approve a merge, and only 1 are owner or reviewer
    DIR/quarterdeck.toml:11: agents.claude.command: is empty: give the program and its arguments
    "#);
}

#[test]
fn later_layers_win_and_show_says_which() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(here.join("etc")).unwrap();
    std::fs::create_dir_all(here.join("deep/er")).unwrap();
    std::fs::write(here.join("etc/config.toml"), "[runs]\nrepair_rounds = 1\nlog_lines = 7\n").unwrap();
    let mut sources = sources(
        &here,
        "[runs]\nrepair_rounds = 5\n\n[agents.x]\ncommand = [\"x\"]\nredact = [\"hunter2\"]\n",
    );
    sources.cwd = here.join("deep/er");
    sources.env.insert("QUARTERDECK__RUNS__REPAIR_ROUNDS".into(), "6".into());
    sources.flags.push(("log.level".into(), "debug".into()));
    let loaded = load(&sources).unwrap();
    assert_eq!(loaded.config.runs.repair_rounds, 6);
    let rows: Vec<String> = show(&loaded)
        .into_iter()
        .filter(|row| ["runs", "log", "web", "agents"].iter().any(|section| row.key.starts_with(section)))
        .map(|row| {
            format!("{} = {}  ({})", row.key, row.value, row.origin)
                .replace(&here.display().to_string(), "DIR")
        })
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    agents.x.command = ["x"]  (DIR/quarterdeck.toml:5)
    agents.x.env = []  (DIR/quarterdeck.toml:4)
    agents.x.minutes = 30  (DIR/quarterdeck.toml:4)
    agents.x.redact = ["(secret)"]  (DIR/quarterdeck.toml:6)
    log.format = "text"  (default)
    log.level = "debug"  (--log.level)
    runs.log_lines = 7  (DIR/etc/config.toml:3)
    runs.repair_rounds = 6  (QUARTERDECK__RUNS__REPAIR_ROUNDS)
    web.listen = "127.0.0.1:7717"  (default)
    "#);
}

#[test]
fn a_variable_that_is_no_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut sources = sources(dir.path(), "");
    sources.env.insert("QUARTERDECK__RUN__REPAIR_ROUNDS".into(), "6".into());
    insta::assert_snapshot!(load(&sources).unwrap_err(), @"QUARTERDECK__RUN__REPAIR_ROUNDS: unknown key run. Did you mean runs?");
}

#[test]
fn the_allowed_root_is_the_only_one() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(here.join("inside")).unwrap();
    std::fs::create_dir_all(here.join("outside")).unwrap();
    std::os::unix::fs::symlink(here.join("outside"), here.join("inside/link")).unwrap();
    let mut sources = sources(&here, "[[repositories]]\nname = \"a\"\npath = \"inside/link\"\n");
    sources.env.insert("ALLOWED_ROOT_DIRECTORY".into(), here.join("inside").display().to_string());
    let error = load(&sources).unwrap_err().to_string().replace(&here.display().to_string(), "DIR");
    insta::assert_snapshot!(error, @"DIR/quarterdeck.toml:3: repositories.0.path: DIR/outside is not below DIR/inside: ALLOWED_ROOT_DIRECTORY says so");
}

#[test]
fn reload_says_what_took_effect() {
    let dir = tempfile::tempdir().unwrap();
    let old = load(&sources(dir.path(), "[runs]\nrepair_rounds = 1\n")).unwrap();
    let new = load(&sources(
        dir.path(),
        "[runs]\nrepair_rounds = 2\n[web]\nlisten = \"127.0.0.1:1\"\n[[teams]]\nname = \"a\"\n",
    ))
    .unwrap();
    let reload = reload(&old, &new);
    assert_eq!(reload.took_effect, ["runs.repair_rounds"]);
    assert!(reload.needs_restart.contains(&"web.listen".to_owned()), "{reload:?}");
}

#[test]
fn what_init_writes_is_readable_and_loads() {
    let dir = tempfile::tempdir().unwrap();
    let here = dir.path();
    std::fs::write(here.join("Cargo.toml"), "").unwrap();
    let bin = here.join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("claude"), "").unwrap();
    let facts = InitFacts {
        repository: "billing".parse().unwrap(),
        target: "main".into(),
        team: "alpha".parse().unwrap(),
        person: "ines".parse().unwrap(),
        checks: detect::checks(here),
        agents: detect::agents(&bin.display().to_string()),
    };
    let text = template(&facts);
    insta::assert_snapshot!(text, @r#"
    # Quarterdeck. `quarterdeck config check` reads this, `quarterdeck config show` says what holds.
    # Every key: docs/src/reference/configuration.md

    [fleet]
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
    "#);
    let loaded = load(&sources(here, &text)).unwrap();
    assert!(loaded.config.fleet.solo);
    let bare = InitFacts { checks: vec![], agents: vec![], ..facts };
    let loaded = load(&sources(here, &template(&bare))).unwrap();
    assert!(loaded.config.teams[0].agent.is_none() && loaded.config.repositories[0].checks.is_empty());
}

#[test]
fn checks_are_found_by_the_files_that_declare_them() {
    let check = |file: &str, text: &str, expect: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(file), text).unwrap();
        let found: Vec<String> = detect::checks(dir.path()).into_iter().map(|check| check.command).collect();
        assert_eq!(found, expect, "{file}");
    };
    check("package.json", r#"{"scripts":{"test":"node --test"}}"#, &["npm test"]);
    check("package.json", r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#, &[]);
    check(
        "package.json",
        r#"{"scripts":{"test":"x"},"devDependencies":{"y":"1"}}"#,
        &["npm install --no-audit --no-fund && npm test"],
    );
    check("pyproject.toml", "[tool.pytest.ini_options]\n", &["python3 -m pytest -q"]);
    check("Makefile", "test: build\n\ttrue\n", &["make test"]);
    check("Makefile", "testing = 1\n", &[]);
    check("README.md", "", &[]);
}

#[test]
fn the_committed_schema_is_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/quarterdeck.schema.json");
    let code = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &code).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == code,
        "UPDATE_SCHEMA=1 cargo test -p qd-config writes it"
    );
}
