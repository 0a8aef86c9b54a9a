//! A configuration file of a coding agent: which servers stand in it, and how one is put behind the guard. Only what has to
//! change is written; comments and everything else stay as they are.

use jsonc_parser::{
    ParseOptions,
    cst::{CstInputValue, CstObject, CstRootNode},
};
use serde_json::Value;
use toml_edit::{DocumentMut, TableLike};

/// Where servers stand: Claude Code and Gemini, Codex, opencode, VS Code, Zed.
const KEYS: [&str; 5] = ["mcpServers", "mcp_servers", "mcp", "servers", "context_servers"];

/// JSON with comments, as editors read it, and nothing beyond.
const JSONC: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// A file, as it is edited.
pub(super) enum File {
    Toml(DocumentMut),
    Json(CstRootNode),
}

impl File {
    /// Reads it. Errors are sentences without a full stop.
    pub(super) fn read(text: &str, toml: bool) -> Result<Self, String> {
        if toml {
            return text.parse().map(Self::Toml).map_err(|error: toml_edit::TomlError| error.to_string());
        }
        let root = CstRootNode::parse(text, &JSONC).map_err(|error| format!("it is not JSON: {error}"))?;
        Ok(Self::Json(root))
    }

    /// What it says.
    pub(super) fn value(&self) -> Result<Value, String> {
        match self {
            Self::Toml(document) => toml::from_str(&document.to_string()).map_err(|error| error.to_string()),
            Self::Json(root) => {
                root.to_serde_value().ok_or_else(|| "it is not JSON: it says nothing".to_owned())
            }
        }
    }

    /// As text.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Toml(document) => document.to_string(),
            Self::Json(root) => root.to_string(),
        }
    }

    /// Has the server at this place started by quarterdeck, with these arguments in front of its own. `false` if it is not
    /// there as it was read.
    pub(super) fn start_with(&mut self, place: &[String], args: &[String]) -> bool {
        match self {
            Self::Toml(document) => {
                let mut table: Option<&mut dyn TableLike> = Some(document.as_table_mut());
                for name in place {
                    table =
                        table.and_then(|table| table.get_mut(name)).and_then(|item| item.as_table_like_mut());
                }
                table.is_some_and(|server| toml_start(server, args))
            }
            Self::Json(root) => {
                let mut object = root.object_value();
                for name in place {
                    object = object.and_then(|object| object.object_value(name));
                }
                object.is_some_and(|server| json_start(&server, args))
            }
        }
    }
}

fn toml_start(server: &mut dyn TableLike, args: &[String]) -> bool {
    let Some(command) = server.get_mut("command").and_then(|item| item.as_value_mut()) else { return false };
    // What people wrote behind it stays behind it.
    let decor = command.decor().clone();
    *command = "quarterdeck".into();
    *command.decor_mut() = decor;
    if server.get("args").is_none() {
        server.insert("args", toml_edit::value(toml_edit::Array::new()));
    }
    let Some(array) = server.get_mut("args").and_then(|item| item.as_array_mut()) else { return false };
    if let Some(first) = array.get_mut(0)
        && first.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().is_empty()
    {
        first.decor_mut().set_prefix(" ");
    }
    for (index, arg) in args.iter().enumerate() {
        array.insert(index, arg.as_str());
    }
    true
}

fn json_start(server: &CstObject, args: &[String]) -> bool {
    let text = |text: &str| CstInputValue::String(text.to_owned());
    // opencode has one list; older ones of Zed an object; everybody else a program and its arguments.
    if let Some(argv) = server.array_value("command") {
        for (index, arg) in std::iter::once("quarterdeck").chain(args.iter().map(String::as_str)).enumerate()
        {
            argv.insert(index, text(arg));
        }
        return true;
    }
    let (holder, key) = match server.object_value("command") {
        Some(command) => (command, "path"),
        None => (server.clone(), "command"),
    };
    let Some(program) = holder.get(key) else { return false };
    program.set_value(text("quarterdeck"));
    match holder.array_value("args") {
        Some(own) => args.iter().enumerate().for_each(|(index, arg)| {
            own.insert(index, text(arg));
        }),
        None if holder.get("args").is_some() => return false,
        None => {
            holder.append("args", CstInputValue::Array(args.iter().map(|arg| text(arg)).collect()));
        }
    }
    true
}

/// All servers that stand in a file, with their places.
pub(super) fn servers(whole: &Value) -> Vec<(Vec<String>, &Value)> {
    let mut found = Vec::new();
    for key in KEYS {
        below(whole, vec![key.to_owned()], &mut found);
    }
    // VS Code's settings have them a step further in; Claude Code has more for each project.
    below(whole, vec!["mcp".to_owned(), "servers".to_owned()], &mut found);
    let projects = whole.get("projects").and_then(Value::as_object);
    for name in projects.into_iter().flat_map(|projects| projects.keys()) {
        below(whole, vec!["projects".to_owned(), name.clone(), "mcpServers".to_owned()], &mut found);
    }
    found
}

fn below<'a>(whole: &'a Value, place: Vec<String>, found: &mut Vec<(Vec<String>, &'a Value)>) {
    let at = place.iter().try_fold(whole, |value, name| value.get(name));
    for (name, server) in at.and_then(Value::as_object).into_iter().flatten() {
        let is_server =
            ["command", "url", "httpUrl", "serverUrl", "type"].iter().any(|key| server.get(key).is_some());
        if is_server {
            let mut place = place.clone();
            place.push(name.clone());
            found.push((place, server));
        }
    }
}
