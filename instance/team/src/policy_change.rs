//! Policies that would widen rights: people approve them before they come into force. The approval binds the hash in force,
//! the hash that would be, and what changes in words. This team keeps it for the fleet that it runs in.

use jiff::Timestamp;
use qd_approvals::{Asked, Authorised, EffectState, Outcome, Probe, Record, WHOLE};
use qd_engine::{Principal, Request, Resource};
use qd_types::{Action, ApprovalState, FeatureId, Identity, Person, PolicyChange, Role, Ruling, RunId, Verb};
use serde_json::{Value, json};

use crate::{
    own::{About, Quorum},
    problem,
    team::{Answer, Team},
};

/// The alert of policies that wait.
const ALERT: &str = "policy_change";

/// Where a change of the policies stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyStanding {
    /// People are asked, or may open it again: those before stay in force.
    Waits,
    /// It was approved, and the grant is spent: put it in force now, and then say so with [`Team::policies_changed`].
    Approved,
    /// A person said no. Exactly this is not asked for again.
    Denied,
    /// Nobody can be asked, and why: those before stay in force.
    Unaskable(String),
}

impl Team {
    /// Asks people for a change of the policies, unless that was done, and says where it stands. `diff` says what changes.
    pub async fn policy_change(&self, change: &PolicyChange, diff: &str) -> Answer<PolicyStanding> {
        let now = Timestamp::now();
        let quorum = match self.policy_quorum() {
            Ok(quorum) => quorum,
            Err(reason) => return Ok(PolicyStanding::Unaskable(reason)),
        };
        let lines: Vec<&str> = diff.lines().collect();
        let about = about(change.clone(), json!({ "changes": lines }))?;
        let last = self.newest_change(&about).await?;
        let subject = self.subject(about, &quorum);
        match (last.as_ref().map(Record::state), last) {
            (Some(ApprovalState::Requested | ApprovalState::Expired), _) => Ok(PolicyStanding::Waits),
            (Some(ApprovalState::Denied | ApprovalState::Unknown), _) => Ok(PolicyStanding::Denied),
            (Some(ApprovalState::Granted | ApprovalState::Executing), Some(granted)) => {
                let (keeper, id) = (self.keeper(), granted.id());
                let begun = self.store().interrupted(&keeper, now).await.map_err(problem::from_store)?;
                let under_way = |state| state == EffectState::UnderWay;
                if begun.iter().any(|effect| effect.approval == *id && under_way(effect.state)) {
                    // They would be in force otherwise, and nobody would ask.
                    let probed = self.store().probed(&keeper, (id, WHOLE), Probe::DidNot, now).await;
                    probed.map_err(problem::from_store)?;
                }
                let effect = format!("policies/{}", id.key());
                let spent = self.store().authorise(&keeper, (id, WHOLE), subject, &effect, now).await;
                match spent.map_err(problem::from_store)? {
                    Authorised::Go(_) => {
                        qd_failpoint::reached("policies_spent");
                        Ok(PolicyStanding::Approved)
                    }
                    // It is asked for anew, as it is now.
                    Authorised::Lapsed { .. } | Authorised::Refused(_) => Ok(PolicyStanding::Waits),
                }
            }
            _ => {
                if let Some(reason) = self.unreachable(&subject) {
                    return Ok(PolicyStanding::Unaskable(reason));
                }
                let (keeper, ask) = self.request(subject, &quorum, None);
                match self.store().ask(&keeper, ask, now).await.map_err(problem::from_store)? {
                    Asked::Refused(refusal) => Ok(PolicyStanding::Unaskable(refusal.to_string())),
                    Asked::Opened(_) | Asked::Queued(_) | Asked::Already(_) => Ok(PolicyStanding::Waits),
                }
            }
        }
    }

