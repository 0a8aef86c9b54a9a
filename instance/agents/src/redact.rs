//! Known secret values, taken out of text before it is stored. Not a guess at what a secret might look like.
//!
//! It works on text that is already free of control characters: an escape sequence in the middle of a secret would
//! hide it.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// A line of a secret with several lines is looked for on its own from this many bytes: output is read line by line.
const SHORTEST_LINE: usize = 8;

/// The secrets to take out, longest first, so that one that contains another goes as a whole.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<SecretString>,
}

impl Redactor {
    /// Knows these secrets. Blank ones are left out.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut redactor = Self::default();
        redactor.learn(secrets);
        redactor
    }

    /// Knows these secrets too, from now on.
    pub fn learn<'a>(&mut self, secrets: impl IntoIterator<Item = &'a SecretString>) {
        for secret in secrets {
            let whole = secret.expose_secret();
            self.add(whole.trim());
            if whole.trim().contains('\n') {
                for line in whole.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE) {
                    self.add(line);
                }
            }
        }
        self.secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose_secret().len()));
    }

    fn add(&mut self, text: &str) {
        if !text.is_empty() && !self.secrets.iter().any(|known| known.expose_secret() == text) {
            self.secrets.push(SecretString::from(text.to_owned()));
        }
    }

    /// The text without the secrets.
    pub fn redact(&self, mut text: String) -> String {
        for secret in &self.secrets {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), MARK);
            }
        }
        text
    }

    /// The length of the longest secret in bytes: what may hang over the end of a text that was cut.
    pub(crate) fn longest(&self) -> usize {
        self.secrets.first().map_or(0, |secret| secret.expose_secret().len())
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(secrets: &[&str], input: &str, expect: &str) {
        let secrets: Vec<SecretString> =
            secrets.iter().map(|s| SecretString::from((*s).to_owned())).collect();
        assert_eq!(Redactor::new(&secrets).redact(input.to_owned()), expect);
    }

    #[test]
    fn secrets_go_longest_first() {
        check(&["abc", "abcdef"], "abcdef abc", "[redacted] [redacted]");
        check(&["", "  "], "nothing to hide", "nothing to hide");
        check(&["token\n"], "a token here", "a [redacted] here");
        check(&["-----BEGIN-----\nMIIEvQIBADAN\nab\n"], "MIIEvQIBADAN ab", "[redacted] ab");
    }

    #[test]
    fn debug_shows_no_secret() {
        let redactor = Redactor::new(&[SecretString::from("hunter2".to_owned())]);
        assert_eq!(format!("{redactor:?}"), "Redactor(1 secrets)");
    }
}
