//! Asking: what is refused before anybody is bothered, and what becomes a request.

use std::time::Duration;

use qd_types::{Action, ApprovalId, ApprovalState, Binding, Digest, Subject, Way};
use rusqlite::params;
use ulid::Ulid;

use crate::{ApprovalError, Approvals, Place, Record, confirm, life::DENIALS_PER_RUN, plan, question, rows};

/// Longest words of an agent that are kept with a request, in characters.
const WORDS: usize = 2_000;

/// A request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Everything that it binds, whole: a subject without a binding is refused.
    pub subject: Subject,
    /// The subjects of a plan's items, by their names; empty for everything else.
    pub items: Vec<(String, Subject)>,
    /// What the agent says about it.
    pub words: Option<String>,
    /// Where its card belongs; lower ranks first, each next one where the one before can't be delivered.
    pub places: Vec<Place>,
    /// Who waits for the decision, in the executor's own words: a turn, a tool call.
    pub waiter: Option<String>,
    /// By which terms it is decided; what it leaves out is the executor's own.
    pub terms: Terms,
    /// The unique half of its id.
    pub fresh: Ulid,
}

/// By which terms one request is decided: what the policy that asks says. The default says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// How a yes has to be given; never less than the least for its action.
    pub way: Option<Way>,
    /// How long people have, from the first delivered card.
    pub decide_within: Option<Duration>,
    /// How long a grant holds.
    pub execute_within: Option<Duration>,
    /// Votes that its instance signed count, also where the executor is not that instance.
    pub local_votes: bool,
}

impl From<&qd_types::Ask> for Terms {
    fn from(ask: &qd_types::Ask) -> Self {
        // A clock that is before zero is over.
        let within = |time: jiff::SignedDuration| Some(Duration::try_from(time).unwrap_or_default());
        Self {
            way: Some(ask.way),
            decide_within: within(ask.decide_by),
            execute_within: within(ask.execute_by),
            local_votes: ask.local_votes,
        }
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Its cards are due.
    Opened(ApprovalId),
    /// The run has as many open cards as it may; this one's come when one of those is decided.
    Queued(ApprovalId),
    /// The run asked for exactly this already, and it stands.
    Already(ApprovalId),
    /// Nobody is asked.
    Refused(AskRefusal),
}

/// Why nobody is asked. Meant for whoever asked: it says how the attempt ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskRefusal {
    /// It can't be bound.
    #[error("This can't be approved, because it can't be bound: {0}")]
    Unbound(String),
    /// The policies ask for less than must be.
    #[error("This can't be approved as the policies stand: {0}")]
    TooLittle(String),
    /// It was denied in this run.
    #[error(
        "A person said no to {action} on {target} in this run, and that holds for the run: no other tool, wording or argument \
         changes it. Do not try again; finish without it, or stop and say what is missing."
    )]
    Denied {
        /// The action's name in the policies.
        action: String,
        /// What it would have been done to.
        target: String,
    },
    /// It was not decided in time.
    #[error(
        "{id} asked for this in this run, and nobody decided in time. This attempt is over; a person can open it again with \
         `quarterdeck approvals reopen {id}`, you can't."
    )]
    Expired {
        /// The request that expired.
        id: ApprovalId,
    },
    /// Too many denials.
    #[error("{count} requests of this run were denied. The run is paused until a person lets it go on.")]
    Paused {
        /// How many.
        count: i64,
    },
    /// The question's answers can't be checked, or a plan is not what it says.
    #[error("This can't be asked: {0}")]
    Malformed(String),
    /// The id can't be made.
    #[error("The executor's name {0} makes no id.")]
    Name(String),
}

