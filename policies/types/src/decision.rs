//! What policy says: yes, ask these people, or no. Always with the policy that decided and the bundle's hash.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{IdError, Requirement, Role};

/// How a person confirms, from the lightest to the heaviest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A reaction, or a button.
    Reaction,
    /// A button; for a merge also an approving review of that head.
    Button,
    /// A button, then the resource's name typed.
    Typed,
    /// The person's passphrase at a terminal, or a signed-in page.
    Passphrase,
}

impl Way {
    /// Every way, the lightest first.
    pub const ALL: [Self; 4] = [Self::Reaction, Self::Button, Self::Typed, Self::Passphrase];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reaction => "reaction",
            Self::Button => "button",
            Self::Typed => "typed",
            Self::Passphrase => "passphrase",
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Way {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::ALL.into_iter().find(|way| way.as_str() == text).ok_or(IdError {
            kind: "a way to confirm",
            text: text.to_owned(),
            want: "reaction, button, typed or passphrase",
        })
    }
}

/// How a yes to one request has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirm {
    /// The lightest way that counts.
    pub way: Way,
    /// The target's name has to be typed out, whatever else is asked for.
    pub typed: bool,
}

impl Confirm {
    /// For a card, as a sentence.
    pub fn how(self) -> &'static str {
        match (self.way, self.typed) {
            (Way::Reaction, false) => "✅ or ❌, or a button.",
            (Way::Button, false) => "By button.",
            (Way::Reaction | Way::Button | Way::Typed, _) => {
                "By button, then the name that stands behind “On”, typed out."
            }
            (Way::Passphrase, false) => {
                "With your passphrase: at a terminal, or on a page that you signed in to."
            }
            (Way::Passphrase, true) => {
                "With your passphrase: at a terminal, or on a page that you signed in to; then the name that stands \
                 behind “On”, typed out."
            }
        }
    }
}

/// People are asked: who, how, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who, how many, and whether the requester may decide.
    pub requirement: Requirement,
    /// How they confirm.
    pub way: Way,
    /// Time to decide, from the first delivered card.
    pub decide_by: SignedDuration,
    /// Time to execute, from the grant.
    pub execute_by: SignedDuration,
    /// Whether votes that an instance signed count for what the bot executes.
    pub local_votes: bool,
}

impl Ask {
    /// Both at once: the larger quorum, the roles that both accept, the heavier way, the shorter clocks. Without a role
    /// that both accept, the roles are empty, and nobody may decide.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let roles = self.requirement.roles.iter().filter(|role| other.requirement.roles.contains(role));
        Self {
            requirement: Requirement {
                roles: roles.copied().collect(),
                count: self.requirement.count.max(other.requirement.count),
                solo: self.requirement.solo && other.requirement.solo,
            },
            way: self.way.max(other.way),
            decide_by: self.decide_by.min(other.decide_by),
            execute_by: self.execute_by.min(other.execute_by),
            local_votes: self.local_votes && other.local_votes,
        }
    }

    /// In which respect this asks for less than `other` does, in words; `None` if in none.
    pub fn weaker_than(&self, other: &Self) -> Option<String> {
        let (mine, theirs) = (&self.requirement, &other.requirement);
        if mine.count < theirs.count {
            return Some(format!("{} would decide instead of {}", people(mine.count), theirs.count));
        }
        let more: Vec<&Role> = mine.roles.iter().filter(|role| !theirs.roles.contains(role)).collect();
        if let Some(role) = more.first() {
            return Some(format!("the role {role} would decide too"));
        }
        if self.way < other.way {
            return Some(format!("a {} would do instead of {}", self.way, other.way));
        }
        if self.decide_by > other.decide_by {
            return Some(format!(
                "there would be {:#} to decide instead of {:#}",
                self.decide_by, other.decide_by
            ));
        }
        if self.execute_by > other.execute_by {
            let (mine, theirs) = (self.execute_by, other.execute_by);
            return Some(format!("a grant would hold for {mine:#} instead of {theirs:#}"));
        }
        if self.local_votes && !other.local_votes {
            return Some("local votes would count".to_owned());
        }
        (mine.solo && !theirs.solo).then(|| "the requester could decide".to_owned())
    }

    /// "2 owners, not the requester; typed; 1d to decide".
    pub fn describe(&self) -> String {
        let local = if self.local_votes { "; local votes count" } else { "" };
        format!(
            "{}; {}; {:#} to decide, {:#} to execute{local}",
            self.requirement.describe(),
            self.way,
            self.decide_by,
            self.execute_by
        )
    }
}

fn people(count: u32) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// Yes, ask, or no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ruling", rename_all = "snake_case")]
pub enum Ruling {
    /// It may happen.
    Allow,
    /// It may happen once these people said so.
    Ask(Ask),
    /// It may not.
    Deny {
        /// Why, as a sentence for whoever asked.
        reason: String,
    },
}

impl Ruling {
    /// The word for it: `allow`, `ask` or `deny`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask(_) => "ask",
            Self::Deny { .. } => "deny",
        }
    }
}

/// SHA-256 of everything that decides: the bundle's policies, its schema, and what the configuration changes. 64 digits
/// of lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct PolicyHash(String);

impl PolicyHash {
    /// Of a hash's 32 bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The hash of these bytes.
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(&Sha256::digest(bytes))
    }

    /// All digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve digits.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for PolicyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A ruling, and what it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Yes, ask, or no.
    pub ruling: Ruling,
    /// Id of the policy, or name of the rule of the configuration, that decided.
    pub policy: String,
    /// What decided.
    pub hash: PolicyHash,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_ask() -> impl Strategy<Value = Ask> {
        let roles = prop::sample::subsequence(Role::ALL.to_vec(), 0..=5);
        let way = prop::sample::select(Way::ALL.to_vec());
        (roles, 1..4_u32, any::<bool>(), way, 1..9_i64, 1..9_i64, any::<bool>()).prop_map(
            |(roles, count, solo, way, decide, execute, local_votes)| Ask {
                requirement: Requirement { roles, count, solo },
                way,
                decide_by: SignedDuration::from_hours(decide),
                execute_by: SignedDuration::from_hours(execute),
                local_votes,
            },
        )
    }

    proptest! {
        #[test]
        fn both_at_once_is_never_weaker(one in any_ask(), other in any_ask()) {
            let both = one.and(&other);
            prop_assert_eq!(both.weaker_than(&one), None);
            prop_assert_eq!(both.weaker_than(&other), None);
            prop_assert_eq!(&one.and(&one), &one);
            if one.weaker_than(&other).is_none() {
                prop_assert_eq!(both, one);
            }
        }
    }
}
