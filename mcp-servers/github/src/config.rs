//! What a person allows this server: one repository, and what may be changed of it.

use serde::Deserialize;

/// `[mcp.github]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `acme/widget`. No call can name another one.
    pub repository: String,
    /// The labels that may be put on and taken off; none if nothing is said.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How the branches begin that pull requests open from.
    #[serde(default = "branches")]
    pub branches: String,
}

fn branches() -> String {
    "quarterdeck/".to_owned()
}
