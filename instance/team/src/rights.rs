//! Rights that an owner wants to give a person: a role, an identity, an invitation. Owners approve them before they hold.
//! This team keeps the approval for the fleet that it runs in; the fleet knows people, and gives the rights.

use jiff::{SignedDuration, Timestamp};
use qd_api::CastVote;
use qd_approvals::{Asked, Authorised, EffectState, Outcome, Probe, Record, WHOLE, confirm};
use qd_types::{
    Action, ApprovalId, ApprovalState, Ballot, Enrolment, FeatureId, Identity, PersonId, PolicyChange,
    PolicyHash, Role, RunId, SpentGrant, Verb,
};
use serde_json::Value;

use crate::{
    own::{About, Quorum},
    problem,
    team::{Answer, Caller, Team},
};

/// How long a no to exactly the same holds.
const NO_HOLDS: SignedDuration = SignedDuration::from_hours(24);

/// Most noes to the same that are told apart.
const MOST_NOES: u32 = 1000;

/// Rights that somebody would get.
#[derive(Debug, Clone)]
pub struct Rights {
    /// Whose.
    pub person: PersonId,
    /// By which of the matrix's actions owners are asked: `person.invite`, `person.role` or `person.link`.
    pub verb: Verb,
    /// What is given, as the fleet reads it again; bound as it is.
    pub arguments: Value,
    /// Hash of what the person may do now.
    pub fingerprint: String,
}

/// Where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsStanding {
    /// Other owners have to say yes as well.
    Waits {
        /// The key of the approval.
        key: String,
        /// What a yes has to type.
        target: String,
        /// Who said yes.
        approved: Vec<PersonId>,
        /// How many have to.
        needed: u32,
    },
    /// Owners approved them: they can be given now.
    Granted,
}

impl Rights {
    fn action(&self) -> Action {
        let person = self.person.clone();
        if self.verb == Verb::PersonInvite {
            return Action::Enrolment(Enrolment::Person { person });
        }
        let to = format!("{}\n{}", self.fingerprint, self.arguments);
        let to = PolicyHash::sha256(to.as_bytes()).to_string();
        Action::Policy(PolicyChange { from: self.fingerprint.clone(), to, person: Some(person) })
    }

    /// Each thing to give is asked for as a run of its own, and again as another once a no does not hold any more.
    fn run(&self, nth: u32) -> Answer<RunId> {
        let feature = FeatureId::new("PEOPLE", 1).map_err(|error| problem::invalid(error.to_string()))?;
        let hash = PolicyHash::sha256(format!("{} {}", self.person, self.arguments).as_bytes());
        let number = hash.as_str().get(..7).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        Ok(RunId::new(feature, number.unwrap_or(1).saturating_add(nth)))
    }

    fn about(&self, run: RunId) -> About {
        About {
            target: self.person.to_string(),
            fingerprint: self.fingerprint.clone(),
            arguments: self.arguments.clone(),
            feature: run.feature().clone(),
            run,
            action: self.action(),
            requesters: Vec::new(),
            askers: vec![Identity { service: "quarterdeck".into(), account: "people".into() }],
        }
    }
}

/// Whether it gives rights to a person.
fn gives(action: &Action) -> bool {
    matches!(
        action,
        Action::Policy(PolicyChange { person: Some(_), .. }) | Action::Enrolment(Enrolment::Person { .. })
    )
}

/// What came of it.
const GIVEN: &str = "The rights are given.";

impl Team {
    /// Whom the policies in force want asked before this changes: as for an owner who would change it. Where the fleet has one
    /// owner, that one is enough, whatever the policies say: it could never have a second otherwise.
    pub(crate) fn govern_quorum(&self, verb: Verb, action: &Action) -> Result<Quorum, String> {
        let mut quorum = self.owner_quorum(verb)?;
        let keeper = self.keeper();
        let asked = &mut quorum.ask.requirement;
        if keeper.people().owners() <= 1 {
            (asked.count, asked.solo) = (1, false);
        } else if asked.solo {
            // `solo` lets nobody widen rights alone where there is another owner.
            *asked = confirm::floor(action, false, false).requirement;
        }
        asked.roles.retain(|role| *role == Role::Owner);
        Ok(quorum)
    }

