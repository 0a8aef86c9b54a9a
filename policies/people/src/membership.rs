//! How a person comes and goes: invited, taken in, shut out, removed, erased.

use jiff::{SignedDuration, Timestamp};
use qd_types::{PersonId, Role};
use rusqlite::{OptionalExtension as _, params};
use secrecy::SecretString;

use crate::{
    By, Departure, PassphraseHash, People, PeopleError, Profile, Scope, StateEvent, What, lookup,
    people::{next_state, plain},
    tokens,
};

/// How long an invitation is good.
pub const INVITATION_HOURS: i64 = 48;

/// An invitation, to be handed to the person. Works once.
#[derive(Debug)]
pub struct Invitation {
    /// What they show to take it up. Returned once, stored as a hash.
    pub token: SecretString,
    /// When it is too late.
    pub expires_at: Timestamp,
}

impl People<'_> {
    /// Invites somebody new. `name` is what is shown; `roles` hold once they have taken it up.
    pub fn invite(
        &self,
        person: &PersonId,
        name: &str,
        roles: &[(Scope, Role)],
    ) -> Result<Invitation, PeopleError> {
        plain("a name", name)?;
        self.at_once(|| {
            if lookup::find(self.tx, person)?.is_some() {
                return Err(PeopleError::Taken(person.clone()));
            }
            let now = self.now.as_millisecond();
            self.tx
                .prepare_cached(
                    "INSERT INTO people (id, name, state, created_at, changed_at)
                     VALUES (?1, ?2, 'invited', ?3, ?3)",
                )?
                .execute(params![person.as_str(), name, now])?;
            for (scope, role) in roles {
                self.put_role(person, scope, *role)?;
            }
            let invitation = self.put_invitation(person)?;
            self.record(person, What::Invited { roles: roles.to_vec() })?;
            Ok(invitation)
        })
    }

    /// Another invitation for somebody who is known: who lost the first one, has no passphrase or forgot it, or was
    /// disabled and comes back. An older one is not good any more.
    pub fn invite_again(&self, person: &PersonId) -> Result<Invitation, PeopleError> {
        self.at_once(|| {
            next_state(&self.known(person)?, StateEvent::Accept)?;
            let invitation = self.put_invitation(person)?;
            self.record(person, What::InvitedAgain)?;
            Ok(invitation)
        })
    }

    fn put_invitation(&self, person: &PersonId) -> Result<Invitation, PeopleError> {
        let (token, hash) = tokens::fresh("qdi_")?;
        let expires_at =
            self.now.checked_add(SignedDuration::from_hours(INVITATION_HOURS)).unwrap_or(Timestamp::MAX);
        self.tx
            .prepare_cached(
                "INSERT INTO person_invitations (person, hash, made_at, expires_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (person) DO UPDATE
                 SET hash = excluded.hash, made_at = excluded.made_at, expires_at = excluded.expires_at",
            )?
            .execute(params![
                person.as_str(),
                hash,
                self.now.as_millisecond(),
                expires_at.as_millisecond()
            ])?;
        Ok(Invitation { token, expires_at })
    }

    /// Takes up an invitation and sets the passphrase. Sessions and tokens from before end: who forgot a passphrase may
    /// have lost more. The change is recorded as the person's own.
    pub fn accept(&self, token: &str, passphrase: &PassphraseHash) -> Result<Profile, PeopleError> {
        self.at_once(|| {
            let person: Option<String> = self
                .tx
                .prepare_cached(
                    "DELETE FROM person_invitations WHERE hash = ?1 AND expires_at > ?2 RETURNING person",
                )?
                .query_row(params![tokens::hash(token), self.now.as_millisecond()], |row| row.get(0))
                .optional()?;
            let person = lookup::id(&person.ok_or(PeopleError::Invitation)?)?;
            self.move_on(&self.known(&person)?, StateEvent::Accept)?;
            self.tx
                .prepare_cached(
                    "UPDATE people SET passphrase = ?2, failures = 0, attempted_at = NULL, left_by_configuration = 0
                     WHERE id = ?1",
                )?
                .execute(params![person.as_str(), passphrase.as_str()])?;
            self.tx
                .prepare_cached("DELETE FROM person_tokens WHERE person = ?1")?
                .execute([person.as_str()])?;
            self.record_by(By::Person(person.clone()), &person, What::Accepted)?;
            self.known(&person)
        })
    }

    /// Shuts a person out, everywhere and at once. They may be invited again.
    pub fn disable(&self, person: &PersonId) -> Result<Departure, PeopleError> {
        self.leave(person, StateEvent::Disable, What::Disabled)
    }

    /// Like [`People::disable`], for good: the name stays taken until the person is erased.
    pub fn remove(&self, person: &PersonId) -> Result<Departure, PeopleError> {
        self.leave(person, StateEvent::Remove, What::Removed)
    }

    fn leave(&self, person: &PersonId, event: StateEvent, what: What) -> Result<Departure, PeopleError> {
        self.keeping_an_owner(PeopleError::LastOwner(person.clone()), || {
            let departure = self.end_everything(&self.known(person)?, event)?;
            self.tx
                .prepare_cached("UPDATE people SET left_by_configuration = 0 WHERE id = ?1")?
                .execute([person.as_str()])?;
            self.record(person, what)?;
            Ok(departure)
        })
    }

    /// Deletes all that is stored about somebody who was removed. History keeps their pseudonym; the host forgets whose it
    /// was, see [`What::Erased`].
    pub fn erase(&self, person: &PersonId) -> Result<(), PeopleError> {
        self.at_once(|| {
            let profile = self.known(person)?;
            if profile.state != crate::State::Removed {
                return Err(PeopleError::NotRemoved(person.clone()));
            }
            if profile.configured {
                return Err(PeopleError::StillConfigured(person.clone()));
            }
            // Deleted content is otherwise left in the file until its page is used again.
            self.tx.pragma_update(None, "secure_delete", true)?;
            for table in ["person_roles", "person_identities", "person_invitations", "person_tokens"] {
                self.tx
                    .prepare_cached(&format!("DELETE FROM {table} WHERE person = ?1"))?
                    .execute([person.as_str()])?;
            }
            self.tx.prepare_cached("DELETE FROM people WHERE id = ?1")?.execute([person.as_str()])?;
            self.record(person, What::Erased)
        })
    }
}
