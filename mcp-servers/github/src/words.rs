//! Words of a call that go into addresses, and words that go to people.

use qd_guard::Fault;
use sha2::{Digest as _, Sha256};

/// A commit: 40 small hexadecimal digits.
pub(crate) fn sha(text: &str) -> Result<&str, Fault> {
    if text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
        return Ok(text);
    }
    Err(Fault::failed("That is no commit.", "Name it by its 40 small digits, as show_pull_request does."))
}

/// A branch, as git takes it and plainer: nothing in it is a path, an option or a query.
pub(crate) fn branch(text: &str) -> Result<&str, Fault> {
    let plain = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
            && !part.ends_with('.')
            && !part.ends_with(".lock")
            && !part.contains("..")
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    if text.len() <= 200 && text.split('/').all(plain) {
        return Ok(text);
    }
    Err(Fault::failed(
        "That is no name of a branch.",
        "Name it as git does, in plain letters, digits, ., _, - and /.",
    ))
}

/// A text for people that wakes nobody: an `@` no longer begins a mention, and no comment of markup hides in it.
pub(crate) fn inert(text: &str) -> String {
    text.replace('@', "@\u{200b}").replace("<!--", "<\u{200b}!--")
}

/// The hidden mark by which what was written is found again.
pub(crate) fn mark(key: &str) -> String {
    format!("<!-- quarterdeck {key} -->")
}

/// A text of a call: not empty, and not longer than so many characters.
pub(crate) fn text<'a>(what: &str, text: &'a str, most: usize) -> Result<&'a str, Fault> {
    if !text.trim().is_empty() && text.chars().count() <= most {
        return Ok(text);
    }
    Err(Fault::failed(format!("The {what} is empty, or longer than {most} characters."), "Write it shorter."))
}

/// The hash of parts, each kept apart from the next.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_no_path_and_no_option() {
        for good in ["main", "quarterdeck/a-1", "v1.2"] {
            assert!(branch(good).is_ok(), "{good}");
        }
        for odd in [
            "", "-x", "a/-x", "../a", "a/../b", "a//b", "/a", "a/", "a b", "a?x", "a#b", "a:b", "maіn",
            "a.lock", "a~1", "@{1}",
        ] {
            assert!(branch(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_text_wakes_nobody_and_forges_no_mark() {
        assert!(!inert("@acme/all").contains("@a"));
        assert!(!inert(&mark("alpha/1")).contains(&mark("alpha/1")));
    }
}
