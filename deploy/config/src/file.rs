//! One file of the configuration: its values, and the line of each. Not the merging: a file knows nothing of the others.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::Value;
use toml_edit::{Document, Item, TableLike, Value as EditValue};

use crate::{Origin, Problem};

/// The name that is looked for, upwards from the current folder.
const NAME: &str = "quarterdeck.toml";

/// What stands in a file.
pub(crate) struct File {
    /// The values; paths are absolute.
    pub(crate) layer: Value,
    /// The line of every key.
    pub(crate) lines: BTreeMap<String, usize>,
}

/// The nearest file, upwards.
pub(crate) fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(NAME)).find(|path| path.is_file())
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<File, Problem> {
    let at = |line| Some(Origin::File { path: path.to_owned(), line });
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        origin: None,
        text: format!("{} can't be read: {error}.", path.display()),
    })?;
    let document = Document::parse(text.as_str()).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(&text, span.start));
        Problem { origin: at(line), text: error.message().trim().to_owned() }
    })?;
    let mut lines = BTreeMap::new();
    note_table(document.as_table(), &text, &mut Vec::new(), &mut lines);
    let mut layer: Value = toml::from_str(&text)
        .map_err(|error| Problem { origin: at(1), text: error.message().trim().to_owned() })?;
    absolute(&mut layer, path.parent().unwrap_or(Path::new("/")));
    Ok(File { layer, lines })
}

fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

type Lines = BTreeMap<String, usize>;

fn note_table(table: &dyn TableLike, text: &str, path: &mut Vec<String>, lines: &mut Lines) {
    for (key, item) in table.iter() {
        path.push(key.to_owned());
        let key = table.get_key_value(key).and_then(|(key, _)| key.span());
        if let Some(span) = key.or_else(|| item.span()) {
            lines.insert(path.join("."), line_of(text, span.start));
        }
        match item {
            Item::ArrayOfTables(tables) => {
                for (index, table) in tables.iter().enumerate() {
                    path.push(index.to_string());
                    if let Some(span) = table.span() {
                        lines.insert(path.join("."), line_of(text, span.start));
                    }
                    note_table(table, text, path, lines);
                    path.pop();
                }
            }
            Item::Table(table) => note_table(table, text, path, lines),
            Item::Value(value) => note_value(value, text, path, lines),
            Item::None => {}
        }
        path.pop();
    }
}

fn note_value(value: &EditValue, text: &str, path: &mut Vec<String>, lines: &mut Lines) {
    match value {
        EditValue::InlineTable(table) => note_table(table, text, path, lines),
        EditValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                if let Some(span) = item.span() {
                    lines.insert(path.join("."), line_of(text, span.start));
                }
                note_value(item, text, path, lines);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Makes the paths of a layer absolute: they are relative to the file that says so.
pub(crate) fn absolute(layer: &mut Value, folder: &Path) {
    let fix = |value: &mut Value| {
        if let Value::String(text) = value {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    };

    let Value::Table(layer) = layer else { return };
    layer.get_mut("roots").and_then(Value::as_array_mut).into_iter().flatten().for_each(fix);
    layer.get_mut("state").and_then(|state| state.get_mut("dir")).into_iter().for_each(fix);
    layer.get_mut("policies").and_then(|policies| policies.get_mut("folder")).into_iter().for_each(fix);
    for repository in layer.get_mut("repositories").and_then(Value::as_array_mut).into_iter().flatten() {
        repository.get_mut("path").into_iter().for_each(fix);
    }
    for (_, agent) in layer.get_mut("agents").and_then(Value::as_table_mut).into_iter().flatten() {
        for secret in agent.get_mut("redact").and_then(Value::as_array_mut).into_iter().flatten() {
            secret.get_mut("file").into_iter().for_each(fix);
        }
    }
    if let Some(mcp) = layer.get_mut("mcp") {
        let roots = mcp.get_mut("docker").and_then(|docker| docker.get_mut("roots"));
        roots.and_then(Value::as_array_mut).into_iter().flatten().for_each(fix);
        for (_, server) in mcp.get_mut("servers").and_then(Value::as_table_mut).into_iter().flatten() {
            server.get_mut("write").and_then(Value::as_array_mut).into_iter().flatten().for_each(fix);
        }
    }
    let token = layer.get_mut("discord").and_then(|discord| discord.get_mut("token"));
    token.and_then(|token| token.get_mut("file")).into_iter().for_each(fix);
    if let Some(github) = layer.get_mut("github") {
        github.get_mut("key").into_iter().for_each(fix);
        for secret in ["token", "webhook_secret"] {
            github.get_mut(secret).and_then(|secret| secret.get_mut("file")).into_iter().for_each(fix);
        }
    }
    let Some(gateway) = layer.get_mut("gateway") else { return };
    gateway.get_mut("prices").into_iter().for_each(fix);
    for (_, provider) in gateway.get_mut("providers").and_then(Value::as_table_mut).into_iter().flatten() {
        provider.get_mut("key").and_then(|key| key.get_mut("file")).into_iter().for_each(fix);
    }
}
