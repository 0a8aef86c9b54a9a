//! What `init` finds: the checks of a project, and the coding agents on this computer.

use std::path::Path;

use crate::{Agent, Check};

/// Headless command lines of known agents, each taking the prompt on standard input or from a file. From the agents'
/// own documentation; any of them may be changed in the file.
const AGENTS: [(&str, &[&str], &[&str]); 7] = [
    ("claude", &["claude", "-p", "--permission-mode", "acceptEdits"], &["ANTHROPIC_API_KEY"]),
    ("codex", &["codex", "exec", "--sandbox", "workspace-write", "-"], &["OPENAI_API_KEY"]),
    ("gemini", &["gemini", "--approval-mode", "auto_edit"], &["GEMINI_API_KEY"]),
    ("qwen", &["qwen", "--approval-mode", "auto-edit"], &["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
    ("goose", &["goose", "run", "--instructions", "{prompt_file}"], &["GOOSE_PROVIDER", "GOOSE_MODEL"]),
    (
        "aider",
        &["aider", "--yes", "--no-auto-commits", "--message-file", "{prompt_file}"],
        &["OPENAI_API_KEY"],
    ),
    ("opencode", &["sh", "-c", "opencode run \"$(cat)\""], &[]),
];

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
    if has("package.json")
        && let Ok(package) = serde_json::from_str::<serde_json::Value>(&read("package.json"))
        && let Some(script) = package.pointer("/scripts/test").and_then(|script| script.as_str())
        && !script.contains("no test specified")
    {
        let depends = ["dependencies", "devDependencies"].iter().any(|key| {
            package.get(key).and_then(|list| list.as_object()).is_some_and(|list| !list.is_empty())
        });
        let install = if has("package-lock.json") { "npm ci" } else { "npm install --no-audit --no-fund" };
        if depends {
            add("npm-test", &format!("{install} && npm test"));
        } else {
            add("npm-test", "npm test");
        }
    }
    let python = has("pytest.ini")
        || read("pyproject.toml").contains("pytest")
        || read("setup.cfg").contains("pytest");
    if python {
        add("pytest", "python3 -m pytest -q");
    }
    if has("go.mod") {
        add("go-test", "go test ./...");
    }
    if found.is_empty() && has("Makefile") {
        let makefile = read("Makefile");
        let target = ["check", "test"].into_iter().find(|target| {
            makefile
                .lines()
                .any(|line| line.strip_prefix(target).is_some_and(|rest| rest.trim_start().starts_with(':')))
        });
        if let Some(target) = target {
            found.push(Check {
                name: format!("make-{target}"),
                command: format!("make {target}"),
                minutes: 15,
            });
        }
    }
    found
}

/// Known agents whose programs are on `path` (as in `$PATH`).
pub fn agents(path: &str) -> Vec<(String, Agent)> {
    let there = |program: &str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    AGENTS
        .into_iter()
        .filter(|(name, _, _)| there(name))
        .map(|(name, command, env)| {
            let agent = Agent {
                command: command.iter().map(|part| (*part).to_owned()).collect(),
                env: env.iter().map(|name| (*name).to_owned()).collect(),
                minutes: 30,
                redact: Vec::new(),
            };
            (name.to_owned(), agent)
        })
        .collect()
}
