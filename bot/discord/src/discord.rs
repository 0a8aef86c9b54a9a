//! Discord as a Chat: living messages, created once and then edited.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::{
    chat::{Chat, ChatError, Commands, Delivered, Message, MessageKey, Reaction, ballots},
    picture::Picture,
};
use qd_types::{Confirm, Person, Way};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use serenity::{
    all::{ChannelId, GuildId, MessageId, MessagePagination, ReactionType, UserId},
    http::{Http, HttpBuilder},
};

use crate::{
    calls::{Problem, call},
    config::{Config, People},
    events,
    pace::Pace,
    pictures::{self, Drawn},
    registry::{Registry, Shown},
    render,
};

/// Messages on a page of a channel, and pages that are read after a start.
const PAGE: u8 = 100;
const PAGES: usize = 10;

/// Why Discord can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// The gateway ended for good.
    #[error("Discord's gateway ended: {0}; run doctor")]
    Gateway(String),
}

/// The bot in one guild. Cheap to clone; every clone is the same bot.
#[derive(Clone)]
pub struct Discord {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: Arc<Http>,
    pub(crate) config: Config,
    pub(crate) people: Arc<dyn People>,
    pub(crate) registry: Mutex<Registry>,
    /// Reactions that were taken already: message, user, mark.
    pub(crate) taken: Mutex<HashSet<(u64, u64, String)>>,
    /// What people gave in the last minute.
    pub(crate) pace: Mutex<Pace>,
    /// One message is put after the other; holds the channels that were read.
    writing: tokio::sync::Mutex<HashSet<u64>>,
    me: OnceLock<u64>,
}

