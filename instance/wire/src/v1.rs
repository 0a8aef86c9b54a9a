//! Version 1 of the wire: envelopes, reports, orders, and the typed acts an instance asks the forge for.

use jiff::Timestamp;
use qd_types::{
    Approval, ApprovalId, CommitId, Confirm, FeatureId, Line, PersonId, RepositoryName, RunId, Spent, Stage,
    Verb,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something numbered, on its way. `(sender, epoch, seq)` is its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope<T> {
    /// Starts at 1 and is raised whenever the sender's database may have gone back in time.
    pub epoch: u64,
    /// Without gaps within an epoch, from 1; given when it is first shipped.
    pub seq: u64,
    /// When it was written.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// What it says.
    pub body: T,
}

/// The highest gapless `seq` of an epoch that the receiver has committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// The sender's epoch.
    pub epoch: u64,
    /// All up to here are kept; 0 for none.
    pub seq: u64,
}

/// From an instance to the bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "report", rename_all = "snake_case")]
pub enum Report {
    /// The state of one feature as people should see it: a living state, the newest wins.
    Feature(FeatureReport),
    /// A person voted on the instance's own surface.
    Vote(SignedVote),
    /// An approval that the instance keeps, as its card shows it: a living state. The last one says how it ended.
    Approval(Box<ApprovalCard>),
    /// What became of a person's word that the bot sent down: for that person alone.
    Heard(Heard),
    /// An approval of the bot's stands open in the inbox of the team's board.
    Shown(Shown),
    /// The instance asks for an outward act.
    ForgeRequest(ForgeRequest),
    /// Something needs a person, or no longer does.
    Alert(Alert),
    /// Where the instance's audit chain ends, for the bot to sign: a living state.
    AuditHead(AuditHead),
    /// The bot's head, signed by the instance.
    AuditSigned(AuditSigned),
    /// Something that is not understood here. Nobody says it.
    #[serde(skip)]
    Unread(Unread),
}

impl Report {
    /// What a payload says. What is not understood, as of a newer version, is kept as it came.
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload).unwrap_or_else(|error| Self::Unread(Unread::new("report", payload, &error)))
    }
}

/// A payload of a kind, or with a shape, that is not known here. It is kept, skipped with a warning, and acknowledged: it never
/// blocks what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// What it calls itself, if it says so.
    pub kind: String,
    /// Why it is not understood.
    pub why: String,
    /// The payload, exactly as it came.
    pub payload: String,
}

impl Unread {
    fn new(tag: &str, payload: &str, error: &serde_json::Error) -> Self {
        let value: Option<serde_json::Value> = serde_json::from_str(payload).ok();
        let kind = value.as_ref().and_then(|value| value.get(tag)?.as_str()).unwrap_or("nothing known");
        Self { kind: kind.to_owned(), why: error.to_string(), payload: payload.to_owned() }
    }
}

/// The receipt of a card on the team's board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Which approval.
    pub approval: ApprovalId,
}

/// A place in an audit chain: everything up to it is fixed by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditHead {
    /// Whose chain: `bot`, or an instance's name.
    pub chain: String,
    /// The row, from 1.
    pub seq: u64,
    /// Its hash, 32 bytes as lower-case hex.
    pub hash: String,
}

/// A head, signed by the other side, which has noted it before it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditSigned {
    /// What was signed.
    pub head: AuditHead,
    /// Who signed: `bot`, or an instance's name.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// The signer's Ed25519 key, 32 bytes as lower-case hex.
    pub key: String,
    /// Ed25519, 64 bytes as lower-case hex.
    pub signature: String,
}

/// What a person said on a surface, signed with the key of whoever owns that surface: the instance's on its way up, the
/// bot's on its way down. Whoever keeps the approval verifies the bytes as they came; on the way nobody reads them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedVote {
    /// The statement's JSON, exactly as it was signed.
    pub payload: String,
    /// SHA-256 of the public key, as lower-case hex.
    pub key: String,
    /// Ed25519, 64 bytes as lower-case hex.
    pub signature: String,
}

