//! What titles and labels may be: GitHub's limits, so that what is accepted here is accepted there.

use qd_core::forge::ForgeError;

/// Longest title of a pull request or an issue, in characters (GitHub's limit).
const MAX_TITLE: usize = 256;

/// Longest name of a label, in characters (GitHub's limit).
const MAX_LABEL: usize = 50;

pub(crate) fn refused(reason: impl Into<String>) -> ForgeError {
    ForgeError::Refused { reason: reason.into() }
}

/// `what` is "the title of a pull request".
pub(crate) fn title(what: &str, title: &str) -> Result<(), ForgeError> {
    if title.trim().is_empty() {
        return Err(refused(format!("{what} is empty: say in one line what it is about")));
    }
    let length = title.chars().count();
    if length > MAX_TITLE {
        let over = format!("{what} has {length} characters, more than the {MAX_TITLE} that fit: shorten it");
        return Err(refused(over));
    }
    Ok(())
}

pub(crate) fn labels(labels: &[String]) -> Result<(), ForgeError> {
    for label in labels {
        let length = label.chars().count();
        if label.trim().is_empty() || length > MAX_LABEL {
            return Err(refused(format!(
                "a label has 1 to {MAX_LABEL} characters, {label:?} has {length}: rename it"
            )));
        }
    }
    Ok(())
}
