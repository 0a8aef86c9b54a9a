//! The embedded chat behind the server `discord`: its channels can be read and posted to. Nobody answers there by replying,
//! and it has no threads.

use async_trait::async_trait;
use qd_console::{Console, ConsoleError};
use qd_core::chat::{Channel, Chat as _, ChatError, Message as Said, MessageKey};
use qd_mcp_discord::{Answer, Discord, DiscordError, Message, Place, Post};

/// The channels of the embedded chat.
#[derive(Clone)]
pub struct ConsoleChat(pub Console);

fn channel(name: &str) -> Result<Channel, DiscordError> {
    let known = Channel::ALL.into_iter().find(|channel| channel.as_str() == name);
    known.ok_or_else(|| DiscordError::Absent(format!("channel {name} in the embedded chat")))
}

fn failed(error: ConsoleError) -> DiscordError {
    DiscordError::Unreachable(error.to_string())
}

fn key(key: &str) -> MessageKey {
    MessageKey(format!("tool:{key}"))
}

fn id(id: i64) -> u64 {
    u64::try_from(id).unwrap_or_default()
}

fn no(what: &str) -> DiscordError {
    DiscordError::Refused(format!("this fleet has its embedded chat, which {what}"))
}

#[async_trait]
impl Discord for ConsoleChat {
    async fn messages(&self, place: Place<'_>, most: usize) -> Result<Vec<Message>, DiscordError> {
        let mut posted = self.0.messages(channel(place.channel)?, most).await.map_err(failed)?;
        posted.reverse();
        let message = |posted: qd_console::Posted| Message {
            id: id(posted.id),
            author: "the fleet".to_owned(),
            text: Some(posted.text),
        };
        Ok(posted.into_iter().map(message).collect())
    }

    async fn post(&self, place: Place<'_>, post: &Post) -> Result<u64, DiscordError> {
        if post.question {
            return Err(no("takes no answers: ask with the board's ask_human"));
        }
        let said = Said::new(channel(place.channel)?, key(&post.key), post.text.clone());
        let delivered = self.0.put(&said).await.map_err(|error| match error {
            ChatError::Unavailable(text) => DiscordError::Unreachable(text),
            ChatError::Refused(text) => DiscordError::Refused(text),
        })?;
        delivered.id.parse().map_err(|_| DiscordError::Unreachable(format!("{:?} is no id", delivered.id)))
    }

    async fn posted(&self, place: Place<'_>, of: &str) -> Result<Option<u64>, DiscordError> {
        let found = self.0.find(channel(place.channel)?, &key(of)).await.map_err(failed)?;
        Ok(found.map(id))
    }

    async fn thread(&self, _: Place<'_>, _: u64, _: &str) -> Result<u64, DiscordError> {
        Err(no("has no threads: post to the channel"))
    }

    async fn answers(&self, _: Place<'_>, _: u64, _: usize) -> Result<Vec<Answer>, DiscordError> {
        Err(no("takes no answers: the board's question says what became of ask_human"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_key_is_one_message() {
        let folder = tempfile::tempdir().unwrap();
        let chat = ConsoleChat(Console::open(&folder.path().join("console.db")).unwrap());
        let post = |text: &str| Post {
            text: text.to_owned(),
            choices: Vec::new(),
            question: false,
            key: "alpha/1".to_owned(),
        };
        let team = "alpha".parse().unwrap();
        let at = |channel| Place { team: &team, channel };
        assert_eq!(chat.posted(at("dev"), "alpha/1").await.unwrap(), None);
        let first = chat.post(at("dev"), &post("Half of it.")).await.unwrap();
        assert_eq!(chat.post(at("dev"), &post("Half of it.")).await.unwrap(), first);
        let team = "alpha".parse().unwrap();
        let at = |channel| Place { team: &team, channel };
        assert_eq!(chat.posted(at("dev"), "alpha/1").await.unwrap(), Some(first));
        assert_eq!(chat.posted(at("alerts"), "alpha/1").await.unwrap(), None);
        let newest = chat.messages(at("dev"), 10).await.unwrap();
        assert_eq!(
            newest.iter().filter_map(|message| message.text.as_deref()).collect::<Vec<_>>(),
            ["Half of it."]
        );
        let question = Post { question: true, ..post("Which?") };
        insta::assert_snapshot!(chat.post(at("dev"), &question).await.unwrap_err(), @"Discord refused: this fleet has its embedded chat, which takes no answers: ask with the board's ask_human");
        insta::assert_snapshot!(chat.messages(at("secret"), 1).await.unwrap_err(), @"There is no channel secret in the embedded chat");
    }
}
