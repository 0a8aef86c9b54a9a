//! Reading a payload of which the sender may know more than the reader: a kind that is unknown here is kept and skipped, a
//! kind that is known and makes no sense is refused.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Order, Report};

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

    /// Its own kind, by its tag; empty for what has none.
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

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<T> {
    /// It says something that is understood here.
    Known(T),
    /// It is of a kind that a newer sender knows: kept, and skipped with a warning.
    Unknown {
        /// Its tag.
        kind: String,
    },
}

/// A payload that is not understood here. It is kept, skipped with a warning, and acknowledged: it never blocks what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Why, for people.
    pub why: String,
    /// The payload, exactly as it came.
    pub payload: String,
}

impl Unread {
    fn or<T: Kind>(payload: &str, unread: impl FnOnce(Self) -> T) -> T {
        let why = match read::<T>(payload.as_bytes()) {
            Ok(Read::Known(known)) => return known,
            Ok(Read::Unknown { kind }) => {
                format!(
                    "A newer version of the wire has the kind {kind}, and {} does not know it.",
                    super::WIRE
                )
            }
            Err(error) => format!("What came makes no sense: {error}."),
        };
        unread(Self { why, payload: payload.to_owned() })
    }
}

impl Report {
    /// What a payload says; [`Report::Unread`] if that is not understood.
    pub fn read(payload: &str) -> Self {
        Unread::or(payload, Self::Unread)
    }
}

impl Order {
    /// What a payload says; [`Order::Unread`] if that is not understood.
    pub fn read(payload: &str) -> Self {
        Unread::or(payload, Self::Unread)
    }
}

/// Why a payload says nothing. It is refused, acknowledged, and never blocks what follows.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON object with a tag.
    #[error("it is no {what}: it has no field {tag} that names its kind")]
    Untagged {
        /// `report` or `order`.
        what: &'static str,
        /// The field.
        tag: &'static str,
    },
    /// Its kind is known, and the rest of it is not what that kind has.
    #[error("a {kind} has other fields than version {wire} of the wire gives it: {source}")]
    Fields {
        /// Its tag.
        kind: String,
        /// The version that is spoken here.
        wire: super::WireVersion,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Reads a payload.
///
/// # Errors
/// If it makes no sense in any version of this major.
pub fn read<T: Kind>(payload: &[u8]) -> Result<Read<T>, ReadError> {
    #[derive(Deserialize)]
    struct Tagged {
        report: Option<String>,
        order: Option<String>,
    }
    let error = match serde_json::from_slice::<T>(payload) {
        Ok(known) => return Ok(Read::Known(known)),
        Err(error) => error,
    };
    let untagged = ReadError::Untagged { what: T::TAG, tag: T::TAG };
    let Ok(Tagged { report, order }) = serde_json::from_slice(payload) else { return Err(untagged) };
    let Some(kind) = (if T::TAG == "report" { report } else { order }) else { return Err(untagged) };
    if T::kinds().contains(&kind) {
        return Err(ReadError::Fields { kind, wire: super::WIRE, source: error });
    }
    Ok(Read::Unknown { kind })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::Shown;

    #[test]
    fn kinds_are_known_by_their_tags() {
        insta::assert_snapshot!(Vec::from_iter(Report::kinds()).join(" "), @"alert answer approval audit_head audit_signed blocked cost feature fleet_query forge_request heard heartbeat hello milestone refused run_finished shown snapshot told vote");
        insta::assert_snapshot!(Vec::from_iter(Order::kinds()).join(" "), @"announcement approval audit_head audit_signed bot_keys check_result command fleet_answer forge_outcome issue reload reopen review rotate_key trail vote");
        let order = Order::RotateKey { old: String::new() };
        assert_eq!(order.kind(), "rotate_key");
    }

    #[test]
    fn what_is_newer_is_skipped_and_what_makes_no_sense_is_refused() {
        let newer = br#"{"report": "weather", "clouds": 3}"#;
        assert_eq!(read::<Report>(newer).unwrap(), Read::Unknown { kind: "weather".into() });
        let said = |payload: &[u8]| read::<Report>(payload).unwrap_err().to_string();
        insta::assert_snapshot!(said(br#"{"report": "shown"}"#), @"a shown has other fields than version 1.2 of the wire gives it: missing field `approval`");
        insta::assert_snapshot!(said(br#"{"order": "shown"}"#), @"it is no report: it has no field report that names its kind");
        insta::assert_snapshot!(said(b"[1]"), @"it is no report: it has no field report that names its kind");
    }

    #[test]
    fn a_field_that_is_newer_is_no_hindrance() {
        let id = "a/01K6Z3NDEKTSV4RRFFQ69G5FAV";
        let report = Report::Shown(Shown { approval: id.parse().unwrap() });
        let mut value = serde_json::to_value(&report).unwrap();
        value.as_object_mut().unwrap().insert("weather".into(), "fine".into());
        let payload = serde_json::to_vec(&value).unwrap();
        assert_eq!(read::<Report>(&payload).unwrap(), Read::Known(report));
    }
}
