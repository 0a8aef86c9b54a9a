//! Text from processes, made fit to store and to show: no control characters, no escape sequences, bounded.
//!
//! Not a terminal: colours and cursor movements are dropped, not interpreted.

use std::{borrow::Cow, collections::VecDeque};

use crate::redact::Redactor;

/// A line as a process wrote it, without its newline.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RawLine {
    /// At most `RAW_CAP` bytes of it.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes were left out at its end.
    pub(crate) dropped: u64,
}

/// So much of a line is held in memory. Four times what is stored: the rest lets secrets be found beyond the cut, and
/// leaves room for escape sequences.
pub(crate) const RAW_CAP: usize = 64 * 1024;

/// So much of a line, or of one entry's text, is stored.
pub(crate) const LINE_CAP: usize = 16 * 1024;

/// Cleaned, redacted, and cut to `cap` bytes with a mark that says how much is missing.
pub(crate) fn scrub(line: &RawLine, redactor: &Redactor, cap: usize) -> String {
    let text = redactor.redact(clean(&String::from_utf8_lossy(&line.bytes)));
    if line.dropped == 0 {
        return cut(text, cap, 0);
    }
    // What is left of a secret at the very end cannot be recognised any more, so the end goes.
    let keep = floor(&text, text.len().saturating_sub(redactor.longest())).min(cap);
    cut(text, keep, line.dropped)
}

fn cut(mut text: String, cap: usize, dropped: u64) -> String {
    if text.len() <= cap && dropped == 0 {
        return text;
    }
    let keep = floor(&text, cap);
    let missing = (text.len() - keep) as u64 + dropped;
    text.truncate(keep);
    text.push_str(&format!(" … (cut, {missing} bytes more)"));
    text
}

/// The largest boundary between characters at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The text without control characters, escape sequences, and the marks that turn the reading direction.
/// Newlines and tabs stay; a lone carriage return becomes a newline.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or("");
        rest = after;
        match c {
            '\u{1b}' => rest = after_escape(after),
            '\u{9b}' => rest = after_csi(after),
            '\n' | '\t' => out.push(c),
            '\r' if after.is_empty() || after.starts_with('\n') => {}
            '\r' => out.push('\n'),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// What follows an escape sequence whose ESC was just read. An unfinished one loses only its introducer.
fn after_escape(text: &str) -> &str {
    let mut chars = text.chars();
    match chars.next() {
        Some('[') => after_csi(chars.as_str()),
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let body = chars.as_str();
            let bell = body.find('\u{7}').map(|at| at + 1);
            let st = body.find("\u{1b}\\").map(|at| at + 2);
            let end = bell.into_iter().chain(st).min().unwrap_or(0);
            body.get(end..).unwrap_or("")
        }
        Some(' '..='/') => {
            let rest = chars.as_str().trim_start_matches(|c| matches!(c, ' '..='/'));
            rest.strip_prefix(|c| matches!(c, '0'..='~')).unwrap_or(rest)
        }
        Some('0'..='~') => chars.as_str(),
        _ => text,
    }
}

fn after_csi(text: &str) -> &str {
    let rest = text.trim_start_matches(|c| matches!(c, '0'..='?'));
    let rest = rest.trim_start_matches(|c| matches!(c, ' '..='/'));
    rest.strip_prefix(|c| matches!(c, '@'..='~')).unwrap_or(text)
}

/// The last lines of something, bounded in lines and bytes.
#[derive(Debug)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    bytes: usize,
    max_lines: usize,
    max_bytes: usize,
}

impl Tail {
    pub(crate) fn new(max_lines: usize, max_bytes: usize) -> Self {
        Self { lines: VecDeque::new(), bytes: 0, max_lines, max_bytes }
    }

    pub(crate) fn push(&mut self, line: &str) {
        self.bytes += line.len() + 1;
        self.lines.push_back(line.to_owned());
        while self.lines.len() > 1 && (self.lines.len() > self.max_lines || self.bytes > self.max_bytes) {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len() + 1);
        }
    }

    pub(crate) fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        self.lines().collect::<Vec<_>>().join("\n")
    }
}

/// The last `count` characters, without white space around them.
pub(crate) fn last_chars(text: &str, count: usize) -> Cow<'_, str> {
    let text = text.trim();
    match text.char_indices().rev().nth(count.saturating_sub(1)) {
        Some((at, _)) if at > 0 => Cow::Owned(text.get(at..).unwrap_or("").trim_start().to_owned()),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::SecretString;

    use super::*;

    fn check(input: &str, expect: &str) {
        assert_eq!(clean(input), expect, "{input:?}");
    }

    #[test]
    fn escapes_and_controls_go() {
        check("\u{1b}[1;31mred\u{1b}[0m", "red");
        check("\u{1b}]0;title\u{7}after", "after");
        check("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link");
        check("\u{1b}(Bplain\u{1b}7", "plain");
        check("\u{1b}]never ends", "never ends");
        check("\u{1b}[31", "31");
        check("a\u{0}\u{8}b\tc\nd\r\ne\u{85}\u{202e}", "ab\tc\nd\ne");
        check("10 %\r20 %\r", "10 %\n20 %");
        check("äöü ✓", "äöü ✓");
    }

    #[test]
    fn a_secret_that_hangs_over_the_cut_leaves_nothing() {
        let redactor = Redactor::new(&[SecretString::from("0123456789".to_owned())]);
        let line = RawLine { bytes: b"spam 01234".to_vec(), dropped: 100 };
        assert_eq!(scrub(&line, &redactor, 1000), " … (cut, 110 bytes more)");
        let whole = RawLine { bytes: b"0123456789 after".to_vec(), dropped: 0 };
        assert_eq!(scrub(&whole, &redactor, 5), "[reda … (cut, 11 bytes more)");
    }

    #[test]
    fn the_tail_is_bounded_twice() {
        let mut tail = Tail::new(3, 10);
        for line in ["a", "b", "c", "d"] {
            tail.push(line);
        }
        assert_eq!(tail.text(), "b\nc\nd");
        tail.push("eeeeeeee");
        assert_eq!(tail.text(), "eeeeeeee");
    }

    #[test]
    fn last_words() {
        assert_eq!(last_chars("  all of it \n", 500), "all of it");
        assert_eq!(last_chars("äöüß", 2), "üß");
        assert_eq!(last_chars("", 5), "");
    }

    proptest! {
        #[test]
        fn nothing_is_left_to_control_a_terminal(text in any::<String>(), more in "[\u{1b}\u{9b}\\[\\]0-9;A-Zm\r\n\u{7}]{0,40}") {
            let cleaned = clean(&format!("{text}{more}"));
            prop_assert!(cleaned.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            prop_assert_eq!(clean(&cleaned), cleaned);
        }

        #[test]
        fn the_cut_never_splits_a_character(text in any::<String>(), cap in 0usize..40) {
            let line = RawLine { bytes: text.clone().into_bytes(), dropped: 0 };
            let scrubbed = scrub(&line, &Redactor::default(), cap);
            let cleaned = clean(&text);
            prop_assert!(cleaned.starts_with(scrubbed.split(" … (cut").next().unwrap()) || cleaned.contains(" … (cut"));
        }
    }
}
