//! Who is who: people with the accounts that are linked to them, and the keys that sign votes. The executor builds it from
//! its own configuration and rows, and hands it to every call; nothing here is remembered between two.

use std::collections::{BTreeMap, BTreeSet};

use qd_types::{Identity, InstanceName, Person, PersonId, Role, Subject};
use sha2::{Digest as _, Sha256};

use crate::hex;

/// A person, as the executor knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// The most that this executor lets them be, whatever a surface says of them.
    pub roles: Vec<Role>,
    /// They may do nothing any more.
    pub disabled: bool,
    /// Their accounts.
    pub identities: Vec<Identity>,
    /// Other names that they are recorded under: two that were linked later are one person.
    pub also: Vec<PersonId>,
}

/// Whose key it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOwner {
    /// The bot's: votes from Discord, GitHub and its own console.
    Bot,
    /// An instance's: votes on its local board and command line.
    Instance(InstanceName),
}

impl std::fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bot => f.write_str("the bot"),
            Self::Instance(name) => write!(f, "the instance {name}"),
        }
    }
}

/// SHA-256 of a public key, as lower-case hex. A hint which key it was, never a proof.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct KeyId(String);

impl KeyId {
    /// The id of a public key's 32 bytes.
    pub fn of(public: &[u8; 32]) -> Self {
        Self(hex(&Sha256::digest(public)))
    }

    /// As it came with a vote. It need not be one: a key of that name is then not known.
    pub fn named(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// All 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A public key that signs votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Ed25519, 32 bytes.
    pub public: [u8; 32],
    /// Whose.
    pub owner: KeyOwner,
    /// It was withdrawn: nothing that it signed counts, whenever that was.
    pub revoked: bool,
}

/// Everybody, and every key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    /// By the name that everything is recorded under.
    pub people: BTreeMap<PersonId, Known>,
    /// By id.
    pub keys: BTreeMap<KeyId, Key>,
}

impl Directory {
    /// Adds a key under its own id.
    pub fn add_key(&mut self, public: [u8; 32], owner: KeyOwner) {
        self.keys.insert(KeyId::of(&public), Key { public, owner, revoked: false });
    }

    /// Whose account it is, under their one name. `None` if nobody's, or if two people claim it.
    pub fn whose<'a>(&'a self, identity: &Identity) -> Option<&'a PersonId> {
        let claims: BTreeSet<&PersonId> = self.claims(identity).collect();
        one(claims.into_iter())
    }

    /// The one name of a person, whichever of their linked names it is asked by. A name that nobody has stands for itself.
    pub fn same<'a>(&'a self, id: &'a PersonId) -> &'a PersonId {
        self.entries(id).into_iter().next().map_or(id, |(name, _)| name)
    }

    /// How many people may do anything.
    pub fn active(&self) -> usize {
        self.people.values().filter(|known| !known.disabled).count()
    }

    /// How many of them may be owners.
    pub fn owners(&self) -> usize {
        let owns = |known: &&Known| !known.disabled && known.roles.contains(&Role::Owner);
        self.people.values().filter(owns).count()
    }

    /// A person with those of the asserted roles that this executor lets them have. `None` if unknown, or if any of their
    /// names is disabled.
    pub fn person(&self, id: &PersonId, asserted: &[Role]) -> Option<Person> {
        let entries = self.entries(id);
        let (name, _) = entries.first()?;
        if entries.iter().any(|(_, known)| known.disabled) {
            return None;
        }
        let may = |role: &Role| entries.iter().any(|(_, known)| known.roles.contains(role));
        Some(Person { id: (*name).clone(), roles: asserted.iter().copied().filter(may).collect() })
    }

    /// Everybody on whose behalf it is asked for, each under their one name, also when they were known by an account alone.
    pub fn requesters(&self, subject: &Subject) -> Vec<PersonId> {
        let askers = subject.binding.iter().flat_map(|binding| &binding.askers);
        // An account that two people claim is both of theirs here: in doubt, nobody decides on their own wish.
        let claimed = askers.flat_map(|identity| self.claims(identity));
        subject.requesters.iter().map(|id| self.same(id)).chain(claimed).cloned().collect()
    }

    fn claims<'a>(&'a self, identity: &Identity) -> impl Iterator<Item = &'a PersonId> {
        let holds = move |known: &Known| known.identities.contains(identity);
        let names: Vec<_> = self.people.iter().filter(|(_, known)| holds(known)).map(|(id, _)| id).collect();
        names.into_iter().map(|id| self.same(id))
    }

    /// All entries of a person: theirs, and those that are linked with it over any number of names. In the order of names.
    fn entries<'a>(&'a self, id: &PersonId) -> Vec<(&'a PersonId, &'a Known)> {
        let mut names = BTreeSet::from([id]);
        loop {
            let linked = self.people.iter().filter(|(name, known)| {
                names.contains(name) || known.also.iter().any(|also| names.contains(also))
            });
            let found: Vec<(&'a PersonId, &'a Known)> = linked.collect();
            let before = names.len();
            names.extend(found.iter().flat_map(|(name, known)| known.also.iter().chain([*name])));
            if names.len() == before {
                return found;
            }
        }
    }
}

/// The only one, if there is exactly one.
fn one<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next();
    if all.next().is_some() { None } else { first }
}
