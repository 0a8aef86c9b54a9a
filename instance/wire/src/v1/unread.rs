//! Reading a payload of which the sender may know more than the reader: what is not understood is kept as it came, skipped
//! with a warning, and acknowledged. It never blocks what follows.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Order, Report};

/// A payload of a kind, or with a shape, that is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What it calls itself, if it says so.
    pub kind: String,
    /// Why it is not understood.
    pub why: String,
    /// The payload, exactly as it came.
    pub payload: String,
}

impl Unread {
    fn new(tag: &str, payload: &str, error: &serde_json::Error) -> Self {
        let value: Option<Value> = serde_json::from_str(payload).ok();
        let kind = value.as_ref().and_then(|value| value.get(tag)?.as_str()).unwrap_or("nothing known");
        Self { kind: kind.to_owned(), why: error.to_string(), payload: payload.to_owned() }
    }
}

impl Report {
    /// What a payload says. What is not understood, as of a newer version, is kept as it came.
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload)
            .unwrap_or_else(|error| Self::Unread(Unread::new(Self::TAG, payload, &error)))
    }
}

impl Order {
    /// What a payload says. What is not understood, as of a newer version, is kept as it came.
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload)
            .unwrap_or_else(|error| Self::Unread(Unread::new(Self::TAG, payload, &error)))
    }
}

/// What can travel in an envelope: one of several kinds, told apart by a tag.
pub trait Kind: Serialize + DeserializeOwned + JsonSchema {
    /// The field that names the kind.
    const TAG: &'static str;

    /// The kinds that are known here, by their tag.
    fn kinds() -> BTreeSet<String> {
        let schema = schemars::schema_for!(Self).to_value();
        let variants = schema.get("oneOf").and_then(Value::as_array);
        let tag = |variant: &Value| {
            let tag = variant.get("properties")?.get(Self::TAG)?.get("const")?;
            tag.as_str().map(str::to_owned)
        };
        variants.into_iter().flatten().filter_map(tag).collect()
    }

    /// Its own kind, by its tag; empty for what is not understood.
    fn kind(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.get(Self::TAG).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

impl Kind for Report {
    const TAG: &'static str = "report";
}

impl Kind for Order {
    const TAG: &'static str = "order";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::Shown;

    #[test]
    fn kinds_are_known_by_their_tags() {
        insta::assert_snapshot!(Vec::from_iter(Report::kinds()).join(" "), @"");
        insta::assert_snapshot!(Vec::from_iter(Order::kinds()).join(" "), @"");
        assert_eq!(Order::RotateKey { old: String::new() }.kind(), "rotate_key");
    }

    #[test]
    fn a_field_that_is_newer_is_no_hindrance() {
        let id = "a/01K6Z3NDEKTSV4RRFFQ69G5FAV";
        let report = Report::Shown(Shown { approval: id.parse().unwrap() });
        let mut value = serde_json::to_value(&report).unwrap();
        value.as_object_mut().unwrap().insert("weather".into(), "fine".into());
        assert_eq!(Report::read(&value.to_string()), report);
    }
}
