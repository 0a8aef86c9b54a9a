//! All that is stored about a person, for themselves. Secrets are left out: a hash says nothing about a person, and would
//! be worth stealing.

use jiff::Timestamp;
use qd_types::{PersonId, Role};
use rusqlite::{Connection, OptionalExtension as _};
use serde::Serialize;

use crate::{Identity, PeopleError, Scope, State, lookup};

/// Everything, as JSON. Times are UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Export {
    id: PersonId,
    name: String,
    state: State,
    named_by_configuration: bool,
    created_at: Timestamp,
    changed_at: Timestamp,
    roles: Vec<Held>,
    identities: Vec<Linked>,
    has_passphrase: bool,
    wrong_passphrases_in_a_row: u32,
    last_wrong_passphrase_at: Option<Timestamp>,
    invitation: Option<Lasting>,
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Held {
    scope: Scope,
    role: Role,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Linked {
    identity: Identity,
    linked_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Lasting {
    made_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Token {
    kind: String,
    label: String,
    made_at: Timestamp,
    expires_at: Timestamp,
}

/// All that these tables hold about a person. What else the executor knows (their audit rows, for one) is for it to add.
pub fn export(connection: &Connection, person: &PersonId) -> Result<Export, PeopleError> {
    let profile = lookup::find(connection, person)?.ok_or_else(|| PeopleError::NoSuch(person.clone()))?;
    let id = person.as_str();
    let (changed_at, failures, attempted_at): (i64, u32, Option<i64>) = connection
        .prepare_cached("SELECT changed_at, failures, attempted_at FROM people WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let identities = connection
        .prepare_cached("SELECT linked_at FROM person_identities WHERE person = ?1 ORDER BY kind, subject")?
        .query_map([id], |row| row.get(0))?
        .zip(profile.identities)
        .map(|(at, identity)| Ok(Linked { identity, linked_at: time(at?) }))
        .collect::<Result<_, rusqlite::Error>>()?;
    let invitation = connection
        .prepare_cached("SELECT made_at, expires_at FROM person_invitations WHERE person = ?1")?
        .query_row([id], |row| Ok(Lasting { made_at: time(row.get(0)?), expires_at: time(row.get(1)?) }))
        .optional()?;
    let tokens = connection
        .prepare_cached(
            "SELECT kind, label, made_at, expires_at FROM person_tokens WHERE person = ?1 ORDER BY made_at, label",
        )?
        .query_map([id], |row| {
            Ok(Token {
                kind: row.get(0)?,
                label: row.get(1)?,
                made_at: time(row.get(2)?),
                expires_at: time(row.get(3)?),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(Export {
        id: profile.id,
        name: profile.name,
        state: profile.state,
        named_by_configuration: profile.configured,
        created_at: profile.created_at,
        changed_at: time(changed_at),
        roles: profile.roles.into_iter().map(|(scope, role)| Held { scope, role }).collect(),
        identities,
        has_passphrase: profile.has_passphrase,
        wrong_passphrases_in_a_row: failures,
        last_wrong_passphrase_at: attempted_at.map(time),
        invitation,
        tokens,
    })
}

fn time(at: i64) -> Timestamp {
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MIN)
}
