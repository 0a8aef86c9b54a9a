//! Secrets don't leave: neither those that are known by value nor what has the shape of one. In results, errors and
//! progress alike.

use qd_agents::Redactor;
use serde_json::Value;

/// What stands in a secret's place.
const MARK: &str = "[redacted]";

/// How tokens of well-known services begin, and how long what follows is at least. From the services' own documentation.
const SHAPES: &[(&str, usize)] = &[
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 30),
    ("glpat-", 16),
    ("sk-", 20),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("AKIA", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("eyJ", 40),
    ("PVEAPIToken=", 16),
];

/// Headers and the ends of names whose value is a secret, whatever its shape.
const NAMED: &[&str] =
    &["bearer ", "authorization: ", "password=", "passwd=", "token=", "secret=", "api_key="];

/// How a private key begins and ends.
const KEY: (&str, &str) = ("-----BEGIN ", "-----END ");

/// Takes secrets out of texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Redact(Redactor);

impl Redact {
    pub(crate) fn new(known: Redactor) -> Self {
        Self(known)
    }

    /// A text without secrets.
    pub(crate) fn text(&self, text: &str) -> String {
        keys(shapes(&self.0.redact(text.to_owned())))
    }

    /// A value without secrets, in names of fields as well.
    pub(crate) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (self.text(&name), self.value(value))).collect()
            }
            other => other,
        }
    }
}

fn is_of_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '/' | '+' | '=' | '!' | '@' | '%')
}

fn shapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let skip = if before.is_ascii_alphanumeric() { None } else { secret_at(rest) };
        if let Some((kept, secret)) = skip {
            out.push_str(rest.get(..kept).unwrap_or_default());
            out.push_str(MARK);
            rest = rest.get(kept + secret..).unwrap_or_default();
            before = ' ';
        } else {
            out.push(letter);
            before = letter;
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// How much of what begins here is kept, and how much after it is a secret; in bytes.
fn secret_at(text: &str) -> Option<(usize, usize)> {
    let length = |text: &str| text.find(|letter| !is_of_token(letter)).unwrap_or(text.len());
    for (start, least) in SHAPES {
        if let Some(after) = text.strip_prefix(start)
            && length(after) >= *least
        {
            return Some((0, start.len() + length(after)));
        }
    }
    for name in NAMED {
        let named = text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let after = text.get(name.len()..).unwrap_or_default();
        // "authorization: bearer …": the next name takes it.
        let another =
            NAMED.iter().any(|next| after.get(..next.len()).is_some_and(|s| s.eq_ignore_ascii_case(next)));
        if named && !another && length(after) > 0 && !after.starts_with(MARK) {
            return Some((name.len(), length(after)));
        }
    }
    None
}

/// Private keys, from their first line to their last.
fn keys(text: String) -> String {
    if !text.contains(KEY.0) || !text.contains("PRIVATE KEY") {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(KEY.0) {
        out.push_str(before);
        let (label, _) = after.split_once('-').unwrap_or((after, ""));
        if !label.contains("PRIVATE KEY") {
            out.push_str(KEY.0);
            rest = after;
            continue;
        }
        out.push_str(MARK);
        // One without an end goes to the end of the text.
        let tail = after.split_once(KEY.1).map_or("", |(_, tail)| tail);
        rest = tail.split_once("-----").map_or("", |(_, tail)| tail);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use secrecy::SecretString;
    use serde_json::json;

    fn redact() -> Redact {
        let secret = SecretString::from("hunter2hunter2".to_owned());
        Redact::new(Redactor::new([&secret]))
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let check = |text: &str| redact().text(text);
        insta::assert_snapshot!(check("the key is hunter2hunter2, I think"), @"the key is [redacted], I think");
        insta::assert_snapshot!(check(&format!("clone https://x:ghp_{}@github.com/a", "a1".repeat(18))), @"clone https://[redacted]@github.com/a");
        insta::assert_snapshot!(check("Authorization: Bearer abc.def-123 was refused"), @"Authorization: Bearer [redacted] was refused");
        insta::assert_snapshot!(check("postgres://db?password=pa55&user=x"), @"postgres://db?password=[redacted]&user=x");
        insta::assert_snapshot!(check("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b"), @"a [redacted] b");
        insta::assert_snapshot!(check("-----BEGIN CERTIFICATE-----x-----END CERTIFICATE-----, -----BEGIN PRIVATE KEY-----y"), @"-----BEGIN CERTIFICATE-----x-----END CERTIFICATE-----, [redacted]");
        insta::assert_snapshot!(check("task-12 asks for risk-assessments of a token"), @"task-12 asks for risk-assessments of a token");
        assert_eq!(
            redact().value(json!({"hunter2hunter2": ["hunter2hunter2", 1]})),
            json!({"[redacted]": ["[redacted]", 1]})
        );
    }

    #[test]
    fn a_text_full_of_keys_is_no_harm() {
        let many = "-----BEGIN PRIVATE KEY-----a-----END PRIVATE KEY-----".repeat(20_000);
        assert_eq!(redact().text(&many), MARK.repeat(20_000));
    }

    proptest! {
        #[test]
        fn a_known_secret_is_never_left(before in ".{0,20}", after in ".{0,20}") {
            let text = redact().text(&format!("{before}hunter2hunter2{after}"));
            prop_assert!(!text.contains("hunter2hunter2"));
        }

        #[test]
        fn twice_is_as_once(text in ".{0,80}") {
            let once = redact().text(&text);
            prop_assert_eq!(redact().text(&once), once);
        }
    }
}
