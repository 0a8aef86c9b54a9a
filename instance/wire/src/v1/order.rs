//! What the bot tells an instance. An order that acts for a person names them, with the roles that the bot asserts; the
//! instance evaluates policy again, for that person, under its own ceiling.

use jiff::Timestamp;
use qd_types::{
    ApprovalId, CommitId, FeatureId, Identity, InstanceName, Person, RepositoryName, RunId, Stage, Verb,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call::NewKeys;

use super::{
    ApprovalCard, AuditHead, AuditSigned, FleetAnswer, ForgeOutcome, Passage, Sentence, SignedVote, Unread,
};

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
    /// A person voted in chat on an approval that the instance keeps. The answer to a question is one, too.
    Vote(SignedVote),
    /// A person wants to have an expired approval of the instance asked again.
    Reopen {
        /// Which.
        approval: ApprovalId,
        /// Who, with the roles the bot asserts for them.
        person: Person,
    },
    /// A person gave a command about the board.
    Command {
        /// The person, and where and when they gave it.
        #[serde(flatten)]
        by: OnBehalf,
        /// What they want.
        command: BoardCommand,
    },
    /// A review on a pull request of the instance.
    Review(Box<Review>),
    /// What a check of the forge's own said about a head of the instance.
    CheckResult(ForgeCheck),
    /// Something happened to an issue.
    Issue(Box<IssueEvent>),
    /// A person wants the configuration read again.
    Reload {
        /// The person, and where and when they said so.
        #[serde(flatten)]
        by: OnBehalf,
    },
    /// A person asks what led to something, and what came of it, as far as the instance's trail tells.
    Trail {
        /// The person, and where and when they asked.
        #[serde(flatten)]
        by: OnBehalf,
        /// Of what: the id of a feature, a run or an approval.
        of: String,
    },
    /// Make a new key, sign with it from now on, and say so with the old one.
    RotateKey {
        /// The key that is to go, 32 bytes as lower-case hex. An instance that signs with another one has done so already.
        old: String,
    },
    /// The bot has other keys from now on. The one that signs this counts beside them until the next change, and the new one
    /// proves that it takes its place.
    BotKeys(NewKeys),
    /// The answer to a query about the fleet.
    FleetAnswer {
        /// The query's id.
        query: String,
        /// What the bot says.
        answer: FleetAnswer,
    },
    /// Somebody tells all teams something.
    Announcement(Announcement),
    /// Where the bot's audit chain ends, for the instance to sign: a living state.
    AuditHead(AuditHead),
    /// The instance's head, signed by the bot.
    AuditSigned(AuditSigned),
    /// Something that is not understood here. Nobody says it.
    #[serde(skip)]
    Unread(Unread),
}

/// The person for whom an order is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OnBehalf {
    /// Who, with the roles that the bot asserts for them.
    pub person: Person,
    /// Where: `console`, `discord`, `github`.
    pub surface: String,
    /// The account by which they were known there.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// When they said it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
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
        /// What else is known of it.
        #[serde(default)]
        work: NewWork,
    },
    /// Edit a feature.
    EditFeature(FeatureEdit),
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
    /// Let no run start on a feature, and on what is below it.
    PauseFeature {
        /// Which.
        feature: FeatureId,
        /// Why.
        why: Option<Sentence>,
    },
    /// Let a paused feature go on.
    ResumeFeature {
        /// Which.
        feature: FeatureId,
    },
    /// Let nothing start in the team.
    PauseTeam {
        /// Why.
        why: Option<Sentence>,
    },
    /// Let the team go on.
    ResumeTeam,
    /// Try again what gave up: the feature is ready once more.
    Retry {
        /// Which.
        feature: FeatureId,
    },
    /// Stop a run. Its work is kept.
    Stop {
        /// Which.
        run: RunId,
    },
    /// Have a merged feature taken back, by a feature that undoes its merge.
    RevertFeature {
        /// Which.
        feature: FeatureId,
        /// Why.
        why: Option<Sentence>,
    },
    /// Let the team do less at once than its configuration lets it, or as much as that again.
    LimitTeam {
        /// What of it.
        limit: Limited,
        /// How much; none: what the configuration says.
        most: Option<u32>,
    },
    /// Release what waits in the backlog, the most urgent first.
    Release {
        /// How many features; none: all.
        #[serde(default)]
        count: Option<u32>,
    },
    /// Say something to the run of a feature.
    Guide {
        /// Which feature.
        feature: FeatureId,
        /// What its agent is told.
        text: Passage,
        /// As what it is said.
        #[serde(default)]
        remark: Remark,
        /// What was said is known by this: the same again is the same word, as which it was said last, until its agent has it.
        #[serde(default)]
        said: Option<String>,
    },
    /// Ask the team a question: a run that only reads looks into it, and the answer comes as a report.
    Ask {
        /// Unique in the fleet: the answer is known by it.
        id: String,
        /// What is asked.
        question: Passage,
    },
}

/// What of a team is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limited {
    /// Runs at once.
    Slots,
    /// Features in review, from which on nothing new starts.
    Reviews,
}

/// As what a person says something to a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remark {
    /// As guidance.
    #[default]
    Guidance,
    /// As a comment in a review of its pull request.
    Review,
}

