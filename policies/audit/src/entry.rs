//! What is written to the trail. Not free text: a kind, who did it, what it is about, and a JSON object.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use qd_types::{ApprovalId, FeatureId, IdError, InstanceName, RunId};
use serde_json::{Map, Value};

use crate::{AuditError, Pseudonym};

/// Largest payload of a row, in bytes of canonical JSON: as much as a subject may take.
pub const MAX_PAYLOAD: usize = qd_types::subject::MAX_SUBJECT;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A feature was filed.
    Feature,
    /// A run began.
    Run,
    /// An agent called a tool.
    Call,
    /// An approval was asked for.
    Request,
    /// A card was delivered; the payload holds the id that the service returned.
    Card,
    /// A person voted.
    Vote,
    /// The executor decided: granted, denied, expired, withdrawn or lapsed.
    Decision,
    /// The grant was spent and the effect begun.
    Execution,
    /// What came of it: a pull request, a commit, a task id.
    Outcome,
    /// A person was invited, linked, disabled, and so on.
    Person,
    /// Policies or configuration changed.
    Policy,
    /// Old rows went to a segment file, or such a file was dropped.
    Archive,
    /// An instance was invited, joined, changed its keys, or was put out.
    Enrolment,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Feature,
        Self::Run,
        Self::Call,
        Self::Request,
        Self::Card,
        Self::Vote,
        Self::Decision,
        Self::Execution,
        Self::Outcome,
        Self::Person,
        Self::Policy,
        Self::Archive,
        Self::Enrolment,
    ];

    /// The word in the chain. It is hashed: a word that is in use never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Run => "run",
            Self::Call => "call",
            Self::Request => "request",
            Self::Card => "card",
            Self::Vote => "vote",
            Self::Decision => "decision",
            Self::Execution => "execution",
            Self::Outcome => "outcome",
            Self::Person => "person",
            Self::Policy => "policy",
            Self::Archive => "archive",
            Self::Enrolment => "enrolment",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who did it. A person stands here under a pseudonym only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person.
    Person(Pseudonym),
    /// A team's instance.
    Team(InstanceName),
    /// The agent of a run.
    Agent(RunId),
    /// The bot.
    Bot,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(pseudonym) => write!(f, "person:{pseudonym}"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Agent(run) => write!(f, "agent:{run}"),
            Self::Bot => f.write_str("bot"),
        }
    }
}

impl FromStr for Actor {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad =
            || IdError {
                kind: "an actor", text: text.to_owned(), want: "person:…, team:…, agent:… or bot"
            };
        match text.split_once(':') {
            None if text == "bot" => Ok(Self::Bot),
            Some(("person", pseudonym)) => Ok(Self::Person(pseudonym.parse()?)),
            Some(("team", name)) => Ok(Self::Team(name.parse()?)),
            Some(("agent", run)) => Ok(Self::Agent(run.parse()?)),
            _ => Err(bad()),
        }
    }
}

/// What a row is about; by these it is found again. All that is known belongs here, also on later rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The issue that the feature came from, as people write it: `acme/billing#12`.
    pub issue: Option<String>,
    /// The feature.
    pub feature: Option<FeatureId>,
    /// The run.
    pub run: Option<RunId>,
    /// The tool call, by the guard's id.
    pub call: Option<String>,
    /// The approval.
    pub approval: Option<ApprovalId>,
}

/// A row before it has its number and its hash.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// Who did it.
    pub actor: Actor,
    /// What it is about.
    pub about: About,
    /// When, to the millisecond.
    pub at: Timestamp,
    /// The rest, without names of people. `text` is what a timeline shows.
    pub payload: Map<String, Value>,
}

impl Entry {
    /// The payload as canonical JSON (RFC 8785).
    pub(crate) fn canonical(&self) -> Result<String, AuditError> {
        let text = serde_json_canonicalizer::to_string(&self.payload).map_err(AuditError::Canonical)?;
        if text.len() > MAX_PAYLOAD {
            return Err(AuditError::TooLarge { kind: self.kind, size: text.len() });
        }
        Ok(text)
    }
}
