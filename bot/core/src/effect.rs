//! What follows from an event, as data. The hub writes all effects of one event in one transaction, then carries
//! them out; those that go outside are rows with a key before they are calls.

use qd_approvals::{Outcome, Proof, Statement, Terms, confirm::Way};
use qd_types::{
    ApprovalId, CommitId, FeatureId, Identity, InstanceName, PersonId, RepositoryName, Subject, Vote,
};
use qd_wire::v1::{FeatureReport, Order, SignedVote};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    chat::{About, Message},
    distil::Fact,
    forge::{Check, Marker, MergeOrder, NewIssue, NewPullRequest},
    links::LinkCode,
    outside::{Spot, Threads, Tracked},
    presence::Seen,
    state::{AlertState, Filed, Foreign},
};

/// One thing that follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Keep a piece of the state.
    Save(Save),
    /// Post or edit a message.
    Put(Message),
    /// Post a message, or edit it when there is time: nothing in it turned.
    Refresh(Message),
    /// Tell an instance something. With a living key, only the newest unsent one goes out.
    Tell {
        /// Which instance.
        to: InstanceName,
        /// The living key.
        living: Option<String>,
        /// What.
        order: Box<Order>,
    },
    /// Take a step in an approval's life, in this transaction. What becomes of it comes back as an event in the same one.
    Step(Step),
    /// Do something at the forge, once.
    Forge {
        /// The idempotency key: the same key is the same act.
        key: String,
        /// The act.
        call: ForgeCall,
    },
}

impl Effect {
    /// Says what a message is about; all else stays as it is.
    pub(crate) fn about(mut self, about: About) -> Self {
        if let Self::Put(message) | Self::Refresh(message) = &mut self {
            message.about = Some(about);
        }
        self
    }
}

impl Effect {
    /// A message about the whole fleet becomes one about a team: it is said where that is.
    pub(crate) fn within(self, team: &InstanceName) -> Self {
        match &self {
            Self::Put(message) | Self::Refresh(message) if message.about.is_none() => {
                self.about(About::team(team))
            }
            _ => self,
        }
    }
}

/// A piece of the state that has to survive.
#[derive(Debug, Clone, PartialEq)]
pub enum Save {
    /// A feature as last reported.
    Feature(InstanceName, Box<FeatureReport>),
    /// What is kept beside an approval.
    Filed(ApprovalId, Box<Filed>),
    /// An alert.
    Alert(InstanceName, String, AlertState),
    /// A feature that its team knows nothing of any more.
    NoFeature(InstanceName, FeatureId),
    /// What a person is to be told; nothing any more if it is empty.
    Untold(PersonId, Vec<String>),
    /// How a team is heard.
    Presence(InstanceName, Box<Seen>),
    /// An approval that an instance keeps, by the unique part of its id; `None` forgets it.
    Foreign(String, Option<Box<Foreign>>),
    /// An issue that was given to a team; `None` forgets it.
    Issue(Spot, Option<Box<Tracked>>),
    /// Threads of reviews at a pull request that wait for an answer.
    Threads(Spot, Threads),
    /// A code that links an account, by its hash; `None` forgets it.
    Link(String, Option<LinkCode>),
    /// A fact for digests and risks.
    Fact(Box<Fact>),
    /// The fact with this key is told, and let go.
    Forget(String),
}

/// A request to people.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// Everything that it binds.
    pub subject: Subject,
    /// By which terms it is decided: the policy's.
    pub terms: Terms,
    /// The agent's words.
    pub words: Option<String>,
    /// The forge request that waits for the decision.
    pub request: String,
    /// What is kept beside it.
    pub filed: Filed,
}

/// What a person said on an approval, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// The vote.
    pub vote: Vote,
    /// With which account.
    pub identity: Identity,
    /// How the surface knew who it was.
    pub proof: Proof,
    /// How it was given.
    pub way: Way,
    /// What was typed out as the target's name.
    pub typed: Option<String>,
    /// The answer, if it is a question.
    pub answer: Option<Value>,
}

impl Word {
    /// What the bot states about it, and signs.
    pub fn statement(self) -> Statement {
        let Self { vote, identity, proof, way, typed, answer } = self;
        Statement { vote, identity, proof, way, typed, answer }
    }
}

/// A step in an approval's life. The store of approvals decides what becomes of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Ask people.
    Ask(Box<Asking>),
    /// A person opens an expired request again.
    Reopen {
        /// Which.
        approval: ApprovalId,
        /// Who.
        by: PersonId,
        /// The same, as it would be asked now.
        asking: Box<Asking>,
    },
    /// A person voted in chat: the bot's own key signs it.
    Vote(Word),
    /// A person voted in chat on what an instance keeps: the bot's own key signs it, and it goes down as an order.
    Send {
        /// Who keeps the approval.
        to: InstanceName,
        /// What was said.
        word: Word,
    },
    /// A vote that an instance took and signed.
    Cast(SignedVote),
    /// Whoever asked gives it up.
    CallOff {
        /// Which.
        approval: ApprovalId,
        /// Why, as a sentence.
        reason: String,
    },
    /// Spend the grant on an act. The act's row is written with it.
    Spend {
        /// Which grant.
        approval: ApprovalId,
        /// The act's key: the same key is the same act.
        key: String,
        /// The act, which holds the subject, built anew.
        call: ForgeCall,
    },
    /// The act that it paid for was begun, and did not happen: it may be taken up again.
    DidNot {
        /// Which.
        approval: ApprovalId,
    },
    /// The act that it paid for has ended.
    Finish {
        /// Which.
        approval: ApprovalId,
        /// How.
        outcome: Outcome,
    },
    /// Its team's board shows it: where no channel could, that is its first card.
    OnBoard {
        /// Which.
        approval: ApprovalId,
    },
    /// It stands on its pull request, where people read it: where no channel could show it, that is its first card.
    OnForge {
        /// Which.
        approval: ApprovalId,
        /// The forge's id of the comment.
        comment: u64,
    },
    /// It can't stand on its pull request.
    OffForge {
        /// Which.
        approval: ApprovalId,
        /// Why not.
        problem: String,
    },
    /// Bring everything in line with the clock.
    Sweep,
}

