//! Channels as the tools of teams use them: read, posted to, and asked in. Not the fleet's own messages: what is said here is an
//! agent's, stands once, and is never edited. Nothing is kept: what was posted is found by its footer, and what was answered
//! stands in the channel itself.

use std::collections::{HashMap, hash_map::Entry};

use qd_core::chat::{About, Channel};
use qd_text::say;
use qd_types::{InstanceName, PersonId};
use serde_json::json;
use serenity::all::{
    ActionRowComponent, ButtonKind, ChannelId, ChannelType, ComponentInteraction, GuildId, Message,
    MessageFlags, MessageId, MessagePagination,
};

use crate::{
    Discord,
    calls::{Problem, call},
    hears::{Reply, stranger, unsure},
    pace, render,
};

/// Before a choice's number, in the button that takes it.
pub(crate) const CHOSEN: &str = "chosen ";
/// Before the key of what an agent said, in its footer.
const TOOL: &str = "tool:";
/// Before the number of the choice and who took it, in the footer of what says so.
const ANSWER: &str = "answer:";
/// Minutes without a word after which Discord puts a thread away.
const QUIET: u32 = 7 * 24 * 60;
/// Longest name of a thread, in characters. <https://docs.discord.com/developers/resources/channel#start-thread-from-message>
const TITLE: usize = 100;
/// Messages on a page, and pages that are looked through.
const PAGE: u8 = 100;
const PAGES: usize = 10;

/// Why a channel did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// There is no such thing there.
    #[error("there is no {0}")]
    Absent(String),
    /// It said no, and what helps.
    #[error("{0}")]
    Refused(String),
    /// No answer: whether it happened can't be told.
    #[error("{0}")]
    Unreachable(String),
}

/// A channel.
#[derive(Clone)]
pub struct Room {
    discord: Discord,
    id: ChannelId,
    name: String,
}

/// What somebody wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The message's id.
    pub id: u64,
    /// Their name there.
    pub author: String,
    /// What it says; `None` where Discord does not tell.
    pub text: Option<String>,
}

/// What an agent has to say. The texts mention nobody and format nothing: whoever makes them has seen to that.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    /// What it is known by: one key is one message.
    pub key: &'a str,
    /// The text.
    pub text: &'a str,
    /// Whether people are asked.
    pub asks: bool,
    /// What they may choose from.
    pub choices: &'a [String],
}

/// What somebody answered whom the fleet knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Who.
    pub by: PersonId,
    /// A choice, or their words.
    pub text: String,
}

impl Discord {
    /// The channel that is called so where a team is: one that the fleet itself uses, as `dev`, else one of its guild by name.
    ///
    /// # Errors
    /// If there is none, or more than one, or Discord does not say.
    pub async fn room(&self, team: &InstanceName, name: &str) -> Result<Room, RoomError> {
        let name = name.strip_prefix('#').unwrap_or(name);
        let room = |id: u64| Room { discord: self.clone(), id: ChannelId::new(id), name: name.to_owned() };
        let (about, config) = (About::team(team), &self.inner.config);
        let own = Channel::ALL.into_iter().find(|channel| channel.as_str() == name);
        if let Some(id) = own.and_then(|own| config.place(own, Some(&about)).1) {
            return Ok(room(id));
        }
        let (guild, _) = config.place(Channel::Dev, Some(&about));
        let there = call(|| self.inner.http.get_channels(GuildId::new(guild))).await;
        let there = there.map_err(|problem| error(problem, || "such guild".to_owned()))?;
        let is_one = |kind| matches!(kind, ChannelType::Text | ChannelType::News);
        let mut named = there.iter().filter(|channel| is_one(channel.kind) && channel.name == name);
        match (named.next(), named.next()) {
            (Some(channel), None) => Ok(room(channel.id.get())),
            (None, _) => Err(RoomError::Absent(format!("channel {name} in the guild of {team}"))),
            (Some(_), Some(_)) => Err(RoomError::Refused(say!("discord-several-channels", name = name))),
        }
    }

    /// Somebody pressed a choice of a question: the channel says so, and that is the answer.
    pub(crate) async fn chose(&self, it: &ComponentInteraction) -> Result<(), Problem> {
        let reply = Reply { id: it.id.get(), token: &it.token, file: None };
        // What follows may take longer than an answer may.
        self.callback(&reply, 5, &json!({"flags": 64})).await?;
        let said = self.chosen(it).await;
        self.say(&reply, &said, true).await
    }

