//! The tool calls of a session, put together by their ids: an agent may ask before it announces, update what it never
//! announced, and leave out what it said before.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use agent_client_protocol::v1::schema::{
    ToolCallContent, ToolCallStatus, ToolCallUpdate, ToolKind as WireKind,
};
use qd_types::RunId;
use serde_json::Value;

use super::{
    command::Command,
    files,
    permission::{Ask, AskedPath, ToolKind},
};
use crate::text::clean;

/// So many calls are remembered. A session with more begins anew: only what is asked about must be known.
const MAX: usize = 4096;

/// Where agents put paths in their tools' input.
const PATH_KEYS: [&str; 15] = [
    "path",
    "paths",
    "filePath",
    "file_path",
    "filepath",
    "absolute_path",
    "abs_path",
    "filename",
    "target_file",
    "notebook_path",
    "source",
    "destination",
    "old_path",
    "new_path",
    "dir_path",
];

/// Where they put commands.
const COMMAND_KEYS: [&str; 3] = ["command", "cmd", "script"];

/// Where they put addresses.
const URL_KEYS: [&str; 4] = ["url", "uri", "href", "urls"];

/// All that is known of one call.
#[derive(Debug, Clone, Default)]
struct Call {
    title: String,
    name: Option<String>,
    kind: WireKind,
    status: ToolCallStatus,
    paths: Vec<PathBuf>,
    diffs: Vec<PathBuf>,
    input: Value,
}

/// The calls.
#[derive(Debug, Default)]
pub(super) struct ToolCalls(HashMap<String, Call>);

/// What is new about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It was not known before.
    First,
    /// It is over, and was not before.
    Over,
    /// Nothing that is worth a line.
    Little,
}

/// Who asks, and from where.
pub(super) struct Asker<'a> {
    pub(super) run: &'a RunId,
    pub(super) agent: &'a str,
    pub(super) cwd: &'a Path,
}

impl ToolCalls {
    /// Adds what an announcement, an update or a request says. Fields that are not there stay as they were.
    pub(super) fn upsert(&mut self, update: ToolCallUpdate) -> News {
        let id = update.tool_call_id.0.to_string();
        if self.0.len() >= MAX && !self.0.contains_key(&id) {
            self.0.clear();
        }
        let first = !self.0.contains_key(&id);
        let call = self.0.entry(id).or_default();
        let was_over = call.over();
        let fields = update.fields;
        if let Some(title) = fields.title {
            call.title = title;
        }
        call.name = fields.name.or(call.name.take());
        call.kind = fields.kind.unwrap_or(call.kind);
        call.status = fields.status.unwrap_or(call.status);
        if let Some(locations) = fields.locations {
            call.paths = locations.into_iter().map(|location| location.path).collect();
        }
        if let Some(content) = fields.content {
            let diff = |part| match part {
                ToolCallContent::Diff(diff) => Some(diff.path),
                _ => None,
            };
            call.diffs = content.into_iter().filter_map(diff).collect();
        }
        if let Some(input) = fields.raw_input {
            call.input = input;
        }
        match (was_over, call.over()) {
            (false, true) => News::Over,
            _ if first => News::First,
            _ => News::Little,
        }
    }

    /// A line for the transcript: "edit, completed: Write hello.txt (src/hello.txt)".
    pub(super) fn line(&self, id: &str, cwd: &Path) -> String {
        let Some(call) = self.0.get(id) else { return String::new() };
        let status = match call.status {
            ToolCallStatus::Completed => ", completed",
            ToolCallStatus::Failed => ", failed",
            _ => "",
        };
        let short = |path: &PathBuf| path.strip_prefix(cwd).unwrap_or(path).display().to_string();
        let mut paths: Vec<String> = call.paths.iter().chain(&call.diffs).map(short).collect();
        paths.dedup();
        paths.retain(|path| !call.title.contains(path.as_str()));
        let paths = if paths.is_empty() { String::new() } else { format!(" ({})", paths.join(", ")) };
        let title = if call.title.is_empty() { id } else { &call.title };
        format!("{}{status}: {title}{paths}", kind(call.kind).as_str())
    }

    /// What is asked about the call.
    pub(super) fn ask(&self, id: &str, asker: &Asker<'_>) -> Ask {
        let call = self.0.get(id).cloned().unwrap_or_default();
        let base = string_at(&call.input, &["cwd", "workdir", "working_directory"]);
        let base = base.map_or_else(|| asker.cwd.to_owned(), |base| asker.cwd.join(base));
        let mut paths: Vec<PathBuf> = call.paths.iter().chain(&call.diffs).cloned().collect();
        paths.extend(strings_at(&call.input, &PATH_KEYS).into_iter().map(PathBuf::from));
        let mut asked: Vec<AskedPath> = Vec::new();
        for path in paths {
            add(&mut asked, asker, &base.join(path));
        }
        let command = command(&call);
        // A command works in its folder.
        if command.is_some() && base != asker.cwd {
            add(&mut asked, asker, &base);
        }
        let mut hosts: Vec<String> =
            strings_at(&call.input, &URL_KEYS).iter().filter_map(|url| host(url)).collect();
        hosts.extend(command.iter().flat_map(|command| hosts_in(&command.text())));
        hosts.sort();
        hosts.dedup();
        Ask {
            run: asker.run.clone(),
            agent: asker.agent.to_owned(),
            call: id.to_owned(),
            title: clean(&call.title),
            tool: call.name.as_deref().map(clean),
            kind: kind(call.kind),
            paths: asked,
            command,
            hosts,
        }
    }
}

