//! Giving and taking roles. Whom the configuration names has the roles that stand there, and no others.

use qd_types::{PersonId, Role};
use rusqlite::params;

use crate::{People, PeopleError, Profile, Scope, What, people::next_state};

impl People<'_> {
    /// Gives a role. No error if they have it already.
    pub fn give_role(&self, person: &PersonId, scope: &Scope, role: Role) -> Result<(), PeopleError> {
        self.at_once(|| {
            self.changeable(person)?;
            if self.put_role(person, scope, role)? {
                self.record(person, What::RoleGiven { scope: scope.clone(), role })?;
            }
            Ok(())
        })
    }

    /// Takes a role away.
    pub fn take_role(&self, person: &PersonId, scope: &Scope, role: Role) -> Result<(), PeopleError> {
        self.keeping_an_owner(PeopleError::LastOwner(person.clone()), || {
            self.changeable(person)?;
            let taken = self
                .tx
                .prepare_cached("DELETE FROM person_roles WHERE person = ?1 AND scope = ?2 AND role = ?3")?
                .execute(params![person.as_str(), scope.to_string(), role.as_str()])?;
            if taken == 0 {
                return Err(PeopleError::NoRole { person: person.clone(), role, scope: scope.clone() });
            }
            self.record(person, What::RoleTaken { scope: scope.clone(), role })
        })
    }

    fn changeable(&self, person: &PersonId) -> Result<Profile, PeopleError> {
        let profile = self.known(person)?;
        next_state(&profile, crate::StateEvent::Accept)?;
        if profile.configured {
            return Err(PeopleError::Configured(person.clone()));
        }
        Ok(profile)
    }

    /// Writes a role; says whether it is new.
    pub(crate) fn put_role(&self, person: &PersonId, scope: &Scope, role: Role) -> Result<bool, PeopleError> {
        let new = self
            .tx
            .prepare_cached(
                "INSERT INTO person_roles (person, scope, role) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(params![person.as_str(), scope.to_string(), role.as_str()])?;
        Ok(new > 0)
    }
}
