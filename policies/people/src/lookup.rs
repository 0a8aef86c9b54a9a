//! Who is it: by name, by identity, by token. Identities and tokens lead to active people only.

use jiff::Timestamp;
use qd_types::{IdError, PersonId};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params};

use crate::{Identity, PeopleError, Profile, TokenKind, tokens};

/// Somebody who showed a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub profile: Profile,
    /// With what: only a session of a signed-in page may vote.
    pub kind: TokenKind,
    /// The service account that acts on their behalf, if the token is one's.
    pub service: Option<String>,
}

/// A person by name, in whatever state.
pub fn find(connection: &Connection, person: &PersonId) -> Result<Option<Profile>, PeopleError> {
    let mut found = select(connection, "WHERE id = ?1", [person.as_str()])?;
    Ok(found.pop())
}

/// Everybody who was not erased, by name.
pub fn list(connection: &Connection) -> Result<Vec<Profile>, PeopleError> {
    select(connection, "ORDER BY id", [])
}

/// The active person whom a service knows like that. For [`Identity::Local`] that is a claim and no proof.
pub fn by_identity(connection: &Connection, identity: &Identity) -> Result<Option<Profile>, PeopleError> {
    let mut found = select(
        connection,
        "WHERE state = 'active'
           AND id = (SELECT person FROM person_identities WHERE kind = ?1 AND subject = ?2)",
        params![identity.kind(), identity.subject()],
    )?;
    Ok(found.pop())
}

/// The active person who has this token, if it is still good.
pub fn by_token(
    connection: &Connection,
    token: &str,
    now: Timestamp,
) -> Result<Option<SignedIn>, PeopleError> {
    let row: Option<(String, String, Option<String>)> = connection
        .prepare_cached(
            "SELECT person, kind, service FROM person_tokens JOIN people ON people.id = person
             WHERE hash = ?1 AND expires_at > ?2 AND state = 'active'",
        )?
        .query_row(params![tokens::hash(token), now.as_millisecond()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((person, kind, service)) = row else { return Ok(None) };
    let kind = kind.parse().map_err(|source| PeopleError::Corrupt { table: "person_tokens", source })?;
    Ok(find(connection, &id(&person)?)?.map(|profile| SignedIn { profile, kind, service }))
}

/// Whether an invitation waits for them that is still good.
pub fn has_invitation(
    connection: &Connection,
    person: &PersonId,
    now: Timestamp,
) -> Result<bool, PeopleError> {
    let row = connection
        .prepare_cached("SELECT 1 FROM person_invitations WHERE person = ?1 AND expires_at > ?2")?
        .query_row(params![person.as_str(), now.as_millisecond()], |_| Ok(()))
        .optional()?;
    Ok(row.is_some())
}

fn select(
    connection: &Connection,
    filter: &str,
    args: impl rusqlite::Params,
) -> Result<Vec<Profile>, PeopleError> {
    let sql = format!(
        "SELECT id, name, state, configured, passphrase IS NOT NULL, created_at FROM people {filter}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(args)?;
    let mut people = Vec::new();
    while let Some(row) = rows.next()? {
        people.push(profile(connection, row)?);
    }
    Ok(people)
}

fn profile(connection: &Connection, row: &SqlRow<'_>) -> Result<Profile, PeopleError> {
    let person = id(&row.get::<_, String>(0)?)?;
    let roles = pairs(
        connection,
        "SELECT scope, role FROM person_roles WHERE person = ?1 ORDER BY scope, role",
        &person,
    )?;
    let identities = pairs(
        connection,
        "SELECT kind, subject FROM person_identities WHERE person = ?1 ORDER BY kind, subject",
        &person,
    )?;
    Ok(Profile {
        name: row.get(1)?,
        state: row.get::<_, String>(2)?.parse().map_err(corrupt("people"))?,
        configured: row.get(3)?,
        roles: roles
            .into_iter()
            .map(|(scope, role)| Ok((scope.parse()?, role.parse()?)))
            .collect::<Result<_, IdError>>()
            .map_err(corrupt("person_roles"))?,
        identities: identities
            .into_iter()
            .map(|(kind, subject)| format!("{kind}:{subject}").parse())
            .collect::<Result<_, IdError>>()
            .map_err(corrupt("person_identities"))?,
        has_passphrase: row.get(4)?,
        created_at: Timestamp::from_millisecond(row.get(5)?).unwrap_or(Timestamp::UNIX_EPOCH),
        id: person,
    })
}

fn pairs(
    connection: &Connection,
    sql: &str,
    person: &PersonId,
) -> Result<Vec<(String, String)>, PeopleError> {
    let found = connection
        .prepare_cached(sql)?
        .query_map([person.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(found)
}

pub(crate) fn id(text: &str) -> Result<PersonId, PeopleError> {
    text.parse().map_err(corrupt("people"))
}

fn corrupt(table: &'static str) -> impl Fn(IdError) -> PeopleError {
    move |source| PeopleError::Corrupt { table, source }
}
