//! A row as it is stored. Its fields are kept as they were read, not parsed: a row from a newer program is proven too, and
//! what is hashed is what is there.

use rusqlite::{Row as SqlRow, types::ValueRef};
use serde::{Deserialize, Serialize};

use crate::{RowHash, hash::Encoder};

/// The columns of a row, in the order that [`decode`] reads them.
pub(crate) const COLUMNS: &str =
    "seq, at, kind, actor, issue, feature, run, call, approval, payload, previous, hash";

/// A row of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// From 1, without gaps.
    pub seq: u64,
    /// Milliseconds since 1970.
    pub at: i64,
    /// See [`crate::Kind`].
    pub kind: String,
    /// See [`crate::Actor`].
    pub actor: String,
    /// The issue, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// The feature, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The run, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The tool call, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The approval, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// Canonical JSON, byte for byte as it was written.
    #[serde(with = "verbatim")]
    pub payload: String,
    /// The hash of the row before.
    pub previous: RowHash,
    /// The hash of all of the above.
    pub hash: RowHash,
}

impl Row {
    /// The hash that the row has to have.
    pub(crate) fn computed(&self) -> RowHash {
        self.computed_as(self.seq, self.previous)
    }

    /// The hash that the row would have at another place.
    pub(crate) fn computed_as(&self, seq: u64, previous: RowHash) -> RowHash {
        Encoder::new("quarterdeck audit row v1")
            .bytes(previous.as_bytes())
            .number(seq.cast_signed())
            .number(self.at)
            .text(&self.kind)
            .text(&self.actor)
            .maybe(self.issue.as_deref())
            .maybe(self.feature.as_deref())
            .maybe(self.run.as_deref())
            .maybe(self.call.as_deref())
            .maybe(self.approval.as_deref())
            .text(&self.payload)
            .hash()
    }
}

/// What was found at a place in the chain.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly always a row, and one at a time")]
pub(crate) enum Found {
    Row(Row),
    /// Something that is no row, and why.
    Unreadable {
        problem: String,
    },
}

/// Reads [`COLUMNS`]. What can't be read is a finding and not an error: somebody may have made it so.
pub(crate) fn decode(row: &SqlRow<'_>) -> Found {
    match read(row) {
        Ok(row) => Found::Row(row),
        Err(error) => Found::Unreadable { problem: error.to_string() },
    }
}

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        seq: row.get::<_, i64>(0)?.cast_unsigned(),
        at: row.get(1)?,
        kind: row.get(2)?,
        actor: row.get(3)?,
        issue: maybe(row, 4)?,
        feature: maybe(row, 5)?,
        run: maybe(row, 6)?,
        call: maybe(row, 7)?,
        approval: maybe(row, 8)?,
        payload: row.get(9)?,
        previous: row.get(10)?,
        hash: row.get(11)?,
    })
}

fn maybe(row: &SqlRow<'_>, index: usize) -> rusqlite::Result<Option<String>> {
    match row.get_ref(index)? {
        ValueRef::Null => Ok(None),
        _ => row.get(index).map(Some),
    }
}

/// JSON inside JSON, without parsing it: nothing is re-serialised to verify it.
mod verbatim {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de, ser};
    use serde_json::value::RawValue;

    pub(super) fn serialize<S: Serializer>(payload: &str, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(payload).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer).map_err(de::Error::custom)?;
        Ok(Box::<str>::from(raw).into())
    }
}
