//! What the executor does around a change of people: the row in the audit chain that lies in the same file.

use qd_audit::{About, Actor, Entry, Kind, append, erase, pseudonym};
use qd_people::{By, Change, Connection, Host, HostError, What};
use qd_types::PersonId;
use serde_json::{Map, Value, json};

/// The chain of `people.db`.
pub(super) const CHAIN: &str = "people";

/// What hangs on whoever leaves, looked up on the boards and at the bot before the change.
#[derive(Debug, Clone, Default)]
pub(super) struct Theirs {
    /// Features that are theirs to do.
    pub(super) responsible: Vec<String>,
    /// What they voted on and is not decided.
    pub(super) votes: Vec<String>,
}

impl Host for Theirs {
    fn record(&self, tx: &Connection, change: &Change) -> Result<(), HostError> {
        let actor = match &change.by {
            By::Person(person) => Actor::Person(pseudonym(tx, person)?),
            By::Configuration => Actor::Bot,
        };
        let mut payload: Map<String, Value> = serde_json::from_value(serde_json::to_value(&change.what)?)?;
        let whom = pseudonym(tx, &change.person)?;
        payload.insert("person".into(), json!(whom.to_string()));
        payload.insert("text".into(), json!(format!("{whom} {}", change.what)));
        append(tx, &Entry { kind: Kind::Person, actor, about: About::default(), at: change.at, payload })?;
        if change.what == What::Erased {
            erase(tx, &change.person)?;
        }
        Ok(())
    }

    /// Votes lie with the executor of each approval, in its own file. It ends them when the change is on disk, and looks
    /// again at each start; until then it counts nothing of somebody who is not active.
    fn end_votes(&self, _: &Connection, _: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(self.votes.clone())
    }

    fn responsible_for(&self, _: &Connection, _: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(self.responsible.clone())
    }
}
