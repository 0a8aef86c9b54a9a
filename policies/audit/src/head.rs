//! Heads and the other side's signatures on them. The bot signs the instance's heads and the instance the bot's: who wants
//! to rewrite a chain needs both machines.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Params, Row as SqlRow, params};
use serde::{Deserialize, Serialize};

use crate::{
    AuditError, RowHash, chain,
    hash::{Encoder, from_hex, to_hex},
};

/// A place in a chain: everything up to it is fixed by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Whose chain: `bot`, or an instance's name.
    pub chain: String,
    /// The row; 0 before the first.
    pub seq: u64,
    /// Its hash.
    pub hash: RowHash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} of {} ({})", self.seq, self.chain, self.hash.short())
    }
}

/// A head, signed by the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersignature {
    /// What was signed.
    pub head: Head,
    /// Who signed: `bot`, or an instance's name.
    pub by: String,
    /// When, milliseconds since 1970.
    pub at: i64,
    /// The signer's Ed25519 key.
    #[serde(with = "hex")]
    pub key: [u8; 32],
    /// Ed25519, over the head, the signer and the time.
    #[serde(with = "hex")]
    pub signature: [u8; 64],
}

impl Countersignature {
    /// The bytes that are signed: a digest of all fields, under a domain of its own.
    fn statement(head: &Head, by: &str, at: i64) -> RowHash {
        Encoder::new("quarterdeck audit head v1")
            .text(&head.chain)
            .number(head.seq.cast_signed())
            .bytes(head.hash.as_bytes())
            .text(by)
            .number(at)
            .hash()
    }

    /// Whether it is by one of `signers`, who are not the chain's own executor. `None`: its signer is not among them.
    pub(crate) fn check(&self, signers: &[Signer]) -> Option<Result<(), String>> {
        let theirs = |signer: &&Signer| signer.name == self.by;
        let mut keys = signers.iter().filter(theirs).map(|signer| &signer.key).peekable();
        keys.peek()?;
        if self.by == self.head.chain {
            return Some(Err("nobody signs a head of their own chain".to_owned()));
        }
        let Some(key) = keys.find(|key| key.as_bytes() == &self.key) else {
            return Some(Err(format!("{} is not a key of {}", to_hex(&self.key), self.by)));
        };
        let statement = Self::statement(&self.head, &self.by, self.at);
        let fits = key.verify_strict(statement.as_bytes(), &Signature::from_bytes(&self.signature));
        Some(fits.map_err(|_| "it does not fit what it signs".to_owned()))
    }
}

/// Whose signatures count. One who changed keys is listed with each of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// `bot`, or an instance's name.
    pub name: String,
    /// Their public key.
    pub key: VerifyingKey,
}

impl FromStr for Signer {
    type Err = String;
    /// `NAME=KEY`, the key as 64 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, key) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=KEY"))?;
        let key = VerifyingKey::from_bytes(&from_hex(key)?)
            .map_err(|_| format!("{key} is not an Ed25519 public key"))?;
        Ok(Self { name: name.to_owned(), key })
    }
}

/// Signs another chain's head.
pub fn sign(head: Head, by: &str, at: Timestamp, key: &SigningKey) -> Countersignature {
    let at = at.as_millisecond();
    let signature = key.sign(Countersignature::statement(&head, by, at).as_bytes()).to_bytes();
    Countersignature { head, by: by.to_owned(), at, key: key.verifying_key().to_bytes(), signature }
}

/// Keeps the other side's signature on a head of this chain. It has to be by one of `signers`, on a row as it stands here. A
/// head that was archived meanwhile is kept as well; `verify` looks at it again.
pub fn keep(tx: &Connection, signed: &Countersignature, signers: &[Signer]) -> Result<(), AuditError> {
    let refused = |problem: String| AuditError::Signature {
        by: signed.by.clone(),
        head: Box::new(signed.head.clone()),
        problem,
    };
    let unknown = || Err(format!("no key of {} is known here", signed.by));
    signed.check(signers).unwrap_or_else(unknown).map_err(refused)?;
    let own = chain::head(tx)?;
    if own.chain != signed.head.chain || signed.head.seq > own.seq || signed.head.seq == 0 {
        return Err(refused(format!("this chain ends at {own}")));
    }
    let here: Option<RowHash> = tx
        .prepare_cached("SELECT hash FROM audit_chain WHERE seq = ?1")?
        .query_row([signed.head.seq.cast_signed()], |row| row.get(0))
        .optional()?;
    if here.is_some_and(|here| here != signed.head.hash) {
        return Err(refused("that row has another hash here".to_owned()));
    }
    tx.prepare_cached(
        "INSERT INTO audit_signatures (signer, seq, hash, at, key, signature)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE NOT EXISTS (SELECT 1 FROM audit_signatures WHERE seq = ?2 AND signer = ?1)",
    )?
    .execute(params![
        signed.by,
        signed.head.seq.cast_signed(),
        signed.head.hash,
        signed.at,
        signed.key,
        signed.signature
    ])?;
    Ok(())
}

