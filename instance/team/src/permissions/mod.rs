//! What an agent may do while it works: the policies decide, and where they want people asked, an approval of the instance's
//! own binds exactly what the agent wants. A yes is for this once: it is spent when the agent is told. A no holds for the run.
//! What was decided while no agent waited is told in the next turn.

mod sort;
mod watch;

pub use sort::{SERVER, Wish};
pub(crate) use watch::Watch;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::acp::{Ask, Decision, Permissions, Verdict};
use qd_approvals::{Asked, Authorised, Outcome, Record, WHOLE};
use qd_board::{Feature, PlanMode};
use qd_engine::{Principal, Resource};
use qd_store::{Store, StoreError};
use qd_types::{Action, ApprovalId, ApprovalState, Call, Identity, RunId, Subject, Tool};
use serde_json::json;

use crate::{
    calls,
    own::{About, Quorum, Ruled, sha256},
    team::Team,
};

/// Who waits for a decision about a permission.
pub(crate) const WAITER: &str = "permission";

/// How an attempt ends.
const FINAL: &str = "Do not try it again in another way: finish without it, or stop and say what is missing.";

/// What an agent is told of a tool that is not one: there is no definition but this.
const DEFINITION: &str = "what a coding agent does by itself, asked for over the Agent Client Protocol";

/// Decides for the agent of one run, in one turn.
pub(crate) struct Desk {
    pub(crate) team: Team,
    pub(crate) run: RunId,
    pub(crate) agent: String,
    pub(crate) feature: Feature,
    /// Beginnings of commands that it may run.
    pub(crate) known: Vec<Vec<String>>,
    pub(crate) watch: Arc<Watch>,
}

#[async_trait]
impl Permissions for Desk {
    async fn decide(&self, ask: &Ask) -> Verdict {
        let wanted = self.wanted(ask);
        match wanted.ruled() {
            Ruled::Allow => Verdict::Allow,
            Ruled::Deny(reason) => Verdict::Deny(format!("{reason} {FINAL}")),
            Ruled::Ask(quorum) => match wanted.ask(&quorum).await {
                Ok(Ok(id)) => {
                    let waits = self.watch.person();
                    Verdict::Person(Box::pin(async move {
                        let decision = wanted.decided(&id).await.unwrap_or_else(|error| {
                            tracing::error!(%error, approval = %id, "an agent's permission can't be looked up");
                            Decision::Deny("what people decide can't be looked up now".to_owned())
                        });
                        drop(waits);
                        decision
                    }))
                }
                Ok(Err(reason)) => Verdict::Deny(reason),
                Err(error) => {
                    tracing::error!(%error, run = %self.run, "nobody can be asked about an agent's permission");
                    Verdict::Deny("nobody can be asked now".to_owned())
                }
            },
        }
    }
}

impl Desk {
    fn wanted(&self, ask: &Ask) -> Wanted {
        Wanted {
            team: self.team.clone(),
            run: self.run.clone(),
            agent: self.agent.clone(),
            feature: self.feature.clone(),
            wish: Wish::of(ask, &self.known),
            ask: ask.clone(),
        }
    }
}

/// One thing that an agent wants to do.
struct Wanted {
    team: Team,
    run: RunId,
    agent: String,
    feature: Feature,
    wish: Wish,
    ask: Ask,
}

impl Wanted {
    /// What the policies say to it now.
    fn ruled(&self) -> Ruled {
        if self.feature.wanted.plan == PlanMode::Answer && !self.wish.only_reads() {
            return Ruled::Deny("A question is answered by reading: nothing is changed for it.".to_owned());
        }
        let principal = Principal::Agent { team: self.team.name(), name: self.agent.clone() };
        let resource = Resource::Tool { server: SERVER.to_owned(), name: self.wish.as_str().to_owned() };
        self.team.ruled(principal, self.wish.verb(), resource)
    }

