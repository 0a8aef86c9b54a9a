//! What `init` finds: the checks of a project, and the coding agents on this computer. It only looks; nothing is run.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::{Agent, Check};

/// Headless command lines of known agents, each taking the prompt on standard input or from a file. They may change
/// files of the worktree without being asked, and no more than that where the agent can tell the difference. From the
/// agents' own documentation (2026-10); any of them may be changed in the file.
const AGENTS: [(&str, &[&str], &[&str]); 7] = [
    ("claude", &["claude", "-p", "--permission-mode", "acceptEdits"], &["ANTHROPIC_API_KEY"]),
    ("codex", &["codex", "exec", "--sandbox", "workspace-write", "-"], &["OPENAI_API_KEY"]),
    (
        "gemini",
        &["gemini", "--approval-mode", "auto_edit"],
        &["GEMINI_API_KEY", "GEMINI_CLI_TRUST_WORKSPACE"],
    ),
    ("qwen", &["qwen", "--approval-mode", "auto-edit"], &["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
    (
        "goose",
        &["goose", "run", "--no-session", "--instructions", "{prompt_file}"],
        &["GOOSE_PROVIDER", "GOOSE_MODEL"],
    ),
    (
        "aider",
        &["aider", "--yes-always", "--no-auto-commits", "--message-file", "{prompt_file}"],
        &["OPENAI_API_KEY"],
    ),
    ("opencode", &["opencode", "run"], &[]),
];

/// What npm writes into a new package, and what fails on purpose.
const NPM_PLACEHOLDER: &str = "no test specified";

/// The checks of the project in `folder`, as far as its files tell.
pub fn checks(folder: &Path) -> Vec<Check> {
    let has = |name: &str| folder.join(name).exists();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let mut found = Vec::new();
    let mut add = |name: &str, command: &str| {
        found.push(Check { name: name.into(), command: command.into(), minutes: 15 });
    };
    if has("Cargo.toml") {
        add("cargo-test", "cargo test");
    }
    let locked = has("package-lock.json") || has("npm-shrinkwrap.json");
    if let Some(command) = npm(&read("package.json"), locked) {
        add("npm-test", &command);
    }
    let named = ["pyproject.toml", "setup.cfg", "tox.ini"].iter().any(|name| read(name).contains("pytest"));
    if has("pytest.ini") || named || has_python_tests(folder) || has_python_tests(&folder.join("tests")) {
        add("pytest", "python3 -m pytest -q");
    }
    if has("go.mod") {
        add("go-test", "go test ./...");
    }
    // A Makefile beside one of these mostly calls it: the same tests would run twice.
    if found.is_empty() {
        let makefile = ["GNUmakefile", "makefile", "Makefile"].map(read).join("\n");
        let target = ["check", "test"].into_iter().find(|target| has_target(&makefile, target));
        if let Some(target) = target {
            let (name, command) = (format!("make-{target}"), format!("make {target}"));
            found.push(Check { name, command, minutes: 15 });
        }
    }
    found
}

/// A check runs in a fresh check-out, so what the tests need is installed first; packages run no scripts while that
/// happens.
fn npm(package: &str, locked: bool) -> Option<String> {
    let package: Value = serde_json::from_str(package).ok()?;
    let script = package.pointer("/scripts/test")?.as_str()?;
    if script.trim().is_empty() || script.contains(NPM_PLACEHOLDER) {
        return None;
    }
    let depends = ["dependencies", "devDependencies", "optionalDependencies"]
        .iter()
        .any(|key| package.get(key).and_then(Value::as_object).is_some_and(|packages| !packages.is_empty()));
    Some(match (depends, locked) {
        (false, _) => "npm test".to_owned(),
        (true, true) => "npm ci --ignore-scripts && npm test".to_owned(),
        (true, false) => "npm install --ignore-scripts --no-audit --no-fund && npm test".to_owned(),
    })
}

/// By the names that pytest itself looks for.
fn has_python_tests(folder: &Path) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
    })
}

fn has_target(makefile: &str, target: &str) -> bool {
    makefile.lines().any(|line| {
        // `test := x` assigns a variable, and an indented line belongs to a recipe.
        let rule = line.split_once(':').filter(|(_, rest)| !rest.trim_start_matches(':').starts_with('='));
        !line.starts_with(char::is_whitespace)
            && rule.is_some_and(|(targets, _)| targets.split_whitespace().any(|each| each == target))
    })
}

/// Whether a program can be started: by its path, or because it is on `path` (as in `$PATH`).
pub fn runs(program: &str, path: &str) -> bool {
    let runs = |program: &Path| {
        std::fs::metadata(program).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return runs(Path::new(program));
    }
    path.split(':').filter(|folder| !folder.is_empty()).any(|folder| runs(&Path::new(folder).join(program)))
}

/// Known agents whose programs are on `path` (as in `$PATH`).
pub fn agents(path: &str) -> Vec<(String, Agent)> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    AGENTS
        .into_iter()
        .filter(|(name, _, _)| runs(name, path))
        .map(|(name, command, env)| {
            let agent = Agent {
                command: Some(texts(command)),
                env: texts(env),
                minutes: 30,
                redact: Vec::new(),
                slots: None,
                entry: None,
                model: None,
                mode: None,
                commands: Vec::new(),
                login: false,
            };
            (name.to_owned(), agent)
        })
        .collect()
}