    /// Asks owners for it, unless that was done, and casts the caller's yes: they gave the command, and proved who they are.
    pub async fn ask_rights(&self, caller: &Caller, rights: &Rights) -> Answer<RightsStanding> {
        let action = rights.action();
        let quorum = self.govern_quorum(rights.verb, &action).map_err(problem::refused)?;
        let now = Timestamp::now();
        let (run, last) = self.newest_of(rights, now).await?;
        let subject = self.subject(rights.about(run), &quorum);
        if let Some(reason) = self.unreachable(&subject) {
            return Err(problem::refused(reason));
        }
        if let Some(record) = last {
            match record.state() {
                ApprovalState::Denied => {
                    return Err(problem::refused(format!(
                        "A person said no to exactly this, and that holds for a day: {}",
                        record.reason.clone().unwrap_or_default()
                    )));
                }
                ApprovalState::Granted | ApprovalState::Executing => return Ok(RightsStanding::Granted),
                ApprovalState::Requested if record.approval.subject != subject => {
                    let reason = "It is asked for anew, as things are now.";
                    self.store()
                        .withdraw(&self.keeper(), record.id(), reason, now)
                        .await
                        .map_err(problem::from_store)?;
                }
                _ => {}
            }
        }
        let (keeper, ask) = self.request(subject, &quorum, None);
        let id = match self.store().ask(&keeper, ask, now).await.map_err(problem::from_store)? {
            Asked::Opened(id) | Asked::Queued(id) | Asked::Already(id) => id,
            Asked::Refused(refusal) => return Err(problem::refused(refusal.to_string())),
        };
        let record = self.rights_record(&id).await?;
        if record.state() == ApprovalState::Requested {
            let approval = &record.approval;
            let mut vote = CastVote::new(Ballot::Approve, &approval.digest, None);
            vote.typed = Some(rights.person.to_string());
            self.vote(caller, &id.key(), vote).await?;
        }
        let record = self.rights_record(&id).await?;
        match record.state() {
            ApprovalState::Granted | ApprovalState::Executing => Ok(RightsStanding::Granted),
            ApprovalState::Requested => {
                let tally = record.approval.tally();
                Ok(RightsStanding::Waits {
                    key: id.key(),
                    target: rights.person.to_string(),
                    approved: tally.approved,
                    needed: tally.needed,
                })
            }
            state => Err(problem::refused(format!("It is {state:?} by now."))),
        }
    }

    async fn rights_record(&self, id: &ApprovalId) -> Answer<Record> {
        let record = self.store().own(&self.keeper(), &id.key(), Timestamp::now()).await;
        record.map_err(problem::from_store)?.ok_or_else(|| problem::refused("It is not there any more."))
    }

    /// The run that this is asked for in, and what became of it there last.
    async fn newest_of(&self, rights: &Rights, now: Timestamp) -> Answer<(RunId, Option<Record>)> {
        let keeper = self.keeper();
        for nth in 0..MOST_NOES {
            let run = rights.run(nth)?;
            let asked = self.store().own_of(&keeper, &run, now).await.map_err(problem::from_store)?;
            let Some(last) = asked.into_iter().rfind(|record| gives(&record.approval.subject.action)) else {
                return Ok((run, None));
            };
            match last.state() {
                ApprovalState::Expired => {}
                ApprovalState::Denied => {
                    let record = self.rights_record(last.id()).await?;
                    let said = record.approval.votes.iter().map(|vote| vote.at).max();
                    if said.is_none_or(|at| now.duration_since(at) < NO_HOLDS) {
                        return Ok((run, Some(record)));
                    }
                }
                _ => return Ok((run, Some(last))),
            }
        }
        Err(problem::refused("This was refused too often to be asked for again."))
    }

    /// What owners approved and nobody has yet, and what a crash cut short, oldest first.
    pub async fn granted_rights(&self) -> Answer<Vec<Record>> {
        let live = self.store().own_live(&self.keeper(), Timestamp::now()).await;
        let mut live = live.map_err(problem::from_store)?;
        live.retain(|record| {
            let granted = matches!(record.state(), ApprovalState::Granted | ApprovalState::Executing);
            granted && gives(&record.approval.subject.action)
        });
        Ok(live)
    }

    /// Spends the grant on exactly these rights, as they would be given now. `happened`: they are given already, which is how a
    /// crash after that is told. None if nothing is to be done: that was so, or what was approved is not what would be done.
    pub async fn spend_rights(
        &self,
        record: &Record,
        rights: &Rights,
        happened: bool,
    ) -> Answer<Option<SpentGrant>> {
        let (keeper, id, now) = (self.keeper(), record.id(), Timestamp::now());
        let begun = self.store().interrupted(&keeper, now).await.map_err(problem::from_store)?;
        if begun.iter().any(|effect| effect.approval == *id && effect.state == EffectState::UnderWay) {
            let probe = if happened { Probe::Happened(GIVEN.to_owned()) } else { Probe::DidNot };
            self.store().probed(&keeper, (id, WHOLE), probe, now).await.map_err(problem::from_store)?;
            if happened {
                return Ok(None);
            }
        }
        let quorum =
            self.govern_quorum(rights.verb, &record.approval.subject.action).map_err(problem::refused)?;
        let rebuilt = self.subject(rights.about(record.approval.subject.run.clone()), &quorum);
        let effect = format!("rights/{}", id.key());
        let spent = self.store().authorise(&keeper, (id, WHOLE), rebuilt, &effect, now).await;
        match spent.map_err(problem::from_store)? {
            Authorised::Go(grant) => {
                qd_failpoint::reached("rights_spent");
                Ok(Some(grant))
            }
            Authorised::Lapsed { .. } | Authorised::Refused(_) => Ok(None),
        }
    }

    /// The rights are given, or could not be, and why.
    pub async fn rights_given(&self, id: &ApprovalId, failed: Option<String>) -> Answer<()> {
        qd_failpoint::reached("rights_given");
        let outcome = failed.map_or_else(|| Outcome::Done(GIVEN.to_owned()), Outcome::Failed);
        let (keeper, now) = (self.keeper(), Timestamp::now());
        self.store().finish(&keeper, (id, WHOLE), outcome, now).await.map_err(problem::from_store)?;
        Ok(())
    }
}
