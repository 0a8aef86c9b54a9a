//! Secrets, taken out of text before it is stored: known values first, then what has the shape of a well-known kind of
//! key. A shape is a net below the values, not a promise: what looks like nothing in particular passes.
//!
//! It works on text that is already free of control characters: an escape sequence in the middle of a secret would
//! hide it.

use std::{borrow::Cow, fmt, sync::LazyLock};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use regex::Regex;
use secrecy::{ExposeSecret, SecretString};

/// What stands where a secret stood.
pub const MARK: &str = "[redacted]";

/// A line of a secret with several lines is looked for on its own from this many bytes: output is read line by line.
const SHORTEST_LINE: usize = 8;

/// A secret is looked for in base64 as well from this many bytes: a shorter one looks like anything else there.
const SHORTEST_ENCODED: usize = 8;

/// Shapes of keys, and what stands in their place. `$1` is what may stay.
const SHAPES: [(&str, &str); 13] = [
    (r"gh[pousr]_[A-Za-z0-9]{36,255}", MARK),
    (r"github_pat_[A-Za-z0-9_]{22,255}", MARK),
    (r"glpat-[A-Za-z0-9_\-]{20,}", MARK),
    (r"xox[abeprs]-[A-Za-z0-9\-]{10,}", MARK),
    (r"(?-u:\b)(?:AKIA|ASIA)[A-Z0-9]{16}(?-u:\b)", MARK),
    (r"(?-u:\b)AIza[A-Za-z0-9_\-]{35}", MARK),
    (r"(?-u:\b)sk-[A-Za-z0-9_\-]{20,}", MARK),
    (r"(?-u:\b)npm_[A-Za-z0-9]{36}", MARK),
    (r"(?-u:\b)eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}", MARK),
    (r"(?-u:\b)[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,}", MARK),
    (r"(?-u:\b)([Bb]earer )[A-Za-z0-9._~+/\-]{16,}=*", "$1[redacted]"),
    (r"(://)[^/ \t\n:@]+:[^/ \t\n@]+@", "$1[redacted]@"),
    (r"(?s)-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----.*?(?:-----END (?:[A-Z]+ )?PRIVATE KEY-----|\z)", MARK),
];

/// The shapes, ready to look for. That every one can be read is tested.
static READY: LazyLock<Vec<(Regex, &'static str)>> =
    LazyLock::new(|| SHAPES.iter().filter_map(|(shape, by)| Some((Regex::new(shape).ok()?, *by))).collect());

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
            encoded(whole.trim()).iter().for_each(|text| self.add(text));
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
        for (shape, by) in READY.iter() {
            if let Cow::Owned(replaced) = shape.replace_all(&text, *by) {
                text = replaced;
            }
        }
        text
    }

    /// The length of the longest secret in bytes: what may hang over the end of a text that was cut.
    pub(crate) fn longest(&self) -> usize {
        self.secrets.first().map_or(0, |secret| secret.expose_secret().len())
    }
}

/// What base64 makes of a secret, in both alphabets, wherever it stands in what is encoded: without the letters at its ends
/// that its neighbours have a part in.
fn encoded(secret: &str) -> Vec<String> {
    if secret.len() < SHORTEST_ENCODED {
        return Vec::new();
    }
    let mut all = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let text = engine.encode(&bytes);
            let to = bytes.len() * 8 / 6;
            all.extend(text.get((before * 8).div_ceil(6)..to).map(str::to_owned));
        }
    }
    all
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} texts)", self.secrets.len())
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
    fn keys_are_known_by_their_shape() {
        assert_eq!(READY.len(), SHAPES.len());
        let many = |text: &str, count| text.repeat(count);
        for key in [
            format!("ghp_{}", many("a1B2", 9)),
            format!("github_pat_{}", many("a1_B", 8)),
            format!("glpat-{}", many("x-1_", 5)),
            "xoxb-1234567890-abc".to_owned(),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            format!("AIza{}", many("a1_-b", 7)),
            format!("sk-ant-api03-{}", many("x1", 12)),
            format!("npm_{}", many("a1b2", 9)),
            format!("eyJ{0}.{0}.{0}", many("ab12", 3)),
            format!("M{}.abc-12.{}", many("x", 23), many("y", 27)),
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----".to_owned(),
            "-----BEGIN PRIVATE KEY-----\nMIIE and no end".to_owned(),
        ] {
            check(&[], &format!("key={key}"), "key=[redacted]");
        }
        check(&[], "Authorization: Bearer abcdefgh12345678==", "Authorization: Bearer [redacted]");
        check(&[], "git clone https://me:secret@example.org/a", "git clone https://[redacted]@example.org/a");
        for text in [
            "sk-learn",
            "the bearer of news",
            "https://example.org:80/a@b",
            "eyJ.a.b",
            "a commit 0123456789abcdef0123456789abcdef01234567",
        ] {
            check(&[], text, text);
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let redactor = Redactor::new(&[SecretString::from("hunter2".to_owned())]);
        assert_eq!(format!("{redactor:?}"), "Redactor(1 texts)");
    }

    proptest::proptest! {
        #[test]
        fn no_encoding_hides_a_secret(before in "[ -~]{0,9}", secret in "[!-~]{8,40}", after in "[ -~]{0,9}") {
            let whole = format!("{before}{secret}{after}");
            let known = Redactor::new(&[SecretString::from(secret)]);
            for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD, base64::engine::general_purpose::STANDARD] {
                let clean = known.redact(engine.encode(&whole));
                proptest::prop_assert!(clean.contains(MARK), "{clean}");
            }
        }
    }
}
