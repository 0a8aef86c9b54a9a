//! Where a value came from. Not what it is: that is the configuration itself.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use toml::Value;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A line of a file.
    File {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Env(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// By key.
pub(crate) type Origins = BTreeMap<String, Origin>;

/// Notes where everything in `value` came from. A list replaces the list of an earlier layer as a whole, so what was
/// known about that one's entries is forgotten.
pub(crate) fn note(
    origins: &mut Origins,
    path: &mut Vec<String>,
    value: &Value,
    around: &Origin,
    at: &dyn Fn(&str) -> Option<Origin>,
) {
    let key = path.join(".");
    let origin = at(&key).unwrap_or_else(|| around.clone());
    let mut inside = |part: String, value: &Value, origins: &mut Origins| {
        path.push(part);
        note(origins, path, value, &origin, at);
        path.pop();
    };
    match value {
        Value::Table(table) => {
            if !key.is_empty() {
                origins.entry(key).or_insert_with(|| origin.clone());
            }
            for (part, value) in table {
                inside(part.clone(), value, origins);
            }
        }
        Value::Array(items) => {
            let below = format!("{key}.");
            origins.retain(|key, _| !key.starts_with(&below));
            origins.insert(key, origin.clone());
            for (index, value) in items.iter().enumerate() {
                inside(index.to_string(), value, origins);
            }
        }
        _ => {
            origins.insert(key, origin);
        }
    }
}

/// The origin of a key, or of the nearest thing around it.
pub(crate) fn nearest_origin(origins: &Origins, key: &str) -> Option<Origin> {
    let mut key = key;
    loop {
        if let Some(origin) = origins.get(key) {
            return Some(origin.clone());
        }
        key = key.rsplit_once('.')?.0;
    }
}
