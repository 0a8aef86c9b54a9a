//! A reply to a card: what somebody answers to a question without typing a command. Nobody guesses what is meant: a reply to a
//! card is an answer, and the bot says that it took it as one.

use std::sync::Arc;

use qd_core::chat::{Commands, MessageKey, Way};
use serde_json::json;
use serenity::all::Message;

use crate::{
    Discord,
    calls::{Problem, call},
    render,
};

/// What a person hears whose words Discord does not tell.
const UNREAD: &str =
    "I am told what a reply says only if it mentions me: leave the @ of the reply on, or type /answer.";

impl Discord {
    /// Takes what somebody wrote, if it is a reply to a card.
    pub(crate) async fn replied(&self, commands: &Arc<dyn Commands>, message: &Message) {
        if message.author.bot || !self.is_ours(message.guild_id) {
            return;
        }
        // Only the bot's own messages are known by a key.
        let to = message.referenced_message.as_ref().and_then(|to| self.registry().key(to.id.get()));
        let Some(id) = to.and_then(|key| MessageKey(key).approval()) else { return };
        let words: Vec<&str> =
            message.content.split_whitespace().filter(|word| !word.starts_with("<@")).collect();
        let said = if words.is_empty() {
            UNREAD.to_owned()
        } else {
            let line = format!("answer {} {}", id.key(), words.join(" "));
            let (user, proof) = (message.author.id.get(), message.id.to_string());
            format!("Taken as an answer. {}", self.give(commands, user, &line, &proof, Way::Button).await)
        };
        if let Err(problem) = self.say_below(message, &said).await {
            tracing::warn!(problem = problem.text(), "a reply was not answered");
        }
    }

    async fn say_below(&self, message: &Message, text: &str) -> Result<(), Problem> {
        let body = json!({
            "content": render::cut(text, render::CONTENT),
            "message_reference": {"message_id": message.id.to_string(), "fail_if_not_exists": false},
            "allowed_mentions": {"parse": []},
            "nonce": render::nonce(&format!("reply:{}", message.id), 0),
            "enforce_nonce": true,
        });
        call(|| self.inner.http.send_message(message.channel_id, Vec::new(), &body)).await.map(drop)
    }
}
