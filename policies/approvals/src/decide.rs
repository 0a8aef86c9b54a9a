//! Votes: which count, why one does not, and what they come to. A vote is looked at in full when it arrives, and again,
//! with the people and keys of that moment, whenever it is counted.

use qd_types::{Action, ApprovalEvent, ApprovalId, ApprovalState, Ballot, Person, PersonId, Tally, Vote};
use rusqlite::params;

use crate::{
    ApprovalError, Approvals, Key, KeyOwner, Proof, Record, SignedVote, Statement, confirm, inert,
    life::{DENIALS_PER_RUN, OPEN_PER_RUN},
    question, rows,
    vote::NotAVote,
};

/// The name of the one executor that is not an instance.
pub(crate) const BOT: &str = "bot";

/// How often one person may say yes to one request. People change their answers, but not without end.
const VOTES_EACH: i64 = 50;

/// What became of a vote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cast {
    /// It counts, and more are needed.
    Counted(Tally),
    /// It made the quorum.
    Granted(Tally),
    /// It was the no that decides. `pause`: the run has had too many of them, and is to be paused.
    Denied {
        /// How the votes stand.
        tally: Tally,
        /// The caller pauses the run, and alerts.
        pause: bool,
    },
    /// It arrived before. Nothing changes.
    Duplicate,
    /// It does not count.
    Refused(VoteRefusal),
}

/// Why a vote does not count. Meant for the person who gave it, alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoteRefusal {
    /// Nobody here knows the key.
    #[error("This vote is signed with a key that is not known here. Enrol the surface that took it.")]
    UnknownKey,
    /// The key was withdrawn.
    #[error("This vote is signed with a key of {0} that was withdrawn.")]
    RevokedKey(KeyOwner),
    /// The signature is not over these bytes.
    #[error("The signature of this vote is not good: it was forged, or changed on its way.")]
    Forged,
    /// It is signed, and not a vote.
    #[error("This is not a vote that can be read. Update the surface that took it.")]
    Malformed,
    /// Another executor keeps that approval.
    #[error("This vote is for {approval}, and {here} decides only on its own approvals.")]
    WrongExecutor {
        /// What it is for.
        approval: ApprovalId,
        /// Who got it.
        here: String,
    },
    /// There is no such approval.
    #[error("There is no approval {0}.")]
    NoSuch(ApprovalId),
    /// It is for something else than what is asked.
    #[error("This vote is for the digest {voted}, and what is asked has {asked}. Look at the card again.")]
    WrongDigest {
        /// What it is for.
        voted: String,
        /// What is asked.
        asked: String,
    },
    /// It came after the end.
    #[error("This is decided already: {state}. {reason}")]
    Over {
        /// How it ended.
        state: String,
        /// Why.
        reason: String,
    },
    /// Nobody was asked yet.
    #[error("This waits behind {OPEN_PER_RUN} other requests of its run. Decide those first.")]
    Queued,
    /// The key's owner may not take this vote.
    #[error("A vote that {signer} signed does not count here: {why}")]
    Signer {
        /// Who signed.
        signer: KeyOwner,
        /// Why.
        why: String,
    },
    /// It is not proved who gave it.
    #[error("It is not proved who gave this vote: {0}")]
    Unproved(String),
    /// The person may not decide this.
    #[error("{0}")]
    NotEligible(String),
    /// It was not given in the way that this takes.
    #[error("{0}")]
    TooWeak(String),
    /// One person votes without end.
    #[error("You voted on this {0} times. The last one stands; a no is still taken.")]
    TooMany(i64),
    /// The answer is none.
    #[error("{0}")]
    Answer(String),
}

/// A vote as it is kept.
pub(crate) struct Stored {
    pub(crate) seq: i64,
    pub(crate) person: PersonId,
    signed: SignedVote,
}