/// All signatures on this chain, by row. An error is a row that can't be read.
pub fn signatures(connection: &Connection) -> Result<Vec<Countersignature>, AuditError> {
    let chain = chain::head(connection)?.chain;
    connection
        .prepare_cached(
            "SELECT signer, seq, hash, at, key, signature FROM audit_signatures ORDER BY seq, signer",
        )?
        .query_map([], |row| Ok(decode(&chain, row)))?
        .map(|row| row?.map_err(|error| corrupt("audit_signatures", &error)))
        .collect()
}

fn decode(chain: &str, row: &SqlRow<'_>) -> rusqlite::Result<Countersignature> {
    Ok(Countersignature {
        head: Head { chain: chain.to_owned(), seq: row.get::<_, i64>(1)?.cast_unsigned(), hash: row.get(2)? },
        by: row.get(0)?,
        at: row.get(3)?,
        key: row.get(4)?,
        signature: row.get(5)?,
    })
}

fn corrupt(table: &'static str, error: &rusqlite::Error) -> AuditError {
    AuditError::Corrupt { table, problem: error.to_string() }
}

/// How old the newest of the heads that are kept for good has to be before the next one joins them, in milliseconds.
const APART: i64 = 3_600_000;

/// Signs the other side's head and remembers it here, where the other side can't write. A head that lies before the last
/// one, or contradicts it, is refused: that chain was rewritten or restored. The caller commits then as well, because what
/// contradicts it is kept for good.
pub fn witness(
    tx: &Connection,
    head: Head,
    by: &str,
    at: Timestamp,
    key: &SigningKey,
) -> Result<Countersignature, AuditError> {
    if let Some(last) = last_witnessed(tx, &head.chain)? {
        let contradicts =
            head.seq < last.head.seq || (head.seq == last.head.seq && head.hash != last.head.hash);
        if contradicts {
            keep_witnessed(tx, &last)?;
            return Err(AuditError::Contradicts { head: Box::new(head), signed: Box::new(last.head) });
        }
        let newest: Option<i64> = tx
            .prepare_cached("SELECT max(at) FROM audit_witnessed_before WHERE chain = ?1")?
            .query_row([&head.chain], |row| row.get(0))?;
        if newest.is_none_or(|newest| last.at.saturating_sub(newest) >= APART) {
            keep_witnessed(tx, &last)?;
        }
    }
    let signed = sign(head, by, at, key);
    tx.prepare_cached(
        "INSERT INTO audit_witnessed (chain, signer, seq, hash, at, key, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET signer = excluded.signer, seq = excluded.seq, hash = excluded.hash,
             at = excluded.at, key = excluded.key, signature = excluded.signature",
    )?
    .execute(fields(&signed))?;
    Ok(signed)
}

fn keep_witnessed(tx: &Connection, signed: &Countersignature) -> Result<(), AuditError> {
    tx.prepare_cached(
        "INSERT INTO audit_witnessed_before (chain, signer, seq, hash, at, key, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(fields(signed))?;
    Ok(())
}

fn fields(signed: &Countersignature) -> impl Params {
    (
        signed.head.chain.clone(),
        signed.by.clone(),
        signed.head.seq.cast_signed(),
        signed.head.hash,
        signed.at,
        signed.key,
        signed.signature,
    )
}

/// Heads of another chain that were signed here, the last one last: what to hold against that chain when its own copy of
/// the signatures can't be trusted. Of those before the last, about one an hour is kept.
pub fn witnessed(connection: &Connection, chain: &str) -> Result<Vec<Countersignature>, AuditError> {
    let mut all: Vec<Countersignature> = Vec::new();
    if has_table(connection, "audit_witnessed_before")? {
        all = connection
            .prepare_cached(
                "SELECT signer, seq, hash, at, key, signature FROM audit_witnessed_before WHERE chain = ?1
                 ORDER BY at, seq",
            )?
            .query_map([chain], |row| Ok(decode(chain, row)))?
            .map(|row| row?.map_err(|error| corrupt("audit_witnessed_before", &error)))
            .collect::<Result<_, _>>()?;
    }
    all.extend(last_witnessed(connection, chain)?);
    Ok(all)
}

/// Whether the file was made, or upgraded, by a program that knows the table.
pub(crate) fn has_table(connection: &Connection, name: &str) -> Result<bool, AuditError> {
    Ok(connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)")?
        .query_row([name], |row| row.get(0))?)
}

fn last_witnessed(connection: &Connection, chain: &str) -> Result<Option<Countersignature>, AuditError> {
    let found = connection
        .prepare_cached("SELECT signer, seq, hash, at, key, signature FROM audit_witnessed WHERE chain = ?1")?
        .query_row([chain], |row| Ok(decode(chain, row)))
        .optional()?;
    found.transpose().map_err(|error| corrupt("audit_witnessed", &error))
}

/// Keys and signatures as lower-case hex.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::to_hex(bytes))
    }

    pub(super) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        super::from_hex(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
