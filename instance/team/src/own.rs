//! The instance as an executor: by whom its own approvals are kept, what they bind, and what a person does with one.

use jiff::Timestamp;
use qd_approvals::{
    Asker, Cast, Directory, KeyId, KeyOwner, Known, Record, Reopened, Terms, VoteRefusal, confirm,
};
use qd_engine::{Principal, Request, Resource};
use qd_store::Keeper;
use qd_types::{
    Action, ApprovalId, Binding, FeatureId, Identity, PersonId, PolicyHash, Ruling, RunId, Subject, Verb,
};
use qd_wire::v1::SignedVote;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::{
    asked, calls, lessons, permissions, policy_change, problem, saga,
    team::{Answer, Caller, Team},
};

/// Whom the policies want asked, and for how long.
pub(crate) struct Quorum {
    pub(crate) ask: qd_types::Ask,
    pub(crate) hash: PolicyHash,
}

/// What the policies say to something on the team's behalf.
pub(crate) enum Ruled {
    /// Yes.
    Allow,
    /// No, and why.
    Deny(String),
    /// People have to be asked.
    Ask(Quorum),
}

/// What an own approval is about: the parts of its subject that are not the same for all.
pub(crate) struct About {
    pub(crate) action: Action,
    pub(crate) target: String,
    pub(crate) fingerprint: String,
    pub(crate) arguments: Value,
    pub(crate) feature: FeatureId,
    pub(crate) run: RunId,
    pub(crate) requesters: Vec<PersonId>,
    pub(crate) askers: Vec<Identity>,
}

impl Quorum {
    /// Only those of the roles that are named, if any are; an error if nobody is left.
    pub(crate) fn among(mut self, roles: &[qd_types::Role]) -> Result<Self, String> {
        let asked = &mut self.ask.requirement.roles;
        let all = asked.clone();
        asked.retain(|role| roles.is_empty() || roles.contains(role));
        if asked.is_empty() {
            let words: Vec<&str> = all.iter().map(|role| role.as_str()).collect();
            return Err(format!(
                "roles: of these, the policies let none decide; there are {}.",
                words.join(", ")
            ));
        }
        Ok(self)
    }
}

impl Team {
    /// By what the own approvals are kept now: whoever the policies know may decide, and what the instance's own key signed
    /// counts, and what the bot's did.
    pub(crate) fn keeper(&self) -> Keeper {
        let options = self.options();
        let mut people = Directory::default();
        for known in options.policies.current().people() {
            let name = &known.person.id;
            let mut identities = vec![Identity { service: "local".into(), account: name.to_string() }];
            identities.extend(known.identities.iter().filter_map(|identity| {
                let (service, account) = identity.split_once(':')?;
                Some(Identity { service: service.to_owned(), account: account.to_owned() })
            }));
            let known = Known { roles: known.person.roles.clone(), identities, ..Known::default() };
            people.people.insert(name.clone(), known);
        }
        people.keys = self.bot_keys().into_iter().map(|key| (KeyId::of(&key.public), key)).collect();
        // Last: nobody else owns the instance's key.
        people.add_key(self.surface_key(), KeyOwner::Instance(options.id.clone()));
        Keeper::new(&options.id, options.approvals.clone(), people)
    }

    /// Whom the policies want asked before this is done on the team's behalf; an error is their no.
    pub(crate) fn quorum(&self, principal: Principal, verb: Verb) -> Result<Quorum, String> {
        match self.ruled(principal, verb, Resource::Team(self.name())) {
            Ruled::Ask(quorum) => Ok(quorum),
            Ruled::Allow => Err(format!("The policies name nobody to ask about {verb}.")),
            Ruled::Deny(reason) => Err(reason),
        }
    }

    /// What the policies say to this on the team's behalf.
    pub(crate) fn ruled(&self, principal: Principal, verb: Verb, resource: Resource) -> Ruled {
        let request = Request { team: Some(self.name()), ..Request::new(principal, verb, resource) };
        let decision = self.options().policies.decide(&request);
        match decision.ruling {
            Ruling::Ask(ask) => Ruled::Ask(Quorum { ask, hash: decision.hash }),
            Ruling::Allow => Ruled::Allow,
            Ruling::Deny { reason } => Ruled::Deny(reason),
        }
    }