    async fn chosen(&self, it: &ComponentInteraction) -> String {
        let user = it.user.id.get();
        if !self.is_in_pace(user) {
            return pace::hasty(self.inner.config.per_minute);
        }
        let person = match self.known(user).await {
            Ok(Some(person)) => person.id,
            Ok(None) => return stranger(user),
            Err(problem) => {
                tracing::warn!(user, problem = problem.text(), "whose account it is could not be told");
                return unsure();
            }
        };
        let number = it.data.custom_id.strip_prefix(CHOSEN).and_then(|number| number.parse().ok());
        let choice = number.and_then(|number: usize| Some((number, choice(&it.message, number)?)));
        let (Some((number, choice)), Some(_)) = (choice, key(&it.message)) else {
            return say!("discord-no-choice");
        };
        let body = json!({
            "embeds": [{
                "description": say!("discord-chose", person = person, choice = inert(&choice)),
                "color": render::Tone::Quiet.colour(),
                "footer": {"text": format!("{ANSWER}{number}:{person}")},
            }],
            "message_reference": {"message_id": it.message.id.to_string(), "fail_if_not_exists": false},
            "allowed_mentions": {"parse": []},
            "nonce": render::nonce(&format!("{ANSWER}{}:{user}:{number}", it.message.id), 0),
            "enforce_nonce": true,
        });
        match call(|| self.inner.http.send_message(it.channel_id, Vec::new(), &body)).await {
            Ok(_) => say!("discord-noted-choice", choice = inert(&choice)),
            Err(problem) => say!("discord-not-noted", problem = problem.text()),
        }
    }
}

impl Room {
    /// The newest messages, newest first, at most so many, and no more than a hundred.
    ///
    /// # Errors
    /// That of Discord.
    pub async fn messages(&self, most: usize) -> Result<Vec<Written>, RoomError> {
        let most = u8::try_from(most).unwrap_or(PAGE).clamp(1, PAGE);
        let page = self.page(self.id, None, most).await.map_err(|problem| self.error(problem))?;
        Ok(page.iter().map(written).collect())
    }

    /// Says something, once; the message's id.
    ///
    /// # Errors
    /// That of Discord.
    pub async fn post(&self, words: Words<'_>) -> Result<u64, RoomError> {
        let key = format!("{TOOL}{}", words.key);
        let http = &self.discord.inner.http;
        let mut body = render::words(&words, &key);
        if let Some(fields) = body.as_object_mut() {
            let nonce = render::nonce(&format!("{}:{key}", self.id), 0);
            fields.insert("nonce".to_owned(), nonce.into());
            fields.insert("enforce_nonce".to_owned(), true.into());
        }
        let sent = call(|| http.send_message(self.id, Vec::new(), &body)).await;
        sent.map(|message| message.id.get()).map_err(|problem| self.error(problem))
    }

