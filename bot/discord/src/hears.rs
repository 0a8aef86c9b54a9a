//! What people did becomes a command in the grammar of `bot/command`, given by a person with the roles that they hold at
//! that moment. Interactions are answered within Discord's three seconds, privately.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use qd_core::chat::{Button, Commands, Given, MessageKey, Proof, Way};
use qd_text::say;
use qd_types::Identity;
use serde_json::{Value, json};
use serenity::all::{
    ActionRowComponent, ChannelId, CommandInteraction, CommandType, ComponentInteraction, CreateAttachment,
    GuildId, Interaction, Message, MessageId, ModalInteraction, ReactionType, Timestamp,
};

use crate::{
    Discord,
    calls::{Problem, call},
    pace, render, rooms,
    slash::{self, Meant, NewFeature},
    talk,
};

/// After this, an answer is announced and comes later.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1500);
/// Threads that are read after a time away, the newest ones: of those people still talk.
const THREADS: usize = 100;
/// Messages that are read of each.
const WRITTEN: u8 = 50;
/// Seconds after which words are not taken up any more: what they were about has gone on.
const AWAY: i64 = 3 * 24 * 60 * 60;
/// Users on a page of those who gave one reaction, and pages that are read.
const USERS: u8 = 100;
const PAGES: usize = 10;

/// Answers that are kept for a person to whom they could not be given in time.
const UNSAID: usize = 5;

/// Where an answer goes.
pub(crate) struct Reply<'a> {
    pub(crate) id: u64,
    pub(crate) token: &'a str,
    /// As a file of this name.
    pub(crate) file: Option<String>,
}

/// Who does something, and in which guild.
pub(crate) type From = (u64, u64);

impl Discord {
    /// Takes what a person did.
    pub(crate) async fn hear(&self, commands: &Arc<dyn Commands>, interaction: Interaction) {
        let Some(guild) = self.ours(match &interaction {
            Interaction::Command(it) | Interaction::Autocomplete(it) => it.guild_id,
            Interaction::Component(it) => it.guild_id,
            Interaction::Modal(it) => it.guild_id,
            _ => None,
        }) else {
            return;
        };
        let done = match interaction {
            Interaction::Command(it) => self.typed(commands, &it, guild).await,
            Interaction::Component(it) => self.pressed(commands, &it, guild).await,
            Interaction::Modal(it) => self.submitted(commands, &it, guild).await,
            Interaction::Autocomplete(it) => self.complete(commands, &it, guild).await,
            _ => Ok(()),
        };
        if let Err(problem) = done {
            tracing::warn!(problem = problem.text(), "a person was not answered");
        }
    }

    /// The guild, if it is one that the bot works in.
    pub(crate) fn ours(&self, guild: Option<serenity::all::GuildId>) -> Option<u64> {
        let guild = guild?.get();
        self.inner.config.guild_ids().any(|ours| ours == guild).then_some(guild)
    }

    async fn typed(
        &self,
        commands: &Arc<dyn Commands>,
        it: &CommandInteraction,
        guild: u64,
    ) -> Result<(), Problem> {
        let mut reply = Reply { id: it.id.get(), token: &it.token, file: None };
        if it.data.kind == CommandType::Message {
            let target = it.data.resolved.messages.values().next();
            let new = target.map(|message| feature_of(message, guild)).unwrap_or_default();
            return self.callback(&reply, 9, &slash::form(&new)).await;
        }
        match slash::meant(&it.data.name, &it.data.options) {
            Meant::Form(new) => self.callback(&reply, 9, &slash::form(&new)).await,
            Meant::Line(line) => {
                let subject = line.starts_with("approvals subject");
                reply.file = subject.then(|| "approval.json".to_owned());
                self.answer(commands, (it.user.id.get(), guild), &line, reply).await
            }
        }
    }

    async fn pressed(
        &self,
        commands: &Arc<dyn Commands>,
        it: &ComponentInteraction,
        guild: u64,
    ) -> Result<(), Problem> {
        if it.data.custom_id.starts_with(talk::MEANT) {
            return self.mean(commands, it, guild).await;
        }
        if it.data.custom_id.starts_with(rooms::CHOSEN) {
            return self.chose(it).await;
        }
        let pressed = it.data.custom_id.as_str();
        let mut reply = Reply { id: it.id.get(), token: &it.token, file: None };
        if let Some(key) = pressed.strip_prefix(render::TYPED) {
            let text = it.message.embeds.first().and_then(|embed| embed.description.as_deref());
            let target = text.and_then(render::target);
            return self.callback(&reply, 9, &render::modal(key, target.as_deref())).await;
        }
        let button = Button { label: String::new(), command: pressed.to_owned() };
        if button.asks_words() {
            return self.callback(&reply, 9, &render::question(pressed)).await;
        }
        let line = match pressed.strip_prefix(render::DETAILS) {
            Some(key) => {
                reply.file = Some(format!("approval-{key}.json"));
                format!("approvals subject {key}")
            }
            None => pressed.to_owned(),
        };
        self.answer(commands, (it.user.id.get(), guild), &line, reply).await
    }

