//! What can happen to the bot.

use jiff::Timestamp;
use qd_approvals::{AskRefusal, Cast, ReopenRefusal, Resumption, Spending, Swept};
use qd_types::{ApprovalId, CommitId, Identity, InstanceName, Person, PersonId};
use qd_wire::v1::Report;

use crate::{
    chat::Given,
    distil::Pipeline,
    effect::Asking,
    forge::{Brought, ForgeError, NewIssue},
    machines::{MachineCall, Machined},
    outside::Outside,
    state::Standing,
};

/// Time and randomness, given from outside so that the same event gives the same effects.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Now.
    pub at: Timestamp,
    /// A fresh id, should one be needed.
    pub fresh: ulid::Ulid,
}

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// An instance reported.
    Report {
        /// Which.
        instance: InstanceName,
        /// What.
        report: Box<Report>,
    },
    /// An instance begins to number its reports anew: it or the bot has lost rows, as one has that was restored.
    EpochBegan {
        /// Which.
        instance: InstanceName,
    },
    /// A person gave a command in chat; the answer is for them alone.
    Command {
        /// Who, with the roles they hold now.
        person: Person,
        /// Where and how, and how it is known that it is them.
        given: Given,
        /// What they typed or pressed.
        text: String,
    },
    /// What became of a person's word that travelled to an instance is to be told to them: of one approval, or of all those
    /// of which they were not told in time.
    Collect {
        /// Who.
        person: PersonId,
        /// Of which approval.
        of: Option<ApprovalId>,
    },
    /// A pull request was opened, or was not.
    Opened {
        /// The instance that asked.
        instance: InstanceName,
        /// Its request.
        request: String,
        /// Its number.
        result: Result<u64, ForgeError>,
    },
    /// The forge rebuilt what a merge would bring.
    Rebuilt {
        /// The approval that would pay for it.
        approval: ApprovalId,
        /// What it is.
        result: Result<Brought, ForgeError>,
    },
    /// A merge was made, or was not.
    Merged {
        /// The approval that paid for it.
        approval: ApprovalId,
        /// The commit on the target branch.
        result: Result<CommitId, ForgeError>,
    },
    /// An approved push was made, and noted or not.
    Pushed {
        /// The approval that paid for it.
        approval: ApprovalId,
        /// The head that was pushed.
        result: Result<CommitId, ForgeError>,
    },
    /// An issue that asks another team for something was opened, or was not.
    IssueOpened {
        /// The instance that asks.
        instance: InstanceName,
        /// Its request.
        request: String,
        /// Who is asked.
        team: InstanceName,
        /// What.
        issue: Box<NewIssue>,
        /// Its number.
        result: Result<u64, ForgeError>,
    },
    /// The card of an approval stands on its pull request, or can't.
    Carded {
        /// Which.
        approval: ApprovalId,
        /// The forge's id of the comment.
        result: Result<u64, ForgeError>,
    },
    /// A workflow or a deployment ran on a commit of a default branch.
    Ran {
        /// Which.
        pipeline: Pipeline,
        /// On what.
        commit: CommitId,
        /// Whether it passed.
        passed: bool,
        /// Where to look.
        url: Option<String>,
    },
    /// Something happened at a forge.
    Outside(Box<Outside>),
    /// Something was said at a forge, or was not.
    Said {
        /// What.
        key: String,
        /// Whether.
        result: Result<(), ForgeError>,
    },
    /// It is time to look who is heard.
    Look,
    /// Time passed.
    Tick,
    /// People are asked, or are not.
    Asked {
        /// What was to be asked.
        asking: Box<Asking>,
        /// The request, which may be one that stood already.
        result: Result<Box<Standing>, AskRefusal>,
    },
    /// An expired request is open again, or is not.
    Reopened {
        /// What was to be asked.
        asking: Box<Asking>,
        /// The request in its place.
        result: Result<Box<Standing>, ReopenRefusal>,
    },
    /// The store looked at a vote.
    Voted {
        /// On what.
        approval: ApprovalId,
        /// What became of it.
        cast: Cast,
    },
    /// The grant was spent, or was not.
    Spent {
        /// Which.
        approval: ApprovalId,
        /// What became of it.
        spending: Spending,
    },
    /// An approval may have changed: this is how it stands.
    Stands(Box<Standing>),
    /// A request waited for this decision.
    Decided(Resumption),
    /// The clock has something to say.
    Swept(Swept),
    /// An account that nobody is linked to says something: only the code that links it is heard.
    Stranger {
        /// The account.
        identity: Identity,
        /// What was typed.
        text: String,
    },
    /// An account was linked, or can't be.
    Linked {
        /// The hash of the code that it was named with.
        hash: String,
        /// Why not, as a sentence.
        result: Result<(), String>,
    },
    /// People are asked about a call of the bot's own process: how their request stands, and facts for its card.
    Called(Box<Standing>, String),
    /// Something happened to an order for a machine.
    Machine {
        /// Which order.
        call: Box<MachineCall>,
        /// What.
        now: Machined,
    },
    /// A pull request was closed, or was not.
    Closed {
        /// The instance that asked.
        instance: InstanceName,
        /// Its request.
        request: String,
        /// Whether.
        result: Result<(), ForgeError>,
    },
}