/// What became of a vote, or of the wish to have something asked again, that was given in chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// On which approval.
    pub approval: ApprovalId,
    /// Whose word.
    pub person: PersonId,
    /// Whether it counts.
    pub counted: bool,
    /// What they are told.
    pub text: String,
}

/// One feature, distilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureReport {
    /// Which.
    pub feature: FeatureId,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub stage: Stage,
    /// The nine steps of its newest run.
    pub line: Line,
    /// What is true now and what it waits for: the sentence on its card.
    pub sentence: String,
    /// The agent that works on it, if a run was started.
    pub agent: Option<String>,
    /// Number of its pull request.
    pub pull_request: Option<u64>,
    /// The commit on the target branch, once merged.
    pub merged: Option<CommitId>,
    /// Seconds from the start of the first run to the end of the last; `None` before.
    pub seconds: Option<u64>,
    /// Whether it stands still until a person does something.
    pub needs_person: bool,
    /// What its runs have spent on models, if they were metered.
    #[serde(default)]
    pub spent: Option<Spent>,
}

/// One cause, one alert. The same key again updates it; `over` closes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// The cause, never a text with a time in it.
    pub key: String,
    /// What people read.
    pub text: String,
    /// The cause is gone.
    pub over: bool,
}

/// An outward act, asked of the bot. The same id again is the same act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeRequest {
    /// Unique within the instance: run, step and round.
    pub id: String,
    /// For which feature.
    pub feature: FeatureId,
    /// In which run.
    pub run: RunId,
    /// What is asked.
    pub act: ForgeAct,
}

/// The acts an instance may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ForgeAct {
    /// Open a pull request for a pushed branch.
    OpenPullRequest {
        /// Where.
        repository: RepositoryName,
        /// The pushed branch.
        branch: String,
        /// The target branch.
        target: String,
        /// The branch's head.
        head: CommitId,
        /// Its title.
        title: String,
        /// Its description, Markdown.
        body: String,
        /// What the checks said about the head.
        checks: Vec<CheckReport>,
    },
    /// Ask people whether this head may be merged.
    AskMerge {
        /// What would be merged.
        merge: qd_types::Merge,
        /// Who asked for the feature, edited it, or guided the run: none of them decides.
        requesters: Vec<PersonId>,
        /// The agent's words about it, shown quoted.
        words: Option<String>,
        /// What the checks said about the head, and the size of the change: facts for the card.
        facts: String,
    },
    /// Ask people whether a change of paths that hold more than code may be pushed.
    AskPush {
        /// What exactly.
        push: qd_types::Push,
        /// On whose behalf.
        requesters: Vec<PersonId>,
        /// The agent's words, quoted on the card.
        words: Option<String>,
        /// Facts for the card.
        facts: String,
    },
    /// Merge, now: the tested commit is a conflict-free merge of the approved head onto `base`.
    Merge {
        /// Which approval pays for it.
        approval: ApprovalId,
        /// What it is about to do, rebuilt.
        merge: qd_types::Merge,
        /// The commit that was tested and is the branch's head now.
        tested: CommitId,
        /// Where the target branch has to stand.
        base: CommitId,
        /// What the checks said about `tested`.
        checks: Vec<CheckReport>,
    },
    /// Close a pull request that is given up.
    ClosePullRequest {
        /// Where.
        repository: RepositoryName,
        /// Its number.
        number: u64,
        /// Why.
        reason: String,
    },
}

/// What one check said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
}

