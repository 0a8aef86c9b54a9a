//! What a person may say. Each displays as the text that parses back to it.

use std::fmt;

use qd_types::{FeatureId, InstanceName, Stage};

/// Which approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The unique part of its id, or the beginning of it, upper case.
    Key(String),
    /// The open one of this feature.
    Feature(FeatureId),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Feature(id) => write!(f, "{id}"),
        }
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Say yes.
    Approve {
        /// To what.
        which: Which,
        /// The target's name, typed out, where a yes takes that. One space between words.
        typed: Option<String>,
    },
    /// Say no.
    Deny {
        /// To what.
        which: Which,
        /// Why.
        reason: Option<String>,
    },
    /// Answer a question.
    Answer {
        /// Which.
        which: Which,
        /// What. One space between words.
        text: String,
    },
    /// Ask again for what expired.
    Reopen {
        /// Which.
        which: Which,
    },
    /// What waits for people.
    Approvals,
    /// How one stands, and what is asked.
    ApprovalShow {
        /// Which.
        which: Which,
    },
    /// What a team, or every team, is doing.
    Board {
        /// Which team.
        team: Option<InstanceName>,
    },
    /// File a feature.
    FeatureAdd {
        /// For which team; may be left out where there is one.
        team: Option<InstanceName>,
        /// Release it at once.
        ready: bool,
        /// One line.
        title: String,
    },
    /// What is true of a feature.
    FeatureShow {
        /// Which.
        id: FeatureId,
    },
    /// Move a feature.
    FeatureMove {
        /// Which.
        id: FeatureId,
        /// Where to.
        stage: Stage,
    },
    /// Give a feature up.
    FeatureCancel {
        /// Which.
        id: FeatureId,
    },
    /// What a stand-up would say now.
    Standup {
        /// Of which team; of all, if left out.
        team: Option<InstanceName>,
    },
    /// What the week's digest would say now.
    Weekly,
    /// Who is heard, and what they do.
    Status {
        /// Which team; all, if left out.
        team: Option<InstanceName>,
    },
    /// What endangers the work.
    Risks,
    /// Tell all teams something.
    Announce {
        /// What. One space between words.
        text: String,
    },
    /// All commands.
    Help,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve { which, typed: None } => write!(f, "approve {which}"),
            Self::Approve { which, typed: Some(typed) } => write!(f, "approve {which} {typed}"),
            Self::Deny { which, reason: None } => write!(f, "deny {which}"),
            Self::Deny { which, reason: Some(reason) } => write!(f, "deny {which} {reason}"),
            Self::Reopen { which } => write!(f, "reopen {which}"),
            Self::Answer { which, text } => write!(f, "answer {which} {text}"),
            Self::Approvals => f.write_str("approvals"),
            Self::ApprovalShow { which } => write!(f, "approvals show {which}"),
            Self::Board { team: None } => f.write_str("board"),
            Self::Board { team: Some(team) } => write!(f, "board {team}"),
            Self::FeatureAdd { team, ready, title } => {
                f.write_str("feature add ")?;
                if let Some(team) = team {
                    write!(f, "--team {team} ")?;
                }
                if *ready {
                    f.write_str("--ready ")?;
                }
                write!(f, "-- {title}")
            }
            Self::FeatureShow { id } => write!(f, "feature show {id}"),
            Self::FeatureMove { id, stage } => write!(f, "feature move {id} {stage}"),
            Self::FeatureCancel { id } => write!(f, "feature cancel {id}"),
            Self::Standup { team: None } => f.write_str("standup now"),
            Self::Standup { team: Some(team) } => write!(f, "standup now {team}"),
            Self::Weekly => f.write_str("fleet week"),
            Self::Status { team: None } => f.write_str("fleet status"),
            Self::Status { team: Some(team) } => write!(f, "fleet status {team}"),
            Self::Risks => f.write_str("fleet risks"),
            Self::Announce { text } => write!(f, "announce {text}"),
            Self::Help => f.write_str("help"),
        }
    }
}
