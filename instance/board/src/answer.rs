//! Answers to questions, as agents write them: where they begin, whether they say that it is not known, and what they cite.
//! Whether what is cited exists is another's to look up.

use qd_types::{FeatureId, RunId};

/// The line after which an agent's answer begins.
pub const HEADING: &str = "# Answer";
/// How an answer begins that is none.
pub const UNKNOWN: &str = "I don't know";
/// Things in one answer that are looked up.
const MOST: usize = 40;

/// Something that an answer names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cited {
    /// A feature.
    Feature(FeatureId),
    /// A run.
    Run(RunId),
    /// A commit, by the beginning of its name: 7 to 40 hexadecimal digits.
    Commit(String),
    /// A line of a file, from 1.
    Line {
        /// From the repository's root.
        path: String,
        /// Which.
        line: usize,
    },
}

impl std::fmt::Display for Cited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Feature(id) => write!(f, "{id}"),
            Self::Run(id) => write!(f, "{id}"),
            Self::Commit(name) => f.write_str(name),
            Self::Line { path, line } => write!(f, "{path}:{line}"),
        }
    }
}

/// The answer in what an agent said: what follows its heading, else all of it.
pub fn answer(said: &str) -> &str {
    let mut from = 0;
    let mut begins = None;
    for line in said.split_inclusive('\n') {
        from += line.len();
        if line.trim() == HEADING {
            begins = Some(from);
        }
    }
    begins.and_then(|from| said.get(from..)).unwrap_or(said).trim()
}

/// Whether it says that it is no answer.
pub fn is_known(answer: &str) -> bool {
    let begins: String = answer.chars().take(UNKNOWN.len()).collect();
    !begins.replace('’', "'").eq_ignore_ascii_case(UNKNOWN)
}

/// What is said to be missing in an answer that is none, as a sentence.
pub fn missing(answer: &str) -> String {
    let rest: String = answer.chars().skip(UNKNOWN.len()).collect();
    let rest = rest.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    let mut letters = rest.chars();
    match letters.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), letters.as_str()),
        None => "It found nothing about it.".to_owned(),
    }
}

/// What an answer names, each once, in its order.
pub fn cited(answer: &str) -> Vec<Cited> {
    let mut found = Vec::new();
    let apart = |letter: char| letter.is_whitespace() || "()[]{}<>\"'`,;*|".contains(letter);
    for word in answer.split(apart) {
        let word = word.trim_end_matches(|letter: char| !letter.is_alphanumeric());
        if let Some(one) = one(word)
            && !found.contains(&one)
        {
            found.push(one);
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

fn one(word: &str) -> Option<Cited> {
    let bare = word.trim_start_matches(|letter: char| !letter.is_alphanumeric());
    if let Ok(id) = bare.parse() {
        return Some(Cited::Run(id));
    }
    if let Ok(id) = bare.parse() {
        return Some(Cited::Feature(id));
    }
    let hexadecimal = |letter: char| matches!(letter, '0'..='9' | 'a'..='f');
    let has_both = word.contains(|letter: char| letter.is_ascii_digit())
        && word.contains(|letter| ('a'..='f').contains(&letter));
    if (7..=40).contains(&word.len()) && word.chars().all(hexadecimal) && (has_both || word.len() == 40) {
        return Some(Cited::Commit(word.to_owned()));
    }
    let (path, line) = word.split_once(':')?;
    // `path:12`, `path:12:4` and `path:12-20`.
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    let line = digits.parse().ok().filter(|line| *line > 0)?;
    let inside = !path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.is_empty());
    (path.contains(['.', '/']) && inside).then(|| Cited::Line { path: path.to_owned(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        cited(text).iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn what_an_answer_names_is_found_in_its_prose() {
        insta::assert_snapshot!(
            check("**A-142** is blocked: run A-142.2 failed (see `src/cookie.rs:41`, src/a.rs:3-9). Since 4f2a91c; A-142."),
            @"A-142 | A-142.2 | src/cookie.rs:41 | src/a.rs:3 | 4f2a91c"
        );
        insta::assert_snapshot!(check("At 12:30, defaced, 1234567: nothing. ../x.rs:1 /etc/passwd:1 https://x.y:80 a.rs:0"), @"");
    }

    #[test]
    fn an_answer_begins_after_its_heading() {
        assert_eq!(answer("I look.\n# Answer\n\nA-1 does.\n"), "A-1 does.");
        assert_eq!(answer("# Answer\nno\n# Answer\nYes."), "Yes.");
        assert_eq!(answer(" A-1 does.\n"), "A-1 does.");
    }

    #[test]
    fn an_agent_may_say_that_it_does_not_know() {
        for text in ["I don't know.", "i don’t know: nothing says so", "I don't know"] {
            assert!(!is_known(text), "{text}");
        }
        assert_eq!(missing("I don't know: nothing says so."), "Nothing says so.");
        assert_eq!(missing("I don't know."), "It found nothing about it.");
        assert!(is_known("I don't think so: A-1 is merged."));
    }
}
