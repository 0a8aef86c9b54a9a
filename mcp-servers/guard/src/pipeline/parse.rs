//! Arguments into types, strictly; and what is not this caller's business.

use std::sync::Arc;

use qd_approvals::inert;
use serde_json::{Map, Value};

use super::{Incoming, Refusal, Stage};
use crate::{Caller, Guard, entry::Entry, schema::DRY_RUN, strict};

/// Texts in which look-alikes are shown.
const SHOWN: usize = 5;

/// A call that is well formed, to a tool that the caller may know of.
pub(super) struct Parsed {
    pub(super) entry: Arc<Entry>,
    pub(super) input: Value,
    pub(super) dry_run: bool,
    /// What a reader should know about the arguments.
    pub(super) notes: Vec<String>,
}

impl Guard {
    pub(super) fn parse(&self, caller: &Caller, incoming: Incoming) -> Result<Parsed, Refusal> {
        if let Some(reason) = incoming.refused {
            return Err(unfit(&reason));
        }
        let Some(entry) = self.find(caller, &incoming.name, &incoming.face) else {
            return Err(Refusal::no_tool(&incoming.name));
        };
        self.fitting(caller, entry, incoming.arguments)
    }

    /// The same for arguments of which the tool is known.
    pub(super) fn fitting(
        &self,
        caller: &Caller,
        entry: Arc<Entry>,
        arguments: Map<String, Value>,
    ) -> Result<Parsed, Refusal> {
        let Fitting { input, dry_run } = fit(caller, &entry, arguments)?;
        let mut notes = Vec::new();
        look_alikes("", &input, &mut notes);
        Ok(Parsed { entry, input, dry_run, notes })
    }
}

/// Arguments that a tool takes of this caller.
#[derive(Debug, PartialEq)]
pub(crate) struct Fitting {
    /// Its own, as they came.
    pub(crate) input: Value,
    pub(crate) dry_run: bool,
}

/// Arguments as a tool takes them, strictly.
pub(crate) fn fit(caller: &Caller, entry: &Entry, arguments: Map<String, Value>) -> Result<Fitting, Refusal> {
    let mut input = Value::Object(arguments);
    let size = serde_json::to_vec(&input).map_or(usize::MAX, |text| text.len());
    if size > strict::MAX_ARGUMENTS {
        return Err(unfit(&strict::too_large(size)));
    }
    if let Some(number) = inexact(&input) {
        return Err(unfit(&format!("the number {number} can't be kept exactly: give it as text")));
    }
    if let Some(problem) = entry.input.unfit(&input) {
        return Err(unfit(&problem));
    }
    let dry_run = entry.changes()
        && input.as_object_mut().and_then(|fields| fields.remove(DRY_RUN)) == Some(Value::Bool(true));
    entry.body.within(caller, &input).map_err(|fault| Refusal::fault(&fault).at(Stage::Scope))?;
    Ok(Fitting { input, dry_run })
}

impl Refusal {
    /// There is none of that name, or not for this caller.
    pub(crate) fn no_tool(name: &str) -> Self {
        let problem = format!("There is no tool {} for you here.", inert::plain(name, 64));
        Self::new(Stage::Scope, problem, "List the tools, and take one of those.")
    }
}

fn unfit(reason: &str) -> Refusal {
    Refusal::new(
        Stage::Parse,
        format!("The arguments are refused: {}.", inert::plain(reason, 600)),
        "Look at the tool's schema, and call it anew.",
    )
}

fn inexact(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => (!strict::is_exact(number)).then(|| number.to_string()),
        Value::Array(items) => items.iter().find_map(inexact),
        Value::Object(fields) => fields.values().find_map(inexact),
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// Notes of texts that are not what they look like.
fn look_alikes(path: &str, value: &Value, notes: &mut Vec<String>) {
    if notes.len() >= SHOWN {
        return;
    }
    match value {
        Value::String(text) if !text.is_ascii() || text.chars().any(char::is_control) => {
            let told = inert::warnings(text, &[]);
            notes.extend(told.iter().map(|warning| {
                format!("{}: {warning} It reads: {}", path.trim_start_matches('/'), inert::plain(text, 80))
            }));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                look_alikes(&format!("{path}/{index}"), item, notes);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                look_alikes(&format!("{path}/{}", inert::plain(name, 32)), item, notes);
            }
        }
        _ => {}
    }
}
