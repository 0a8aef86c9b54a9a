//! What the routes below `/fleet/people` take and answer. The command line uses the same types.

use jiff::Timestamp;
use qd_people::{Profile, Scope};
use qd_types::{PersonId, Role};
use serde::{Deserialize, Serialize};

/// A passphrase, for a session that proves who votes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// Who.
    pub person: PersonId,
    /// Theirs.
    pub passphrase: String,
}

/// A session, shown once.
#[derive(Serialize, Deserialize)]
pub struct Session {
    /// What to show as `Authorization: Bearer`.
    pub token: String,
}

/// An invitation that is taken up.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The invitation.
    pub token: String,
    /// The passphrase from now on.
    pub passphrase: String,
}

/// Who took up an invitation.
#[derive(Serialize, Deserialize)]
pub struct Accepted {
    /// Who.
    pub person: PersonId,
}

/// Another passphrase.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPassphrase {
    /// Whose.
    pub person: PersonId,
    /// The one until now.
    pub old: String,
    /// The one from now on.
    pub new: String,
}

/// Somebody to be invited.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// What everything is recorded under.
    pub person: PersonId,
    /// What is shown; the id, if left out.
    pub name: Option<String>,
    /// Roles, in a scope like `fleet`, `team:NAME` or `repository:NAME`.
    pub roles: Vec<(String, Role)>,
    /// They are known, and get another invitation.
    pub again: bool,
}

/// An invitation, shown once.
#[derive(Serialize, Deserialize)]
pub struct Invited {
    /// Where it is taken up in a browser.
    pub url: String,
    /// What is taken up in a terminal.
    pub token: String,
    /// When it is too late.
    pub expires_at: Timestamp,
    /// Why one owner was enough, as a sentence; left out where two were asked, or nobody had to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<String>,
}

/// What came of an invitation.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Admission {
    /// It is made.
    Invited(Invited),
    /// Another owner has to say yes.
    Waits(Waits),
}

/// What waits for another owner.
#[derive(Serialize, Deserialize)]
pub struct Waits {
    /// For people: what, and how it is decided.
    pub waits: String,
}

/// A role to give or to take.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// Where, like `team:alpha`.
    pub scope: String,
    /// Which.
    pub role: Role,
    /// Take it away.
    pub take: bool,
}

/// An identity to link or to unlink.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeLink {
    /// Like `github:LOGIN`.
    pub identity: String,
    /// Unlink it.
    pub unlink: bool,
}

/// What was done, in words.
#[derive(Serialize, Deserialize)]
pub struct Said {
    /// For people.
    pub text: String,
}

/// A person, as others may know them.
#[derive(Serialize, Deserialize)]
pub struct PersonView {
    /// What everything is recorded under.
    pub id: PersonId,
    /// What is shown.
    pub name: String,
    /// `invited`, `active`, `disabled` or `removed`.
    pub state: String,
    /// Roles with their scopes.
    pub roles: Vec<(String, Role)>,
    /// How services know them.
    pub identities: Vec<String>,
    /// Named by the configuration.
    pub configured: bool,
    /// Whether they can vote.
    pub has_passphrase: bool,
}

impl From<Profile> for PersonView {
    fn from(profile: Profile) -> Self {
        Self {
            roles: profile.roles.iter().map(|(scope, role)| (scope.to_string(), *role)).collect(),
            identities: profile.identities.iter().map(ToString::to_string).collect(),
            state: profile.state.to_string(),
            id: profile.id,
            name: profile.name,
            configured: profile.configured,
            has_passphrase: profile.has_passphrase,
        }
    }
}

impl PersonView {
    /// One line of a list.
    pub fn line(&self) -> String {
        let shown = |(scope, role): &(String, Role)| {
            if *scope == Scope::Fleet.to_string() { role.to_string() } else { format!("{role} in {scope}") }
        };
        let roles: Vec<String> = self.roles.iter().map(shown).collect();
        let mut line = format!("{:<16} {:<9} ", self.id.as_str(), self.state);
        line.push_str(&if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") });
        for identity in &self.identities {
            line.push_str(&format!(", {identity}"));
        }
        if self.configured {
            line.push_str(", from the configuration");
        }
        if self.state == "active" && !self.has_passphrase {
            line.push_str(", no passphrase yet: can't vote");
        }
        line
    }
}

/// A token for a program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// How many days it holds.
    pub days: u16,
    /// The service account that it is for; left out, the person's own program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}
