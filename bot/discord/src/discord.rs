//! Discord as a Chat: living messages, created once and then edited.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicU64},
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_core::{
    chat::{Chat, ChatError, Commands, Delivered, Message, MessageKey, Reaction, ballots},
    picture::Picture,
};
use qd_text::say;
use qd_types::{Confirm, Person, Way};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use serenity::{
    all::{ChannelId, GuildId, MessageFlags, MessageId, MessagePagination, ReactionType, UserId},
    http::{Http, HttpBuilder},
};
use sha2::{Digest as _, Sha256};

use crate::{
    calls::{self, Problem, call},
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

/// The bot in its guilds. Cheap to clone; every clone is the same bot.
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
    /// The newest messages of people that were taken: the gateway tells of one while its thread is read.
    pub(crate) written: Mutex<BTreeSet<u64>>,
    /// Answers that came too late for their interaction, by account: they are given with the next one.
    pub(crate) unsaid: Mutex<HashMap<u64, Vec<String>>>,
    /// Messages of which it was tried to hang a thread on them.
    pub(crate) hung: Mutex<HashSet<u64>>,
    /// Guilds that the bot was taken out of.
    pub(crate) absent: Mutex<HashSet<u64>>,
    /// One message is put after the other; holds the channels that were read.
    pub(crate) writing: tokio::sync::Mutex<HashSet<u64>>,
    /// Counts the sessions of the gateway: what an earlier one could not read, the newest reads.
    pub(crate) session: AtomicU64,
    me: OnceLock<u64>,
}

impl Discord {
    /// Nothing is asked of Discord yet.
    pub fn new(config: Config, people: Arc<dyn People>) -> Self {
        let http = http(&config.token, config.address.as_deref());
        Self::over(http, config, people)
    }