impl Approvals<'_> {
    /// Asks people, unless it is refused or asked already.
    pub fn ask(&self, ask: Ask) -> Result<Asked, ApprovalError> {
        let digest = match self.bindable(&ask.subject) {
            Ok(digest) => digest,
            Err(refusal) => return Ok(Asked::Refused(refusal)),
        };
        if let Some(refusal) = self.ended(&ask.subject)? {
            return Ok(Asked::Refused(refusal));
        }
        if let Some(standing) = self.standing(&ask.subject, &digest)? {
            self.wait(standing.id(), ask.waiter.as_deref())?;
            return Ok(Asked::Already(standing.approval.id));
        }
        self.open(ask, &digest)
    }

    /// The digest of a subject that may be asked about at all.
    pub(crate) fn bindable(&self, subject: &Subject) -> Result<Digest, AskRefusal> {
        let unbound = |what: &str| AskRefusal::Unbound(format!("{what} is missing."));
        let binding = subject.binding.as_ref().ok_or_else(|| unbound("what it acts on"))?;
        for (text, what) in [
            (&binding.target, "the target"),
            (&binding.fingerprint, "the fingerprint of the target's state"),
            (&binding.policies, "the hash of the policies"),
        ] {
            if text.trim().is_empty() {
                return Err(unbound(what));
            }
        }
        match (&subject.action, &binding.tool) {
            (Action::Tool(_), None) => return Err(unbound("the tool")),
            (_, Some(tool)) if tool.name.is_empty() || tool.definition.is_empty() => {
                return Err(unbound("the name or the definition of the tool"));
            }
            _ => {}
        }
        if subject.requesters.is_empty() && binding.askers.is_empty() {
            return Err(unbound("who asks"));
        }
        if let Some(problem) = confirm::too_little(subject, self.people) {
            return Err(AskRefusal::TooLittle(problem));
        }
        if let Action::Question(question) = &subject.action
            && let Some(problem) = question::unaskable(question)
        {
            return Err(AskRefusal::Malformed(problem));
        }
        subject.digest().map_err(|error| AskRefusal::Unbound(format!("{error}.")))
    }

    /// Why this run may not ask for it any more.
    fn ended(&self, subject: &Subject) -> Result<Option<AskRefusal>, ApprovalError> {
        let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
        let (run, action) = (&subject.run, &subject.action);
        if self.denied(run, action, target)? {
            let (action, target) = (action.name().to_owned(), target.to_owned());
            return Ok(Some(AskRefusal::Denied { action, target }));
        }
        let count = self.denials(run)?;
        if count >= DENIALS_PER_RUN {
            return Ok(Some(AskRefusal::Paused { count }));
        }
        for mut record in self.alike(subject)? {
            self.settle(&mut record)?;
            if record.state() == ApprovalState::Expired && record.reopened_as.is_none() {
                return Ok(Some(AskRefusal::Expired { id: record.approval.id }));
            }
        }
        Ok(None)
    }

    /// The request of this run for exactly this, open or granted.
    fn standing(&self, subject: &Subject, digest: &Digest) -> Result<Option<Record>, ApprovalError> {
        let same = |record: &Record| record.asked == digest.as_str();
        let stands =
            |record: &Record| matches!(record.state(), ApprovalState::Requested | ApprovalState::Granted);
        Ok(self.alike(subject)?.into_iter().find(|record| same(record) && stands(record)))
    }

    fn alike(&self, subject: &Subject) -> Result<Vec<Record>, ApprovalError> {
        let target = subject.binding.as_ref().map_or("", |binding| &binding.target);
        let key = params![subject.run.to_string(), subject.action.name(), target];
        rows::select(self.c, "run = ?1 AND action = ?2 AND target = ?3", key, self.now)
    }

    /// Writes the request. Its subject is bindable.
    pub(crate) fn open(&self, ask: Ask, digest: &Digest) -> Result<Asked, ApprovalError> {
        let Ok(id) = ApprovalId::new(&self.executor.name, ask.fresh) else {
            return Ok(Asked::Refused(AskRefusal::Name(self.executor.name.clone())));
        };
        if let Some(problem) = plan::unfit(&ask.subject.action, &ask.items) {
            return Ok(Asked::Refused(AskRefusal::Malformed(problem)));
        }
        let reopens = ask.subject.binding.as_ref().and_then(|binding| binding.reopens.clone());
        // Without the link to what it reopens: asking for the same again finds it.
        let mut plain = ask.subject.clone();
        if let Some(Binding { reopens, .. }) = &mut plain.binding {
            *reopens = None;
        }
        let asked = plain.digest().map_err(|error| ApprovalError::corrupt("approval_requests", error))?;
        let (rules, terms) = (&self.executor.rules, &ask.terms);
        self.c
            .prepare_cached(
                "INSERT INTO approval_requests
                 (id, run, action, target, asked, digest, subject, words, state, requested_at, decide_ms, execute_ms, reopens,
                  way, local_votes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'requested', ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                id.to_string(),
                ask.subject.run.to_string(),
                ask.subject.action.name(),
                ask.subject.binding.as_ref().map(|binding| &binding.target),
                asked.as_str(),
                digest.as_str(),
                rows::to_json("approval_requests", &ask.subject)?,
                ask.words.map(|words| words.chars().take(WORDS).collect::<String>()),
                self.wall.as_millisecond(),
                millis(terms.decide_within.unwrap_or(rules.decide_within)),
                millis(terms.execute_within.unwrap_or(rules.execute_within)),
                reopens.map(|id| id.to_string()),
                terms.way.map(Way::as_str),
                terms.local_votes,
            ])?;
        self.keep_items(&id, &ask.items)?;
        self.keep_places(&id, &ask.places)?;
        self.wait(&id, ask.waiter.as_deref())?;
        self.promote(&ask.subject.run)?;
        let queued = rows::find(self.c, &id, self.now)?.is_some_and(|record| record.queued);
        Ok(if queued { Asked::Queued(id) } else { Asked::Opened(id) })
    }
}

pub(crate) fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
