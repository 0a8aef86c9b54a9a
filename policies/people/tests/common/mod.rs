//! A fleet in memory with one owner, and a host that keeps what it is told.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    cell::{Cell, RefCell},
    sync::OnceLock,
};

use jiff::Timestamp;
use qd_people::{
    By, Change, Host, HostError, Identity, PassphraseHash, People, SCHEMA, SCHEMA_SERVICES, Scope, What,
};
use qd_types::{PersonId, Role};
use rusqlite::Connection;
use secrecy::{ExposeSecret as _, SecretString};

pub const PASSPHRASE: &str = "correct horse battery staple";

/// One hash for all: taking it is slow on purpose.
pub fn hash() -> &'static PassphraseHash {
    static HASH: OnceLock<PassphraseHash> = OnceLock::new();
    HASH.get_or_init(|| PassphraseHash::of(&SecretString::from(PASSPHRASE)).unwrap())
}

pub fn id(name: &str) -> PersonId {
    name.parse().unwrap()
}

pub fn identity(text: &str) -> Identity {
    text.parse().unwrap()
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_780_000_000 + second).unwrap()
}

#[derive(Default)]
pub struct Executor {
    pub changes: RefCell<Vec<Change>>,
    pub refuse: Cell<bool>,
}

impl Host for Executor {
    fn record(&self, _: &Connection, change: &Change) -> Result<(), HostError> {
        if self.refuse.get() {
            return Err("the chain is closed".into());
        }
        self.changes.borrow_mut().push(change.clone());
        Ok(())
    }

    fn end_votes(&self, _: &Connection, person: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(if person.as_str() == "mira" { vec!["bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".into()] } else { vec![] })
    }

    fn responsible_for(&self, _: &Connection, person: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(if person.as_str() == "mira" { vec!["feature A-7, which mira holds".into()] } else { vec![] })
    }
}

pub struct Fleet {
    pub db: Connection,
    pub host: Executor,
}

impl Fleet {
    pub fn with_owner() -> Self {
        let db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(SCHEMA_SERVICES).unwrap();
        let fleet = Self { db, host: Executor::default() };
        fleet.join("ines", Role::Owner);
        fleet.host.changes.borrow_mut().clear();
        fleet
    }

    /// People, changed by ines at a second.
    pub fn people(&self, second: i64) -> People<'_> {
        People::new(&self.db, &self.host, By::Person(id("ines")), at(second))
    }

    pub fn join(&self, name: &str, role: Role) {
        let invitation = self.people(0).invite(&id(name), name, &[(Scope::Fleet, role)]).unwrap();
        self.people(0).accept(invitation.token.expose_secret(), hash()).unwrap();
    }

    /// What went to the audit chain, a line each.
    pub fn recorded(&self) -> String {
        let changes = self.host.changes.borrow();
        let line = |change: &Change| {
            let by = match &change.by {
                By::Person(by) => by.to_string(),
                By::Configuration => "the configuration".to_owned(),
            };
            format!("{by}: {} {}\n", change.person, told(&change.what))
        };
        changes.iter().map(line).collect()
    }
}

fn told(what: &What) -> String {
    serde_json::to_string(what).unwrap()
}
