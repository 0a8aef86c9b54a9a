//! What a person is here: a state, roles in scopes, identities.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use qd_types::{IdError, InstanceName, Person, PersonId, RepositoryName, Role};
use serde::Serialize;

/// Where a person stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// An invitation waits for them.
    Invited,
    /// May act, as far as their roles go.
    Active,
    /// Shut out; may be invited again.
    Disabled,
    /// Gone. The name stays taken until they are erased.
    Removed,
}

/// What happens to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StateEvent {
    /// They took up an invitation.
    Accept,
    /// The configuration names them.
    Configure,
    /// They are shut out.
    Disable,
    /// They leave.
    Remove,
}

/// The state has no such way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("somebody who is {from} can't {}", match event {
    StateEvent::Accept => "be invited",
    StateEvent::Configure => "be taken in by the configuration",
    StateEvent::Disable => "be disabled",
    StateEvent::Remove => "be removed",
})]
pub struct IllegalState {
    /// Where they stand.
    pub from: State,
    /// What was tried.
    pub event: StateEvent,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Invited, Self::Active, Self::Disabled, Self::Removed];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }

    /// The one transition function. Shutting out somebody who is out is no error: it ends what may be left.
    pub fn on(self, event: StateEvent) -> Result<Self, IllegalState> {
        use StateEvent as E;
        match (self, event) {
            (Self::Invited | Self::Active | Self::Disabled, E::Accept | E::Configure) => Ok(Self::Active),
            (Self::Invited | Self::Active | Self::Disabled, E::Disable) => Ok(Self::Disabled),
            (Self::Invited | Self::Active | Self::Disabled, E::Remove) => Ok(Self::Removed),
            (from @ Self::Removed, event) => Err(IllegalState { from, event }),
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(IdError {
            kind: "a person's state",
            text: text.to_owned(),
            want: "invited, active, disabled or removed",
        })
    }
}

macro_rules! text_form {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
text_form!(Scope);
text_form!(Identity);

/// Where a role holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everywhere.
    Fleet,
    /// For one team.
    Team(InstanceName),
    /// For one repository.
    Repository(RepositoryName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str("fleet"),
            Self::Team(name) => write!(f, "team:{name}"),
            Self::Repository(name) => write!(f, "repository:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once(':') {
            None if text == "fleet" => Ok(Self::Fleet),
            Some(("team", name)) => Ok(Self::Team(name.parse()?)),
            Some(("repository", name)) => Ok(Self::Repository(name.parse()?)),
            _ => Err(IdError {
                kind: "a scope",
                text: text.to_owned(),
                want: "fleet, team:NAME or repository:NAME",
            }),
        }
    }
}

/// How a service knows a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A Discord user, by number: names there change.
    Discord(u64),
    /// A GitHub login, in lower case: GitHub does not tell the cases apart.
    GitHub(String),
    /// A user of this computer. Says who somebody claims to be; proves nothing.
    Local(String),
    /// Somebody whom an issuer of tokens knows.
    Oidc {
        /// The issuer's address, as its tokens have it.
        issuer: String,
        /// Its name for them, which it gives to nobody else.
        subject: String,
    },
}

impl Identity {
    /// The service.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Discord(_) => "discord",
            Self::GitHub(_) => "github",
            Self::Local(_) => "local",
            Self::Oidc { .. } => "oidc",
        }
    }

    /// The name there.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Discord(user) => user.to_string(),
            Self::GitHub(name) | Self::Local(name) => name.clone(),
            Self::Oidc { issuer, subject } => format!("{issuer}#{subject}"),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.subject())
    }
}

impl FromStr for Identity {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError {
            kind: "an identity",
            text: text.to_owned(),
            want: "discord:USER-NUMBER, github:LOGIN, oidc:ISSUER#SUBJECT or local:USER",
        };
        let (kind, subject) = text.split_once(':').ok_or_else(bad)?;
        let digits = subject.bytes().all(|b| b.is_ascii_digit()) && !subject.starts_with('0');
        // GitHub: letters, digits and single hyphens inside, at most 39, and "_" for managed users.
        let login = (1..=39).contains(&subject.len())
            && subject.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !subject.starts_with('-');
        // useradd(8): at most 32, and what is in use on real systems beside letters and digits.
        let user = (1..=32).contains(&subject.len())
            && subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            && !subject.starts_with('-');
        match kind {
            "discord" if digits => Ok(Self::Discord(subject.parse().map_err(|_| bad())?)),
            "github" if login => Ok(Self::GitHub(subject.to_ascii_lowercase())),
            "local" if user => Ok(Self::Local(subject.to_owned())),
            "oidc" => {
                // The address of an issuer has no # in it.
                let (issuer, subject) = subject.split_once('#').ok_or_else(bad)?;
                let plain = |text: &str| {
                    (1..=255).contains(&text.len())
                        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
                };
                let is_address = issuer.starts_with("https://") || issuer.starts_with("http://");
                if !is_address || !plain(issuer) || !plain(subject) {
                    return Err(bad());
                }
                Ok(Self::Oidc { issuer: issuer.to_owned(), subject: subject.to_owned() })
            }
            _ => Err(bad()),
        }
    }
}

/// A person, as far as others may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name that everything is recorded under.
    pub id: PersonId,
    /// The name that is shown.
    pub name: String,
    /// Where they stand.
    pub state: State,
    /// Whether the configuration names them; then it alone says what roles they have.
    pub configured: bool,
    /// Their roles, by scope.
    pub roles: Vec<(Scope, Role)>,
    /// How services know them.
    pub identities: Vec<Identity>,
    /// Whether they can vote at a terminal.
    pub has_passphrase: bool,
    /// Since when they are known here.
    pub created_at: Timestamp,
}

impl Profile {
    /// The person with the roles that hold in any of `scopes`; those of the fleet hold everywhere. Somebody who is not
    /// active has none.
    pub fn person(&self, scopes: &[Scope]) -> Person {
        let holds = |scope: &Scope| *scope == Scope::Fleet || scopes.contains(scope);
        let mut roles: Vec<Role> = match self.state {
            State::Active => {
                self.roles.iter().filter(|(scope, _)| holds(scope)).map(|(_, role)| *role).collect()
            }
            State::Invited | State::Disabled | State::Removed => Vec::new(),
        };
        roles.sort_unstable();
        roles.dedup();
        Person { id: self.id.clone(), roles }
    }

    /// The person with every role that they have anywhere: the most that they can be. Somebody who is not active has none.
    pub fn ceiling(&self) -> Person {
        let scopes: Vec<Scope> = self.roles.iter().map(|(scope, _)| scope.clone()).collect();
        self.person(&scopes)
    }
}
