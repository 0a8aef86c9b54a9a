//! What a person trusted, by the hash of all that a tool says of itself. A tool that says anything else is another tool.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use qd_approvals::inert;
use serde::{Deserialize, Serialize};

use super::Described;

/// Lines of a difference that are shown.
const SHOWN: usize = 40;

/// Longest line of it, in characters.
const LINE: usize = 160;

/// The trusted tools of a server, as a file: `pins.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    tools: BTreeMap<String, Pin>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pin {
    hash: String,
    tool: Described,
}

/// Whether a tool is what a person trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is.
    Pinned,
    /// Nobody looked at it yet.
    New,
    /// It is not: what differs, line by line.
    Changed(String),
}

/// Why the file can't be used. Then nothing is trusted.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// It can't be read or written.
    #[error("the trusted tools in {} can't be {doing}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// "read" or "written".
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("the trusted tools in {} are not well formed: {problem}; take the file away, and trust the tools anew", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

impl Pins {
    /// Reads the file; one that is not there trusts nothing.
    pub fn read(path: &Path) -> Result<Self, PinsError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(PinsError::File { path: path.to_owned(), doing: "read", source }),
        };
        let corrupt = |problem: String| PinsError::Corrupt { path: path.to_owned(), problem };
        let pins: Self = serde_json::from_slice(&text).map_err(|error| corrupt(error.to_string()))?;
        let is_whole = |(name, pin): (&String, &Pin)| {
            *name == pin.tool.name && pin.tool.hash().as_deref() == Some(pin.hash.as_str())
        };
        if pins.tools.iter().all(is_whole) {
            Ok(pins)
        } else {
            Err(corrupt("a hash is not the one of its tool".to_owned()))
        }
    }

    /// Writes the file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), PinsError> {
        let failed = |source: io::Error| PinsError::File { path: path.to_owned(), doing: "written", source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        let half = path.with_extension("half");
        fs::write(&half, text).and_then(|()| fs::rename(&half, path)).map_err(failed)
    }

    /// A person trusts a tool, as it is described. `false` if it can't be hashed.
    pub fn trust(&mut self, tool: &Described) -> bool {
        let Some(hash) = tool.hash() else { return false };
        self.tools.insert(tool.name.clone(), Pin { hash, tool: tool.clone() });
        true
    }

    /// The tools that a person trusted, as they were described then.
    pub fn trusted(&self) -> impl Iterator<Item = &Described> {
        self.tools.values().map(|pin| &pin.tool)
    }

    /// Whether a tool is what a person trusted.
    pub fn trust_of(&self, tool: &Described) -> Trust {
        match self.tools.get(&tool.name) {
            None => Trust::New,
            Some(pin) if tool.hash().as_deref() == Some(pin.hash.as_str()) => Trust::Pinned,
            Some(pin) => Trust::Changed(difference(&pin.tool, tool)),
        }
    }
}

/// What was taken away and what came, in order; what can't be seen is written out.
pub(super) fn difference(before: &Described, now: &Described) -> String {
    let (before, now) = (before.lines(), now.lines());
    let start = before.iter().zip(&now).take_while(|(one, other)| one == other).count();
    let (gone, came) = (before.get(start..).unwrap_or_default(), now.get(start..).unwrap_or_default());
    let end = gone.iter().rev().zip(came.iter().rev()).take_while(|(one, other)| one == other).count();
    let gone = gone.get(..gone.len() - end).unwrap_or_default();
    let came = came.get(..came.len() - end).unwrap_or_default();
    let marked = |mark: &'static str, lines: &[String], others: &[String]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().collect();
        let alone = lines.iter().filter(|line| !others.contains(line));
        alone.map(|line| format!("{mark} {}", inert::plain(line.trim_end(), LINE))).collect()
    };
    let mut lines = marked("-", gone, came);
    lines.extend(marked("+", came, gone));
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("… and {more} more lines"));
    }
    lines.join("\n")
}