    /// Everything that an own approval binds, as it is now.
    pub(crate) fn subject(&self, about: About, quorum: &Quorum) -> Subject {
        Subject {
            action: about.action,
            binding: Some(Binding {
                tool: None,
                arguments: about.arguments,
                target: about.target,
                fingerprint: about.fingerprint,
                policies: quorum.hash.to_string(),
                askers: about.askers,
                reopens: None,
            }),
            instance: self.id(),
            feature: about.feature,
            run: about.run,
            requesters: about.requesters,
            requirement: quorum.ask.requirement.clone(),
        }
    }

    /// The request for it, and by what it is kept: with the clocks that the policies give it.
    pub(crate) fn request(
        &self,
        subject: Subject,
        quorum: &Quorum,
        waiter: Option<&str>,
    ) -> (Keeper, qd_approvals::Ask) {
        self.request_by(subject, &quorum.ask, waiter)
    }

    /// As [`Self::request`], by whatever asked for it.
    pub(crate) fn request_by(
        &self,
        subject: Subject,
        asked: &qd_types::Ask,
        waiter: Option<&str>,
    ) -> (Keeper, qd_approvals::Ask) {
        let ask = qd_approvals::Ask {
            subject,
            items: Vec::new(),
            words: None,
            places: vec![qd_store::place()],
            waiter: waiter.map(str::to_owned),
            fresh: Ulid::generate(),
            terms: Terms::from(asked),
        };
        (self.keeper(), ask)
    }

    /// Why nobody who is known could decide it, or `None`.
    pub(crate) fn unreachable(&self, subject: &Subject) -> Option<String> {
        confirm::unreachable(subject, self.keeper().people())
    }

