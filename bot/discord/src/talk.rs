//! What people write. A reply to a card is an answer. In a feature's thread, `review:` in front makes a review comment, and all else
//! is guidance. Nobody guesses what is meant: the bot says as what it took it, and one button changes that.

use std::sync::{Arc, PoisonError};

use qd_core::{
    chat::{Commands, MessageKey, Remark, Way},
    text,
};
use qd_text::say;
use qd_types::FeatureId;
use serde_json::{Value, json};
use serenity::all::{ChannelId, ComponentInteraction, Message, MessageId, ReactionType};

use crate::{
    Discord, Threads,
    calls::{Problem, call},
    hears::{PATIENCE, Reply},
    render,
};

/// Before what something is to be meant as, in the button that changes it.
pub(crate) const MEANT: &str = "meant ";
/// In front of a review comment.
const REVIEW: &str = "review:";

/// Messages that are remembered as taken: more than are read again after a time away.
const REMEMBERED: usize = 10_000;

/// As what something that was written is taken.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    remark: Remark,
    words: String,
}

/// Words in a thread: `review:` in front of them says what they are.
fn said(content: &str, me: u64) -> Said {
    let words = content.replace(&format!("<@{me}>"), "").replace(&format!("<@!{me}>"), "");
    let words = words.trim();
    let front = words.get(..REVIEW.len()).filter(|front| front.eq_ignore_ascii_case(REVIEW));
    match front.and_then(|front| words.strip_prefix(front)) {
        Some(rest) => Said { remark: Remark::Review, words: rest.trim().to_owned() },
        None => Said { remark: Remark::Guidance, words: words.to_owned() },
    }
}

fn word(remark: Remark) -> &'static str {
    match remark {
        Remark::Guidance => "guidance",
        Remark::Review => "review",
    }
}

fn line(remark: Remark, feature: &FeatureId, words: &str) -> String {
    let verb = match remark {
        Remark::Guidance => "guide",
        Remark::Review => "review",
    };
    format!("feature {verb} {feature} {words}")
}

/// The one button: it makes the other of what was written.
fn change(remark: Remark, message: u64) -> Value {
    let (other, label) = match remark {
        Remark::Guidance => (Remark::Review, say!("discord-make-review")),
        Remark::Review => (Remark::Guidance, say!("discord-make-guidance")),
    };
    let id = format!("{MEANT}{} {message}", word(other));
    json!([{"type": 1, "components": [{"type": 2, "style": 2, "label": label, "custom_id": id}]}])
}

/// What a button says that something is to be meant as, and which message that is.
fn changed(custom_id: &str) -> Option<(Remark, u64)> {
    let (wanted, message) = custom_id.strip_prefix(MEANT)?.split_once(' ')?;
    let remark = [Remark::Guidance, Remark::Review].into_iter().find(|remark| word(*remark) == wanted)?;
    Some((remark, message.parse().ok().filter(|id| *id > 0)?))
}

impl Discord {
    /// Takes what somebody wrote, if it is meant for a team.
    pub(crate) async fn wrote(&self, commands: &Arc<dyn Commands>, message: &Message) {
        let Some(guild) = self.ours(message.guild_id).filter(|_| !message.author.bot) else { return };
        if !self.is_new(message.id.get()) {
            return;
        }
        // Only the bot's own messages are known by a key.
        let to = message.referenced_message.as_ref().and_then(|to| self.registry().key(to.id.get()));
        let done = match to.and_then(|key| MessageKey(key).approval()) {
            Some(id) => self.answered(commands, message, guild, &id.key()).await,
            None => match self.feature_of(message.channel_id.get()).await {
                Some(feature) => self.remarked(commands, message, guild, &feature).await,
                None => Ok(()),
            },
        };
        if let Err(problem) = done {
            tracing::warn!(problem = problem.text(), "what was written was not answered");
        }
    }

    /// Whether a message was not taken yet. Ids grow with time, so that the oldest are let go of.
    fn is_new(&self, message: u64) -> bool {
        let mut written = self.inner.written.lock().unwrap_or_else(PoisonError::into_inner);
        let new = written.insert(message);
        if written.len() > REMEMBERED {
            written.pop_first();
        }
        new
    }

    /// The feature whose thread this is.
    async fn feature_of(&self, thread: u64) -> Option<FeatureId> {
        if !self.has_threads() {
            return None;
        }
        // After a start nothing is known before the channels are read.
        for channel in self.inner.config.all() {
            if let Err(problem) = self.ensure_read(channel).await {
                tracing::warn!(channel, problem = problem.text(), "a channel can't be read");
            }
        }
        let key = self.registry().of_thread(thread)?;
        MessageKey(key).feature().map(|(_, feature)| feature)
    }

    /// A reply to a card.
    async fn answered(
        &self,
        commands: &Arc<dyn Commands>,
        message: &Message,
        guild: u64,
        key: &str,
    ) -> Result<(), Problem> {
        let words: Vec<&str> =
            message.content.split_whitespace().filter(|word| !word.starts_with("<@")).collect();
        let words = words.join(" ");
        let along = self.along(&message.attachments, words.chars().count()).await;
        if words.is_empty() && along.text.is_empty() {
            return self.say_below(message, &say!("discord-unread"), json!([])).await;
        }
        let line = format!("answer {key} {}", format!("{words}{}", along.text).trim());
        let (from, proof) = ((message.author.id.get(), guild), message.id.to_string());
        let heard = self.give(commands, from, &line, &proof, Way::Button).await;
        let said = std::iter::once(say!("discord-taken-answer", heard = heard)).chain(along.said);
        self.say_below(message, &said.collect::<Vec<_>>().join(" "), json!([])).await
    }