    async fn submitted(
        &self,
        commands: &Arc<dyn Commands>,
        it: &ModalInteraction,
        guild: u64,
    ) -> Result<(), Problem> {
        let from = (it.user.id.get(), guild);
        let reply = Reply { id: it.id.get(), token: &it.token, file: None };
        let typed = |wanted: &str| {
            it.data.components.iter().flat_map(|row| &row.components).find_map(|component| match component {
                ActionRowComponent::InputText(input) if input.custom_id == wanted => input.value.clone(),
                _ => None,
            })
        };
        if it.data.custom_id == slash::FORM {
            let new = NewFeature {
                title: typed("title").unwrap_or_default(),
                description: typed("description").unwrap_or_default(),
                team: typed("team").unwrap_or_default(),
                ready: typed("ready")
                    .is_some_and(|said| said.trim().eq_ignore_ascii_case(&say!("discord-yes"))),
            };
            return self.answer(commands, from, &slash::filing(&new), reply).await;
        }
        if let Some(words) = typed("words") {
            return self.answer(commands, from, &format!("{} {words}", it.data.custom_id), reply).await;
        }
        let name = typed("name");
        let (Some(key), Some(name)) = (it.data.custom_id.strip_prefix(render::TYPED), name) else {
            return self.callback(&reply, 4, &render::private(&say!("discord-nothing-typed"))).await;
        };
        self.answer(commands, from, &format!("approve {key} {name}"), reply).await
    }

    async fn complete(
        &self,
        commands: &Arc<dyn Commands>,
        it: &CommandInteraction,
        guild: u64,
    ) -> Result<(), Problem> {
        let reply = Reply { id: it.id.get(), token: &it.token, file: None };
        let from = (it.user.id.get(), guild);
        let list = match slash::completing(&it.data.name, &it.data.options) {
            None => Vec::new(),
            Some((what, typed)) => match self.person(from.0, guild).await? {
                None => Vec::new(),
                Some(person) => {
                    let given = self.given(from, &reply.id.to_string(), Way::Button);
                    commands.choices(&person, &given, what, &typed).await
                }
            },
        };
        let list = slash::choices(&list);
        self.callback(&reply, 8, &json!({"choices": list})).await
    }

    /// Gives the command and answers; announces the answer first where it takes longer.
    async fn answer(
        &self,
        commands: &Arc<dyn Commands>,
        from: From,
        line: &str,
        reply: Reply<'_>,
    ) -> Result<(), Problem> {
        let (proof, user) = (reply.id.to_string(), from.0);
        let mut work = Box::pin(self.give(commands, from, line, &proof, Way::Button));
        let (announced, text) = match tokio::time::timeout(PATIENCE, &mut work).await {
            Ok(text) => (Ok(false), text),
            Err(_) => (self.callback(&reply, 5, &json!({"flags": 64})).await.map(|()| true), work.await),
        };
        let earlier = self.earlier(user);
        let said = match announced {
            Ok(announced) => {
                let text = if earlier.is_empty() { text.clone() } else { format!("{earlier}\n{text}") };
                self.say(&reply, &text, announced).await
            }
            Err(problem) => Err(problem),
        };
        if said.is_err() {
            self.keep_unsaid(user, earlier, text);
        }
        said
    }

    /// What a person was not told in time, and is told now.
    fn earlier(&self, user: u64) -> String {
        let mut unsaid = self.inner.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        unsaid.remove(&user).unwrap_or_default().join("\n")
    }

    /// What could not be answered is said with the next answer: it was done all the same.
    fn keep_unsaid(&self, user: u64, earlier: String, text: String) {
        let mut unsaid = self.inner.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = unsaid.entry(user).or_default();
        lines.extend(Some(earlier).filter(|earlier| !earlier.is_empty()));
        if !text.is_empty() && !text.starts_with('{') {
            lines.push(say!("discord-too-late", text = text));
        }
        let too_many = lines.len().saturating_sub(UNSAID);
        lines.drain(..too_many);
    }

