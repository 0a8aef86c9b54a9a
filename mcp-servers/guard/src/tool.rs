//! What a tool is: a type for its arguments, one for its result, a tier, and one of three traits that say what it may be
//! given: [`Look`], [`Change`], [`Approved`]. A tool of a tier that people decide on can't be written so that it runs without their grant.

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_engine::Resource;
use qd_types::{PolicyHash, SpentGrant, Tier, Verb};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::Caller;

/// How long an effect may take where the tool says nothing else.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What a tool says of itself. All but the time limit is hashed into what people approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name on its server: `remove_container`.
    pub name: Cow<'static, str>,
    /// Its name for people.
    pub title: Cow<'static, str>,
    /// What it does, for whoever chooses among tools.
    pub description: Cow<'static, str>,
    /// How dangerous it is.
    pub tier: Tier,
    /// The policies' name for what it does: `container.remove`. A "no" sticks to this, whichever tool asks.
    pub action: Cow<'static, str>,
    /// The action that policy decides on.
    pub verb: Verb,
    /// What clients are told of it. Has to agree with the tier.
    pub hints: Hints,
    /// How long an effect may take.
    pub time_limit: Duration,
    /// Calls a minute for each caller, where it has a limit of its own; 0 for none at all.
    pub per_minute: Option<u32>,
    /// The field of the result with the ids by which an effect is found elsewhere, as tasks of a service. They stand in the
    /// trail.
    pub traces: Option<&'static str>,
}

impl Spec {
    /// A tool of this tier, with what follows from the tier.
    pub fn new(name: impl Into<Cow<'static, str>>, tier: Tier, action: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        Self {
            title: name.clone(),
            name,
            description: Cow::Borrowed(""),
            tier,
            action: action.into(),
            verb: Verb::of_tool(tier),
            hints: Hints::of(tier),
            time_limit: TIME_LIMIT,
            per_minute: None,
            traces: None,
        }
    }

    /// With a name for people, and what it does.
    #[must_use]
    pub fn described(
        mut self,
        title: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        (self.title, self.description) = (title.into(), description.into());
        self
    }

    /// Decided as this action of the product; [`Look::resource`] has to say on what.
    #[must_use]
    pub fn decided_as(mut self, verb: Verb) -> Self {
        self.verb = verb;
        self
    }

    /// With other hints.
    #[must_use]
    pub fn hinted(mut self, hints: Hints) -> Self {
        self.hints = hints;
        self
    }

    /// With the field of its result that says by which ids an effect is found elsewhere.
    #[must_use]
    pub fn traced_by(mut self, field: &'static str) -> Self {
        self.traces = Some(field);
        self
    }

    /// The ids by which an effect is found elsewhere.
    pub(crate) fn traces_in(&self, result: &serde_json::Value) -> Vec<String> {
        let found = self.traces.and_then(|field| result.get(field)?.as_array());
        found.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }

    /// With another limit for its effect.
    #[must_use]
    pub fn within(mut self, time_limit: Duration) -> Self {
        self.time_limit = time_limit;
        self
    }
}

/// MCP's annotations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: bool,
    /// It may undo or overwrite what was there.
    pub destructive: bool,
    /// Twice is as once.
    pub idempotent: bool,
    /// It reaches out of this machine and its services.
    pub open_world: bool,
}

impl Hints {
    /// What follows from a tier.
    pub fn of(tier: Tier) -> Self {
        let read_only = tier == Tier::Read;
        Self { read_only, destructive: tier == Tier::Destroy, idempotent: read_only, open_world: false }
    }

    /// What of it the tier contradicts, as a sentence; `None` if nothing.
    pub fn contradicted_by(&self, tier: Tier) -> Option<&'static str> {
        match tier {
            Tier::Read if !self.read_only => Some("a tool of the tier read says that it changes something"),
            Tier::Read if self.destructive => Some("a tool of the tier read says that it destroys"),
            Tier::Read => None,
            _ if self.read_only => Some("a tool that changes something says that it only reads"),
            Tier::Destroy if !self.destructive => {
                Some("a tool of the tier destroy says that it destroys nothing")
            }
            _ => None,
        }
    }
}

/// One call, as a tool sees it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its id, as it stands in the trail.
    pub id: String,
    /// Who calls.
    pub caller: Caller,
    /// Ends when the client gives up or the time is over. An effect that can stop half-way without harm looks at it.
    pub cancel: CancellationToken,
    /// Where long work says how far it is.
    pub progress: Progress,
}

/// How far work is, for whoever waits. Nobody may be listening.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    listener: Option<mpsc::Sender<Step>>,
    holds: bool,
}

/// How far.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Done so far, in the tool's own unit; only grows.
    pub done: f64,
    /// Of how much.
    pub total: Option<f64>,
    /// What happens now.
    pub text: String,
}

impl Progress {
    /// For a client that listens. `holds`: it waits for people with its call open.
    pub fn to(listener: mpsc::Sender<Step>, holds: bool) -> Self {
        Self { listener: Some(listener), holds }
    }