    /// All that an approval of it binds.
    fn subject(&self, quorum: &Quorum) -> Subject {
        let Ask { title, tool, kind, paths, command, hosts, .. } = &self.ask;
        let arguments =
            json!({ "kind": kind, "tool": tool, "paths": paths, "command": command, "hosts": hosts });
        let does = format!("{SERVER}.{}", self.wish.as_str());
        let about = About {
            action: Action::Tool(Call { does: does.clone(), tier: self.wish.tier() }),
            target: sort::target(&self.ask),
            fingerprint: sha256(&json!([title, arguments]).to_string()),
            arguments,
            feature: self.feature.id.clone(),
            run: self.run.clone(),
            requesters: self.feature.requesters(),
            askers: vec![Identity { service: "agent".into(), account: self.run.to_string() }],
        };
        let mut subject = self.team.subject(about, quorum);
        if let Some(binding) = &mut subject.binding {
            binding.tool = Some(Tool { name: does, definition: sha256(DEFINITION) });
        }
        subject
    }

    /// Asks people, unless they are asked already; or says why not.
    async fn ask(&self, quorum: &Quorum) -> Result<Result<ApprovalId, String>, StoreError> {
        let subject = self.subject(quorum);
        if let Some(reason) = self.team.unreachable(&subject) {
            return Ok(Err(format!("Nobody could decide it: {reason} {FINAL}")));
        }
        let (keeper, mut request) = self.team.request(subject, quorum, Some(WAITER));
        request.words = Some(self.ask.title.clone());
        Ok(match self.team.store().ask(&keeper, request, Timestamp::now()).await? {
            Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => Ok(id),
            Asked::Refused(refusal) => Err(refusal.to_string()),
        })
    }

    /// Waits for people. A yes is spent before it is said.
    async fn decided(&self, id: &ApprovalId) -> Result<Decision, StoreError> {
        let (store, mut commits) = (self.team.store(), self.team.store().commits());
        loop {
            commits.borrow_and_update();
            let keeper = self.team.keeper();
            let Some(record) = store.own(&keeper, &id.key(), Timestamp::now()).await? else {
                return Ok(Decision::Deny(format!("There is no approval {id} any more.")));
            };
            match record.state() {
                ApprovalState::Requested => {}
                // The run waits: its agent is stopped, and told when it goes on.
                ApprovalState::Expired if store.held_back(&self.run, Timestamp::now()).await? => {}
                ApprovalState::Granted => {
                    store.resume(&keeper, &self.run, WAITER, Timestamp::now()).await?;
                    return self.spend(id).await;
                }
                _ => {
                    store.resume(&keeper, &self.run, WAITER, Timestamp::now()).await?;
                    return Ok(Decision::Deny(format!("{} {FINAL}", reason(&record))));
                }
            }
            Store::changed(&mut commits).await?;
        }
    }

    /// Spends the yes on exactly what the agent wants.
    async fn spend(&self, id: &ApprovalId) -> Result<Decision, StoreError> {
        let quorum = match self.ruled() {
            Ruled::Ask(quorum) => quorum,
            Ruled::Allow => return Ok(Decision::Allow),
            Ruled::Deny(reason) => return Ok(Decision::Deny(format!("{reason} {FINAL}"))),
        };
        let (store, keeper) = (self.team.store(), self.team.keeper());
        let (rebuilt, effect) = (self.subject(&quorum), format!("permission/{}", id.key()));
        match store.authorise(&keeper, (id, WHOLE), rebuilt, &effect, Timestamp::now()).await? {
            Authorised::Go(_) => {
                qd_failpoint::reached("permission_spent");
                let outcome = Outcome::Done("allowed once".to_owned());
                store.finish(&keeper, (id, WHOLE), outcome, Timestamp::now()).await?;
                Ok(Decision::Allow)
            }
            Authorised::Lapsed { reason, .. } => Ok(Decision::Deny(reason)),
            Authorised::Refused(refusal) => Ok(Decision::Deny(refusal.to_string())),
        }
    }
}

