//! The verbs' common ground: one change is one savepoint, recorded or not done, and the last owner stays.

use jiff::Timestamp;
use qd_types::{PersonId, Role};
use rusqlite::{Connection, params};

use crate::{By, Change, Host, PeopleError, Profile, Scope, State, StateEvent, What, lookup};

/// People, to be changed in one transaction, by one person, at one moment.
pub struct People<'a> {
    pub(crate) tx: &'a Connection,
    pub(crate) host: &'a dyn Host,
    pub(crate) by: By,
    pub(crate) now: Timestamp,
}

impl<'a> People<'a> {
    /// `tx` is inside a transaction. That `by` may do what follows is for policy to say, before.
    pub fn new(tx: &'a Connection, host: &'a dyn Host, by: By, now: Timestamp) -> Self {
        Self { tx, host, by, now }
    }

    /// Does all of `job` or nothing of it, also when the caller goes on after an error.
    pub(crate) fn at_once<T>(&self, job: impl FnOnce() -> Result<T, PeopleError>) -> Result<T, PeopleError> {
        self.tx.execute_batch("SAVEPOINT people")?;
        let result = job();
        let end = if result.is_ok() { "RELEASE people" } else { "ROLLBACK TO people; RELEASE people" };
        self.tx.execute_batch(end)?;
        result
    }

    /// Like [`People::at_once`], and refused if it would leave a fleet that has an active owner without one.
    pub(crate) fn keeping_an_owner<T>(
        &self,
        refusal: PeopleError,
        job: impl FnOnce() -> Result<T, PeopleError>,
    ) -> Result<T, PeopleError> {
        self.at_once(|| {
            let before = self.holders(&Scope::Fleet, Role::Owner)?;
            let done = job()?;
            if before > 0 && self.holders(&Scope::Fleet, Role::Owner)? == 0 {
                return Err(refusal);
            }
            Ok(done)
        })
    }

    /// How many active people have a role in exactly this scope.
    pub(crate) fn holders(&self, scope: &Scope, role: Role) -> Result<u64, PeopleError> {
        let count: i64 = self
            .tx
            .prepare_cached(
                "SELECT count(*) FROM person_roles JOIN people ON people.id = person
                 WHERE state = 'active' AND scope = ?1 AND role = ?2",
            )?
            .query_row(params![scope.to_string(), role.as_str()], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    }

    pub(crate) fn known(&self, person: &PersonId) -> Result<Profile, PeopleError> {
        lookup::find(self.tx, person)?.ok_or_else(|| PeopleError::NoSuch(person.clone()))
    }

    pub(crate) fn active(&self, person: &PersonId) -> Result<Profile, PeopleError> {
        let profile = self.known(person)?;
        match profile.state {
            State::Active => Ok(profile),
            State::Invited | State::Disabled | State::Removed => Err(PeopleError::NotActive(person.clone())),
        }
    }

    /// Moves a person to the state that `event` leads to.
    pub(crate) fn move_on(&self, profile: &Profile, event: StateEvent) -> Result<State, PeopleError> {
        let state = next_state(profile, event)?;
        self.tx
            .prepare_cached("UPDATE people SET state = ?2, changed_at = ?3 WHERE id = ?1")?
            .execute(params![profile.id.as_str(), state.as_str(), self.now.as_millisecond()])?;
        Ok(state)
    }

    pub(crate) fn record(&self, person: &PersonId, what: What) -> Result<(), PeopleError> {
        self.record_by(self.by.clone(), person, what)
    }

    pub(crate) fn record_by(&self, by: By, person: &PersonId, what: What) -> Result<(), PeopleError> {
        let change = Change { person: person.clone(), by, at: self.now, what };
        self.host.record(self.tx, &change).map_err(PeopleError::Host)
    }
}

/// Longest name or label, in characters.
pub(crate) const LONGEST_TEXT: usize = 100;

/// A text that may stand in a list.
pub(crate) fn plain(what: &'static str, text: &str) -> Result<(), PeopleError> {
    let fits = (1..=LONGEST_TEXT).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(PeopleError::Text { what }) }
}

/// Where `event` leads, with a hint if it leads nowhere.
pub(crate) fn next_state(profile: &Profile, event: StateEvent) -> Result<State, PeopleError> {
    profile.state.on(event).map_err(|illegal| PeopleError::State {
        person: profile.id.clone(),
        illegal,
        hint: "erase them to make the name free, or choose another one",
    })
}
