//! Results that are too long for an answer, kept whole for a while. Each can be read by the caller that it was made for, and
//! by nobody else.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Bytes that are kept in all; the oldest go first.
const KEPT: usize = 16 * 1024 * 1024;

/// The start of every address.
pub(crate) const SCHEME: &str = "quarterdeck://output/";

/// The whole of a result, by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// `quarterdeck://output/<call>`.
    pub uri: String,
    /// Bytes.
    pub size: usize,
}

/// A result that is kept.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    uri: String,
    caller: String,
    /// The tool that gave it.
    pub(crate) tool: String,
    pub(crate) text: String,
}

/// What is kept.
#[derive(Debug, Default)]
pub(crate) struct Outputs(Mutex<VecDeque<Kept>>);

impl Outputs {
    /// Keeps a text. `None` if it is larger than all that is kept.
    pub(crate) fn keep(&self, caller: &str, call: &str, tool: &str, text: String) -> Option<Link> {
        let link = Link { uri: format!("{SCHEME}{call}"), size: text.len() };
        if link.size > KEPT {
            return None;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(Kept {
            uri: link.uri.clone(),
            caller: caller.to_owned(),
            tool: tool.to_owned(),
            text,
        });
        let mut total: usize = kept.iter().map(|one| one.text.len()).sum();
        while total > KEPT {
            total -= kept.pop_front().map_or(total, |one| one.text.len());
        }
        Some(link)
    }

    /// The whole, if it is kept and this caller's.
    pub(crate) fn read(&self, caller: &str, uri: &str) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|one| one.uri == uri && one.caller == caller).cloned()
    }

    /// The whole, which is not kept any longer.
    pub(crate) fn take(&self, caller: &str, uri: &str) -> Option<String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|one| one.uri == uri && one.caller == caller)?;
        kept.remove(at).map(|one| one.text)
    }

    /// What is kept for this caller, oldest first.
    pub(crate) fn of(&self, caller: &str) -> Vec<Link> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = kept.iter().filter(|one| one.caller == caller);
        theirs.map(|one| Link { uri: one.uri.clone(), size: one.text.len() }).collect()
    }
}

/// The beginning of a text, at most `max` bytes of it, not in the middle of a letter.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_its_callers_alone() {
        let outputs = Outputs::default();
        let link = outputs.keep("a", "1", "t", "whole".to_owned()).unwrap();
        let read = |caller: &str| outputs.read(caller, &link.uri).map(|kept| kept.text);
        assert_eq!(read("a").as_deref(), Some("whole"));
        assert_eq!(read("b"), None);
        assert!(outputs.of("b").is_empty());
        assert_eq!(outputs.keep("a", "2", "t", "x".repeat(KEPT + 1)), None);
        outputs.keep("b", "3", "t", "x".repeat(KEPT)).unwrap();
        assert_eq!(read("a"), None, "the oldest goes first");
    }

    #[test]
    fn a_cut_keeps_letters_whole() {
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä");
        assert_eq!(cut("a", 9), "a");
    }
}
