//! Words that may travel. There is no type here that a log or a transcript would fit into: what is longer is cut where it is
//! made, and again where it is read, so that no sender can make a receiver keep more.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest sentence, in characters.
const SENTENCE: usize = 400;
/// Longest passage, in characters.
const PASSAGE: usize = 4_000;

/// One line for people, at most 400 characters. What was longer ends in `…`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Sentence(String);

/// Some lines that a person wrote or reads, at most 4,000 characters. What was longer ends in `…`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Passage(String);

impl Sentence {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Passage {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Sentence {
    fn from(text: &str) -> Self {
        let plain: String =
            text.chars().filter(|letter| letter.is_whitespace() || !letter.is_control()).collect();
        let words: Vec<&str> = plain.split_whitespace().collect();
        Self(cut(words.join(" ").chars(), SENTENCE))
    }
}

impl From<&str> for Passage {
    fn from(text: &str) -> Self {
        let plain = |letter: &char| matches!(letter, '\n' | '\t') || !letter.is_control();
        let text: String = text.chars().filter(plain).collect();
        Self(cut(text.trim().chars(), PASSAGE))
    }
}

impl From<String> for Sentence {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Passage {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<Sentence> for String {
    fn from(text: Sentence) -> Self {
        text.0
    }
}

impl From<Passage> for String {
    fn from(text: Passage) -> Self {
        text.0
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The first `limit` characters; the last of them is `…` if there were more.
fn cut(mut letters: impl Iterator<Item = char>, limit: usize) -> String {
    let mut text: String = letters.by_ref().take(limit).collect();
    if letters.next().is_some() {
        text.pop();
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_travels_is_short_and_stays_as_it_is(text in ".{0,600}") {
            let sentence = Sentence::from(text.as_str());
            prop_assert!(sentence.as_str().chars().count() <= SENTENCE);
            prop_assert!(!sentence.as_str().contains('\n'));
            prop_assert_eq!(&Sentence::from(sentence.as_str()), &sentence);
            let passage = Passage::from(text.repeat(10));
            prop_assert!(passage.as_str().chars().count() <= PASSAGE);
            prop_assert_eq!(&Passage::from(passage.as_str()), &passage);
        }
    }

    #[test]
    fn a_log_is_cut_where_it_is_read_too() {
        let log = serde_json::to_string(&"error: it\n".repeat(100_000)).unwrap();
        let read: Sentence = serde_json::from_str(&log).unwrap();
        assert_eq!(read.as_str().chars().count(), SENTENCE);
        assert!(read.as_str().starts_with("error: it error: it") && read.as_str().ends_with('…'));
    }
}
