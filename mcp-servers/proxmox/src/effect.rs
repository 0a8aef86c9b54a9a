//! What changes something, as data: a plan and the requests that carry it out. Both are built by one function, so that
//! what is shown is what is done. Each request is waited for to its true end; the first that fails ends it.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_guard::{Approved, Call, Caller, Change, Fault, Mutation, Permit, Plan, Quoted, Spec};
use qd_types::SpentGrant;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    cluster::{Cluster, Guest, count, text},
    request::Request,
    requests,
    undo::Inverse,
};

/// Longest output of a program in a guest, in characters.
const OUTPUT: usize = 16_000;

/// How often a program in a guest is looked at, a second apart.
const LOOKS: u32 = 50;

/// A change that is ready to be made.
pub(crate) struct Ready {
    /// What is acted on.
    pub(crate) target: String,
    /// What it depends on.
    pub(crate) fingerprint: String,
    /// What would happen.
    pub(crate) steps: Vec<String>,
    /// What nothing else is done to meanwhile.
    pub(crate) keys: Vec<String>,
    /// What is sent, one after the other. Nothing, if it is so already.
    pub(crate) requests: Vec<Request>,
    /// How it is taken back.
    pub(crate) undo: Option<String>,
    /// What of a guest's configuration is kept, to be set back.
    pub(crate) inverse: Option<(Guest, Inverse)>,
    /// The guest in which a program was started, whose end is waited for.
    pub(crate) runs_in: Option<Guest>,
}

/// A change.
#[async_trait]
pub(crate) trait Effect: Send + Sync + 'static {
    /// Its arguments.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;

    /// What it is.
    fn spec() -> Spec;

    /// Checks everything that the caller names, and makes it ready. Changes nothing.
    async fn ready(cluster: &Cluster, caller: &Caller, input: &Self::Input) -> Result<Ready, Fault>;
}

/// One that policy may allow without asking.
pub(crate) trait Operates: Effect {}

/// One that people decide on, every time.
pub(crate) trait Decided: Effect {}

/// An effect as a tool.
pub(crate) struct Doing<E>(Arc<Cluster>, PhantomData<fn() -> E>);

impl<E> Doing<E> {
    pub(crate) fn new(cluster: &Arc<Cluster>) -> Self {
        Self(cluster.clone(), PhantomData)
    }
}

/// What became of it.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Done {
    target: String,
    /// Whether anything was done; it may have been so already.
    changed: bool,
    steps: Vec<String>,
    /// The tasks of Proxmox that it was; each can be looked at with `task_log`.
    tasks: Vec<String>,
    /// Warnings of those tasks.
    warnings: u32,
    /// The ends of their logs.
    log: Vec<Quoted>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output>,
    /// How it is taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<String>,
}

/// What a program in a guest said.
#[derive(Debug, Serialize, JsonSchema)]
struct Output {
    exit_code: u64,
    stdout: Quoted,
    stderr: Quoted,
}

impl<E: Effect> Doing<E> {
    /// Makes the change, and waits for its true end.
    pub(crate) async fn carry_out(&self, call: &Call, input: &E::Input) -> Result<Done, Fault> {
        let (cluster, tier) = (&self.0, E::spec().tier);
        let seen = E::ready(cluster, &call.caller, input).await?;
        let _held = cluster.api.hold(seen.keys.clone()).await;
        // It may have waited: what it finds now has to be what it saw.
        let ready = E::ready(cluster, &call.caller, input).await?;
        if ready.fingerprint != seen.fingerprint {
            return Err(Fault::failed(
                format!("{} was changed meanwhile.", ready.target),
                "Look at it again, then call again.",
            ));
        }
        let mut done =
            Done { target: ready.target.clone(), changed: !ready.requests.is_empty(), ..Done::default() };
        (done.steps, done.undo) = (ready.steps.clone(), ready.undo.clone().filter(|_| done.changed));
        for (before, request) in ready.requests.iter().enumerate() {
            let request = request.clone().needing(tier);
            let (answer, ended) = cluster.api.carry_out(call, &request).await.map_err(|error| {
                let fault = error.changing(&done.target);
                if before == 0 {
                    return fault;
                }
                let so_far =
                    format!("{} Of its {} parts {before} were done.", fault.problem, ready.requests.len());
                Fault::unsure(so_far, fault.way_out)
            })?;
            if let Some(ended) = ended {
                done.tasks.push(ended.upid.to_string());
                done.warnings += ended.warnings;
                done.log.extend(ended.log.iter().map(|line| Quoted::new(line, 300)));
            }
            if let Some(guest) = ready.runs_in.as_ref().filter(|_| answer.get("pid").is_some()) {
                done.output = Some(self.output(guest, &answer).await?);
            }
        }
        if done.changed {
            // It has happened, whether or not it can be kept how it is taken back.
            match cluster.keep(&call.id, &done.steps.join(" "), &ready).await {
                Ok(Some(undo)) => done.undo = Some(undo),
                Ok(None) => {}
                Err(fault) => {
                    tracing::warn!(problem = fault.problem, "a change can't be taken back by undo_change");
                }
            }
        }
        Ok(done)
    }

    async fn output(&self, guest: &Guest, started: &Value) -> Result<Output, Fault> {
        let pid = count(started, "pid");
        for _ in 0..LOOKS {
            let look = requests::exec_status(guest, pid).needing(E::spec().tier);
            let state = self.0.api.ask(&look).await;
            let state = state.map_err(|error| {
                let fault = error.looking();
                Fault::unsure(fault.problem, fault.way_out)
            })?;
            if count(&state, "exited") == 1 || state.get("exited") == Some(&Value::Bool(true)) {
                return Ok(Output {
                    exit_code: count(&state, "exitcode"),
                    stdout: Quoted::new(text(&state, "out-data"), OUTPUT),
                    stderr: Quoted::new(text(&state, "err-data"), OUTPUT),
                });
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Fault::unsure(
            format!("The program in {guest} goes on, as process {pid}."),
            "It can't be ended from here; look in the guest what it does.",
        ))
    }
}

#[async_trait]
impl<E: Effect> Mutation for Doing<E> {
    type Input = E::Input;
    type Output = Done;

    fn spec(&self) -> Spec {
        E::spec().traced_by("tasks")
    }

    async fn plan(&self, call: &Call, input: &E::Input) -> Result<Plan, Fault> {
        let ready = E::ready(&self.0, &call.caller, input).await?;
        Ok(Plan { target: ready.target, fingerprint: ready.fingerprint, steps: ready.steps })
    }
}

#[async_trait]
impl<E: Operates> Change for Doing<E> {
    async fn change(&self, call: &Call, input: E::Input, _: Permit) -> Result<Done, Fault> {
        self.carry_out(call, &input).await
    }
}

#[async_trait]
impl<E: Decided> Approved for Doing<E> {
    async fn carry_out(&self, call: &Call, input: E::Input, _: SpentGrant) -> Result<Done, Fault> {
        Doing::carry_out(self, call, &input).await
    }
}
