//! What the configuration files of coding agents would start, and the same file with each server behind the guard.

use std::path::{Path, PathBuf};

use qd_approvals::inert;
use serde_json::{Map, Value, json};
use toml_edit::DocumentMut;

use crate::{
    cli::Common,
    context::{self, UserError},
    say,
    verbs::Done,
};

/// Where the servers stand, by what the file has: Claude Code and Gemini, Codex, opencode, VS Code, Zed.
const KEYS: [&str; 5] = ["mcpServers", "mcp_servers", "mcp", "servers", "context_servers"];

/// Known files: in a project, and below the home folder.
const IN_PROJECT: [&str; 5] =
    [".mcp.json", ".gemini/settings.json", ".codex/config.toml", "opencode.json", ".vscode/mcp.json"];
const AT_HOME: [&str; 6] = [
    ".claude.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    ".config/opencode/opencode.json",
    ".config/Code/User/mcp.json",
    ".config/zed/settings.json",
];

/// Longest piece of somebody's configuration that is shown, in characters.
const PIECE: usize = 200;

/// A server in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    kind: Kind,
    /// Names of variables whose values stand in the file.
    env: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Goes through the guard, or is one of ours.
    Guarded,
    /// A program that is started as you.
    Program(Vec<String>),
    /// A server on the network.
    Remote(String),
    /// What it is can't be told.
    Unclear,
}

pub(super) fn scan(common: &Common, file: Option<PathBuf>, write: bool) -> Done {
    let files = match file {
        Some(file) => vec![file],
        None => known(common)?,
    };
    if files.is_empty() {
        say::line("None of the files that are known is here. Name one: quarterdeck mcp scan FILE");
    }
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(|error| UserError::failed(format!("{} can't be read: {error}", file.display())))?;
        let (entries, rewritten) = look(&text, is_toml(&file))
            .map_err(|problem| UserError::failed(format!("{} can't be read: {problem}", file.display())))?;
        tell(common, &file, &entries);
        if write {
            replace(&file, &text, &rewritten)?;
        } else if entries.iter().any(|entry| matches!(entry.kind, Kind::Program(_))) {
            say::note(&format!("Put them behind the guard: quarterdeck mcp scan {} --write", file.display()));
        }
    }
    Ok(())
}

fn known(common: &Common) -> Result<Vec<PathBuf>, UserError> {
    let sources = context::sources(common)?;
    let here = IN_PROJECT.iter().map(|name| sources.cwd.join(name));
    let home = sources.env.get("HOME").map(PathBuf::from);
    let there = home.iter().flat_map(|home| AT_HOME.iter().map(|name| home.join(name)));
    Ok(here.chain(there).filter(|path| path.is_file()).collect())
}

fn is_toml(file: &Path) -> bool {
    file.extension().is_some_and(|end| end == "toml")
}

fn tell(common: &Common, file: &Path, entries: &[Entry]) {
    if common.json {
        let row = |entry: &Entry| {
            let (kind, what) = said(&entry.kind);
            json!({ "name": entry.name, "kind": kind, "what": what, "env": entry.env })
        };
        let rows: Vec<Value> = entries.iter().map(row).collect();
        say::json(&json!({ "file": file, "servers": rows }));
        return;
    }
    say::line(&format!("{}: {} servers", file.display(), entries.len()));
    entries.iter().for_each(|entry| say::line(&line(entry)));
}

fn said(kind: &Kind) -> (&'static str, String) {
    match kind {
        Kind::Guarded => ("guarded", String::new()),
        Kind::Program(argv) => ("exposed", argv.join(" ")),
        Kind::Remote(url) => ("remote", url.clone()),
        Kind::Unclear => ("unclear", String::new()),
    }
}

fn line(entry: &Entry) -> String {
    let (kind, what) = said(&entry.kind);
    let env = match entry.env.as_slice() {
        [] => String::new(),
        names => format!("  with {}", names.join(", ")),
    };
    let text = format!("{}  {what}{env}", entry.name);
    format!("  {kind:<8} {}", inert::plain(text.trim_end(), PIECE))
}

/// The servers of a file, and the file with each program behind the guard.
fn look(text: &str, toml: bool) -> Result<(Vec<Entry>, String), String> {
    if toml {
        let mut document: DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
        let whole: Value = toml::from_str(text).map_err(|error| error.to_string())?;
        let entries = entries(&whole);
        for entry in &entries {
            let Some(args) = guarded(entry) else { continue };
            let servers = document.get_mut("mcp_servers").and_then(|servers| servers.get_mut(&entry.name));
            let Some(server) = servers.and_then(|server| server.as_table_like_mut()) else { continue };
            server.insert("command", toml_edit::value("quarterdeck"));
            server.insert("args", toml_edit::value(args.into_iter().collect::<toml_edit::Array>()));
        }
        return Ok((entries, document.to_string()));
    }
    let mut whole: Value = serde_json::from_str(text)
        .map_err(|error| format!("it is not plain JSON, comments included: {error}"))?;
    let entries = entries(&whole);
    for entry in &entries {
        let Some(args) = guarded(entry) else { continue };
        let servers = KEYS.iter().find_map(|key| whole.get(key).is_some().then_some(*key));
        let Some(server) = servers
            .and_then(|key| whole.get_mut(key))
            .and_then(|servers| servers.get_mut(&entry.name))
            .and_then(Value::as_object_mut)
        else {
            continue;
        };
        if server.get("command").is_some_and(Value::is_array) {
            let argv: Vec<String> = std::iter::once("quarterdeck".to_owned()).chain(args).collect();
            server.insert("command".to_owned(), argv.into());
        } else {
            server.insert("command".to_owned(), "quarterdeck".into());
            server.insert("args".to_owned(), args.into());
        }
    }
    let mut rewritten = serde_json::to_string_pretty(&whole).map_err(|error| error.to_string())?;
    rewritten.push('\n');
    Ok((entries, rewritten))
}