/// From the bot to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// What became of a forge request.
    ForgeOutcome {
        /// The request's id.
        request: String,
        /// What became of it.
        outcome: ForgeOutcome,
    },
    /// An approval that concerns this instance, as its executor keeps it: a living state.
    Approval(Box<ApprovalCard>),
    /// A person voted in chat on an approval that the instance keeps.
    Vote(SignedVote),
    /// A person wants to have an expired approval of the instance asked again.
    Reopen {
        /// Which.
        approval: ApprovalId,
        /// Who, with the roles the bot asserts for them.
        person: qd_types::Person,
    },
    /// A person gave a command about the board.
    Command {
        /// The person, with the roles the bot asserts for them.
        person: qd_types::Person,
        /// Where they gave it.
        surface: String,
        /// What they want.
        command: BoardCommand,
    },
    /// Where the bot's audit chain ends, for the instance to sign: a living state.
    AuditHead(AuditHead),
    /// The instance's head, signed by the bot.
    AuditSigned(AuditSigned),
    /// Something that is not understood here. Nobody says it.
    #[serde(skip)]
    Unread(Unread),
}

impl Order {
    /// What a payload says. What is not understood, as of a newer version, is kept as it came.
    pub fn read(payload: &str) -> Self {
        serde_json::from_str(payload).unwrap_or_else(|error| Self::Unread(Unread::new("order", payload, &error)))
    }
}

/// An approval and the facts its card shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalCard {
    /// The approval.
    pub approval: Approval,
    /// "12 files, +214 −380. Checks passed on exactly this commit."
    pub facts: String,
    /// What the agent said, quoted on the card.
    pub words: Option<String>,
    /// How it ended, once it did: "approved by ines, merged as 4f2a91c".
    pub ended: Option<String>,
    /// How a yes has to be given. A bot of before does not say.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// Until when people have to decide, once a card was delivered.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub decide_until: Option<Timestamp>,
}

/// What a person may want of a board from afar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum BoardCommand {
    /// File a feature.
    AddFeature {
        /// Its title.
        title: String,
        /// Where it starts: `backlog` or `ready`.
        stage: Stage,
    },
    /// Move a feature.
    MoveFeature {
        /// Which.
        feature: FeatureId,
        /// Where to.
        stage: Stage,
    },
    /// Give a feature up.
    CancelFeature {
        /// Which.
        feature: FeatureId,
    },
}

impl BoardCommand {
    /// The action that it is, as the policies call it.
    pub fn verb(&self) -> Verb {
        match self {
            Self::AddFeature { .. } => Verb::FeatureAdd,
            Self::MoveFeature { .. } => Verb::FeatureMove,
            Self::CancelFeature { .. } => Verb::FeatureCancel,
        }
    }
}

/// What became of a forge request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ForgeOutcome {
    /// The pull request is open.
    Opened {
        /// Its number.
        number: u64,
    },
    /// People are asked; the decision follows as a second outcome.
    Asked {
        /// The approval.
        approval: ApprovalId,
    },
    /// People said yes.
    Approved {
        /// The approval.
        approval: ApprovalId,
        /// Who.
        by: Vec<PersonId>,
    },
    /// People said no, or the approval ended in another way without being used.
    NotApproved {
        /// Why, for people.
        reason: String,
    },
    /// The target branch holds it now.
    Merged {
        /// The commit on the target branch.
        commit: CommitId,
    },
    /// The target moved: test the merge again.
    BaseMoved {
        /// Where the target stands now.
        base: CommitId,
    },
    /// The pull request is closed.
    Closed,
    /// The forge or the bot refused. Nothing happened.
    Refused {
        /// Why, for people.
        reason: String,
    },
    /// It can't be told whether it happened: a person has to look.
    Unknown {
        /// Why, for people.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is used")]
    struct V1 {
        report: Envelope<Report>,
        order: Envelope<Order>,
        ack: Ack,
        signed: crate::signed::Signed,
        header: crate::signed::Header,
        call: crate::call::Asking,
        answer: crate::call::Answer,
        card: crate::call::Card,
        unheard: crate::call::Unheard,
    }

    #[test]
    fn the_committed_schema_is_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/v1.json");
        let code = serde_json::to_string_pretty(&schemars::schema_for!(V1)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
            std::fs::write(path, &code).unwrap();
        }
        // As values: the order of keys depends on what else is built.
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            value(&committed) == value(&code),
            "schema/v1.json is stale: UPDATE_SCHEMA=1 cargo test -p qd-wire"
        );
    }
}
