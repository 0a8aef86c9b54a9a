//! What differs between what was approved and what is about to be done, in words.

use std::{collections::BTreeSet, fmt};

use qd_types::Subject;
use serde_json::Value;

use crate::inert;

/// Longest part of a value that is shown.
const SHOWN: usize = 60;

/// One field that is not as it was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which field, in words: `argument replicas`.
    pub field: String,
    /// As it was approved; `None` if it was not there.
    pub approved: Option<String>,
    /// As it is now.
    pub now: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(f, "{} (approved: {}; now: {})", self.field, of(&self.approved), of(&self.now))
    }
}

/// Every field that differs, in the order of their names. Empty if the subjects are the same.
pub fn between(approved: &Subject, now: &Subject) -> Vec<Difference> {
    let value = |subject: &Subject| serde_json::to_value(subject).unwrap_or(Value::Null);
    let mut found = Vec::new();
    walk("", Some(&value(approved)), Some(&value(now)), &mut found);
    found
}

/// The differences as one sentence.
pub fn sentence(differences: &[Difference]) -> String {
    let all: Vec<String> = differences.iter().map(ToString::to_string).collect();
    format!("What was approved is not what would be done: {}.", all.join(", "))
}

fn walk(path: &str, approved: Option<&Value>, now: Option<&Value>, found: &mut Vec<Difference>) {
    if approved == now {
        return;
    }
    match (approved, now) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let keys: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            for key in keys {
                walk(&format!("{path}/{key}"), one.get(key), other.get(key), found);
            }
        }
        _ => found.push(Difference { field: name(path), approved: show(approved), now: show(now) }),
    }
}

fn show(value: Option<&Value>) -> Option<String> {
    let text = match value? {
        Value::Null => return None,
        Value::String(text) if is_hash(text) => text.chars().take(12).collect(),
        Value::String(text) => format!("“{text}”"),
        other => other.to_string(),
    };
    Some(inert::plain(&text, SHOWN))
}

/// A hash is told apart by its first digits.
fn is_hash(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A path into the subject as people say it.
fn name(path: &str) -> String {
    const WORDS: [(&str, &str); 12] = [
        ("/action/does", "what it does"),
        ("/binding/tool/name", "the tool"),
        ("/binding/tool/definition", "the definition of the tool"),
        ("/binding/tool", "the tool"),
        ("/binding/target", "the target"),
        ("/binding/fingerprint", "the state of the target"),
        ("/binding/policies", "the policies"),
        ("/binding/arguments", "the arguments"),
        ("/requirement/count", "the number of people who decide"),
        ("/requirement/roles", "the roles that decide"),
        ("/requirement/solo", "whether a requester may decide"),
        ("/action/action", "the kind of action"),
    ];
    if let Some((_, word)) = WORDS.iter().find(|(at, _)| *at == path) {
        return (*word).to_owned();
    }
    let dotted = |rest: &str| inert::plain(&rest.replace('/', "."), SHOWN);
    match (path.strip_prefix("/binding/arguments/"), path.strip_prefix("/action/")) {
        (Some(rest), _) => format!("the argument {}", dotted(rest)),
        (None, Some(rest)) => format!("the action's {}", dotted(rest)),
        (None, None) => format!("the subject's {}", dotted(path.trim_start_matches('/'))),
    }
}