impl Discord {
    /// Nothing is asked of Discord yet.
    pub fn new(config: Config, people: Arc<dyn People>) -> Self {
        let inner = Inner {
            http: Arc::new(http(&config.token, config.address.as_deref())),
            config,
            people,
            registry: Mutex::default(),
            taken: Mutex::default(),
            pace: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            me: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Hears what people do, until the task is dropped or the gateway ends for good. Reconnects and resumes by itself.
    pub async fn run(&self, commands: Arc<dyn Commands>) -> Result<(), DiscordError> {
        events::run(self.clone(), commands).await
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who the account is, with the roles that they hold now: Discord is asked. `None` if nobody here.
    pub(crate) async fn person(&self, user: u64) -> Result<Option<Person>, Problem> {
        let Some(known) = self.known(user).await? else { return Ok(None) };
        let guild = GuildId::new(self.inner.config.guild);
        let member = call(|| self.inner.http.get_member(guild, UserId::new(user))).await?;
        let held: Vec<u64> = member.roles.iter().map(|role| role.get()).collect();
        let roles = self.inner.config.roles(&known.roles, &held);
        Ok(Some(Person { roles, ..known }))
    }

    /// Whether somebody gives no more than they may; counts this one.
    pub(crate) fn is_in_pace(&self, user: u64) -> bool {
        let most = self.inner.config.per_minute;
        let mut pace = self.inner.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.take(user, most, std::time::Instant::now())
    }

    /// Whose account it is, as far as the fleet itself knows.
    pub(crate) async fn known(&self, user: u64) -> Result<Option<Person>, Problem> {
        self.inner.people.by_account(user).await.map_err(Problem::Later)
    }

    /// Puts a message into a channel: edits the one of this key, or creates it. The message's id.
    pub(crate) async fn place(
        &self,
        channel: u64,
        key: &str,
        body: Value,
        reactions: &[Reaction],
    ) -> Result<u64, Problem> {
        self.place_pictured(channel, key, body, reactions, None).await
    }

    /// The same, with a picture. It goes up when its data is another one than that of the picture that hangs there.
    async fn place_pictured(
        &self,
        channel: u64,
        key: &str,
        body: Value,
        reactions: &[Reaction],
        picture: Option<&Picture>,
    ) -> Result<u64, Problem> {
        let hangs = picture.and_then(pictures::digest);
        let mut writing = self.inner.writing.lock().await;
        self.read_once(&mut writing, channel).await?;
        let mut known = self.registry().get(channel, key);
        if let Some(id) = known.id {
            let (same, kept) = (known.body.as_ref() == Some(&body), known.picture == hangs);
            let file = match (kept, picture) {
                (false, Some(picture)) => pictures::drawn(picture).await,
                _ => None,
            };
            let edited = match (same && kept, &file) {
                (true, _) => Ok(()),
                (false, Some(file)) => self.edit(channel, id, &file.named(&body), Some(file)).await,
                // What is not named stays; a picture that is gone is taken down.
                (false, None) if kept => self.edit(channel, id, &body, None).await,
                (false, None) => self.edit(channel, id, &pictures::none(&body), None).await,
            };
            match edited {
                Ok(()) => {
                    let picture = if kept { hangs } else { file.and(hangs) };
                    let shown = Shown { body: Some(body), reactions: reactions.to_vec(), picture, ..known };
                    self.seed(channel, id, &shown).await;
                    self.registry().put(channel, key, shown);
                    return Ok(id);
                }
                Err(Problem::NoMessage) => {
                    self.registry().gone(id);
                    known = self.registry().get(channel, key);
                }
                Err(problem) => return Err(problem),
            }
        }
        let file = match picture {
            Some(picture) => pictures::drawn(picture).await,
            None => None,
        };
        let id = self.create(channel, key, known.round, &body, file.as_ref()).await?;
        let picture = file.and(hangs);
        let shown = Shown {
            id: Some(id),
            body: Some(body),
            picture,
            reactions: reactions.to_vec(),
            round: known.round,
        };
        // Known before its reactions are seeded: a person may be quicker.
        self.registry().put(channel, key, shown.clone());
        self.seed(channel, id, &shown).await;
        Ok(id)
    }

    async fn create(
        &self,
        channel: u64,
        key: &str,
        round: u32,
        body: &Value,
        file: Option<&Drawn>,
    ) -> Result<u64, Problem> {
        let mut body = file.map_or_else(|| body.clone(), |file| file.named(body));
        if let Some(fields) = body.as_object_mut() {
            fields.insert("nonce".to_owned(), render::nonce(&format!("{channel}:{key}"), round).into());
            fields.insert("enforce_nonce".to_owned(), true.into());
        }
        let to = ChannelId::new(channel);
        let files = || file.map(Drawn::file).into_iter().collect();
        Ok(call(|| self.inner.http.send_message(to, files(), &body)).await?.id.get())
    }

    async fn edit(&self, channel: u64, id: u64, body: &Value, file: Option<&Drawn>) -> Result<(), Problem> {
        let (to, id) = (ChannelId::new(channel), MessageId::new(id));
        let files = || file.map(Drawn::file).into_iter().collect();
        call(|| self.inner.http.edit_message(to, id, body, files())).await.map(drop)
    }

    /// Seeds the reactions. Without them there are still the buttons: a problem is only noted.
    async fn seed(&self, channel: u64, id: u64, shown: &Shown) {
        if self.registry().is_seeded(id) {
            return;
        }
        for reaction in &shown.reactions {
            let (to, message) = (ChannelId::new(channel), MessageId::new(id));
            let mark = ReactionType::Unicode(reaction.mark.clone());
            if let Err(problem) = call(|| self.inner.http.create_reaction(to, message, &mark)).await {
                tracing::warn!(message = id, problem = problem.text(), "a reaction could not be seeded");
                return;
            }
        }
        if !shown.reactions.is_empty() {
            self.registry().seeded(id);
        }
    }

    /// Reads what stands in a channel, if that was not done yet.
    pub(crate) async fn ensure_read(&self, channel: u64) -> Result<(), Problem> {
        let mut writing = self.inner.writing.lock().await;
        self.read_once(&mut writing, channel).await
    }

    async fn read_once(&self, known: &mut HashSet<u64>, channel: u64) -> Result<(), Problem> {
        if !known.contains(&channel) {
            self.read(channel).await?;
            known.insert(channel);
        }
        Ok(())
    }

    /// Finds the bot's own messages in a channel by their markers.
    async fn read(&self, channel: u64) -> Result<(), Problem> {
        let me = match self.inner.me.get() {
            Some(me) => *me,
            None => {
                let me = call(|| self.inner.http.get_current_user()).await?.id.get();
                *self.inner.me.get_or_init(|| me)
            }
        };
        let mut before = None;
        for _ in 0..PAGES {
            let to = ChannelId::new(channel);
            let from = before.map(MessagePagination::Before);
            let page = call(|| self.inner.http.get_messages(to, from, Some(PAGE))).await?;
            for message in page.iter().filter(|message| message.author.id.get() == me) {
                let footer = message.embeds.first().and_then(|embed| embed.footer.as_ref());
                if let Some(footer) = footer {
                    self.registry().found(
                        channel,
                        &footer.text,
                        message.id.get(),
                        meanings(&footer.text, message),
                    );
                }
            }
            before = page.last().map(|message| message.id);
            if page.len() < usize::from(PAGE) {
                break;
            }
        }
        Ok(())
    }
}

/// The library's way to Discord, or to another address.
pub(crate) fn http(token: &SecretString, address: Option<&str>) -> Http {
    let mut http = HttpBuilder::new(token.expose_secret());
    if let Some(address) = address {
        // The library ignores another address while its limiter is on.
        http = http.proxy(address).ratelimiter_disabled(true);
    }
    http.build()
}

/// What the reactions under a card mean that was seeded before a start. A closed card has no buttons, and means nothing.
fn meanings(key: &str, message: &serenity::all::Message) -> Vec<Reaction> {
    let Some(id) = MessageKey(key.to_owned()).approval() else { return Vec::new() };
    if message.components.is_empty() {
        return Vec::new();
    }
    let (_, reactions) = ballots(&id, Confirm { way: Way::Reaction, typed: false });
    let seeded =
        |mark: &str| message.reactions.iter().any(|known| known.me && known.reaction_type.unicode_eq(mark));
    reactions.into_iter().filter(|reaction| seeded(&reaction.mark)).collect()
}

#[async_trait]
impl Chat for Discord {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        let Some(channel) = self.inner.config.channels.id(message.channel) else {
            return Err(ChatError::Refused(
                "no fallback channel is configured: channels.fallback".to_owned(),
            ));
        };
        let (key, picture) = (&message.key.0, message.picture.as_deref());
        let put =
            |picture| self.place_pictured(channel, key, self.calling(message), &message.reactions, picture);
        let placed = match put(picture).await {
            // Perhaps it may not attach files there: the words are worth more than the picture.
            Err(Problem::Refused(problem)) if picture.is_some() => {
                tracing::warn!(message = key, problem, "a message goes without its picture");
                put(None).await
            }
            placed => placed,
        };
        match placed {
            Ok(id) => Ok(Delivered { id: id.to_string(), at: Timestamp::now() }),
            Err(Problem::Later(problem)) => Err(ChatError::Unavailable(problem)),
            Err(problem) => {
                Err(ChatError::Refused(format!("#{}: {}", message.channel.as_str(), problem.text())))
            }
        }
    }
}
