//! People from the configuration, at every start. It gives them their roles; it does not bring back whom a person shut out.

use qd_types::{PersonId, Role};
use rusqlite::params;

use crate::{By, Departure, People, PeopleError, Profile, Scope, State, StateEvent, What, lookup};

/// A person as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Their name.
    pub id: PersonId,
    /// Their roles, everywhere in the fleet.
    pub roles: Vec<Role>,
}

/// What the configuration changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seeded {
    /// Taken in, or back in.
    pub joined: Vec<PersonId>,
    /// Shut out, because the configuration does not name them any more.
    pub left: Vec<Departure>,
    /// Named by the configuration, and yet not let in: a person disabled or removed them.
    pub kept_out: Vec<PersonId>,
}

impl People<'_> {
    /// Brings people in line with the configuration. Changes nothing, and records nothing, if they are already.
    pub fn seed(&self, people: &[Seed]) -> Result<Seeded, PeopleError> {
        self.keeping_an_owner(PeopleError::NoOwner, || {
            let mut seeded = Seeded::default();
            for seed in people {
                self.seed_one(seed, &mut seeded)?;
            }
            for profile in lookup::list(self.tx)? {
                if profile.configured && !people.iter().any(|seed| seed.id == profile.id) {
                    self.unseed(&profile, &mut seeded)?;
                }
            }
            Ok(seeded)
        })
    }

    fn seed_one(&self, seed: &Seed, seeded: &mut Seeded) -> Result<(), PeopleError> {
        let known = lookup::find(self.tx, &seed.id)?;
        let (id, now) = (seed.id.as_str(), self.now.as_millisecond());
        match &known {
            None => {
                self.tx
                    .prepare_cached(
                        "INSERT INTO people (id, name, state, configured, created_at, changed_at)
                         VALUES (?1, ?1, 'active', 1, ?2, ?2)",
                    )?
                    .execute(params![id, now])?;
            }
            Some(profile) => {
                let left_by_configuration: bool = self
                    .tx
                    .prepare_cached("SELECT left_by_configuration FROM people WHERE id = ?1")?
                    .query_row([id], |row| row.get(0))?;
                self.tx.prepare_cached("UPDATE people SET configured = 1 WHERE id = ?1")?.execute([id])?;
                let kept_out = match profile.state {
                    State::Removed => true,
                    State::Disabled => !left_by_configuration,
                    State::Invited | State::Active => false,
                };
                if kept_out {
                    seeded.kept_out.push(seed.id.clone());
                    return Ok(());
                }
                if profile.state != State::Active {
                    self.move_on(profile, StateEvent::Configure)?;
                    self.tx
                        .prepare_cached("UPDATE people SET left_by_configuration = 0 WHERE id = ?1")?
                        .execute([id])?;
                }
            }
        }
        let is_new = known.as_ref().is_none_or(|profile| profile.state != State::Active);
        let has = known.map(|profile| profile.roles).unwrap_or_default();
        let mut wanted: Vec<(Scope, Role)> = seed.roles.iter().map(|role| (Scope::Fleet, *role)).collect();
        wanted.sort_by_key(|(_, role)| role.as_str());
        wanted.dedup();
        if has != wanted {
            self.tx.prepare_cached("DELETE FROM person_roles WHERE person = ?1")?.execute([id])?;
            for (scope, role) in &wanted {
                self.put_role(&seed.id, scope, *role)?;
            }
        }
        if is_new {
            seeded.joined.push(seed.id.clone());
        }
        if is_new || has != wanted {
            let roles = wanted.into_iter().map(|(_, role)| role).collect();
            self.record_by(By::Configuration, &seed.id, What::Configured { roles })?;
        }
        Ok(())
    }

    fn unseed(&self, profile: &Profile, seeded: &mut Seeded) -> Result<(), PeopleError> {
        let is_in = matches!(profile.state, State::Invited | State::Active);
        self.tx
            .prepare_cached("UPDATE people SET configured = 0, left_by_configuration = ?2 WHERE id = ?1")?
            .execute(params![profile.id.as_str(), is_in])?;
        if is_in {
            seeded.left.push(self.end_everything(profile, StateEvent::Disable)?);
            self.record_by(By::Configuration, &profile.id, What::Disabled)?;
        }
        Ok(())
    }
}
