//! Identities. A person may have several, and counts once whichever they use; an identity belongs to one person.

use qd_types::PersonId;
use rusqlite::{OptionalExtension as _, params};

use crate::{Identity, People, PeopleError, What, lookup};

impl People<'_> {
    /// Links an identity to an active person. That it is really theirs is for the caller to have checked: a code that was
    /// sent there, a sign-in there. No error if it is linked to them already.
    pub fn link(&self, person: &PersonId, identity: &Identity) -> Result<(), PeopleError> {
        self.at_once(|| {
            self.active(person)?;
            let holder: Option<String> = self
                .tx
                .prepare_cached("SELECT person FROM person_identities WHERE kind = ?1 AND subject = ?2")?
                .query_row(params![identity.kind(), identity.subject()], |row| row.get(0))
                .optional()?;
            match holder {
                Some(holder) if holder == person.as_str() => return Ok(()),
                Some(holder) => {
                    let to = lookup::id(&holder)?;
                    return Err(PeopleError::LinkedElsewhere { identity: identity.clone(), to });
                }
                None => {}
            }
            self.tx
                .prepare_cached(
                    "INSERT INTO person_identities (kind, subject, person, linked_at) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    identity.kind(),
                    identity.subject(),
                    person.as_str(),
                    self.now.as_millisecond()
                ])?;
            self.record(person, What::Linked { service: identity.kind() })
        })
    }

    /// Unlinks an identity from a person.
    pub fn unlink(&self, person: &PersonId, identity: &Identity) -> Result<(), PeopleError> {
        self.at_once(|| {
            self.known(person)?;
            let gone = self
                .tx
                .prepare_cached(
                    "DELETE FROM person_identities WHERE kind = ?1 AND subject = ?2 AND person = ?3",
                )?
                .execute(params![identity.kind(), identity.subject(), person.as_str()])?;
            if gone == 0 {
                return Err(PeopleError::NotLinked { identity: identity.clone(), person: person.clone() });
            }
            self.record(person, What::Unlinked { service: identity.kind() })
        })
    }
}
