//! What follows from an event, as data. The hub writes all effects of one event in one transaction, then carries
//! them out; those that go outside are rows with a key before they are calls.

use qd_types::{ApprovalId, CommitId, Digest, FeatureId, InstanceName, RepositoryName};
use qd_wire::v1::{FeatureReport, Order};
use serde::{Deserialize, Serialize};

use crate::{
    chat::Message,
    forge::{Check, MergeOrder, NewPullRequest},
    state::{AlertState, Desk},
};

/// One thing that follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Keep a piece of the state.
    Save(Save),
    /// Post or edit a message.
    Put(Message),
    /// Tell an instance something. With a living key, only the newest unsent one goes out.
    Tell {
        /// Which instance.
        to: InstanceName,
        /// The living key.
        living: Option<String>,
        /// What.
        order: Box<Order>,
    },
    /// Do something at the forge, once.
    Forge {
        /// The idempotency key: the same key is the same act.
        key: String,
        /// The act.
        call: ForgeCall,
    },
}

/// A piece of the state that has to survive.
#[derive(Debug, Clone, PartialEq)]
pub enum Save {
    /// A feature as last reported.
    Feature(InstanceName, Box<FeatureReport>),
    /// An approval.
    Approval(Box<Desk>),
    /// An alert.
    Alert(InstanceName, String, AlertState),
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
        /// What was approved.
        digest: Digest,
        /// What is merged.
        order: MergeOrder,
        /// What the checks said about the tested commit.
        checks: Vec<Check>,
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
}
