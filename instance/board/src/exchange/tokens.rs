//! What stands in parentheses behind a title: `(A-3, p1, size m, #label, due 2026-12-24, after A-1@review)`. The one
//! grammar for writing and reading it.

use jiff::civil::Date;
use qd_types::{FeatureId, PersonId, RepositoryName};

use crate::{Dependency, Size};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Id(FeatureId),
    Priority(u8),
    Size(Size),
    Label(String),
    Due(Date),
    After(Dependency),
    PartOf(FeatureId),
    Assignee(PersonId),
    Repository(RepositoryName),
    Milestone(Option<String>),
}

impl Token {
    /// As it stands in the parentheses.
    pub(super) fn write(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Priority(priority) => format!("p{priority}"),
            Self::Size(size) => format!("size {size}"),
            Self::Label(label) => format!("#{}", escaped(label)),
            Self::Due(due) => format!("due {due}"),
            Self::After(dependency) => format!("after {dependency}"),
            Self::PartOf(epic) => format!("part of {epic}"),
            Self::Assignee(person) => format!("@{person}"),
            Self::Repository(name) => format!("in {name}"),
            Self::Milestone(Some(name)) => format!("milestone {}", escaped(name)),
            Self::Milestone(None) => "no milestone".to_owned(),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let text = unescaped(text);
        if text == "no milestone" {
            return Some(Self::Milestone(None));
        }
        if let Some(label) = text.strip_prefix('#') {
            return Some(Self::Label(label.to_owned())).filter(|_| !label.trim().is_empty());
        }
        if let Some(person) = text.strip_prefix('@') {
            return person.parse().ok().map(Self::Assignee);
        }
        if let Some(rest) = text.strip_prefix("part of ") {
            return rest.trim().parse().ok().map(Self::PartOf);
        }
        if let Some((word, rest)) = text.split_once(' ') {
            let rest = rest.trim();
            return match word {
                "size" => rest.parse().ok().map(Self::Size),
                "due" => rest.parse().ok().map(Self::Due),
                "after" => rest.parse().ok().map(Self::After),
                "in" => rest.parse().ok().map(Self::Repository),
                "milestone" => Some(Self::Milestone(Some(rest.to_owned()))),
                _ => None,
            };
        }
        match text.as_bytes() {
            [b'p', digit @ b'0'..=b'4'] => Some(Self::Priority(digit - b'0')),
            _ => text.parse().ok().map(Self::Id),
        }
    }
}

/// A title without what stands in parentheses behind it, and that. Parentheses in which nothing is known belong to the
/// title. An error names what is not known among what is.
pub(super) fn split(line: &str) -> Result<(&str, Vec<Token>), String> {
    let whole = Ok((line, Vec::new()));
    let Some(inner) = line.strip_suffix(')').filter(|inner| !ends_escaped(inner)) else { return whole };
    let Some(open) = inner.rmatch_indices('(').map(|(at, _)| at).find(|at| !ends_escaped(&inner[..*at]))
    else {
        return whole;
    };
    let (title, group) = (&inner[..open], &inner[open + 1..]);
    let closes = group.match_indices(')').any(|(at, _)| !ends_escaped(&group[..at]));
    if closes || !(title.is_empty() || title.ends_with(char::is_whitespace)) {
        return whole;
    }
    let texts = parts(group);
    let tokens: Vec<Option<Token>> = texts.iter().map(|text| Token::read(text)).collect();
    if tokens.iter().all(Option::is_none) {
        return whole;
    }
    if let Some(unknown) = texts.iter().zip(&tokens).find_map(|(text, token)| token.is_none().then_some(text))
    {
        return Err(format!(
            "{unknown:?} is not known in parentheses behind a title. There are an id like A-3, p0 to p4, size m, \
             #label, due 2026-12-24, after A-1, after A-1@review, part of A-1, @person, in REPOSITORY, \
             milestone NAME and no milestone"
        ));
    }
    Ok((title.trim_end(), tokens.into_iter().flatten().collect()))
}

/// Whether the character behind this text is escaped.
fn ends_escaped(text: &str) -> bool {
    text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn parts(group: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for (at, _) in group.match_indices(',') {
        if !ends_escaped(&group[..at]) {
            parts.push(group[start..at].trim());
            start = at + 1;
        }
    }
    parts.push(group[start..].trim());
    parts
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' | '(' | ')' | ',' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let (mut out, mut letters) = (String::new(), text.chars());
    while let Some(c) = letters.next() {
        match (c, c == '\\') {
            (_, true) => match letters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    out
}
