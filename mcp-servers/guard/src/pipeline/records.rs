//! What was asked for and what was written down, as tools that only read. They look into the guard's own approvals and trail
//! and are tools like any other: policy, limits and the trail hold for them. A caller gets what is its own; a person gets what
//! all callers of the team asked for here.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use qd_types::{Action, ApprovalId, ApprovalState, Digest, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Refusal;
use crate::{Call, Caller, Fault, Guard, Look, Noted, Spec, Standing, Wanted, Who, Whose, guard::Inner};

/// The guard that a server stands behind, once it does. It holds its server, so this does not hold it.
pub(crate) type Behind = Arc<OnceLock<Weak<Inner>>>;

/// Rows of the trail where a caller says nothing else.
const ROWS: usize = 20;

fn guard(behind: &Behind) -> Result<Guard, Fault> {
    let guard = behind.get().and_then(Weak::upgrade).map(Guard);
    guard.ok_or_else(|| Fault::failed("This server ends.", "Ask again when it runs."))
}

fn fault(refusal: Refusal) -> Fault {
    Fault::failed(refusal.problem, refusal.way_out)
}

/// Shows what people were asked to agree to.
pub(crate) struct PlanShow(pub(crate) Behind);

/// Which request.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Which {
    /// The id that the answer of a tool gave.
    approval: ApprovalId,
}

/// What people were asked to agree to, and how that stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Asked {
    approval: ApprovalId,
    /// The tool's full name.
    tool: String,
    tier: Tier,
    /// What it is done to.
    target: String,
    /// What the tool is called with. With the target and its state this is what people agree to.
    arguments: Value,
    /// SHA-256 of everything that a yes binds.
    digest: Digest,
    /// Who decides.
    people: String,
    state: ApprovalState,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// It waits behind other requests of its run.
    queued: bool,
    /// Seconds that are left: to decide, and once granted, to carry it out. None while no clock runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<u64>,
    /// What would happen, step by step, on the target's state of now; empty once nothing will happen any more.
    steps: Vec<String>,
    /// What is to be known about the steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    careful: Option<String>,
}

#[async_trait]
impl Look for PlanShow {
    type Input = Which;
    type Output = Asked;

    fn spec(&self) -> Spec {
        let text = "What people were asked to agree to, by the id of the approval: target, arguments, steps, tier, digest, who \
                    decides, how it stands, time left. It carries nothing out.";
        Spec::new("plan_show", Tier::Read, "plan.show").described("Show a plan", text)
    }

    async fn look(&self, call: &Call, input: Which) -> Result<Asked, Fault> {
        let guard = guard(&self.0)?;
        let standing = guard.readable(&call.caller, &input.approval).await.map_err(fault)?;
        guard.asked(call, standing).await
    }
}

/// Shows the end of the trail.
pub(crate) struct AuditTail(pub(crate) Behind);

/// Which rows.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Rows {
    /// How many at most; 20 if it is not given.
    #[schemars(range(min = 1, max = 200))]
    #[serde(default)]
    limit: Option<u16>,
    /// Only rows about this tool of this server, by its name.
    #[serde(default)]
    tool: Option<String>,
}

/// The newest rows of the trail.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Told {
    /// Newest first.
    rows: Vec<Noted>,
}

#[async_trait]
impl Look for AuditTail {
    type Input = Rows;
    type Output = Told;

    fn spec(&self) -> Spec {
        let text = "The newest rows of this server's trail, newest first: calls, what people were asked and said, and what came \
                    of it, with the ids by which that is found elsewhere. An agent gets those of its own run. People stand in \
                    it under pseudonyms.";
        Spec::new("audit_tail", Tier::Read, "audit.tail").described("Show the trail", text)
    }

    async fn look(&self, call: &Call, input: Rows) -> Result<Told, Fault> {
        let guard = guard(&self.0)?;
        let names = guard.known_tools().into_iter().map(|tool| tool.name);
        let asked_for = |name: &String| input.tool.as_ref().is_none_or(|tool| tool == name);
        let tools = names.filter(asked_for).map(|name| format!("{}.{name}", guard.name())).collect();
        let whose = match &call.caller.who {
            Who::Agent { run, .. } => Whose::Run(run.clone()),
            Who::Service { name, .. } => Whose::Service(name.clone()),
            Who::Person { .. } => Whose::Everybody,
        };
        let limit = input.limit.map_or(ROWS, usize::from);
        let rows = guard.0.trail.newest(Wanted { tools, whose, limit }).await;
        Ok(Told { rows: rows.map_err(|error| fault(Refusal::store(&error)))? })
    }
}

impl Guard {
    /// How a request stands, if this caller may read of it: its own, and for a person everything that was asked for here.
    async fn readable(&self, caller: &Caller, id: &ApprovalId) -> Result<Standing, Refusal> {
        let is_person = matches!(caller.who, Who::Person { .. });
        let found = self.0.approvals.standing(id).await.map_err(|error| Refusal::store(&error))?;
        let may = |standing: &Standing| {
            self.is_asked_here(caller, standing) && (is_person || standing.is_asked_by(caller))
        };
        found.filter(may).ok_or_else(|| Refusal::not_asked(id))
    }

    async fn asked(&self, call: &Call, standing: Standing) -> Result<Asked, Fault> {
        let subject = &standing.subject;
        let (Some(binding), Action::Tool(does)) = (&subject.binding, &subject.action) else {
            return Err(fault(Refusal::not_asked(&standing.id)));
        };
        let digest = subject.digest().map_err(|error| {
            Fault::failed(format!("What was asked for has no digest: {error}."), "Call the tool itself anew.")
        })?;
        let (steps, careful) = match standing.state {
            ApprovalState::Requested | ApprovalState::Granted => self.steps(call, &standing).await,
            _ => (Vec::new(), None),
        };
        Ok(Asked {
            tool: binding.tool.as_ref().map(|tool| tool.name.clone()).unwrap_or_default(),
            tier: does.tier,
            target: binding.target.clone(),
            arguments: binding.arguments.clone(),
            digest,
            people: subject.requirement.describe(),
            state: standing.state,
            reason: standing.reason.clone(),
            queued: standing.queued,
            left: standing.left_ms.and_then(|left| u64::try_from(left).ok()).map(|left| left / 1000),
            steps,
            careful,
            approval: standing.id,
        })
    }

    /// What would be done at this moment, and what is to be known about it. The steps are not kept with a request: they
    /// follow from what is, and are built as they would be to carry it out.
    pub(super) async fn steps(&self, call: &Call, standing: &Standing) -> (Vec<String>, Option<String>) {
        let binding = standing.subject.binding.as_ref();
        let tool = binding.and_then(|binding| self.own(&binding.tool.as_ref()?.name));
        let entry = tool.and_then(|name| self.find(&call.caller, name, &self.entry(name)?.face));
        let (Some(binding), Some(entry)) = (binding, entry) else {
            return (Vec::new(), Some("The steps can't be told: the tool is not there for you.".to_owned()));
        };
        match self.plan(call, &entry, &binding.arguments).await {
            Ok(plan) if plan.fingerprint == binding.fingerprint && plan.target == binding.target => {
                (plan.steps, None)
            }
            Ok(plan) => {
                let text =
                    "The target is not as it was when people were asked: this would not be carried out.";
                (plan.steps, Some(text.to_owned()))
            }
            Err(fault) => (Vec::new(), Some(format!("The steps can't be told: {}", fault.problem))),
        }
    }
}
