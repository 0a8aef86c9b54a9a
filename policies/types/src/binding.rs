//! What an action is bound to beside itself: the tool, its arguments, the target as it is now, the policies that decided.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ApprovalId, SubjectError};

/// Largest whole number that canonical JSON keeps apart from its neighbours (RFC 8785 writes numbers as doubles).
const EXACT: u64 = (1 << 53) - 1;

/// Everything around an action that must still be so when it is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Binding {
    /// The tool that would act, if it is one.
    pub tool: Option<Tool>,
    /// Its arguments, as they would be given to it.
    pub arguments: Value,
    /// What it acts on, as the executor names it: `sample main #12`, `vm-101`.
    pub target: String,
    /// Fingerprint of the target's live state: a sha, an etag, a hash of what was read.
    pub fingerprint: String,
    /// Hash of the policies that decided, as lower-case hex.
    pub policies: String,
    /// Requesters that were known by an account alone when it was asked for. Whoever turns out to be one of them does not
    /// decide.
    pub askers: Vec<Identity>,
    /// The expired approval that a person opened again.
    pub reopens: Option<ApprovalId>,
}

/// A tool, and what it said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// Its full name: `docker.remove_container`.
    pub name: String,
    /// SHA-256 of its definition (name, description, schema), as lower-case hex.
    pub definition: String,
}

/// An account on a service: `discord` and a user id, `github` and a login, `local` and a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// Which service.
    pub service: String,
    /// Which account there.
    pub account: String,
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.service, self.account)
    }
}

impl Binding {
    /// Refuses what canonical JSON would blur: two arguments must never share a digest.
    pub(crate) fn is_exact(value: &Value) -> Result<(), SubjectError> {
        match value {
            Value::Number(number) => {
                let exact = number.as_f64().is_some_and(f64::is_finite)
                    && number.as_u64().is_none_or(|n| n <= EXACT)
                    && number.as_i64().is_none_or(|n| n.unsigned_abs() <= EXACT);
                if exact { Ok(()) } else { Err(SubjectError::Inexact { number: number.to_string() }) }
            }
            Value::Array(items) => items.iter().try_for_each(Self::is_exact),
            Value::Object(fields) => fields.values().try_for_each(Self::is_exact),
            Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        }
    }
}