    pub(crate) async fn give(
        &self,
        commands: &Arc<dyn Commands>,
        from: From,
        line: &str,
        proof: &str,
        way: Way,
    ) -> String {
        let (user, guild) = from;
        if !self.is_in_pace(user) {
            return pace::hasty(self.inner.config.per_minute);
        }
        match self.person(user, guild).await {
            Ok(Some(person)) => commands.command(&person, &self.given(from, proof, way), line).await,
            Ok(None) => {
                let account = Identity { service: "discord".to_owned(), account: user.to_string() };
                commands.stranger(&account, line).await.unwrap_or_else(|| stranger(user))
            }
            Err(problem) => {
                tracing::warn!(user, problem = problem.text(), "roles could not be checked");
                unsure()
            }
        }
    }

    pub(crate) async fn say(&self, reply: &Reply<'_>, text: &str, announced: bool) -> Result<(), Problem> {
        // What is not the subject is a sentence that says why not.
        let file = reply.file.as_ref().filter(|_| text.starts_with('{'));
        let (body, files) = match file {
            None => (render::private(text), Vec::new()),
            Some(name) => {
                let file = CreateAttachment::bytes(text.as_bytes(), name.clone());
                let mut body = render::private(&say!("discord-details"));
                if let Some(fields) = body.as_object_mut() {
                    fields.insert("attachments".to_owned(), json!([{"id": "0", "filename": name}]));
                }
                (body, vec![file])
            }
        };
        if !announced {
            let data = json!({"type": 4, "data": body});
            let http = &self.inner.http;
            return call(|| {
                http.create_interaction_response(reply.id.into(), reply.token, &data, files.clone())
            })
            .await;
        }
        let mut body = body;
        if let Some(fields) = body.as_object_mut() {
            // It was said when the answer was announced.
            fields.remove("flags");
        }
        let http = &self.inner.http;
        call(|| http.edit_original_interaction_response(reply.token, &body, files.clone())).await.map(drop)
    }