fn entries(whole: &Value) -> Vec<Entry> {
    let servers = KEYS.iter().find_map(|key| whole.get(key)?.as_object());
    let mut all: Vec<Entry> =
        servers.into_iter().flatten().map(|(name, server)| entry(name, server)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn entry(name: &str, server: &Value) -> Entry {
    let text = |key: &str| server.get(key).and_then(Value::as_str).map(str::to_owned);
    let list = |key: &str| -> Vec<String> {
        let items = server.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    // opencode has one list; everybody else a program and its arguments.
    let argv = match text("command") {
        Some(program) => std::iter::once(program).chain(list("args")).collect(),
        None => list("command"),
    };
    let url = text("url").or_else(|| text("httpUrl")).or_else(|| text("serverUrl"));
    let kind = match (argv.as_slice(), url) {
        ([program, verb, ..], _) if is_ours(program) && verb == "mcp" => Kind::Guarded,
        ([_, ..], _) => Kind::Program(argv),
        ([], Some(url)) => Kind::Remote(url),
        ([], None) => Kind::Unclear,
    };
    let env = ["env", "environment"].iter().find_map(|key| server.get(key)?.as_object());
    Entry { name: name.to_owned(), kind, env: names(env) }
}

fn names(env: Option<&Map<String, Value>>) -> Vec<String> {
    env.into_iter().flat_map(|env| env.keys().cloned()).collect()
}

fn is_ours(program: &str) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == "quarterdeck")
}

/// The arguments of quarterdeck that start it through the guard; `None` if there is nothing to guard.
fn guarded(entry: &Entry) -> Option<Vec<String>> {
    let Kind::Program(argv) = &entry.kind else { return None };
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_".contains(letter) { letter } else { '-' };
    let name: String = entry.name.chars().map(letter).take(40).collect();
    let mut args = ["mcp", "guard", "--name", name.as_str()].map(str::to_owned).to_vec();
    for name in &entry.env {
        args.extend(["--env".to_owned(), name.clone()]);
    }
    args.push("--".to_owned());
    args.extend(argv.iter().cloned());
    Some(args)
}

/// Writes the file whole or not at all; what it was stays beside it.
fn replace(file: &Path, before: &str, after: &str) -> Done {
    if before == after {
        say::line("There is nothing to change.");
        return Ok(());
    }
    let mut kept = file.as_os_str().to_owned();
    kept.push(".before-guard");
    let mut half = file.as_os_str().to_owned();
    half.push(".half");
    let failed =
        |error: std::io::Error| UserError::failed(format!("{} can't be written: {error}", file.display()));
    if Path::new(&kept).exists() {
        let kept = Path::new(&kept).display();
        return Err(UserError::failed(format!("{kept} is there already: take it away first")));
    }
    std::fs::copy(file, &kept).map_err(failed)?;
    std::fs::write(&half, after).and_then(|()| std::fs::rename(&half, file)).map_err(failed)?;
    say::line(&format!(
        "Rewritten; as it was: {}. Each server serves nothing until you trust its tools: quarterdeck mcp guard --trust.",
        Path::new(&kept).display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_each_client_are_found_and_put_behind_the_guard() {
        let claude = r#"{"mcpServers": {
            "files": {"command": "npx", "args": ["-y", "files"], "env": {"FILES_KEY": "secret"}},
            "far": {"type": "http", "url": "https://mcp.example.com"},
            "board": {"command": "quarterdeck", "args": ["mcp", "board"]}}}"#;
        let (entries, rewritten) = look(claude, false).unwrap();
        let lines: Vec<String> = entries.iter().map(line).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
          guarded  board
          remote   far  https://mcp.example.com
          exposed  files  npx -y files  with FILES_KEY
        ");
        let now: Value = serde_json::from_str(&rewritten).unwrap();
        let before: Value = serde_json::from_str(claude).unwrap();
        let guarded = ["mcp", "guard", "--name", "files", "--env", "FILES_KEY", "--", "npx", "-y", "files"];
        assert_eq!(now["mcpServers"]["files"]["command"], "quarterdeck");
        assert_eq!(now["mcpServers"]["files"]["args"], json!(guarded));
        assert_eq!(now["mcpServers"]["files"]["env"], before["mcpServers"]["files"]["env"]);
        assert_eq!(now["mcpServers"]["far"], before["mcpServers"]["far"]);
        assert_eq!(now["mcpServers"]["board"], before["mcpServers"]["board"]);
        assert_eq!(look(&rewritten, false).unwrap().1, rewritten, "what is guarded stays as it is");

        let opencode = r#"{"mcp": {"files": {"type": "local", "command": ["npx", "files"]}}}"#;
        let now: Value = serde_json::from_str(&look(opencode, false).unwrap().1).unwrap();
        let guarded = ["quarterdeck", "mcp", "guard", "--name", "files", "--", "npx", "files"];
        assert_eq!(now["mcp"]["files"]["command"], json!(guarded));
    }

    #[test]
    fn what_people_wrote_beside_it_stays() {
        let codex = "# mine\n[mcp_servers.files]\ncommand = \"npx\"\nargs = [\"files\"]\n";
        insta::assert_snapshot!(look(codex, true).unwrap().1, @r#"
        # mine
        [mcp_servers.files]
        command = "quarterdeck"
        args = ["mcp", "guard", "--name", "files", "--", "npx", "files"]
        "#);
        assert!(look("{ // mine\n}", false).is_err());
    }
}
