//! Sessions and tokens. Each is 256 bits of randomness, shown once and stored as its SHA-256: a hash that is quick to take
//! is enough for what nobody can guess.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use qd_types::{IdError, PersonId};
use rusqlite::{OptionalExtension as _, params};
use secrecy::SecretString;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::{People, PeopleError, What, lookup, people::plain};

/// Bytes of randomness.
const BYTES: usize = 32;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// A signed-in page. May vote.
    Session,
    /// A program. May do what the person may, except vote.
    Token,
}

impl TokenKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Token => "token",
        }
    }

    /// What a token claims to be, by what it begins with. Whether it is one is for whoever keeps them to say.
    pub fn of(token: &str) -> Option<Self> {
        [Self::Session, Self::Token].into_iter().find(|kind| token.starts_with(kind.prefix()))
    }

    /// What it begins with, so that it is recognised where it should not be.
    fn prefix(self) -> &'static str {
        match self {
            Self::Session => "qds_",
            Self::Token => "qdt_",
        }
    }
}

impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TokenKind {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        [Self::Session, Self::Token].into_iter().find(|kind| kind.as_str() == text).ok_or(IdError {
            kind: "a kind of token",
            text: text.to_owned(),
            want: "session or token",
        })
    }
}

/// A fresh secret, and its hash for the table.
pub(crate) fn fresh(prefix: &str) -> Result<(SecretString, [u8; 32]), PeopleError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(PeopleError::Random)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{prefix}{digits}");
    let hash = hash(&token);
    Ok((SecretString::from(token), hash))
}

pub(crate) fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl People<'_> {
    /// Makes a session or a token for an active person. `label` is what they know it by ("laptop"). The text is returned
    /// once and stored nowhere.
    pub fn make_token(
        &self,
        person: &PersonId,
        kind: TokenKind,
        label: &str,
        lasts: SignedDuration,
    ) -> Result<SecretString, PeopleError> {
        self.make(person, kind, label, lasts, None)
    }

    /// Makes a token for a service account, which acts by its own name, on behalf of this active person. It ends with them.
    pub fn make_service_token(
        &self,
        person: &PersonId,
        service: &str,
        label: &str,
        lasts: SignedDuration,
    ) -> Result<SecretString, PeopleError> {
        plain("the name of a service account", service)?;
        self.make(person, TokenKind::Token, label, lasts, Some(service))
    }

    fn make(
        &self,
        person: &PersonId,
        kind: TokenKind,
        label: &str,
        lasts: SignedDuration,
        service: Option<&str>,
    ) -> Result<SecretString, PeopleError> {
        plain("a label", label)?;
        self.at_once(|| {
            self.active(person)?;
            let (token, hash) = fresh(kind.prefix())?;
            let expires_at = self.now.checked_add(lasts).unwrap_or(Timestamp::MAX);
            self.tx
                .prepare_cached(
                    "INSERT INTO person_tokens (hash, person, kind, label, made_at, expires_at, service)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    hash,
                    person.as_str(),
                    kind.as_str(),
                    label,
                    self.now.as_millisecond(),
                    expires_at.as_millisecond(),
                    service
                ])?;
            self.record(person, What::TokenMade { kind })?;
            Ok(token)
        })
    }

    /// Ends one session or token, by its text. Says whose it was; `None` if there is none such.
    pub fn end_token(&self, token: &str) -> Result<Option<PersonId>, PeopleError> {
        self.at_once(|| {
            let found: Option<(String, String)> = self
                .tx
                .prepare_cached("DELETE FROM person_tokens WHERE hash = ?1 RETURNING person, kind")?
                .query_row([hash(token)], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((person, kind)) = found else { return Ok(None) };
            let (person, kind) = (lookup::id(&person)?, kind.parse());
            let kind = kind.map_err(|source| PeopleError::Corrupt { table: "person_tokens", source })?;
            self.record(&person, What::TokenEnded { kind })?;
            Ok(Some(person))
        })
    }
}