/// What is known of a new feature beside its title.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NewWork {
    /// Where the work is done; none: the team's only repository.
    pub repository: Option<RepositoryName>,
    /// What is wanted, Markdown.
    pub description: Passage,
    /// 0 is the most urgent, 4 the least; none: the board's own default.
    pub priority: Option<u8>,
    /// Labels.
    pub labels: Vec<String>,
    /// The issue that it comes from: `owner/name#12`.
    pub issue: Option<String>,
    /// It is a goal, for which features are proposed; none: it is work.
    pub plan: Option<Proposal>,
}

/// How features are proposed for a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proposal {
    /// On the board, where a person accepts them.
    Goal,
    /// As a page of the repository, accepted by merging its pull request.
    Page,
}

/// A change of a feature's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeatureEdit {
    /// Which.
    pub feature: FeatureId,
    /// The version that the person saw; none: whatever it is now.
    #[serde(default)]
    pub version: Option<u64>,
    /// A merge patch (RFC 7396) of the fields that the board knows: `{"priority": 0}`.
    pub fields: Map<String, Value>,
}

impl BoardCommand {
    /// The action that it is, as the policies call it.
    pub fn verb(&self) -> Verb {
        match self {
            Self::AddFeature { .. } => Verb::FeatureAdd,
            Self::EditFeature(_) => Verb::FeatureEdit,
            Self::MoveFeature { .. } => Verb::FeatureMove,
            Self::CancelFeature { .. } => Verb::FeatureCancel,
            Self::PauseFeature { .. } => Verb::FeaturePause,
            Self::ResumeFeature { .. } => Verb::FeatureResume,
            Self::PauseTeam { .. } => Verb::TeamPause,
            Self::ResumeTeam => Verb::TeamResume,
            Self::Retry { .. } => Verb::OperationRetry,
            Self::Stop { .. } => Verb::RunStop,
            Self::RevertFeature { .. } => Verb::FeatureRevert,
            Self::LimitTeam { .. } => Verb::TeamLimit,
            Self::Release { .. } => Verb::FeatureMove,
            Self::Guide { .. } => Verb::RunGuide,
            Self::Ask { .. } => Verb::TeamAsk,
        }
    }
}

/// A review of a pull request. What an outsider wrote is data: it says what is wished, and allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// Unique at the forge: the same id again is the same review.
    pub id: String,
    /// Where.
    pub repository: RepositoryName,
    /// The pull request's number.
    pub pull_request: u64,
    /// The head that was looked at.
    pub head: CommitId,
    /// Who, at the forge.
    pub author: Identity,
    /// Who that is in the fleet, with the roles that the bot asserts; `None` for an outsider, who guides nobody.
    pub person: Option<Person>,
    /// What they say in all.
    pub verdict: Verdict,
    /// In words.
    pub text: Passage,
    /// On single lines.
    pub comments: Vec<ReviewComment>,
}

/// What a review says in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Good as it is. It is no vote: those are signed.
    Approved,
    /// Something has to change.
    ChangesRequested,
    /// Only words.
    Commented,
}

/// A remark on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReviewComment {
    /// Path in the repository.
    pub path: String,
    /// Line in the head, from 1.
    pub line: Option<u32>,
    /// What is said.
    pub text: Passage,
}

/// What a check of the forge's own (its CI) said about a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ForgeCheck {
    /// Unique at the forge.
    pub id: String,
    /// Where.
    pub repository: RepositoryName,
    /// The pull request whose head it is, if it is one's.
    pub pull_request: Option<u64>,
    /// The commit.
    pub commit: CommitId,
    /// The check's name.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// In a line.
    pub summary: Sentence,
    /// The lines of its log that say why it is red.
    #[serde(default)]
    pub excerpt: Passage,
    /// Where its log is.
    pub url: Option<String>,
}

/// Something happened to an issue that concerns the team. What it says is data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssueEvent {
    /// Unique at the forge: the same delivery again is the same event.
    pub id: String,
    /// Where.
    pub repository: RepositoryName,
    /// The issue's number.
    pub number: u64,
    /// What happened.
    pub happened: IssueHappened,
    /// Its title.
    pub title: Sentence,
    /// What it says, Markdown.
    pub body: Passage,
    /// Its labels.
    pub labels: Vec<String>,
    /// Title of its milestone.
    #[serde(default)]
    pub milestone: Option<String>,
    /// What its labels say of its urgency: 0 is the most urgent, 4 the least.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Who did it, at the forge.
    pub author: Identity,
    /// Who that is in the fleet, with the roles that the bot asserts; `None` for an outsider, and for somebody without the
    /// right: what they did files and changes nothing, and is shown.
    pub person: Option<Person>,
}

/// What happened to an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IssueHappened {
    /// It was given to the team, by a label or an assignment.
    Assigned,
    /// Its title or text was changed.
    Edited,
    /// It was closed.
    Closed,
    /// It was opened again.
    Reopened,
    /// Its milestone or its urgency was changed.
    Planned,
    /// Each open item of its task list is to be a feature of its own, which waits for the one before.
    Split,
}

/// What somebody tells all teams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Announcement {
    /// Unique in the fleet.
    pub id: String,
    /// Who, and where and when they said it.
    pub by: OnBehalf,
    /// Of which team they spoke, if of one.
    pub team: Option<InstanceName>,
    /// What.
    pub text: Passage,
}
