//! What happened, as text: the same seed gives the same bytes.

use std::fmt::{self, Write as _};

use crate::network::Millis;

/// Lines of a simulation.
#[derive(Debug, Default)]
pub struct Trace {
    text: String,
}

impl Trace {
    /// Writes a line.
    pub fn line(&mut self, now: Millis, what: fmt::Arguments<'_>) {
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{now:>7} {what}");
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The last lines, for whoever looks for a cause.
    pub fn tail(&self, lines: usize) -> String {
        let all: Vec<&str> = self.text.lines().collect();
        all.iter().skip(all.len().saturating_sub(lines)).copied().collect::<Vec<_>>().join("\n")
    }
}

/// A short name for bytes: the same bytes have the same one (FNV-1a).
pub fn fingerprint(bytes: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for byte in bytes {
        hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    hash
}