/// An act at the forge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum ForgeCall {
    /// Open a pull request and say what its checks said.
    Open {
        /// Who asked.
        instance: InstanceName,
        /// In which request.
        request: String,
        /// What.
        new: NewPullRequest,
        /// The head that was checked.
        head: CommitId,
        /// What the checks said.
        checks: Vec<Check>,
    },
    /// Rebuild what a merge would bring. Changes nothing.
    Rebuild {
        /// The approval that would pay.
        approval: ApprovalId,
        /// The reviewed head.
        reviewed: CommitId,
        /// What would be merged.
        order: MergeOrder,
    },
    /// Merge. The grant is spent in the transaction that writes this row.
    Merge {
        /// The approval that pays.
        approval: ApprovalId,
        /// What is about to be done, built anew: it has to be what was approved.
        rebuilt: Box<Subject>,
        /// What is merged.
        order: MergeOrder,
        /// What the checks said about the tested commit.
        checks: Vec<Check>,
    },
    /// Note that the instance made the push that was approved. The grant is used up by it.
    Pushed {
        /// The approval that paid.
        approval: ApprovalId,
        /// What was done.
        rebuilt: Box<Subject>,
        /// The head that was pushed.
        head: CommitId,
    },
    /// Write the comment that carries the marker, or edit it: the answer to somebody, or what became of an issue.
    Answer {
        /// Where.
        repository: RepositoryName,
        /// Under which issue or pull request.
        number: u64,
        /// Found again by this.
        marker: Marker,
        /// What it says.
        body: String,
    },
    /// Answer in a thread of a review, and resolve it.
    Settle {
        /// Where.
        repository: RepositoryName,
        /// Which pull request.
        number: u64,
        /// The thread, as the forge names it.
        thread: String,
        /// Found again by this.
        marker: Marker,
        /// What is said in it.
        body: String,
    },
    /// Close a pull request and say why.
    Close {
        /// Who asked.
        instance: InstanceName,
        /// In which request.
        request: String,
        /// For which feature.
        feature: FeatureId,
        /// Where.
        repository: RepositoryName,
        /// Which.
        number: u64,
        /// Why.
        reason: String,
    },
    /// Open an issue that asks another team for something.
    OpenIssue {
        /// Who asks.
        instance: InstanceName,
        /// In which request.
        request: String,
        /// Who is asked.
        team: InstanceName,
        /// What.
        issue: NewIssue,
    },
    /// Have the sticky comment of a pull request or an issue say how its feature stands. A living state: the newest is shown,
    /// and edits take their time.
    Show {
        /// Where.
        repository: RepositoryName,
        /// Which; they are counted together.
        number: u64,
        /// The sticky comment.
        text: String,
    },
    /// Have a pull request be a draft, or ready for review. A living state.
    Draft {
        /// Where.
        repository: RepositoryName,
        /// Which.
        number: u64,
        /// Whether it is one.
        draft: bool,
    },
    /// Have the card of an approval stand on its pull request. A living state.
    Card {
        /// Which approval.
        approval: ApprovalId,
        /// Where.
        repository: RepositoryName,
        /// On which pull request.
        number: u64,
        /// What it says.
        text: String,
    },
    /// Say how a check of the bot's own stands. A living state. Never a success before a grant was used: that one is part of
    /// [`ForgeCall::Merge`].
    Check {
        /// Where.
        repository: RepositoryName,
        /// Of which commit.
        commit: CommitId,
        /// How it stands.
        check: Check,
    },
    /// Have an issue say how far its milestone is. A living state.
    RollUp {
        /// The issue, found by its marker.
        issue: NewIssue,
        /// The comment that is edited.
        text: String,
        /// All of the milestone is merged.
        over: bool,
    },
}

impl ForgeCall {
    /// Whether only the newest of a key is to be carried out, when there is time for it.
    pub fn is_living(&self) -> bool {
        match self {
            Self::Show { .. }
            | Self::Draft { .. }
            | Self::Card { .. }
            | Self::Check { .. }
            | Self::RollUp { .. } => true,
            Self::Open { .. }
            | Self::Rebuild { .. }
            | Self::Merge { .. }
            | Self::Pushed { .. }
            | Self::OpenIssue { .. }
            | Self::Answer { .. }
            | Self::Settle { .. }
            | Self::Close { .. } => false,
        }
    }
}