impl Approvals<'_> {
    /// Takes a vote, from whichever surface. In any order, any number of times.
    pub fn cast(&self, signed: &SignedVote) -> Result<Cast, ApprovalError> {
        let (statement, key) = match self.opened(signed) {
            Ok(opened) => opened,
            Err(refusal) => return Ok(Cast::Refused(refusal)),
        };
        let id = &statement.vote.approval;
        if id.executor() != self.executor.name {
            let here = self.executor.name.clone();
            return Ok(Cast::Refused(VoteRefusal::WrongExecutor { approval: id.clone(), here }));
        }
        let Some(mut record) = rows::find(self.c, id, self.now)? else {
            return Ok(Cast::Refused(VoteRefusal::NoSuch(id.clone())));
        };
        self.settle(&mut record)?;
        let sql = "SELECT 1 FROM approval_votes WHERE hash = ?1";
        if rows::one::<i64>(self.c, sql, [signed.hash()])?.is_some() {
            return Ok(Cast::Duplicate);
        }
        let person = match self.acceptable(&record, &statement, key) {
            Ok(person) => person,
            Err(refusal) => return Ok(Cast::Refused(refusal)),
        };
        let sql = "SELECT count(*) FROM approval_votes WHERE approval = ?1 AND person = ?2";
        let given: i64 = rows::one(self.c, sql, params![id.to_string(), person.id.as_str()])?.unwrap_or(0);
        if given >= VOTES_EACH && statement.vote.ballot == Ballot::Approve {
            return Ok(Cast::Refused(VoteRefusal::TooMany(given)));
        }
        self.keep(signed, id, &person)?;
        self.decide(record, &person, statement.vote.ballot)
    }

    /// What the votes of an approval come to.
    pub(crate) fn tally(&self, record: &mut Record) -> Result<Tally, ApprovalError> {
        record.approval.votes = counted(self, record)?;
        Ok(record.approval.tally())
    }

    fn decide(&self, mut record: Record, person: &Person, ballot: Ballot) -> Result<Cast, ApprovalError> {
        let tally = self.tally(&mut record)?;
        // One eligible no is final, also one that was overtaken by the same person's yes on its way.
        if ballot == Ballot::Deny {
            self.step(&mut record, ApprovalEvent::Deny, &format!("{} said no.", person.id))?;
            let pause = self.denials(record.run())? >= DENIALS_PER_RUN;
            return Ok(Cast::Denied { tally, pause });
        }
        if !tally.granted() {
            return Ok(Cast::Counted(tally));
        }
        let by: Vec<&str> = tally.approved.iter().map(PersonId::as_str).collect();
        self.step(&mut record, ApprovalEvent::Grant, &format!("{} said yes.", by.join(" and ")))?;
        Ok(Cast::Granted(tally))
    }

    fn keep(&self, signed: &SignedVote, id: &ApprovalId, person: &Person) -> Result<(), ApprovalError> {
        self.c
            .prepare_cached(
                "INSERT INTO approval_votes (approval, hash, envelope, person, arrived_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                id.to_string(),
                signed.hash(),
                rows::to_json("approval_votes", signed)?,
                person.id.as_str(),
                self.wall.as_millisecond()
            ])?;
        Ok(())
    }

    /// The statement, if a key that is known signed exactly its bytes.
    fn opened(&self, signed: &SignedVote) -> Result<(Statement, &Key), VoteRefusal> {
        let key = self.people.keys.get(&signed.key).ok_or(VoteRefusal::UnknownKey)?;
        if key.revoked {
            return Err(VoteRefusal::RevokedKey(key.owner.clone()));
        }
        match signed.open(key) {
            Ok(statement) => Ok((statement, key)),
            Err(NotAVote::Forged) => Err(VoteRefusal::Forged),
            Err(NotAVote::Malformed) => Err(VoteRefusal::Malformed),
        }
    }

    /// Everything that is asked of a vote when it arrives.
    fn acceptable(&self, record: &Record, statement: &Statement, key: &Key) -> Result<Person, VoteRefusal> {
        let (vote, asked) = (&statement.vote, &record.approval);
        if vote.digest != asked.digest {
            let (voted, asked) = (vote.digest.short(), asked.digest.short());
            return Err(VoteRefusal::WrongDigest { voted: inert::plain(&voted, 20), asked });
        }
        if !asked.state.is_open() {
            let state = format!("{:?}", asked.state).to_lowercase();
            return Err(VoteRefusal::Over { state, reason: record.reason.clone().unwrap_or_default() });
        }
        if record.queued {
            return Err(VoteRefusal::Queued);
        }
        if self.executor.rules.exposed.is_now() && !is_remote(&vote.surface) {
            return Err(VoteRefusal::Unproved(
                "an agent runs that could act as you on this machine. Vote when it has ended, in Discord or on GitHub; or \
                 put walls around agents: sandbox.kind."
                    .to_owned(),
            ));
        }
        self.eligible(record, statement, key)
    }

    /// Everything that is asked of a vote whenever it is counted: who it is, by the people and keys of now.
    fn eligible(&self, record: &Record, statement: &Statement, key: &Key) -> Result<Person, VoteRefusal> {
        let (vote, asked) = (&statement.vote, &record.approval);
        self.may_sign(record, statement, key)?;
        proved(statement)?;
        let whose = self.people.whose(&statement.identity);
        if whose != Some(self.people.same(&vote.person.id)) {
            let account = inert::plain(&statement.identity.to_string(), 64);
            return Err(VoteRefusal::Unproved(format!(
                "the account {account} is not linked to {}.",
                vote.person.id
            )));
        }
        let Some(person) = self.people.person(&vote.person.id, &vote.person.roles) else {
            return Err(VoteRefusal::NotEligible(format!(
                "{} may do nothing here any more.",
                vote.person.id
            )));
        };
        let requesters = self.people.requesters(&asked.subject);
        if let Some(reason) = asked.subject.requirement.refuses(&person, &requesters) {
            return Err(VoteRefusal::NotEligible(reason));
        }
        if vote.ballot == Ballot::Approve {
            if let Some(lack) = confirm::lack(record.confirm, statement, record.target()) {
                return Err(VoteRefusal::TooWeak(lack));
            }
            if let Action::Question(question) = &asked.subject.action
                && let Some(problem) = question::unfit(question, statement.answer.as_ref())
            {
                return Err(VoteRefusal::Answer(problem));
            }
        }
        Ok(person)
    }

    fn may_sign(&self, record: &Record, statement: &Statement, key: &Key) -> Result<(), VoteRefusal> {
        let no = |why: String| Err(VoteRefusal::Signer { signer: key.owner.clone(), why });
        let surface = &statement.vote.surface;
        match &key.owner {
            KeyOwner::Bot if is_remote(surface) || is_local(surface) => Ok(()),
            KeyOwner::Instance(name) if is_local(surface) => {
                // An instance may be called like the bot. It is not the bot for that.
                let bots = self.executor.name == BOT;
                if !bots && name.as_str() == self.executor.name {
                    return Ok(());
                }
                let theirs = record.approval.subject.instance == *name;
                if !bots || !theirs {
                    return no(format!("it decides on its own effects, and this is one of {}.", record.id()));
                }
                if !self.executor.rules.local_votes && !record.local_votes {
                    return no(
                        "the bot takes votes of an instance only where the policies say `local_votes`."
                            .to_owned(),
                    );
                }
                Ok(())
            }
            _ => no(format!("it takes no votes on {}.", inert::plain(surface, 32))),
        }
    }
}

