//! The console as a surface for cards: a card is the message that has its approval's key, so there are never two.

use async_trait::async_trait;
use qd_approvals::{CardSurface, SurfaceError, face::Face};
use qd_core::chat::{Channel, Chat as _, ChatError, Message, MessageKey, ballots};
use qd_text::say;
use qd_types::{ApprovalId, Role};

use crate::{Console, ConsoleError};

/// The channel that a recipient is.
fn channel(recipient: &str) -> Result<Channel, SurfaceError> {
    let known = Channel::ALL.into_iter().find(|channel| channel.as_str() == recipient);
    known.ok_or_else(|| refused(recipient, "there is no such channel"))
}

fn place(recipient: &str) -> String {
    format!("console #{recipient}")
}

fn refused(recipient: &str, problem: &str) -> SurfaceError {
    SurfaceError::Refused { place: place(recipient), problem: problem.to_owned() }
}

fn chat(recipient: &str, error: ChatError) -> SurfaceError {
    match error {
        ChatError::Refused(problem) => refused(recipient, &problem),
        ChatError::Unavailable(problem) => SurfaceError::Later { place: place(recipient), problem },
    }
}

fn rows(recipient: &str, error: &ConsoleError) -> SurfaceError {
    SurfaceError::Later { place: place(recipient), problem: error.to_string() }
}

/// The message's number.
fn number(recipient: &str, receipt: &str) -> Result<i64, SurfaceError> {
    receipt.parse().map_err(|_| refused(recipient, &format!("{receipt:?} is no message of it")))
}

#[async_trait]
impl CardSurface for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    async fn show(&self, recipient: &str, id: &ApprovalId, face: &Face) -> Result<String, SurfaceError> {
        let channel = channel(recipient)?;
        let (buttons, reactions) = face.confirm.map(|confirm| ballots(id, confirm)).unwrap_or_default();
        let card = Message::new(channel, MessageKey::of_approval(id), face.markdown());
        let card = Message { buttons, reactions, ..card };
        Ok(self.put(&card).await.map_err(|error| chat(recipient, error))?.id)
    }

    async fn close(&self, recipient: &str, receipt: &str, face: &Face) -> Result<(), SurfaceError> {
        let (channel, id) = (channel(recipient)?, number(recipient, receipt)?);
        let key = self.key(channel, id).await.map_err(|error| rows(recipient, &error))?;
        let key = key.ok_or_else(|| refused(recipient, "the card is gone"))?;
        let card = Message::new(channel, key, face.markdown());
        self.put(&card).await.map_err(|error| chat(recipient, error))?;
        Ok(())
    }

    async fn escalate(&self, recipient: &str, receipt: &str, roles: &[Role]) -> Result<(), SurfaceError> {
        let (channel, id) = (channel(recipient)?, number(recipient, receipt)?);
        let key = self.key(channel, id).await.map_err(|error| rows(recipient, &error))?;
        let approval = key
            .and_then(|key| key.approval())
            .ok_or_else(|| refused(recipient, "there is no such card to point at"))?;
        let who: Vec<String> = roles.iter().map(|role| format!("@{role}")).collect();
        let (who, key) = (who.join(", "), approval.key());
        let text = say!("half-over", who = who, key = key);
        let key = MessageKey(format!("escalation:{key}"));
        let mention = Message::new(channel, key, text);
        self.put(&mention).await.map_err(|error| chat(recipient, error))?;
        Ok(())
    }
}