    /// Tallies a vote on an own approval at once. `false` if the approval is somebody else's.
    pub(crate) async fn tally(&self, key: &str, signed: &SignedVote) -> Answer<bool> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        if self.store().own(&keeper, key, now).await.map_err(problem::from_store)?.is_none() {
            return Ok(false);
        }
        let cast = self.store().cast_own(&keeper, signed.clone(), now).await.map_err(problem::from_store)?;
        match cast {
            Cast::Counted(_) | Cast::Granted(_) | Cast::Denied { .. } | Cast::Duplicate => Ok(true),
            Cast::Refused(refusal @ VoteRefusal::Answer(_)) => {
                Err(problem::invalid(format!("answer: {refusal}")))
            }
            Cast::Refused(refusal @ (VoteRefusal::NotEligible(_) | VoteRefusal::Unproved(_))) => {
                Err(problem::forbidden(refusal.to_string()))
            }
            Cast::Refused(refusal) => Err(problem::refused(refusal.to_string())),
        }
    }

    /// A person opens an expired approval again. The answer is the key of the one in its place.
    pub(crate) async fn open_again(&self, caller: &Caller, key: &str) -> Answer<String> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let Some(record) = self.store().own(&keeper, key, now).await.map_err(problem::from_store)? else {
            // Whether there is such a one at all is said first.
            let row = self.store().inbox_row(&keeper, &caller.person.id, key, now).await;
            row.map_err(problem::from_store)?;
            return Err(problem::refused(format!(
                "The bot keeps this approval. Open it again in its console: reopen {key}."
            )));
        };
        let (keeper, ask) = self.again(&record).await?;
        let by = Asker::Person(caller.person.id.clone());
        let reopened = self.store().reopen(&keeper, record.id(), &by, ask, now).await;
        match reopened.map_err(problem::from_store)? {
            Reopened::Opened(id) | Reopened::Queued(id) => Ok(id.key()),
            Reopened::Refused(refusal) => Err(problem::refused(refusal.to_string())),
        }
    }

    /// What would be asked for if an expired own approval were opened again from afar; an error says why it can't be.
    pub(crate) async fn asked_again(&self, id: &ApprovalId) -> Result<qd_approvals::Ask, String> {
        let (keeper, now) = (self.keeper(), Timestamp::now());
        let own = self.store().own(&keeper, &id.key(), now).await.map_err(|error| error.to_string())?;
        let Some(record) = own.filter(|record| record.id() == id) else {
            return Err(format!("{} keeps no approval {id}.", self.name()));
        };
        let (_, ask) = self.again(&record).await.map_err(|problem| problem.detail)?;
        Ok(ask)
    }

    /// What an own approval asked for, as it would be asked for now.
    async fn again(&self, record: &Record) -> Answer<(Keeper, qd_approvals::Ask)> {
        let old = &record.approval.subject;
        match &old.action {
            Action::Budget(_) => {
                let feature = self.store().snapshot(&old.feature, Timestamp::now()).await;
                let feature = feature.map_err(problem::from_store)?.feature;
                let found = saga::more(self, &old.run, &feature).await.map_err(problem::from_store)?;
                let Some(about) = found else {
                    return Err(problem::refused("Its budget is not used up any more."));
                };
                let quorum =
                    self.quorum(Principal::Team(self.name()), Verb::BudgetRaise).map_err(problem::refused)?;
                Ok(self.request(self.subject(about, &quorum), &quorum, None))
            }
            Action::Question(_) => {
                let quorum = self
                    .quorum(Principal::Team(self.name()), Verb::QuestionAnswer)
                    .and_then(|quorum| quorum.among(&old.requirement.roles))
                    .map_err(problem::refused)?;
                let mut subject = old.clone();
                if let Some(binding) = &mut subject.binding {
                    binding.policies = quorum.hash.to_string();
                }
                subject.requirement = quorum.ask.requirement.clone();
                Ok(self.request(subject, &quorum, Some(qd_store::QUESTION)))
            }
            Action::Plan(_) => {
                let run = self.store().run(&old.run).await.map_err(problem::from_store)?;
                let feature = self.store().snapshot(&old.feature, Timestamp::now()).await;
                let feature = feature.map_err(problem::from_store)?.feature;
                let quorum =
                    self.quorum(Principal::Team(self.name()), Verb::PlanAccept).map_err(problem::refused)?;
                let proposed = saga::proposal(self, &run, &feature, &quorum).map_err(problem::refused)?;
                let waits = run.plan.is_some() && run.plan_accepted.is_none() && run.end.is_none();
                let target =
                    |subject: &Subject| subject.binding.as_ref().map(|binding| binding.target.clone());
                if !waits || target(&proposed.subject) != target(old) {
                    return Err(problem::refused("This plan does not wait any more."));
                }
                let (keeper, mut ask) = self.request(proposed.subject, &quorum, None);
                ask.items = proposed.items;
                ask.words = Some(proposed.proposal.text);
                Ok((keeper, ask))
            }
            Action::Policy(change) if change.person.is_none() => {
                let quorum = self.policy_quorum().map_err(problem::refused)?;
                let changes = old.binding.as_ref().map(|binding| binding.arguments.clone());
                let about = policy_change::about(change.clone(), changes.unwrap_or_default())?;
                Ok(self.request(self.subject(about, &quorum), &quorum, None))
            }
            Action::Tool(_) if asked::is_change(record) => {
                let (subject, quorum) = self.change_again(record).await?;
                self.changes_wait();
                Ok(self.request(subject, &quorum, None))
            }
            Action::Tool(_) if permissions::is_permission(record) => {
                let run = self.store().run(&old.run).await.map_err(problem::from_store)?;
                if run.end.is_some() {
                    return Err(problem::refused("The agent that asked for it does not work any more."));
                }
                let (subject, quorum) =
                    permissions::again(self, &run.agent, old).map_err(problem::refused)?;
                let (keeper, mut ask) = self.request(subject, &quorum, Some(permissions::WAITER));
                ask.words.clone_from(&record.words);
                Ok((keeper, ask))
            }
            action if action.is_of_the_fleet() => {
                Err(problem::refused("Give the command again: that asks for it anew, as things are now."))
            }
            Action::Tool(_) => calls::again(self, record).await,
            Action::Operation(_) if lessons::is_lesson(old) => {
                let (subject, quorum) = lessons::again(self, old).map_err(problem::refused)?;
                Ok(self.request(subject, &quorum, None))
            }
            action => Err(problem::refused(format!("A {} is not opened again here.", action.name()))),
        }
    }
}

/// SHA-256 as lower-case hex: by it a subject binds a definition, or what stands behind a target.
pub(crate) fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}
