//! What a picture shows, as data: a board, or the figures of some days. Whoever can show pictures draws it, all others say it:
//! both from the same data. Every word in it is made in `text`.

use jiff::civil::Date;
use qd_types::{FeatureId, InstanceName, Line};
use serde::{Deserialize, Serialize};

use crate::text;

/// A picture. The same data is the same picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "shows", rename_all = "snake_case")]
pub enum Picture {
    /// The board of a team.
    Board(Board),
    /// How a team did in the last days.
    Charts(Charts),
}

impl Picture {
    /// What it shows, for those who can't see it. At most 1,000 characters.
    pub fn alt(&self) -> String {
        text::alt(self)
    }

    /// What its file is called, without an ending.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Board(_) => "board",
            Self::Charts(_) => "charts",
        }
    }
}

/// A board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Whose.
    pub team: InstanceName,
    /// What rests in the backlog: "Backlog 12". Empty if nothing does.
    pub backlog: String,
    /// That the team can't be heard now, if so.
    pub caution: Option<String>,
    /// What moves first: running, in review, ready, done.
    pub columns: Vec<Column>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What it is called.
    pub title: String,
    /// How many are in it.
    pub count: usize,
    /// The first of them.
    pub cards: Vec<Card>,
    /// What stands below the cards: that there are more, or that there is none.
    pub more: Option<String>,
}

/// A feature, as its card has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Which.
    pub feature: FeatureId,
    /// Its title, on one line.
    pub title: String,
    /// The nine steps of its newest run, if there was one.
    pub line: Option<Line>,
    /// The agent that works on it.
    pub agent: Option<String>,
    /// What is true now and what it waits for, on one line.
    pub sentence: String,
    /// Whether it asks for attention.
    pub tone: Tone,
}

/// Whether something asks for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// It waits for a person: brass.
    Asks,
    /// It is broken: red.
    Red,
    /// It does not.
    Quiet,
}

/// Some days of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charts {
    /// Whose.
    pub team: InstanceName,
    /// What they are called.
    pub title: String,
    /// The days, without a gap; at least two.
    pub days: Vec<Date>,
    /// The first day and the last, as they are written.
    pub ends: [String; 2],
    /// One below the other.
    pub panels: Vec<Panel>,
}

/// One chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Panel {
    /// What it shows.
    pub title: String,
    /// What it says, in one sentence.
    pub said: String,
    /// The greatest value, as it is written.
    pub top: String,
    /// The values.
    pub marks: Marks,
}

/// Values, one for each day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "snake_case")]
pub enum Marks {
    /// How much is wanted and how much of it is done, at the end of each day.
    BurnUp {
        /// Wanted, and what that is called.
        wanted: (String, Vec<u64>),
        /// Done, and what that is called.
        done: (String, Vec<u64>),
    },
    /// A bar for each day.
    Bars {
        /// Their heights.
        each: Vec<u64>,
    },
    /// Dots above each day, and a line through all of them.
    Dots {
        /// Their heights.
        each: Vec<Vec<u64>>,
        /// That of the line.
        median: u64,
    },
}

impl Marks {
    /// The greatest of all values, at least 1.
    pub fn greatest(&self) -> u64 {
        let all: Box<dyn Iterator<Item = &u64>> = match self {
            Self::BurnUp { wanted, done } => Box::new(wanted.1.iter().chain(&done.1)),
            Self::Bars { each } => Box::new(each.iter()),
            Self::Dots { each, .. } => Box::new(each.iter().flatten()),
        };
        all.copied().max().unwrap_or(1).max(1)
    }
}
