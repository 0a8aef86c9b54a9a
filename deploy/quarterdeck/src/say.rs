//! Words on the terminal. A reader that has gone (`| head`) is no error.

use std::io::Write as _;

/// A line on standard output.
pub fn line(text: &str) {
    let _gone = writeln!(std::io::stdout(), "{text}");
}

/// A line on standard error.
pub fn note(text: &str) {
    let _gone = writeln!(std::io::stderr(), "{text}");
}

/// What went wrong, on standard error.
pub fn problem(text: &str) {
    note(&format!("quarterdeck: {text}"));
}

/// A value as JSON on standard output.
pub fn json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => problem(&format!("the answer has no JSON: {error}")),
    }
}

/// Rings the terminal's bell.
pub fn bell() {
    let mut out = std::io::stdout();
    let _gone = write!(out, "\u{7}").and_then(|()| out.flush());
}