    /// Whether a call is held open while people decide.
    pub(crate) fn holds(&self) -> bool {
        self.holds
    }

    /// Tells it. If whoever listens is behind, this step is left out.
    pub fn report(&self, done: f64, total: Option<f64>, text: impl Into<String>) {
        if let Some(listener) = &self.listener {
            let _ = listener.try_send(Step { done, total, text: text.into() });
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.listener.is_some()
    }
}

/// What would happen, and what that depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is acted on, as people name it: `billing-db`.
    pub target: String,
    /// Fingerprint of its live state: an etag, a sha, a hash of what was read. If it changes, what was approved does not hold.
    pub fingerprint: String,
    /// What would happen, step by step.
    pub steps: Vec<String>,
}

/// Why a tool did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong, as a sentence.
    pub problem: String,
    /// What the caller can do, as a sentence.
    pub way_out: String,
    /// It can't be told whether it happened.
    pub unsure: bool,
}

impl Fault {
    /// It surely did not happen.
    pub fn failed(problem: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { problem: problem.into(), way_out: way_out.into(), unsure: false }
    }

    /// It can't be told whether it happened. It is never tried again by itself.
    pub fn unsure(problem: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { problem: problem.into(), way_out: way_out.into(), unsure: true }
    }
}

/// What an effect happens on the strength of.
#[derive(Debug)]
pub enum Permit {
    /// Policy allows it to this caller; this decided.
    Policy(PolicyHash),
    /// People approved exactly this, and their grant was spent on it.
    Grant(SpentGrant),
}

/// A tool that only reads.
#[async_trait]
pub trait Look: Send + Sync + 'static {
    /// Its arguments.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;
    /// Its result: a struct.
    type Output: Serialize + JsonSchema + Send;

    /// What it is. Its tier is `read`.
    fn spec(&self) -> Spec;

    /// What it is done to, for the policy. `None` for the tool itself. Without input for the list of tools.
    fn resource(&self, _caller: &Caller, _input: Option<&Self::Input>) -> Option<Resource> {
        None
    }

    /// Refuses what is not this caller's business, whatever policy says: another team, a path outside.
    fn within(&self, _caller: &Caller, _input: &Self::Input) -> Result<(), Fault> {
        Ok(())
    }

    /// Reads.
    async fn look(&self, call: &Call, input: Self::Input) -> Result<Self::Output, Fault>;
}

/// A tool that changes something: what every one of them says of itself. How it does it is [`Change`] or [`Approved`].
#[async_trait]
pub trait Mutation: Send + Sync + 'static {
    /// Its arguments.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;
    /// Its result: a struct.
    type Output: Serialize + JsonSchema + Send;

    /// What it is.
    fn spec(&self) -> Spec;

    /// As [`Look::resource`].
    fn resource(&self, _caller: &Caller, _input: Option<&Self::Input>) -> Option<Resource> {
        None
    }

    /// As [`Look::within`].
    fn within(&self, _caller: &Caller, _input: &Self::Input) -> Result<(), Fault> {
        Ok(())
    }

    /// What would happen, on the state as it is. Changes nothing; is called again right before the effect.
    async fn plan(&self, call: &Call, input: &Self::Input) -> Result<Plan, Fault>;

    /// Whether an effect happened that a crash cut short. What can't be told is never tried again.
    async fn probe(&self, _approval: &str, _input: &Self::Input) -> Probe {
        Probe::CantTell("This tool can't look whether it happened.".to_owned())
    }
}

/// A tool that changes what can be changed back. Its tier is `operate`; policy may allow it without asking.
#[async_trait]
pub trait Change: Mutation {
    /// Does it.
    async fn change(&self, call: &Call, input: Self::Input, permit: Permit) -> Result<Self::Output, Fault>;
}

/// A tool that people decide on, every time. Its tier is `merge`, `provision` or `destroy`.
#[async_trait]
pub trait Approved: Mutation {
    /// Does it, on the strength of what people approved.
    async fn carry_out(
        &self,
        call: &Call,
        input: Self::Input,
        grant: SpentGrant,
    ) -> Result<Self::Output, Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_agree_with_their_tier() {
        for tier in Tier::ALL {
            assert_eq!(Hints::of(tier).contradicted_by(tier), None);
        }
        let reads = Hints::of(Tier::Read);
        let destroys = Hints::of(Tier::Destroy);
        insta::assert_snapshot!(destroys.contradicted_by(Tier::Read).unwrap(), @"a tool of the tier read says that it changes something");
        insta::assert_snapshot!(reads.contradicted_by(Tier::Operate).unwrap(), @"a tool that changes something says that it only reads");
        insta::assert_snapshot!(Hints { destructive: false, ..destroys }.contradicted_by(Tier::Destroy).unwrap(), @"a tool of the tier destroy says that it destroys nothing");
        assert_eq!(destroys.contradicted_by(Tier::Operate), None, "what is overwritten can be written back");
    }
}