/// The votes that are kept on an approval and were not dropped.
pub(crate) fn stored(approvals: &Approvals<'_>, id: &ApprovalId) -> Result<Vec<Stored>, ApprovalError> {
    let mut statement = approvals.c.prepare_cached(
        "SELECT seq, envelope, person FROM approval_votes WHERE approval = ?1 AND dropped_at IS NULL ORDER BY seq",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut votes = Vec::new();
    while let Some(row) = rows.next()? {
        let person: String = row.get(2)?;
        votes.push(Stored {
            seq: row.get(0)?,
            signed: rows::json("approval_votes", &row.get::<_, String>(1)?)?,
            person: person.parse().map_err(|error| ApprovalError::corrupt("approval_votes", error))?,
        });
    }
    Ok(votes)
}

/// The statements that count now, in the order in which they were given: signatures, people and roles are looked at again.
pub(crate) fn statements(
    approvals: &Approvals<'_>,
    record: &Record,
) -> Result<Vec<Statement>, ApprovalError> {
    let mut counted = Vec::new();
    for stored in stored(approvals, record.id())? {
        let Ok((mut statement, key)) = approvals.opened(&stored.signed) else { continue };
        let here = statement.vote.approval == *record.id() && statement.vote.digest == record.approval.digest;
        if let Ok(person) = approvals.eligible(record, &statement, key)
            && here
        {
            statement.vote.person = person;
            counted.push((statement.vote.at, stored.signed.hash(), statement));
        }
    }
    // By when they were given, not by when they came; the hash makes the order total.
    counted.sort_by(|(at, hash, _), (later, other, _)| (at, hash).cmp(&(later, other)));
    Ok(counted.into_iter().map(|(_, _, statement)| statement).collect())
}

/// The votes of these statements.
pub(crate) fn counted(approvals: &Approvals<'_>, record: &Record) -> Result<Vec<Vote>, ApprovalError> {
    Ok(statements(approvals, record)?.into_iter().map(|statement| statement.vote).collect())
}

fn is_remote(surface: &str) -> bool {
    matches!(surface, "discord" | "github")
}

fn is_local(surface: &str) -> bool {
    matches!(surface, "console" | "board" | "cli")
}

/// The account fits the surface, and the proof fits both.
fn proved(statement: &Statement) -> Result<(), VoteRefusal> {
    let no = |why: &str| Err(VoteRefusal::Unproved(why.to_owned()));
    let (surface, service) = (&statement.vote.surface, &statement.identity.service);
    if is_remote(surface) {
        if service != surface {
            return no("the account is not one of the service where the vote was given.");
        }
        return match &statement.proof {
            Proof::Service(receipt) if !receipt.is_empty() => Ok(()),
            _ => no("the service's own id of the vote is missing."),
        };
    }
    if service != "local" {
        return no("a local vote takes a local account.");
    }
    match statement.proof {
        Proof::Passphrase | Proof::SignedIn => Ok(()),
        Proof::Socket => {
            no("a socket's user is not enough, as an agent may be the same one. Give your passphrase.")
        }
        Proof::Service(_) => no("a local vote takes a passphrase or a signed-in page."),
    }
}

/// Whether a state means that somebody decided.
pub(crate) fn is_decided(state: ApprovalState) -> bool {
    state != ApprovalState::Requested
}
