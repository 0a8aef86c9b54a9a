//! Text of outsiders and agents, made harmless: nobody is mentioned by it, nothing in it is formatted, nothing in it is
//! hidden. On a card it stands quoted, cut, and marked as somebody's words.

use qd_types::visible::{is_hidden, line, turns};
use unicode_security::{MixedScript as _, skeleton};

/// What stands between an at sign, a hash or a scheme and what follows, so that no service makes a mention or a link of it.
const BREAK: char = '\u{200B}';

/// Something about a text or a name that a reader should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// It holds characters that turn the direction of what follows.
    Direction,
    /// It holds characters that can't be seen.
    Invisible,
    /// A word of it is written in letters of more than one script.
    Mixed {
        /// The word, made plain.
        word: String,
    },
    /// It looks like a name that is somebody else's.
    LooksLike {
        /// Whose.
        name: String,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direction => {
                f.write_str("It holds marks that turn the direction of writing; they are shown as ⟨U+…⟩.")
            }
            Self::Invisible => {
                f.write_str("It holds characters that can't be seen; they are shown as ⟨U+…⟩.")
            }
            Self::Mixed { word } => write!(f, "“{word}” mixes letters of several scripts."),
            Self::LooksLike { name } => write!(f, "It looks like “{name}”, and is not."),
        }
    }
}

/// One line for a place that formats nothing (a terminal, an escaped page): what can't be seen is written out, line ends
/// are spaces, at most `max` characters of the original.
pub fn plain(text: &str, max: usize) -> String {
    let (kept, left) = cut(text, max);
    line(kept) + &more(left)
}

/// One line for a place that formats (Discord, GitHub): as [`plain`], and no mention, link or markdown works.
pub fn markdown(text: &str, max: usize) -> String {
    let (kept, left) = cut(text, max);
    escape(&line(kept)) + &more(left)
}

/// A block for a place that formats: each line quoted, and whose words they are said above.
pub fn quoted(whose: &str, text: &str, max: usize) -> String {
    let (kept, left) = cut(text, max);
    let mut block = format!("{} wrote:", markdown(whose, 64));
    for words in kept.lines() {
        block.push_str("\n> ");
        block.push_str(&escape(&line(words)));
    }
    block + &more(left)
}

/// What a reader should know about a text. `names`: names that it must not be mistaken for.
pub fn warnings(text: &str, names: &[&str]) -> Vec<Warning> {
    let mut found = Vec::new();
    if text.chars().any(turns) {
        found.push(Warning::Direction);
    }
    if text.chars().any(|letter| is_hidden(letter) && !turns(letter) && !matches!(letter, '\n' | '\r' | '\t'))
    {
        found.push(Warning::Invisible);
    }
    // ASCII has letters of one script.
    let mixed = text.split_whitespace().find(|word| !word.is_ascii() && !word.is_single_script());
    found.extend(mixed.map(|word| Warning::Mixed { word: plain(word, 32) }));
    if names.is_empty() {
        return found;
    }
    let seen: String = text.chars().filter(|letter| !is_hidden(*letter)).collect();
    let bones: String = skeleton(&seen.to_lowercase()).collect();
    let alike = names.iter().find(|name| **name != text && skeleton(&name.to_lowercase()).eq(bones.chars()));
    found.extend(alike.map(|name| Warning::LooksLike { name: (*name).to_owned() }));
    found
}

fn cut(text: &str, max: usize) -> (&str, usize) {
    match text.char_indices().nth(max) {
        Some((at, _)) => {
            let (kept, rest) = text.split_at(at);
            (kept, rest.chars().count())
        }
        None => (text, 0),
    }
}

fn more(left: usize) -> String {
    if left == 0 { String::new() } else { format!("… (cut: {left} more characters)") }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut before = ' ';
    for letter in text.chars() {
        match letter {
            // Mentions of people, roles, channels, issues and commits; names of emoji; schemes.
            '@' | '#' => out.extend([letter, BREAK]),
            ':' => out.extend(['\\', letter, BREAK]),
            // "GH-12" is an issue.
            '-' if matches!(before, 'h' | 'H') => out.extend(['\\', letter, BREAK]),
            // "www.": some services make a link of it.
            '.' if before == 'w' || before == 'W' => out.extend([letter, BREAK]),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '<' | '>' | '+' | '-' | '!'
            | '|' | '~' | '=' | '&' | '"' | '\'' | '/' | '$' | '^' => out.extend(['\\', letter]),
            // "1." at the start of a line would be a list.
            '.' if before.is_ascii_digit() => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
        before = letter;
    }
    out
}
