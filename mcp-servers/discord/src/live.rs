//! Discord itself behind the port. Which channels a team has is decided before; what is said there is said by the bot.

use async_trait::async_trait;
use qd_discord::{Discord as Live, Room, RoomError, Words};

use crate::{Answer, Discord, DiscordError, Message, Place, Post};

/// The guilds that the fleet's bot is in.
#[derive(Clone)]
pub struct OnDiscord(pub Live);

impl OnDiscord {
    async fn room(&self, place: Place<'_>) -> Result<Room, DiscordError> {
        Ok(self.0.room(place.team, place.channel).await?)
    }
}

impl From<RoomError> for DiscordError {
    fn from(error: RoomError) -> Self {
        match error {
            RoomError::Absent(what) => Self::Absent(what),
            RoomError::Refused(why) => Self::Refused(why),
            RoomError::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

#[async_trait]
impl Discord for OnDiscord {
    async fn messages(&self, place: Place<'_>, most: usize) -> Result<Vec<Message>, DiscordError> {
        let written = self.room(place).await?.messages(most).await?;
        let message = |one: qd_discord::Written| Message { id: one.id, author: one.author, text: one.text };
        Ok(written.into_iter().map(message).collect())
    }

    async fn post(&self, place: Place<'_>, post: &Post) -> Result<u64, DiscordError> {
        let words = Words { key: &post.key, text: &post.text, asks: post.question, choices: &post.choices };
        Ok(self.room(place).await?.post(words).await?)
    }

    async fn posted(&self, place: Place<'_>, key: &str) -> Result<Option<u64>, DiscordError> {
        Ok(self.room(place).await?.posted(key).await?)
    }

    async fn thread(&self, place: Place<'_>, message: u64, title: &str) -> Result<u64, DiscordError> {
        Ok(self.room(place).await?.thread(message, title).await?)
    }

    async fn answers(
        &self,
        place: Place<'_>,
        message: u64,
        most: usize,
    ) -> Result<Vec<Answer>, DiscordError> {
        let answers = self.room(place).await?.answers(message, most).await?;
        let answer = |one: qd_discord::Answered| Answer { author: one.by.to_string(), text: one.text };
        Ok(answers.into_iter().map(answer).collect())
    }
}
