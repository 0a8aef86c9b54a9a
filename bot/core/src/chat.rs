//! The port Chat: channels with messages that are edited as things go on. Not a stream of events.

use async_trait::async_trait;
use jiff::Timestamp;
pub use qd_approvals::{Proof, confirm::Way};
pub use qd_command::catalogue::Completes;
use qd_text::say;
use qd_types::{FeatureId, Identity, InstanceName, Role};
pub use qd_wire::v1::Remark;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::picture::Picture;

/// The channels of a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// One living message per feature.
    Dev,
    /// One message per cause.
    Alerts,
    /// One card per approval.
    Approvals,
    /// How the teams stand, and what was: one living message per team, and digests.
    Standup,
    /// What can't be shown where it belongs: cards and alerts. A fleet need not have one.
    Fallback,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 5] = [Self::Dev, Self::Alerts, Self::Approvals, Self::Standup, Self::Fallback];

    /// Its name, without the `#`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Alerts => "alerts",
            Self::Approvals => "approvals",
            Self::Standup => "standup",
            Self::Fallback => "fallback",
        }
    }
}

/// Which message: the same key is the same message, edited. Makes posting idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageKey(pub String);

impl MessageKey {
    /// The card of an approval.
    pub fn of_approval(id: &qd_types::ApprovalId) -> Self {
        Self(format!("approval:{id}"))
    }

    /// The living message of a feature.
    pub fn of_feature(team: &InstanceName, feature: &FeatureId) -> Self {
        Self(format!("feature:{team}:{feature}"))
    }

    /// Whose living message it is, if it is a feature's.
    pub fn feature(&self) -> Option<(InstanceName, FeatureId)> {
        let (team, feature) = self.0.strip_prefix("feature:")?.rsplit_once(':')?;
        Some((team.parse().ok()?, feature.parse().ok()?))
    }

    /// Whose card it is, if it is one.
    pub fn approval(&self) -> Option<qd_types::ApprovalId> {
        self.0.strip_prefix("approval:")?.parse().ok()
    }
}

/// What a message is about: a chat that has a channel for each team, or a thread for each feature, goes by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The team.
    pub team: InstanceName,
    /// The feature, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<FeatureId>,
    /// Whether it belongs into the feature's thread as well: a question, which is answered there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

impl About {
    /// About a team as a whole.
    pub fn team(team: &InstanceName) -> Self {
        Self { team: team.clone(), feature: None, asks: false }
    }

    /// About a feature.
    pub fn feature(team: &InstanceName, feature: &FeatureId) -> Self {
        Self { feature: Some(feature.clone()), ..Self::team(team) }
    }
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Where it stands.
    pub channel: Channel,
    /// What it is about; `None`: the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Its identity.
    pub key: MessageKey,
    /// Its words, in the small Markdown that chats share: `**bold**`, `` `code` ``, `> quote`.
    pub text: String,
    /// What is shown with it, by who can show it. Its alt text says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<Box<Picture>>,
    /// The buttons under it, empty once decided.
    pub buttons: Vec<Button>,
    /// The reactions that are seeded beside them, where one is enough to decide.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<Reaction>,
    /// Roles that are called once, when it is first posted: an edit calls nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Role>,
}

impl Message {
    /// Words in a channel, about the whole fleet, and nothing else.
    pub fn new(channel: Channel, key: MessageKey, text: String) -> Self {
        let (buttons, reactions, mentions) = Default::default();
        Self { channel, about: None, key, text, picture: None, buttons, reactions, mentions }
    }
}

/// A button: pressing it is typing its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What it says: "Approve".
    pub label: String,
    /// What it does, in the grammar of `bot/command`: `approve 01K…`.
    pub command: String,
}

impl Button {
    /// Whether it needs words of the person's own, which stand behind its command: `answer 01K…`.
    pub fn asks_words(&self) -> bool {
        let mut words = self.command.split_whitespace();
        words.next() == Some("answer") && words.next().is_some() && words.next().is_none()
    }
}

/// A seeded reaction: giving it is typing its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The mark: ✅.
    pub mark: String,
    /// What it does, in the grammar of `bot/command`: `approve 01K…`.
    pub command: String,
}