/// Adds a path. One that is named in two ways counts as outside if one of them leads out.
fn add(asked: &mut Vec<AskedPath>, asker: &Asker<'_>, path: &Path) {
    let (inside, path) = (files::is_inside(asker.cwd, path), files::normal(path));
    match asked.iter_mut().find(|known| known.path == path) {
        Some(known) => known.inside &= inside,
        None => asked.push(AskedPath { path, inside }),
    }
}

impl Call {
    fn over(&self) -> bool {
        matches!(self.status, ToolCallStatus::Completed | ToolCallStatus::Failed)
    }
}

/// The command of a call. One that runs something without saying what is as unclear as can be.
fn command(call: &Call) -> Option<Command> {
    let given = COMMAND_KEYS.iter().find_map(|key| call.input.get(key));
    match given {
        Some(Value::String(line)) => Some(Command::parse(line)),
        Some(Value::Array(words)) => {
            let all: Option<Vec<String>> =
                words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
            Some(all.map_or_else(|| Command::Unclear(call.title.clone()), Command::of_words))
        }
        Some(other) => Some(Command::Unclear(other.to_string())),
        None if call.kind == WireKind::Execute => Some(Command::Unclear(call.title.clone())),
        None => None,
    }
}

fn kind(kind: WireKind) -> ToolKind {
    match kind {
        WireKind::Read => ToolKind::Read,
        WireKind::Edit => ToolKind::Edit,
        WireKind::Delete => ToolKind::Delete,
        WireKind::Move => ToolKind::Move,
        WireKind::Search => ToolKind::Search,
        WireKind::Execute => ToolKind::Execute,
        WireKind::Think => ToolKind::Think,
        WireKind::Fetch => ToolKind::Fetch,
        WireKind::SwitchMode => ToolKind::SwitchMode,
        _ => ToolKind::Other,
    }
}

fn string_at(input: &Value, keys: &[&str]) -> Option<String> {
    strings_at(input, keys).into_iter().next()
}

/// The strings under these keys, also in lists and in objects below.
fn strings_at(input: &Value, keys: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![(false, input)];
    while let Some((wanted, value)) = rest.pop() {
        match value {
            Value::String(text) if wanted => found.push(text.clone()),
            Value::Array(items) => rest.extend(items.iter().map(|item| (wanted, item))),
            Value::Object(fields) => {
                rest.extend(fields.iter().map(|(key, value)| (keys.contains(&key.as_str()), value)));
            }
            _ => {}
        }
    }
    found.reverse();
    found
}

fn hosts_in(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')).filter_map(host).collect()
}

/// The host of an address: `https://user@example.org:8080/x` is `example.org`.
fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', '\\']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn update(value: Value) -> ToolCallUpdate {
        serde_json::from_value(value).unwrap()
    }

    fn ask(value: Value) -> Ask {
        let mut calls = ToolCalls::default();
        calls.upsert(update(value));
        let run = "A-1.1".parse().unwrap();
        calls.ask("1", &Asker { run: &run, agent: "test", cwd: Path::new("/work") })
    }

    #[test]
    fn calls_are_put_together_by_id() {
        let mut calls = ToolCalls::default();
        let cwd = Path::new("/work");
        // The request comes first.
        let asked =
            update(json!({"toolCallId": "1", "title": "Write a.rs", "kind": "edit", "status": "pending"}));
        assert_eq!(calls.upsert(asked), News::First);
        assert_eq!(
            calls.upsert(update(
                json!({"toolCallId": "1", "kind": "no such kind", "locations": [{"path": "/work/a.rs"}]})
            )),
            News::Little
        );
        assert_eq!(calls.line("1", cwd), "other: Write a.rs");
        assert_eq!(
            calls.upsert(update(json!({"toolCallId": "1", "kind": "edit", "status": "completed"}))),
            News::Over
        );
        assert_eq!(calls.upsert(update(json!({"toolCallId": "1", "status": "completed"}))), News::Little);
        assert_eq!(calls.line("1", cwd), "edit, completed: Write a.rs");
        assert_eq!(
            calls.upsert(update(
                json!({"toolCallId": "2", "status": "failed", "locations": [{"path": "/work/b"}]})
            )),
            News::Over
        );
        assert_eq!(calls.line("2", cwd), "other, failed: 2 (b)");
    }

    #[test]
    fn what_is_asked_holds_paths_commands_and_hosts() {
        let asked = ask(json!({"toolCallId": "1", "title": "Get it", "kind": "execute",
            "rawInput": {"command": ["bash", "-lc", "curl -o x https://u:p@Example.org:8080/a?b"], "workdir": "/tmp"}}));
        assert_eq!(asked.hosts, ["example.org"]);
        assert_eq!(
            asked.command,
            Some(Command::Unclear("curl -o x https://u:p@Example.org:8080/a?b".into()))
        );
        assert_eq!(asked.paths, [AskedPath { path: "/tmp".into(), inside: false }]);
        assert_eq!(
            ask(json!({"toolCallId": "1", "title": "Runs", "kind": "execute"})).command,
            Some(Command::Unclear("Runs".into()))
        );
        let asked = ask(
            json!({"toolCallId": "1", "kind": "edit", "content": [{"type": "diff", "path": "/work/a", "newText": ""}],
            "rawInput": {"edits": [{"filePath": "../x"}]}}),
        );
        let paths: Vec<_> = asked.paths.iter().map(|asked| asked.path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/work/a", "/x"]);
        assert!(!asked.paths[1].inside);
        assert_eq!(host("http://[::1]:80/"), Some("::1".into()));
        assert_eq!(host("no address"), None);
    }
}