    /// An approved change is in force, or could not be put in force.
    pub async fn policies_changed(&self, change: &PolicyChange, failed: Option<String>) -> Answer<()> {
        qd_failpoint::reached("policies_kept");
        let Some(record) = self.newest_change(&about(change.clone(), Value::Null)?).await? else {
            return Ok(());
        };
        let outcome = failed.map_or_else(|| Outcome::Done(change.to.clone()), Outcome::Failed);
        let (keeper, now) = (self.keeper(), Timestamp::now());
        self.store()
            .finish(&keeper, (record.id(), WHOLE), outcome, now)
            .await
            .map_err(problem::from_store)?;
        Ok(())
    }

    /// The files are others by now: nobody is asked for anything but `change` any more.
    /// `in_force` is the hash of what is in force now.
    pub async fn withdraw_policy_changes(&self, change: Option<&PolicyChange>, in_force: &str) -> Answer<()> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        for record in self.store().own_live(&keeper, now).await.map_err(problem::from_store)? {
            let Action::Policy(asked) = &record.approval.subject.action else { continue };
            if asked.person.is_some() {
                continue;
            }
            if asked.to == in_force && record.state() == ApprovalState::Executing {
                // A crash came between putting it in force and saying so.
                let (probe, of) = (Probe::Happened(asked.to.clone()), (record.id(), WHOLE));
                self.store().probed(&keeper, of, probe, now).await.map_err(problem::from_store)?;
            } else if change != Some(asked) {
                let reason = "What is written is something else by now.";
                self.store()
                    .withdraw(&keeper, record.id(), reason, now)
                    .await
                    .map_err(problem::from_store)?;
            }
        }
        Ok(())
    }

    /// Says on the board, and to the bot, that policies wait for people; none if they do not any more.
    pub async fn policies_wait(&self, text: Option<&str>) -> Answer<()> {
        let (text, over) =
            text.map_or(("The policies in force are those that are written.", true), |text| (text, false));
        self.store().raise(ALERT, text, over, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// Whom the policies in force want asked before they change.
    pub(crate) fn policy_quorum(&self) -> Result<Quorum, String> {
        let change = PolicyChange { from: String::new(), to: String::new(), person: None };
        self.govern_quorum(Verb::PolicyChange, &Action::Policy(change))
    }

    /// Whom the policies in force want asked before an owner does this.
    pub(crate) fn owner_quorum(&self, verb: Verb) -> Result<Quorum, String> {
        let policies = self.options().policies.current();
        let owner = policies.people().find(|known| known.person.roles.contains(&Role::Owner));
        let owner = owner.ok_or("Nobody who is known is an owner.")?;
        let person = Person { id: owner.person.id.clone(), roles: vec![Role::Owner] };
        let request = Request::new(Principal::Person(person), verb, Resource::Fleet);
        let decision = policies.decide(&request);
        match decision.ruling {
            Ruling::Ask(ask) => Ok(Quorum { ask, hash: decision.hash }),
            Ruling::Allow => Err(format!("The policy {} names nobody to ask.", decision.policy)),
            Ruling::Deny { reason } => Err(reason),
        }
    }

    async fn newest_change(&self, about: &About) -> Answer<Option<Record>> {
        let asked = self.store().own_of(&self.keeper(), &about.run, Timestamp::now()).await;
        let asked = asked.map_err(problem::from_store)?;
        Ok(asked.into_iter().rfind(|record| record.approval.subject.action == about.action))
    }
}

/// What is bound. Each hash is asked for as a run of its own: a no is a no to that hash, and to no other.
pub(crate) fn about(change: PolicyChange, changes: Value) -> Answer<About> {
    let feature = FeatureId::new("POLICY", 1).map_err(|error| problem::invalid(error.to_string()))?;
    let number = change.to.get(..7).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(1);
    Ok(About {
        target: format!("policies {}", change.to.get(..8).unwrap_or(&change.to)),
        fingerprint: change.to.clone(),
        arguments: changes,
        run: RunId::new(feature.clone(), number),
        feature,
        action: Action::Policy(change),
        requesters: Vec::new(),
        askers: vec![Identity { service: "files".into(), account: "policies".into() }],
    })
}