    /// The message of a key, if it stands among the newest thousand.
    ///
    /// # Errors
    /// That of Discord.
    pub async fn posted(&self, wanted: &str) -> Result<Option<u64>, RoomError> {
        let me = self.discord.me().await.map_err(|problem| self.error(problem))?;
        let mut before = None;
        for _ in 0..PAGES {
            let older = before.map(MessagePagination::Before);
            let page = self.page(self.id, older, PAGE).await.map_err(|problem| self.error(problem))?;
            let found =
                page.iter().find(|message| message.author.id.get() == me && key(message) == Some(wanted));
            if let Some(found) = found {
                return Ok(Some(found.id.get()));
            }
            before = page.last().map(|message| message.id);
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        Ok(None)
    }

    /// Opens a thread under a message, or finds the one that is there; the thread's id, which is the message's.
    ///
    /// # Errors
    /// That of Discord.
    pub async fn thread(&self, message: u64, title: &str) -> Result<u64, RoomError> {
        let on = self.message(message).await?;
        let body = json!({"name": render::cut(title, TITLE), "auto_archive_duration": QUIET});
        let http = &self.discord.inner.http;
        match call(|| http.create_thread_from_message(self.id, on.id, &body, None)).await {
            Ok(_) | Err(Problem::HasThread) => Ok(message),
            Err(problem) => Err(self.error(problem)),
        }
    }

    /// What people answered to a message whom the fleet knows: with a button, by a reply, or in its thread. Newest first, at most
    /// so many.
    ///
    /// # Errors
    /// That of Discord, and where it can't be told whose accounts they are.
    pub async fn answers(&self, question: u64, most: usize) -> Result<Vec<Answered>, RoomError> {
        let failed = |problem| self.error(problem);
        let question = self.message(question).await?;
        let me = self.discord.me().await.map_err(failed)?;
        let mut found = Vec::new();
        let mut after = question.id;
        for _ in 0..PAGES {
            let newer = Some(MessagePagination::After(after));
            let page = self.page(self.id, newer, PAGE).await.map_err(failed)?;
            let is_reply = |message: &&Message| {
                let to = message.message_reference.as_ref().and_then(|to| to.message_id);
                to == Some(question.id)
            };
            found.extend(page.iter().filter(is_reply).cloned());
            after = page.first().map_or(after, |message| message.id);
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        if question.flags.is_some_and(|flags| flags.contains(MessageFlags::HAS_THREAD)) {
            let thread = ChannelId::new(question.id.get());
            match self.page(thread, None, PAGE).await {
                Ok(page) => found.extend(page),
                // It was deleted.
                Err(Problem::NoChannel) => {}
                Err(problem) => return Err(failed(problem)),
            }
        }
        found.sort_by_key(|message| std::cmp::Reverse(message.id));
        let mut known = HashMap::new();
        let mut answers = Vec::new();
        for message in found {
            if answers.len() == most {
                break;
            }
            let answer = if message.author.id.get() == me {
                taken(&message, &question)
            } else {
                self.said(&message, me, &mut known).await?
            };
            answers.extend(answer);
        }
        Ok(answers)
    }

    /// What a person wrote, if the fleet knows them and Discord tells.
    async fn said(
        &self,
        message: &Message,
        me: u64,
        known: &mut HashMap<u64, Option<PersonId>>,
    ) -> Result<Option<Answered>, RoomError> {
        let user = message.author.id.get();
        let by = match known.entry(user) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => {
                let person = self.discord.known(user).await.map_err(|problem| self.error(problem))?;
                new.insert(person.map(|person| person.id)).clone()
            }
        };
        let Some(by) = by else { return Ok(None) };
        let text = message.content.replace(&format!("<@{me}>"), "").replace(&format!("<@!{me}>"), "");
        let text = text.trim();
        Ok((!text.is_empty()).then(|| Answered { by, text: text.to_owned() }))
    }

    /// A message that stands here.
    async fn message(&self, id: u64) -> Result<Message, RoomError> {
        let absent = || RoomError::Absent(format!("message {id} in #{}", self.name));
        if id == 0 {
            return Err(absent());
        }
        let http = &self.discord.inner.http;
        match call(|| http.get_message(self.id, MessageId::new(id))).await {
            Err(Problem::NoMessage) => Err(absent()),
            found => found.map_err(|problem| self.error(problem)),
        }
    }

    async fn page(
        &self,
        channel: ChannelId,
        from: Option<MessagePagination>,
        most: u8,
    ) -> Result<Vec<Message>, Problem> {
        call(|| self.discord.inner.http.get_messages(channel, from, Some(most))).await
    }

    fn error(&self, problem: Problem) -> RoomError {
        error(problem, || format!("channel {} any more", self.name))
    }
}

fn error(problem: Problem, absent: impl Fn() -> String) -> RoomError {
    match problem {
        Problem::NoChannel | Problem::NoMessage => RoomError::Absent(absent()),
        Problem::Later(text) => RoomError::Unreachable(text),
        other => RoomError::Refused(other.text()),
    }
}

/// A text of somebody's, on one line, as it may stand in a message.
fn inert(text: &str) -> String {
    qd_approvals::inert::markdown(text, render::LABEL)
}

/// What a message of a tool is known by.
fn key(message: &Message) -> Option<&str> {
    message.embeds.first()?.footer.as_ref()?.text.strip_prefix(TOOL)
}

fn written(message: &Message) -> Written {
    let shown = message.embeds.iter().filter_map(|embed| embed.description.as_deref());
    let files = message.attachments.iter().map(|file| file.filename.as_str());
    let words = Some(message.content.as_str()).filter(|content| !content.is_empty());
    let parts: Vec<&str> = words.into_iter().chain(shown).chain(files).collect();
    let author = message.author.global_name.as_ref().unwrap_or(&message.author.name);
    Written {
        id: message.id.get(),
        author: author.clone(),
        text: Some(parts.join("\n")).filter(|text| !text.is_empty()),
    }
}

/// The words of a choice, as its button has them.
fn choice(question: &Message, number: usize) -> Option<String> {
    let buttons = question.components.iter().flat_map(|row| &row.components);
    let mut labels = buttons.filter_map(|component| match component {
        ActionRowComponent::Button(button) => match &button.data {
            ButtonKind::NonLink { custom_id, .. } if *custom_id == format!("{CHOSEN}{number}") => {
                button.label.clone()
            }
            _ => None,
        },
        _ => None,
    });
    labels.next()
}

/// Whose choice a message of the bot says was taken.
fn taken(message: &Message, question: &Message) -> Option<Answered> {
    let footer = &message.embeds.first()?.footer.as_ref()?.text;
    let (number, by) = footer.strip_prefix(ANSWER)?.split_once(':')?;
    Some(Answered { by: by.parse().ok()?, text: choice(question, number.parse().ok()?)? })
}
