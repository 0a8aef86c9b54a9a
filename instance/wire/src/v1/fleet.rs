//! What an instance asks the bot about the fleet, for the agents that manage: short facts, no other team's board.

use jiff::{Timestamp, civil::Date};
use qd_types::{InstanceName, Spent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Presence, Sentence};

/// A question about the fleet. The same id again is the same question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetQuery {
    /// Unique within the instance.
    pub id: String,
    /// What is asked.
    pub ask: FleetAsk,
}

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum FleetAsk {
    /// Which teams there are, and whether they are heard.
    Status,
    /// What endangers the work.
    Risks,
    /// What the last days have cost.
    Cost {
        /// How many, with today: 1 to 31.
        days: u32,
    },
    /// What happened since yesterday, in a few lines per team.
    Digest,
}

/// What the bot says to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum FleetAnswer {
    /// Each team, by name.
    Status {
        /// In the order of the configuration.
        teams: Vec<TeamStatus>,
    },
    /// The worst first; at most 50.
    Risks {
        /// One per cause.
        risks: Vec<Risk>,
    },
    /// One row per team and day that cost something.
    Cost {
        /// By day, then by team.
        days: Vec<TeamCost>,
    },
    /// Lines for people.
    Digest {
        /// At most 50.
        lines: Vec<Sentence>,
    },
    /// It is not answered.
    Refused {
        /// Why.
        reason: Sentence,
    },
}

/// A team, as the bot sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamStatus {
    /// Which.
    pub team: InstanceName,
    /// Whether it is heard.
    pub presence: Presence,
    /// When it was heard last.
    #[schemars(with = "Option<String>")]
    pub last: Option<Timestamp>,
    /// Runs under way, when it was heard last.
    pub runs: u32,
    /// Features that stood still then until a person does something.
    pub held: u32,
    /// Open approvals.
    pub asks: u32,
    /// In a sentence, as people read it.
    pub sentence: Sentence,
}

/// Something that endangers the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Risk {
    /// Whose.
    pub team: InstanceName,
    /// What.
    pub text: Sentence,
    /// Since when.
    #[schemars(with = "Option<String>")]
    pub since: Option<Timestamp>,
}

/// What a team spent on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TeamCost {
    /// Whose.
    pub team: InstanceName,
    /// The day, in the fleet's time zone.
    #[schemars(with = "String")]
    pub day: Date,
    /// How much.
    pub spent: Spent,
}