/// What an agent wanted, as it would be asked for now; an error says why nobody is asked.
pub(crate) fn again(team: &Team, agent: &str, old: &Subject) -> Result<(Subject, Quorum), String> {
    let Action::Tool(call) = &old.action else { return Err("It is no permission.".to_owned()) };
    let name = call.does.strip_prefix(SERVER).and_then(|rest| rest.strip_prefix('.')).unwrap_or_default();
    let Some(wish) = Wish::ALL.into_iter().find(|wish| wish.as_str() == name) else {
        return Err(format!("No agent can ask for {} any more.", call.does));
    };
    let principal = Principal::Agent { team: team.name(), name: agent.to_owned() };
    let resource = Resource::Tool { server: SERVER.to_owned(), name: name.to_owned() };
    match team.ruled(principal, wish.verb(), resource) {
        Ruled::Ask(quorum) => {
            let mut subject = old.clone();
            if let Some(binding) = &mut subject.binding {
                (binding.policies, binding.reopens) = (quorum.hash.to_string(), None);
            }
            subject.requirement = quorum.ask.requirement.clone();
            Ok((subject, quorum))
        }
        Ruled::Allow => Err("The policies ask nobody about it any more: the agent may do it.".to_owned()),
        Ruled::Deny(reason) => Err(reason),
    }
}

/// What an agent asked for before the instance ended, if people are still asked.
pub(crate) async fn open(team: &Team, run: &RunId) -> Result<Vec<Record>, StoreError> {
    let keeper = team.keeper();
    let mut open = Vec::new();
    for record in team.store().own_of(&keeper, run, Timestamp::now()).await? {
        match record.state() {
            _ if !matches!(record.approval.subject.action, Action::Tool(_)) => {}
            ApprovalState::Requested => open.push(record),
            // Whoever serves a tool looks what became of a call that was cut short.
            _ if !is_permission(&record) => {}
            // The agent is told only after the end of the effect: nothing was done with it.
            ApprovalState::Executing => {
                let outcome = Outcome::Failed("The instance ended before the agent was told.".to_owned());
                team.store().finish(&keeper, (record.id(), WHOLE), outcome, Timestamp::now()).await?;
            }
            _ => {}
        }
    }
    Ok(open)
}

/// What was decided while no agent waited, as sentences for it. Each is told once.
pub(crate) async fn decided(team: &Team, run: &RunId) -> Result<Vec<String>, StoreError> {
    let (store, keeper, now) = (team.store(), team.keeper(), Timestamp::now());
    let mut decided = store.resume(&keeper, run, WAITER, now).await?;
    decided.extend(store.resume(&keeper, run, calls::WAITER, now).await?);
    // What was opened again is told of when that is decided.
    Ok(decided.iter().filter(|record| record.reopened_as.is_none()).map(sentence).collect())
}

/// Nobody waits for it any more: neither for a person, nor to be told.
pub(crate) async fn withdraw(team: &Team, run: &RunId) -> Result<(), StoreError> {
    let keeper = team.keeper();
    for record in team.store().own_of(&keeper, run, Timestamp::now()).await? {
        let waits = matches!(record.state(), ApprovalState::Requested | ApprovalState::Granted);
        if waits && is_permission(&record) {
            let reason = "The agent does not wait for it any more.";
            team.store().withdraw(&keeper, record.id(), reason, Timestamp::now()).await?;
        }
    }
    team.store().resume(&keeper, run, WAITER, Timestamp::now()).await.map(drop)
}

/// Whether it is about what an agent does by itself.
pub(crate) fn is_permission(record: &Record) -> bool {
    let prefix = format!("{SERVER}.");
    matches!(&record.approval.subject.action, Action::Tool(call) if call.does.starts_with(&prefix))
}

fn sentence(record: &Record) -> String {
    let subject = &record.approval.subject;
    let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
    match record.state() {
        ApprovalState::Granted | ApprovalState::Executing if !is_permission(record) => {
            let id = record.id();
            format!(
                "People approved your call on {target}. It is carried out when you call call_outcome with the approval {id}."
            )
        }
        ApprovalState::Granted => {
            format!("You may do this, once: {target}. Ask for it again, and it is allowed.")
        }
        _ => format!("You may not do this: {target}. {} {FINAL}", reason(record)),
    }
}

fn reason(record: &Record) -> String {
    let reason = record.reason.clone().unwrap_or_default();
    if reason.trim().is_empty() { format!("It is {:?}.", record.state()).to_lowercase() } else { reason }
}
