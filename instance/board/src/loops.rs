//! An agent that goes round in circles: it says the same again and again, or works and changes nothing. Not a verdict on
//! the work: only that more of the same is not to be expected to help.

use std::{collections::VecDeque, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chance;

/// How many blocks in a row must repeat, unless said otherwise.
pub const DEFAULT_BLOCKS: usize = 12;
/// The longest circle that is seen: so many blocks, over and over.
pub const MAX_PERIOD: usize = 4;
/// Words of so many letters and digits mixed are names that a machine made: hashes, ids, tokens.
const LONG_WORD: usize = 16;
/// Shorter ones are, if they are hexadecimal.
const LONG_HEX: usize = 4;
/// How much of a block is kept to show, in characters.
const MAX_SAMPLE: usize = 120;

/// Watches what an agent puts out, a block at a time: a message, or a call of a tool with its arguments. A tool's own
/// output does not belong here: a progress bar repeats itself, and rightly so.
///
/// Memory is one number per block of the window, however long a block is.
#[derive(Debug, Clone)]
pub struct Repetition {
    blocks: usize,
    seen: VecDeque<u64>,
}

/// The last blocks were the same ones, over and over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repeats {
    /// How many blocks make one turn, 1 to [`MAX_PERIOD`].
    pub period: usize,
    /// How many full turns were seen.
    pub turns: usize,
    /// The latest block, normalised and cut to a line.
    pub sample: String,
}

impl fmt::Display for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { period, turns, sample } = self;
        match period {
            1 => write!(f, "the same {turns} times in a row: {sample}"),
            _ => write!(f, "the same {period} steps {turns} times in a row, the last: {sample}"),
        }
    }
}

impl Default for Repetition {
    fn default() -> Self {
        Self::new(DEFAULT_BLOCKS)
    }
}

impl Repetition {
    /// Watches the last `blocks`; at least twice [`MAX_PERIOD`], so that every circle is seen to close.
    pub fn new(blocks: usize) -> Self {
        let blocks = blocks.max(2 * MAX_PERIOD);
        Self { blocks, seen: VecDeque::with_capacity(blocks) }
    }

    /// Takes the next block, and says whether the last ones repeat, with the shortest period. Blank ones do not count.
    pub fn feed(&mut self, block: &str) -> Option<Repeats> {
        let plain = normalise(block);
        if plain.is_empty() {
            return None;
        }
        if self.seen.len() == self.blocks {
            self.seen.pop_front();
        }
        self.seen.push_back(chance::seed(&[&plain]));
        if self.seen.len() < self.blocks {
            return None;
        }
        let period =
            (1..=MAX_PERIOD).find(|period| self.seen.iter().zip(self.seen.iter().skip(*period)).all(same))?;
        let mut sample: String = plain.chars().take(MAX_SAMPLE).collect();
        if sample.len() < plain.len() {
            sample.push('…');
        }
        Some(Repeats { period, turns: self.blocks / period, sample })
    }
}

fn same((one, other): (&u64, &u64)) -> bool {
    one == other
}

/// The block without what differs from turn to turn though nothing changed: numbers, hashes, ids, spaces. What is left
/// out is `#`.
pub fn normalise(block: &str) -> String {
    let mut plain = String::new();
    for part in block.split(|c: char| c.is_whitespace() || c.is_control()).filter(|part| !part.is_empty()) {
        if !plain.is_empty() {
            plain.push(' ');
        }
        let mut rest = part;
        while let Some(first) = rest.chars().next() {
            let is_word = first.is_ascii_alphanumeric();
            let end = rest.find(|c: char| c.is_ascii_alphanumeric() != is_word).unwrap_or(rest.len());
            let end = if is_word { uuid_at(rest).unwrap_or(end) } else { end };
            let (piece, after) = rest.split_at(end);
            if is_word {
                word(piece, &mut plain);
            } else {
                plain.push_str(piece);
            }
            rest = after;
        }
    }
    plain
}

/// Puts one word down: whole, as `#`, or with `#` for its digits.
fn word(word: &str, plain: &mut String) {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let hex = word.len() >= LONG_HEX && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    if has_digit && (hex || word.starts_with("0x") || word.contains('-') || word.len() >= LONG_WORD) {
        plain.push('#');
        return;
    }
    let mut in_digits = false;
    for c in word.chars() {
        if !c.is_ascii_digit() {
            plain.push(c);
        } else if !in_digits {
            plain.push('#');
        }
        in_digits = c.is_ascii_digit();
    }
}

/// Where the UUID ends that `text` begins with: a group of it may happen to have no digit.
fn uuid_at(text: &str) -> Option<usize> {
    const LENGTH: usize = 36;
    let head = text.as_bytes().get(..LENGTH)?;
    let fits = head.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = text.as_bytes().get(LENGTH).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (fits && ends).then_some(LENGTH)
}

/// Watches what the rounds of a run leave behind: an agent that was asked to repair something and left the very same
/// files twice in a row will not do it the third time.
///
/// `Tree` is whatever names the content: the id of git's tree, not of the commit, which differs by its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rounds<Tree> {
    last: Option<Tree>,
    unchanged: u32,
}

impl<Tree> Default for Rounds<Tree> {
    fn default() -> Self {
        Self { last: None, unchanged: 0 }
    }
}

impl<Tree: PartialEq> Rounds<Tree> {
    /// A round has ended with this tree. The number of rounds in a row that ended with it, once there are two.
    pub fn ended(&mut self, tree: Tree) -> Option<u32> {
        if self.last.as_ref() == Some(&tree) {
            self.unchanged = self.unchanged.saturating_add(1);
        } else {
            self.unchanged = 0;
        }
        self.last = Some(tree);
        (self.unchanged > 0).then(|| self.unchanged.saturating_add(1))
    }
}
