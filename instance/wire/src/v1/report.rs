//! What an instance tells the bot. Only what is pertinent: there is no kind for output, for a single flip of a state inside
//! a run, or for a check's log.

use qd_types::PersonId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Alert, Answer, ApprovalCard, AuditHead, AuditSigned, Blocked, Cost, FeatureReport, FleetQuery,
    ForgeRequest, Heard, Heartbeat, Hello, MilestoneProgress, Passage, RunFinished, Sentence, Shown,
    SignedVote, Snapshot, Unread,
};

/// From an instance to the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// What it is: said after each start.
    Hello(Box<Hello>),
    /// It is there.
    Heartbeat(Box<Heartbeat>),
    /// The state of one feature as people should see it: a living state, the newest wins.
    Feature(FeatureReport),
    /// A run has ended, with its facts.
    RunFinished(Box<RunFinished>),
    /// A feature stands still until a person does something, or no longer does: a living state.
    Blocked(Blocked),
    /// How far a milestone is: a living state.
    Milestone(MilestoneProgress),
    /// What a day has cost so far: a living state.
    Cost(Cost),
    /// All that holds now, by name: said when the bot knows nothing of it, or something else.
    Snapshot(Snapshot),
    /// A person voted on the instance's own surface.
    Vote(SignedVote),
    /// An approval that the instance keeps, as its card shows it: a living state. The last one says how it ended. A question
    /// of an agent is one, and so are a plan, a budget and a tool call.
    Approval(Box<ApprovalCard>),
    /// What became of a person's word that the bot sent down: for that person alone.
    Heard(Heard),
    /// An approval of the bot's stands open in the inbox of the team's board.
    Shown(Shown),
    /// An order was not carried out. It counts as received, and what follows it is taken.
    Refused(Refusal),
    /// What came of a person's order, for that person alone.
    Told(Told),
    /// The instance asks for an outward act.
    ForgeRequest(ForgeRequest),
    /// Something needs a person, or no longer does.
    Alert(Alert),
    /// What became of a question: a living state.
    Answer(Box<Answer>),
    /// The instance asks about the fleet.
    FleetQuery(FleetQuery),
    /// Where the instance's audit chain ends, for the bot to sign: a living state.
    AuditHead(AuditHead),
    /// The bot's head, signed by the instance.
    AuditSigned(AuditSigned),
    /// Something that is not understood here. Nobody says it.
    #[serde(skip)]
    Unread(Unread),
}

/// What a person is told of what they ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Whom.
    pub person: PersonId,
    /// What.
    pub text: Passage,
}

/// An order that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// The bot's epoch with this instance.
    pub epoch: u64,
    /// The order's number in it.
    pub seq: u64,
    /// Its kind, by its tag: `command`; empty for what is not understood.
    pub kind: String,
    /// For whom it was given, if for a person.
    pub person: Option<PersonId>,
    /// Why it was refused, and what would help.
    pub reason: Sentence,
}
