//! Opening an expired request again: a person's right, never an agent's. A new id, a new digest, fresh clocks, and a link
//! to the one that expired, which stays as it is.

use qd_types::{ApprovalEvent, ApprovalId, PersonId, RunId, Subject};

use crate::{ApprovalError, Approvals, Ask, AskRefusal, Asked, Record};

/// Who wants it opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A person, whom the caller has authenticated.
    Person(PersonId),
    /// The agent of a run.
    Agent(RunId),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reopened {
    /// It is asked anew, under this id.
    Opened(ApprovalId),
    /// As above; its cards come when others of the run are decided.
    Queued(ApprovalId),
    /// It stays closed.
    Refused(ReopenRefusal),
}

/// Why it stays closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReopenRefusal {
    /// An agent asked.
    #[error(
        "{0} can only be opened again by a person: `quarterdeck approvals reopen {0}`. The run stops here or goes on without it."
    )]
    Agent(ApprovalId),
    /// The person has no right to.
    #[error("{0}")]
    NotEligible(String),
    /// It did not expire.
    #[error("{id} is {state}. Only what expired can be opened again.")]
    NotExpired {
        /// Which.
        id: ApprovalId,
        /// Where it stands.
        state: String,
    },
    /// It was opened again before.
    #[error("{id} was opened again already, as {later}.")]
    Before {
        /// Which.
        id: ApprovalId,
        /// The one in its place.
        later: ApprovalId,
    },
    /// It is something else.
    #[error(
        "That is not what {0} asked for: another action, target, tool, argument or run, or requesters are missing."
    )]
    Other(ApprovalId),
    /// It can't be asked any more.
    #[error(transparent)]
    Ask(#[from] AskRefusal),
}

impl Approvals<'_> {
    /// Opens `id` again. `ask` is the same request as it would be made now: live fingerprint, policies and quorum are fresh.
    /// Whoever waited for the old one waits for the new one.
    pub fn reopen(&self, id: &ApprovalId, by: &Asker, mut ask: Ask) -> Result<Reopened, ApprovalError> {
        let no = |refusal| Ok(Reopened::Refused(refusal));
        let person = match by {
            Asker::Agent(_) => return no(ReopenRefusal::Agent(id.clone())),
            Asker::Person(person) => person,
        };
        let mut record = self.settled(id)?;
        if let Some(later) = record.reopened_as.clone() {
            return no(ReopenRefusal::Before { id: id.clone(), later });
        }
        if record.state().on(ApprovalEvent::Reopen).is_err() {
            let state = format!("{:?}", record.state()).to_lowercase();
            return no(ReopenRefusal::NotExpired { id: id.clone(), state });
        }
        if let Some(reason) = self.may_reopen(person, &record) {
            return no(ReopenRefusal::NotEligible(reason));
        }
        if !is_same(&record.approval.subject, &ask.subject) {
            return no(ReopenRefusal::Other(id.clone()));
        }
        if let Some(binding) = &mut ask.subject.binding {
            binding.reopens = Some(id.clone());
        }
        let digest = match self.bindable(&ask.subject) {
            Ok(digest) => digest,
            Err(refusal) => return no(refusal.into()),
        };
        let target = ask.subject.binding.as_ref().map_or("", |binding| &binding.target);
        if self.denied(record.run(), &ask.subject.action, target)? {
            let (action, target) = (ask.subject.action.name().to_owned(), target.to_owned());
            return no(AskRefusal::Denied { action, target }.into());
        }
        let reason = record.reason.clone().unwrap_or_default();
        let opened = self.open(ask, &digest)?;
        let (new, reopened) = match opened {
            Asked::Opened(new) => (new.clone(), Reopened::Opened(new)),
            Asked::Queued(new) => (new.clone(), Reopened::Queued(new)),
            Asked::Already(new) => return Ok(Reopened::Opened(new)),
            Asked::Refused(refusal) => return no(refusal.into()),
        };
        self.wait_too(id, &new)?;
        let said = format!("{reason} {person} opened it again as {new}.");
        self.step(&mut record, ApprovalEvent::Reopen, said.trim_start())?;
        Ok(reopened)
    }

    /// Why this person may not open it again: they would have to hold a role that decides on it.
    fn may_reopen(&self, person: &PersonId, record: &Record) -> Option<String> {
        let known = self.people.people.get(self.people.same(person));
        let Some(known) = known.filter(|known| !known.disabled) else {
            return Some(format!("{person} may do nothing here."));
        };
        // Asking again decides nothing, so a requester with the role may.
        let held = self.people.person(person, &known.roles)?;
        record.approval.subject.requirement.refuses(&held, &[])
    }
}

/// Whether both ask for the same, but for what may be fresh: the target's state, the policies, the quorum, the tool's
/// definition. Requesters may join, none may leave.
fn is_same(old: &Subject, new: &Subject) -> bool {
    let (Some(was), Some(is)) = (&old.binding, &new.binding) else { return false };
    let tool = |binding: &qd_types::Binding| binding.tool.as_ref().map(|tool| tool.name.clone());
    old.action == new.action
        && (&old.instance, &old.feature, &old.run) == (&new.instance, &new.feature, &new.run)
        && (&was.target, &was.arguments, tool(was)) == (&is.target, &is.arguments, tool(is))
        && old.requesters.iter().all(|person| new.requesters.contains(person))
        && was.askers.iter().all(|identity| is.askers.contains(identity))
}
