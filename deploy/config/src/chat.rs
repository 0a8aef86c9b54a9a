//! `[chat]`: the channels, and what people see in them. What a rule may be is known by the bot, which refuses the others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The channels of the console. What a channel does not take that is not there goes to the fallback channel; a card that
/// finds no channel is decided on its team's board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chat {
    /// Those of the fleet's own channels that the console has: `dev`, `alerts`, `approvals`, `standup`. One that is taken away
    /// is gone with all that stood in it. Default: all four.
    pub channels: Vec<ChatChannel>,
    /// What the channel is called that takes cards and alerts which can't be shown where they belong. Default: there is none.
    pub fallback: Option<String>,
    /// What goes where, by kind: `feature`, `instance`, `charts`, `alert`, `workflow`, `environment`, `announcement`,
    /// `milestone`, `standup`, `weekly`. Approvals have no rule: they are cards in #approvals. What is left out is as it comes
    /// with the program.
    pub rules: BTreeMap<String, ChatRule>,
    /// When digests come, in the fleet's time zone.
    pub digests: ChatDigests,
    /// From when on something is a risk.
    pub risks: ChatRisks,
    /// How much is said in each channel.
    pub budget: ChatBudget,
}

impl Default for Chat {
    fn default() -> Self {
        Self {
            channels: vec![
                ChatChannel::Dev,
                ChatChannel::Alerts,
                ChatChannel::Approvals,
                ChatChannel::Standup,
            ],
            fallback: None,
            rules: BTreeMap::new(),
            digests: ChatDigests::default(),
            risks: ChatRisks::default(),
            budget: ChatBudget::default(),
        }
    }
}

/// One of the fleet's own channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatChannel {
    /// One living message per feature.
    Dev,
    /// One message per cause.
    Alerts,
    /// One card per approval.
    Approvals,
    /// How the teams stand, and digests.
    Standup,
}

/// Where one kind of event goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRule {
    /// Where: `dev`, `alerts` or `standup`.
    pub channel: ChatChannel,
    /// How. Not every kind can be everything.
    pub form: ChatForm,
}

/// In which form something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatForm {
    /// One message, edited as things go on.
    Living,
    /// One message per cause, closed when it is over.
    Alert,
    /// A line in the next digest.
    Digest,
    /// Not at all.
    Nothing,
}

/// When digests come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatDigests {
    /// The stand-up of each team, daily: an hour like `09:00`, or `never`. Default: `09:00`.
    pub standup: Option<String>,
    /// The week of the fleet: a day and an hour like `mon 09:00`, or `never`. Default: `mon 09:00`.
    pub weekly: Option<String>,
}

/// From when on something is a risk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatRisks {
    /// Hours without a change, of a feature that runs. Default: 4.
    pub no_progress_hours: Option<u32>,
    /// Percent of what a usual day of the last seven cost, that a day has cost. Default: 200.
    pub cost_percent: Option<u32>,
    /// Hours that a request to people is open. Default: 4.
    pub approval_hours: Option<u32>,
}

/// How much is said in each channel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChatBudget {
    /// Calls a minute to one channel, 1 to 60. Discord takes 60. Default: 30.
    pub per_minute: Option<u32>,
    /// Calls at once after quiet, 4 to 60. Default: 5.
    pub burst: Option<u32>,
    /// Seconds between two edits of one message where nothing turned, at most 3600. Default: 120.
    pub calm_seconds: Option<u32>,
    /// Such edits a minute in one channel, of all its messages. Default: 2.
    pub calm_per_minute: Option<u32>,
}