    /// Words in a feature's thread.
    async fn remarked(
        &self,
        commands: &Arc<dyn Commands>,
        message: &Message,
        guild: u64,
        feature: &FeatureId,
    ) -> Result<(), Problem> {
        let me = self.me().await?;
        let mentioned = message.mentions.iter().any(|user| user.id.get() == me);
        // People also talk to each other.
        if self.inner.config.threads == Threads::Mentions && !mentioned {
            return Ok(());
        }
        let Said { remark, words } = said(&message.content, me);
        let along = self.along(&message.attachments, words.chars().count()).await;
        if words.is_empty() && along.text.is_empty() {
            return self.say_below(message, &say!("discord-no-words"), json!([])).await;
        }
        self.look_at(message).await;
        let told = format!("{words}{}", along.text);
        let (from, proof) = ((message.author.id.get(), guild), message.id.to_string());
        let line = line(remark, feature, told.trim());
        let answer = self.give(commands, from, &line, &proof, Way::Button).await;
        let taken = answer.contains(&text::taken(feature, remark));
        let buttons = if taken { change(remark, message.id.get()) } else { json!([]) };
        let said = std::iter::once(answer).chain(along.said.into_iter().filter(|_| taken));
        self.say_below(message, &said.collect::<Vec<_>>().join(" "), buttons).await
    }

    /// What was written is seen. Without the mark, there is still the answer.
    async fn look_at(&self, message: &Message) {
        let (channel, id, mark) = (message.channel_id, message.id, ReactionType::Unicode("👀".to_owned()));
        if let Err(problem) = call(|| self.inner.http.create_reaction(channel, id, &mark)).await {
            tracing::debug!(problem = problem.text(), "what was written has no mark");
        }
    }

    /// The button: what somebody wrote is meant otherwise.
    pub(crate) async fn mean(
        &self,
        commands: &Arc<dyn Commands>,
        it: &ComponentInteraction,
        guild: u64,
    ) -> Result<(), Problem> {
        let reply = Reply { id: it.id.get(), token: &it.token, file: None };
        let no = |text: String| render::private(&text);
        let Some((remark, id)) = changed(&it.data.custom_id) else {
            return self.callback(&reply, 4, &no(say!("discord-words-untold"))).await;
        };
        let (channel, message) = (ChannelId::new(it.channel_id.get()), MessageId::new(id));
        let looked = async {
            let feature = self.feature_of(channel.get()).await?;
            let written = call(|| self.inner.http.get_message(channel, message)).await.ok()?;
            Some((feature, written))
        };
        // Within the time that Discord gives for an answer.
        let Ok(Some((feature, written))) = tokio::time::timeout(PATIENCE, looked).await else {
            return self.callback(&reply, 4, &no(say!("discord-words-untold"))).await;
        };
        if written.author.id != it.user.id {
            return self.callback(&reply, 4, &no(say!("discord-not-yours"))).await;
        }
        // The message with the button is edited, which may take longer than an answer may.
        self.callback(&reply, 6, &Value::Null).await?;
        let Said { words, .. } = said(&written.content, self.me().await?);
        let along = self.along(&written.attachments, words.chars().count()).await;
        let line = line(remark, &feature, format!("{words}{}", along.text).trim());
        let from = (it.user.id.get(), guild);
        let answer = self.give(commands, from, &line, &id.to_string(), Way::Button).await;
        let body = if answer.contains(&text::taken(&feature, remark)) {
            json!({"content": render::cut(&answer, render::CONTENT), "components": change(remark, id)})
        } else {
            let both = format!("{}\n{answer}", it.message.content);
            json!({"content": render::cut(&both, render::CONTENT)})
        };
        self.revise(&reply, body).await
    }

    async fn say_below(&self, message: &Message, text: &str, buttons: Value) -> Result<(), Problem> {
        let body = json!({
            "content": render::cut(text, render::CONTENT),
            "components": buttons,
            "message_reference": {"message_id": message.id.to_string(), "fail_if_not_exists": false},
            "allowed_mentions": {"parse": []},
            "nonce": render::nonce(&format!("reply:{}", message.id), 0),
            "enforce_nonce": true,
        });
        call(|| self.inner.http.send_message(message.channel_id, Vec::new(), &body)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str) -> String {
        let Said { remark, words } = said(content, 7);
        format!("{}: {words}", word(remark))
    }

    #[test]
    fn what_stands_in_front_says_what_it_is() {
        insta::assert_snapshot!(check("Use the new error type here too."), @"guidance: Use the new error type here too.");
        insta::assert_snapshot!(check("<@7> Review:  name it so\nand so"), @"
        review: name it so
        and so
        ");
        insta::assert_snapshot!(check("ask <@8> about the review: it is open"), @"guidance: ask <@8> about the review: it is open");
        insta::assert_snapshot!(check("réview: no"), @"guidance: réview: no");
        insta::assert_snapshot!(check("<@!7>"), @"guidance:");
    }

    #[test]
    fn the_button_says_what_it_makes() {
        let button = change(Remark::Guidance, 12);
        insta::assert_snapshot!(button, @r#"[{"type":1,"components":[{"type":2,"style":2,"label":"Make it a review comment","custom_id":"meant review 12"}]}]"#);
        assert_eq!(changed("meant review 12"), Some((Remark::Review, 12)));
        assert_eq!(changed("meant guidance 12"), Some((Remark::Guidance, 12)));
        for wrong in ["meant review 0", "meant otherwise 12", "meant review", "approve 12"] {
            assert_eq!(changed(wrong), None, "{wrong}");
        }
    }
}