    /// The same, by this way to Discord.
    pub(crate) fn over(http: Http, config: Config, people: Arc<dyn People>) -> Self {
        let inner = Inner {
            http: Arc::new(http),
            config,
            people,
            registry: Mutex::default(),
            taken: Mutex::default(),
            pace: Mutex::default(),
            written: Mutex::default(),
            unsaid: Mutex::default(),
            hung: Mutex::default(),
            absent: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
            session: AtomicU64::new(0),
            me: OnceLock::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Hears what people do, until the task is dropped or the gateway ends for good. Reconnects and resumes by itself.
    pub async fn run(&self, commands: Arc<dyn Commands>) -> Result<(), DiscordError> {
        events::run(self.clone(), commands).await
    }

    /// The bot is in a guild. Whether it is one of its own, out of which it was taken before.
    pub(crate) fn entered(&self, guild: u64) -> bool {
        self.inner.absent.lock().unwrap_or_else(PoisonError::into_inner).remove(&guild)
    }

    /// The bot was taken out of a guild. Whether it is one of its own.
    pub(crate) fn left(&self, guild: u64) -> bool {
        let ours = self.inner.config.guild_ids().any(|own| own == guild);
        ours && self.inner.absent.lock().unwrap_or_else(PoisonError::into_inner).insert(guild)
    }

    /// Whether the bot was taken out of a guild.
    fn is_absent(&self, guild: u64) -> bool {
        self.inner.absent.lock().unwrap_or_else(PoisonError::into_inner).contains(&guild)
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.inner.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who the account is in a guild, with the roles that they hold there now: Discord is asked. `None` if nobody here.
    pub(crate) async fn person(&self, user: u64, guild: u64) -> Result<Option<Person>, Problem> {
        let Some(known) = self.known(user).await? else { return Ok(None) };
        let at = GuildId::new(guild);
        let member = call(|| self.inner.http.get_member(at, UserId::new(user))).await?;
        let held: Vec<u64> = member.roles.iter().map(|role| role.get()).collect();
        let roles = self.inner.config.roles(guild, &known.roles, &held);
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
            let (same, kept) = (known.body == Some(digest(&body)), known.picture == hangs);
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
                    let body = Some(digest(&body));
                    let shown = Shown { body, reactions: reactions.to_vec(), picture, ..known };
                    self.seed(channel, id, &shown).await;
                    self.registry().put(channel, key, shown);
                    if reactions.is_empty() {
                        // Nothing is heard under it any more.
                        self.taken().retain(|(message, ..)| *message != id);
                    }
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
            body: Some(digest(&body)),
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

    /// The bot's own account.
    pub(crate) async fn me(&self) -> Result<u64, Problem> {
        if let Some(me) = self.inner.me.get() {
            return Ok(*me);
        }
        let me = call(|| self.inner.http.get_current_user()).await?.id.get();
        Ok(*self.inner.me.get_or_init(|| me))
    }

    async fn read_once(&self, known: &mut HashSet<u64>, channel: u64) -> Result<(), Problem> {
        if !known.contains(&channel) {
            self.read(channel).await?;
            known.insert(channel);
        }
        Ok(())
    }

    /// Reads all channels anew: what happened there was not told. Whether messages are gone, and whether all could be read that
    /// will ever be.
    pub(crate) async fn read_again(&self) -> (bool, bool) {
        let mut known = self.inner.writing.lock().await;
        known.clear();
        let (mut lost, mut whole) = (false, true);
        for channel in self.inner.config.all() {
            match self.read(channel).await {
                Ok(gone) => {
                    lost |= gone;
                    known.insert(channel);
                }
                Err(problem) => {
                    whole &= !matches!(problem, Problem::Later(_));
                    tracing::warn!(channel, problem = problem.text(), "a channel can't be read");
                }
            }
        }
        (lost, whole)
    }

    /// Finds the bot's own messages in a channel by their markers. Whether some are gone that were there before.
    async fn read(&self, channel: u64) -> Result<bool, Problem> {
        let me = self.me().await?;
        let (mut before, mut there, mut from) = (None, HashSet::new(), u64::MAX);
        for _ in 0..PAGES {
            let to = ChannelId::new(channel);
            let older = before.map(MessagePagination::Before);
            let page = call(|| self.inner.http.get_messages(to, older, Some(PAGE))).await?;
            for message in page.iter().filter(|message| message.author.id.get() == me) {
                let footer = message.embeds.first().and_then(|embed| embed.footer.as_ref());
                if let Some(footer) = footer {
                    let (key, id) = (footer.text.as_str(), message.id.get());
                    there.insert(id);
                    let mut registry = self.registry();
                    registry.found(channel, key, id, meanings(key, message));
                    if message.flags.is_some_and(|flags| flags.contains(MessageFlags::HAS_THREAD)) {
                        registry.hangs(key, id);
                    }
                }
            }
            before = page.last().map(|message| message.id);
            from = before.map_or(from, |id| id.get());
            if page.len() < usize::from(PAGE) {
                // All of it was read.
                from = 0;
                break;
            }
        }
        Ok(self.registry().read(channel, from, &there))
    }
}

/// What a body is known by afterwards: the messages of a year are too many to keep.
fn digest(body: &Value) -> [u8; 32] {
    Sha256::digest(body.to_string().as_bytes()).into()
}

/// The library's way to Discord, or to another address.
pub(crate) fn http(token: &SecretString, address: Option<&str>) -> Http {
    let mut http = HttpBuilder::new(token.expose_secret());
    if let Some(address) = address {
        // The library ignores another address while its limiter is on.
        http = http.proxy(address).ratelimiter_disabled(true);
    }
    counted(http.build())
}

/// What the library's limiter waits out is counted as well: Discord does.
pub(crate) fn counted(mut http: Http) -> Http {
    if let Some(limiter) = &mut http.ratelimiter {
        limiter.set_ratelimit_callback(Box::new(|waits| calls::waited(&waits)));
    }
    http
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
        let (guild, channel) = self.inner.config.place(message.channel, message.about.as_ref());
        let Some(channel) = channel else {
            return Err(ChatError::Refused(say!("discord-no-fallback")));
        };
        let (key, picture) = (&message.key.0, message.picture.as_deref());
        let body = self.calling(message, guild);
        let put = |picture| self.place_pictured(channel, key, body.clone(), &message.reactions, picture);
        let placed = match put(picture).await {
            // Perhaps it may not attach files there: the words are worth more than the picture.
            Err(Problem::Refused(problem)) if picture.is_some() => {
                tracing::warn!(message = key, problem, "a message goes without its picture");
                put(None).await
            }
            placed => placed,
        };
        match placed {
            Ok(id) => {
                self.hang(channel, message, id).await;
                self.ask_in_thread(message, body).await;
                Ok(Delivered { id: id.to_string(), at: Timestamp::now() })
            }
            Err(Problem::Later(problem)) => Err(ChatError::Unavailable(problem)),
            Err(problem) => {
                let problem = if self.is_absent(guild) { Problem::Absent } else { problem };
                Err(ChatError::Refused(format!("#{}: {}", message.channel.as_str(), problem.text())))
            }
        }
    }
}