/// How an open card is decided in a channel: by buttons, and where the way is as light as that, by reactions. Where a name
/// has to be typed out there is no button for a yes: the card says how.
pub fn ballots(id: &qd_types::ApprovalId, confirm: qd_types::Confirm) -> (Vec<Button>, Vec<Reaction>) {
    let (approve, deny) = (format!("approve {}", id.key()), format!("deny {}", id.key()));
    let mut buttons = Vec::new();
    if !confirm.typed {
        buttons.push(Button { label: say!("button-approve"), command: approve.clone() });
    }
    buttons.push(Button { label: say!("button-deny"), command: deny.clone() });
    let mut reactions = Vec::new();
    if confirm.way == Way::Reaction && !confirm.typed {
        reactions.push(Reaction { mark: "✅".into(), command: approve });
        reactions.push(Reaction { mark: "❌".into(), command: deny });
    }
    (buttons, reactions)
}

/// Where the service keeps a delivered message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The service's own id.
    pub id: String,
    /// When the service took it.
    pub at: Timestamp,
}

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The service can't be reached now; try again.
    #[error("chat is not reachable: {0}")]
    Unavailable(String),
    /// The service refused it; trying again won't help.
    #[error("chat refused the message: {0}")]
    Refused(String),
}

/// Channels with living messages.
#[async_trait]
pub trait Chat: Send + Sync {
    /// Posts the message, or edits the one that has its key. Delivered only when this returns.
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError>;
}

/// Which teams may be commanded from a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    #[default]
    Fleet,
    /// These alone.
    Only(Vec<InstanceName>),
    /// All but these, which belong to another place.
    Except(Vec<InstanceName>),
}

impl Scope {
    /// Whether a team may be commanded from there, and is seen there.
    pub fn has(&self, team: &InstanceName) -> bool {
        match self {
            Self::Fleet => true,
            Self::Only(teams) => teams.contains(team),
            Self::Except(teams) => !teams.contains(team),
        }
    }
}

/// Where and how somebody gave a command, and how it is known that it is them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Where: `console`.
    pub surface: String,
    /// The account there, on another service than this computer. Without, it is the person's own.
    pub account: Option<String>,
    /// How the surface knew who it was. What is not proven commands, and does not vote.
    pub proof: Proof,
    /// How: by a reaction, or by a button; a typed line is one.
    pub way: Way,
    /// Which teams are seen and commanded from there.
    pub scope: Scope,
}

impl Given {
    /// On the embedded console, by a button or a line.
    pub fn on_console(proof: Proof) -> Self {
        Self { surface: "console".into(), account: None, proof, way: Way::Button, scope: Scope::Fleet }
    }

    /// Whose account a word of this person is said with.
    pub fn identity(&self, person: &qd_types::PersonId) -> Identity {
        match &self.account {
            Some(account) => Identity { service: self.surface.clone(), account: account.clone() },
            None => Identity { service: "local".into(), account: person.to_string() },
        }
    }
}

/// What completes a word while it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is typed by it.
    pub value: String,
    /// What is shown of it, as plain text on one line.
    pub name: String,
}

/// What people type into a channel, or press, comes in here. The hub implements it; an adapter of Chat calls it.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Takes one command in the grammar of `bot/command` and answers in a few words, for that person alone.
    async fn command(&self, from: &qd_types::Person, given: &Given, text: &str) -> String;

    /// An account that nobody is linked to says something. All that is heard of it is the code by which somebody links it to
    /// themselves; `None` for everything else.
    async fn stranger(&self, _account: &Identity, _text: &str) -> Option<String> {
        None
    }

    /// What fits what somebody is typing, out of what they see from there: at most [`crate::choices::MOST`], the best first.
    async fn choices(
        &self,
        _from: &qd_types::Person,
        _given: &Given,
        _what: Completes,
        _typed: &str,
    ) -> Vec<Choice> {
        Vec::new()
    }

    /// Messages may be gone that people have to see: what is open is put again, where it stands.
    async fn show_again(&self) {}
}
