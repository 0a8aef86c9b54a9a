//! Values in rows are JSON. One that can't be read names its table.

use serde::{Serialize, de::DeserializeOwned};

use crate::HubError;

pub(crate) fn to_json<T: Serialize>(table: &'static str, value: &T) -> Result<String, HubError> {
    serde_json::to_string(value).map_err(|error| HubError::corrupt(table, error))
}

pub(crate) fn from_json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, HubError> {
    serde_json::from_str(text).map_err(|error| HubError::corrupt(table, error))
}
