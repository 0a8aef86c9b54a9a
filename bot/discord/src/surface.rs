//! Discord as a surface for cards. A recipient is a channel's name, `approvals`, or its id.

use async_trait::async_trait;
use qd_approvals::{CardSurface, SurfaceError, face::Face};
use qd_core::chat::{Channel, Message, MessageKey, ballots};
use qd_text::say;
use qd_types::{ApprovalId, Role};
use serde_json::{Value, json};

use crate::{Discord, calls::Problem, render};

fn place(recipient: &str) -> String {
    format!("discord #{recipient}")
}

fn refused(recipient: &str, problem: &str) -> SurfaceError {
    SurfaceError::Refused { place: place(recipient), problem: problem.to_owned() }
}

fn failed(recipient: &str, problem: Problem) -> SurfaceError {
    match problem {
        Problem::Later(problem) => SurfaceError::Later { place: place(recipient), problem },
        other => refused(recipient, &other.text()),
    }
}

/// A card as a message: its title stands out, and the name of its target stands where the core's cards have it.
fn card(id: &ApprovalId, face: &Face) -> Message {
    let (buttons, reactions) = face.confirm.map(|confirm| ballots(id, confirm)).unwrap_or_default();
    let card = Message::new(Channel::Approvals, MessageKey::of_approval(id), face.markdown());
    Message { buttons, reactions, ..card }
}

impl Discord {
    fn recipient(&self, recipient: &str) -> Result<u64, SurfaceError> {
        let id = self
            .inner
            .config
            .channels
            .named(recipient)
            .or_else(|| recipient.parse().ok().filter(|id| *id > 0));
        id.ok_or_else(|| refused(recipient, &say!("discord-no-such-channel")))
    }

    async fn approval(&self, recipient: &str, receipt: &str) -> Result<ApprovalId, SurfaceError> {
        let id = receipt
            .parse()
            .map_err(|_| refused(recipient, &say!("discord-no-receipt", receipt = format!("{receipt:?}"))))?;
        let channel = self.recipient(recipient)?;
        self.ensure_read(channel).await.map_err(|problem| failed(recipient, problem))?;
        let key = self.registry().key(id).map(MessageKey);
        key.and_then(|key| key.approval()).ok_or_else(|| refused(recipient, &say!("discord-no-card")))
    }

    /// A message with the roles that it calls: in its content, as what stands in an embed pings nobody.
    pub(crate) fn calling(&self, message: &Message, guild: u64) -> Value {
        let mut body = render::message(message);
        let ids: Vec<String> =
            message.mentions.iter().filter_map(|role| self.mention(guild, *role)).collect();
        if let Some(fields) = body.as_object_mut().filter(|_| !ids.is_empty()) {
            let called: Vec<String> = ids.iter().map(|id| format!("<@&{id}>")).collect();
            fields.insert("content".to_owned(), called.join(" ").into());
            fields.insert("allowed_mentions".to_owned(), json!({"parse": [], "roles": ids}));
        }
        body
    }

    /// A role as Discord mentions it in a guild: the first that is mapped to it.
    fn mention(&self, guild: u64, role: Role) -> Option<String> {
        let roles = self.inner.config.roles_of(guild);
        roles.iter().find(|(_, known)| **known == role).map(|(id, _)| id.to_string())
    }

    fn escalation(&self, key: &str, roles: &[Role]) -> Value {
        let guild = self.inner.config.guild;
        let ids: Vec<String> = roles.iter().filter_map(|role| self.mention(guild, *role)).collect();
        let who: Vec<String> = roles
            .iter()
            .map(|role| self.mention(guild, *role).map_or_else(|| role.to_string(), |id| format!("<@&{id}>")))
            .collect();
        json!({
            "content": say!("half-over", who = who.join(", "), key = key),
            "embeds": [{"footer": {"text": format!("escalation:{key}")}, "description": say!("card-above")}],
            "allowed_mentions": {"parse": [], "roles": ids},
        })
    }
}

#[async_trait]
impl CardSurface for Discord {
    fn name(&self) -> &'static str {
        "discord"
    }

    async fn show(&self, recipient: &str, id: &ApprovalId, face: &Face) -> Result<String, SurfaceError> {
        let channel = self.recipient(recipient)?;
        let card = card(id, face);
        let placed = self.place(channel, &card.key.0, render::message(&card), &card.reactions).await;
        placed.map(|id| id.to_string()).map_err(|problem| failed(recipient, problem))
    }

    async fn close(&self, recipient: &str, receipt: &str, face: &Face) -> Result<(), SurfaceError> {
        let channel = self.recipient(recipient)?;
        let id = self.approval(recipient, receipt).await?;
        let card = card(&id, face);
        let placed = self.place(channel, &card.key.0, render::message(&card), &[]).await;
        placed.map(drop).map_err(|problem| failed(recipient, problem))
    }

    async fn escalate(&self, recipient: &str, receipt: &str, roles: &[Role]) -> Result<(), SurfaceError> {
        let channel = self.recipient(recipient)?;
        let key = self.approval(recipient, receipt).await?.key();
        let body = self.escalation(&key, roles);
        let placed = self.place(channel, &format!("escalation:{key}"), body, &[]).await;
        placed.map(drop).map_err(|problem| failed(recipient, problem))
    }
}