    /// Edits the message whose button was pressed, after that was announced.
    pub(crate) async fn revise(&self, reply: &Reply<'_>, mut body: Value) -> Result<(), Problem> {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("allowed_mentions".to_owned(), json!({"parse": []}));
        }
        let http = &self.inner.http;
        call(|| http.edit_original_interaction_response(reply.token, &body, Vec::new())).await.map(drop)
    }

    pub(crate) async fn callback(&self, reply: &Reply<'_>, kind: u8, data: &Value) -> Result<(), Problem> {
        let body = if data.is_null() { json!({"type": kind}) } else { json!({"type": kind, "data": data}) };
        call(|| self.inner.http.create_interaction_response(reply.id.into(), reply.token, &body, Vec::new()))
            .await
    }

    /// A reaction was given. It is taken once, however often it is seen.
    pub(crate) async fn reacted(&self, commands: &Arc<dyn Commands>, message: u64, from: From, mark: &str) {
        let (user, _) = from;
        let Some(line) = self.registry().means(message, mark) else { return };
        match self.known(user).await {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(problem) => {
                return tracing::warn!(user, problem = problem.text(), "a reaction was not taken");
            }
        }
        if !self.taken().insert((message, user, mark.to_owned())) {
            return;
        }
        let proof = format!("{message}:{user}:{mark}");
        let text = self.give(commands, from, &line, &proof, Way::Reaction).await;
        // What was not looked at may be given again, or is read after the next start.
        if text == unsure() || text == pace::hasty(self.inner.config.per_minute) {
            self.taken().remove(&(message, user, mark.to_owned()));
        }
        if !counts(&text) {
            self.keep_unsaid(user, say!("discord-reaction", mark = mark, text = text), String::new());
        }
        tracing::debug!(user, message, text, "a reaction was taken");
    }

    /// A reaction was taken back: it may be given again. The vote stands; a person says the opposite to change it.
    pub(crate) fn unreacted(&self, message: u64, user: u64, mark: &str) {
        self.taken().remove(&(message, user, mark.to_owned()));
    }

    pub(crate) fn taken(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<(u64, u64, String)>> {
        self.inner.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the reactions that were given while nobody listened, and has shown again what was deleted meanwhile. Whether all of
    /// it could be read.
    pub(crate) async fn catch_up(&self, commands: &Arc<dyn Commands>) -> bool {
        let (lost, mut whole) = self.read_again().await;
        if lost {
            commands.show_again().await;
        }
        whole &= self.read_threads(commands).await;
        let open = self.registry().with_reactions();
        for (channel, message, reactions) in open {
            let guild = self.inner.config.guild_of(channel);
            for reaction in reactions {
                match self.users_of(channel, message, &reaction.mark).await {
                    Ok(users) => {
                        for user in users {
                            self.reacted(commands, message, (user, guild), &reaction.mark).await;
                        }
                    }
                    Err(Problem::NoMessage) => self.gone(commands, message).await,
                    Err(problem) => {
                        whole = false;
                        tracing::warn!(message, problem = problem.text(), "missed reactions can't be read");
                    }
                }
            }
        }
        whole
    }

    /// The people who gave a reaction.
    async fn users_of(&self, channel: u64, message: u64, mark: &str) -> Result<Vec<u64>, Problem> {
        let mark = ReactionType::Unicode(mark.to_owned());
        let (to, id) = (ChannelId::new(channel), MessageId::new(message));
        let (mut people, mut after) = (Vec::new(), None);
        for _ in 0..PAGES {
            let page = call(|| self.inner.http.get_reaction_users(to, id, &mark, USERS, after)).await?;
            people.extend(page.iter().filter(|user| !user.bot).map(|user| user.id.get()));
            after = page.last().map(|user| user.id.get());
            if page.len() < usize::from(USERS) {
                break;
            }
        }
        Ok(people)
    }

    /// Takes what people wrote in features' threads while nobody listened: what they wrote since then and the bot did not answer.
    /// Whatever it hears there it answers, so that nothing is taken twice; and the same words from the same place are the same
    /// to the team. Whether all of them could be read.
    async fn read_threads(&self, commands: &Arc<dyn Commands>) -> bool {
        if !self.has_threads() {
            return true;
        }
        let Ok(me) = self.me().await else { return false };
        let mut whole = true;
        let since = Timestamp::now().unix_timestamp() - AWAY;
        let threads = self.registry().newest_threads(THREADS);
        for (thread, channel) in threads {
            let page =
                call(|| self.inner.http.get_messages(ChannelId::new(thread), None, Some(WRITTEN))).await;
            let mut page = match page {
                Ok(page) => page,
                Err(problem) => {
                    whole &= problem == Problem::NoChannel;
                    tracing::warn!(
                        thread,
                        problem = problem.text(),
                        "what was written meanwhile can't be read"
                    );
                    continue;
                }
            };
            let answered: HashSet<MessageId> = page
                .iter()
                .filter(|message| message.author.id.get() == me)
                .filter_map(|message| message.message_reference.as_ref()?.message_id)
                .collect();
            page.retain(|message| {
                !message.author.bot
                    && !answered.contains(&message.id)
                    && message.timestamp.unix_timestamp() >= since
            });
            // The oldest first, as they were written.
            for mut message in page.into_iter().rev() {
                message.guild_id = Some(GuildId::new(self.inner.config.guild_of(channel)));
                self.wrote(commands, &message).await;
            }
        }
        whole
    }

    /// A message was deleted. A card that people have to see is shown again; all else, when there is something new to it.
    pub(crate) async fn gone(&self, commands: &Arc<dyn Commands>, message: u64) {
        let key = self.registry().key(message);
        self.registry().gone(message);
        if key.and_then(|key| MessageKey(key).approval()).is_some() {
            commands.show_again().await;
        }
    }

    fn given(&self, (user, guild): From, proof: &str, way: Way) -> Given {
        let (account, proof) = (Some(user.to_string()), Proof::Service(proof.to_owned()));
        let scope = self.inner.config.scope(guild);
        Given { surface: "discord".to_owned(), account, proof, way, scope }
    }
}

/// The feature that a message describes: its first line, and below that the rest of it, what is attached, and where it stands.
fn feature_of(message: &Message, guild: u64) -> NewFeature {
    let shown = message.embeds.first().and_then(|embed| embed.description.clone());
    let text = if message.content.is_empty() { shown.unwrap_or_default() } else { message.content.clone() };
    let (title, rest) = text.trim().split_once('\n').unwrap_or((text.trim(), ""));
    let link = format!("https://discord.com/channels/{guild}/{}/{}", message.channel_id, message.id);
    let attached = message.attachments.iter().map(|file| format!("{}: {}", file.filename, file.url));
    let parts = std::iter::once(rest.trim().to_owned()).chain(attached).chain([link]);
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    NewFeature { title: title.trim().to_owned(), description: parts.join("\n\n"), ..NewFeature::default() }
}

/// Whether a vote was taken: the card shows it. Of all else nobody hears who only reacted.
fn counts(text: &str) -> bool {
    let noted = say!("vote-noted", given = 0, needed = 0);
    let noted = noted.split(':').next().unwrap_or_default();
    let taken = [say!("vote-approved"), say!("vote-denied"), say!("vote-known")];
    text.starts_with(noted) || taken.iter().any(|taken| text == taken)
}

/// What a person hears when Discord did not say who they are.
pub(crate) fn unsure() -> String {
    say!("discord-unsure")
}

/// What a person hears whom nobody here knows.
pub(crate) fn stranger(user: u64) -> String {
    say!("discord-stranger", user = user)
}
