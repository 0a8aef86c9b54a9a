//! How an instance says that it is there: once with what it is, then at every beat with how much it does.

use jiff::Timestamp;
use qd_types::Stage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sentence;

/// The version of the wire that this code speaks.
pub const WIRE: WireVersion = WireVersion { major: 1, minor: 2 };

/// A version of the wire. With another major nobody talks; kinds of a newer minor are kept and skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct WireVersion {
    /// Raised by what an older side can't skip.
    pub major: u32,
    /// Raised by each new kind.
    pub minor: u32,
}

impl std::fmt::Display for WireVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The first word of an instance after each start: a living state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// Of the program: `0.4.0`.
    pub version: String,
    /// Of the wire.
    pub wire: WireVersion,
    /// The kinds of orders that it takes, by their tag. What is not among them is not sent to it.
    pub takes: Vec<String>,
    /// Its own clock when it said so.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Seconds between two beats.
    pub beat_seconds: u32,
}

/// "I am there", every few seconds: a living state, so that a bot that was away hears one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// Its own clock when it said so. How far that is from the receiver's, less the way, is its skew.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Seconds until the next one.
    pub beat_seconds: u32,
    /// Runs under way.
    pub runs: u32,
    /// The board, in numbers.
    pub board: BoardDigest,
}

/// A board in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BoardDigest {
    /// Features by stage, in the board's order; stages without any are left out.
    pub stages: Vec<StageCount>,
    /// Features that stand still until a person does something.
    pub held: u32,
    /// Approvals of the instance's own that are open.
    pub asks: u32,
    /// Who paused the team, and why.
    pub paused: Option<Sentence>,
    /// Why no new run starts, if something of the machine keeps it from that: its outbox is full, its disk is.
    pub refuses: Option<Sentence>,
    /// Reports that wait to be shipped or acknowledged.
    pub waiting: u64,
    /// How much it does at once. Not said by teams of before.
    #[serde(default)]
    pub limits: Option<TeamLimits>,
}

/// How much a team does at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamLimits {
    /// Runs at once.
    pub slots: u32,
    /// Runs at once, as its configuration has it.
    pub configured_slots: u32,
    /// Slots that are taken.
    pub taken: u32,
    /// Features in review, from which on nothing new starts.
    pub reviews: Option<u32>,
    /// The same, as its configuration has it.
    pub configured_reviews: Option<u32>,
    /// Features that are in review.
    pub in_review: u32,
    /// Who lowered what, each in a sentence.
    pub lowered: Vec<Sentence>,
}

/// How many features a stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageCount {
    /// Which.
    pub stage: Stage,
    /// How many.
    pub features: u64,
}

impl BoardDigest {
    /// How many features stand in a stage.
    pub fn count(&self, stage: Stage) -> u64 {
        self.stages.iter().filter(|count| count.stage == stage).map(|count| count.features).sum()
    }
}

/// Whether a team is heard. None of these says what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It never was.
    Never,
    /// It is.
    Heard,
    /// It missed three beats.
    Late,
    /// It missed ten.
    Silent,
}

impl Presence {
    /// The word on every surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "not heard yet",
            Self::Heard => "heard",
            Self::Late => "late",
            Self::Silent => "silent",
        }
    }
}
