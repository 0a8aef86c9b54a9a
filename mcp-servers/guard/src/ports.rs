//! What the pipeline asks of others: who may do what, who agreed, and where it is written down. Each port has one real
//! adapter: [`EngineLaw`](crate::EngineLaw) and [`Ledger`](crate::Ledger).

use std::collections::BTreeSet;

use async_trait::async_trait;
use qd_approvals::{Authorised, EffectState, Outcome, Probe};
use qd_audit::Kind;
use qd_engine::Request;
use qd_types::{ApprovalId, ApprovalState, Ask, Decision, RunId, Subject};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::Caller;

/// Who may do what.
pub trait Law: Send + Sync {
    /// What policy says now. An error inside is a no.
    fn decide(&self, request: &Request) -> Decision;

    /// Ticks when a decision may have changed.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A store can't be read or written. The call is refused: nothing happens that can't be written down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{doing} failed: {problem}")]
pub struct StoreError {
    /// What was tried, as a sentence begins: "Writing to the trail".
    pub doing: &'static str,
    /// What went wrong.
    pub problem: String,
}

/// People are to be asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// Everything that their yes would bind.
    pub subject: Subject,
    /// Whom the policy asks, and for how long.
    pub terms: Ask,
    /// Who asks.
    pub caller: Caller,
    /// The call, by its id.
    pub call: String,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It stands: opened now, or asked for before.
    Stands(ApprovalId),
    /// Nobody is asked; the sentence ends the attempt.
    Refused(String),
}

/// A request as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its id.
    pub id: ApprovalId,
    /// What was asked for.
    pub subject: Subject,
    /// Where it is in its life.
    pub state: ApprovalState,
    /// Why it ended, as a sentence.
    pub reason: Option<String>,
    /// It waits behind others of its run.
    pub queued: bool,
    /// Milliseconds that are left to decide, or once granted to carry it out; `None` while no clock runs.
    pub left_ms: Option<i64>,
    /// The effect, if the grant was spent: where it stands, and what it left.
    pub effect: Option<(EffectState, Option<String>)>,
}

impl Standing {
    /// Whether this caller asked for it.
    pub(crate) fn is_asked_by(&self, caller: &Caller) -> bool {
        let binding = self.subject.binding.as_ref();
        binding.is_some_and(|binding| binding.askers.contains(&caller.account()))
    }
}

/// Who agreed.
#[async_trait]
pub trait Approvals: Send + Sync {
    /// Asks, or finds what was asked before.
    async fn ask(&self, asking: Asking) -> Result<Asked, StoreError>;

    /// How a request stands, after what has come in was looked at. `None` if there is no such one.
    async fn standing(&self, id: &ApprovalId) -> Result<Option<Standing>, StoreError>;

    /// The last question before an effect. On a yes, that it is under way is on disk.
    async fn authorise(&self, id: &ApprovalId, rebuilt: Subject) -> Result<Authorised, StoreError>;

    /// How the effect ended, and its row of the trail, at once.
    async fn finish(&self, id: &ApprovalId, outcome: Outcome, event: Event) -> Result<(), StoreError>;

    /// Whoever asked no longer wants it. `false` if it is decided already.
    async fn withdraw(&self, id: &ApprovalId, reason: &str) -> Result<bool, StoreError>;

    /// Effects that a crash cut short.
    async fn interrupted(&self) -> Result<Vec<ApprovalId>, StoreError>;

    /// What a look at the world said about one of them.
    async fn probed(&self, id: &ApprovalId, probe: Probe) -> Result<(), StoreError>;

    /// Returns when a request may have moved, and after a second at the latest.
    async fn moved(&self);
}

/// A row of the trail, before it is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// Who called.
    pub caller: Caller,
    /// The call, by its id.
    pub call: String,
    /// The approval that it is about.
    pub approval: Option<ApprovalId>,
    /// The rest: no names of people, no arguments in the clear.
    pub payload: Map<String, Value>,
}

/// Which rows of the trail somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// About these tools, by their full names. What people said counts to the tool that asked them.
    pub tools: BTreeSet<String>,
    /// Of whom.
    pub whose: Whose,
    /// How many at most.
    pub limit: usize,
}

/// Of whom rows of the trail are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Of one run.
    Run(RunId),
    /// Of a service account.
    Service(String),
    /// Of all.
    Everybody,
}

/// A row of the trail as callers read it. People stand in it under pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Noted {
    /// When it was written, in UTC.
    pub at: String,
    /// What happened: `call`, `request`, `vote`, `decision`, `execution`, `outcome`.
    pub kind: String,
    /// Who did it: `agent:A-1.1`, `person:` and a pseudonym, `team:alpha`.
    pub who: String,
    /// The same as a sentence.
    pub text: String,
    /// The tool's full name.
    pub tool: String,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// The ids by which an effect is found elsewhere, as tasks of a service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<String>,
}

/// Where it is written down.
#[async_trait]
pub trait Trail: Send + Sync {
    /// Written before it returns.
    async fn durable(&self, event: Event) -> Result<(), StoreError>;

    /// Taken, and written soon, together with others. Refused once writing has failed.
    async fn grouped(&self, event: Event) -> Result<(), StoreError>;

    /// The newest rows of those that are wanted, newest first, with all that was taken before.
    async fn newest(&self, wanted: Wanted) -> Result<Vec<Noted>, StoreError>;
}
