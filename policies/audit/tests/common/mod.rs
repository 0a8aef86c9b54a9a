//! A chain in memory, and ways to damage it.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::path::Path;

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use qd_audit::{
    About, Actor, Entry, Kind, Report, SCHEMA, Signer, WITNESSES, append, begin, head, keep, pseudonym, sign,
    verify,
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Dropping all triggers: what somebody would do first who edits the file.
pub const DISARM: &str = "
DROP TRIGGER audit_chain_insert; DROP TRIGGER audit_chain_update; DROP TRIGGER audit_chain_delete;
DROP TRIGGER audit_head_insert; DROP TRIGGER audit_head_update; DROP TRIGGER audit_head_delete;
DROP TRIGGER audit_segments_insert; DROP TRIGGER audit_segments_update; DROP TRIGGER audit_segments_delete;
DROP TRIGGER audit_signatures_insert; DROP TRIGGER audit_signatures_update;
DROP TRIGGER audit_signatures_delete;
PRAGMA ignore_check_constraints = ON;";

pub fn bot_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn bot_keys() -> Vec<Signer> {
    vec![Signer { name: "bot".to_owned(), key: bot_key().verifying_key() }]
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

pub fn payload(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is no object"),
    }
}

pub fn entry(number: i64) -> Entry {
    Entry {
        kind: Kind::ALL[(number as usize) % Kind::ALL.len()],
        actor: if number % 2 == 0 { Actor::Bot } else { Actor::Agent("A-1.1".parse().unwrap()) },
        about: About {
            issue: (number % 3 == 0).then(|| "acme/billing#12".to_owned()),
            feature: Some("A-1".parse().unwrap()),
            run: (number % 2 == 0).then(|| "A-1.1".parse().unwrap()),
            call: None,
            approval: None,
        },
        at: at(number),
        payload: payload(json!({ "text": format!("step {number}"), "number": number })),
    }
}

pub fn empty() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    connection.execute_batch(WITNESSES).unwrap();
    begin(&connection, "alpha").unwrap();
    connection
}

/// A chain of `rows`, of which the bot signed row `signed`, if it is not 0.
pub fn chain(rows: i64, signed: i64) -> Connection {
    let connection = empty();
    for number in 1..=rows {
        append(&connection, &entry(number)).unwrap();
        if number == signed {
            countersign(&connection);
        }
    }
    connection
}

pub fn countersign(connection: &Connection) {
    let signed = sign(head(connection).unwrap(), "bot", at(0), &bot_key());
    keep(connection, &signed, &bot_keys()).unwrap();
}

pub fn proof(connection: &Connection) -> Report {
    verify(connection, Path::new("none"), &bot_keys(), &[]).unwrap()
}

/// A row about one approval.
pub fn step(c: &Connection, second: i64, kind: Kind, who: &str, about: &About, value: Value) {
    let actor = match who {
        "bot" => Actor::Bot,
        "agent" => Actor::Agent(about.run.clone().unwrap()),
        name => Actor::Person(pseudonym(c, &name.parse().unwrap()).unwrap()),
    };
    let entry = Entry { kind, actor, about: about.clone(), at: at(second), payload: payload(value) };
    append(c, &entry).unwrap();
}
