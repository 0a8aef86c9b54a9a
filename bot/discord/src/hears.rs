//! What people did becomes a command in the grammar of `bot/command`, given by a person with the roles that they hold at
//! that moment. Interactions are answered within Discord's three seconds, privately.

use std::{sync::Arc, time::Duration};

use qd_core::chat::{Commands, Given, Proof, Way};
use serde_json::{Value, json};
use serenity::all::{
    ActionRowComponent, ChannelId, CommandInteraction, CommandType, ComponentInteraction, CreateAttachment,
    Interaction, Message, MessageId, ModalInteraction, ReactionType,
};

use crate::{
    Discord,
    calls::{Problem, call},
    pace, render,
    slash::{self, Meant, NewFeature, Source},
};

/// After this, an answer is announced and comes later.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Users that are read of one reaction.
const USERS: u8 = 100;

/// What a person hears when Discord did not say who they are.
const UNSURE: &str = "Discord did not say which roles you hold, so nothing was done. Try again.";

/// Where an answer goes.
struct Reply<'a> {
    id: u64,
    token: &'a str,
    /// As a file of this name.
    file: Option<String>,
}

impl Discord {
    /// Takes what a person did.
    pub(crate) async fn hear(&self, commands: &Arc<dyn Commands>, interaction: Interaction) {
        let done = match interaction {
            Interaction::Command(it) if self.is_ours(it.guild_id) => self.typed(commands, &it).await,
            Interaction::Component(it) if self.is_ours(it.guild_id) => self.pressed(commands, &it).await,
            Interaction::Modal(it) if self.is_ours(it.guild_id) => self.submitted(commands, &it).await,
            Interaction::Autocomplete(it) if self.is_ours(it.guild_id) => self.complete(commands, &it).await,
            _ => Ok(()),
        };
        if let Err(problem) = done {
            tracing::warn!(problem = problem.text(), "a person was not answered");
        }
    }

    pub(crate) fn is_ours(&self, guild: Option<serenity::all::GuildId>) -> bool {
        guild.is_some_and(|guild| guild.get() == self.inner.config.guild)
    }

    async fn typed(&self, commands: &Arc<dyn Commands>, it: &CommandInteraction) -> Result<(), Problem> {
        let mut reply = Reply { id: it.id.get(), token: &it.token, file: None };
        if it.data.kind == CommandType::Message {
            let target = it.data.resolved.messages.values().next();
            let title = target.map(words_of).unwrap_or_default();
            return self
                .callback(&reply, 9, &slash::form(&NewFeature { title, ..NewFeature::default() }))
                .await;
        }
        match slash::meant(&it.data.name, &it.data.options) {
            Meant::Form(new) => self.callback(&reply, 9, &slash::form(&new)).await,
            Meant::Line(line) => {
                let subject = line.starts_with("approvals subject");
                reply.file = subject.then(|| "approval.json".to_owned());
                self.answer(commands, it.user.id.get(), &line, reply).await
            }
        }
    }

    async fn pressed(&self, commands: &Arc<dyn Commands>, it: &ComponentInteraction) -> Result<(), Problem> {
        let pressed = it.data.custom_id.as_str();
        let mut reply = Reply { id: it.id.get(), token: &it.token, file: None };
        if let Some(key) = pressed.strip_prefix(render::TYPED) {
            let text = it.message.embeds.first().and_then(|embed| embed.description.as_deref());
            let target = text.and_then(render::target);
            return self.callback(&reply, 9, &render::modal(key, target.as_deref())).await;
        }
        let line = match pressed.strip_prefix(render::DETAILS) {
            Some(key) => {
                reply.file = Some(format!("approval-{key}.json"));
                format!("approvals subject {key}")
            }
            None => pressed.to_owned(),
        };
        self.answer(commands, it.user.id.get(), &line, reply).await
    }

    async fn submitted(&self, commands: &Arc<dyn Commands>, it: &ModalInteraction) -> Result<(), Problem> {
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
                team: typed("team").unwrap_or_default(),
                ready: typed("ready").is_some_and(|said| said.trim().eq_ignore_ascii_case("yes")),
            };
            return self.answer(commands, it.user.id.get(), &slash::filing(&new), reply).await;
        }
        let name = typed("name");
        let (Some(key), Some(name)) = (it.data.custom_id.strip_prefix(render::TYPED), name) else {
            return self
                .callback(&reply, 4, &render::private("Nothing was typed, so nothing was done."))
                .await;
        };
        self.answer(commands, it.user.id.get(), &format!("approve {key} {name}"), reply).await
    }

    async fn complete(&self, commands: &Arc<dyn Commands>, it: &CommandInteraction) -> Result<(), Problem> {
        let reply = Reply { id: it.id.get(), token: &it.token, file: None };
        let list = match slash::completing(&it.data.name, &it.data.options) {
            None => json!([]),
            Some((Source::Actions, typed)) => slash::actions(&typed),
            Some((Source::Line(line), typed)) => match self.person(it.user.id.get()).await? {
                None => json!([]),
                Some(person) => {
                    let list = commands
                        .command(&person, &given(it.user.id.get(), &reply.id.to_string(), Way::Button), line)
                        .await;
                    slash::choices(&list, &typed)
                }
            },
        };
        self.callback(&reply, 8, &json!({"choices": list})).await
    }

    /// Gives the command and answers; announces the answer first where it takes longer.
    async fn answer(
        &self,
        commands: &Arc<dyn Commands>,
        user: u64,
        line: &str,
        reply: Reply<'_>,
    ) -> Result<(), Problem> {
        let proof = reply.id.to_string();
        let mut work = Box::pin(self.give(commands, user, line, &proof, Way::Button));
        if let Ok(text) = tokio::time::timeout(PATIENCE, &mut work).await {
            return self.say(&reply, &text, false).await;
        }
        self.callback(&reply, 5, &json!({"flags": 64})).await?;
        let text = work.await;
        self.say(&reply, &text, true).await
    }

    pub(crate) async fn give(
        &self,
        commands: &Arc<dyn Commands>,
        user: u64,
        line: &str,
        proof: &str,
        way: Way,
    ) -> String {
        if !self.is_in_pace(user) {
            return pace::hasty(self.inner.config.per_minute);
        }
        match self.person(user).await {
            Ok(Some(person)) => commands.command(&person, &given(user, proof, way), line).await,
            Ok(None) => stranger(user),
            Err(problem) => {
                tracing::warn!(user, problem = problem.text(), "roles could not be checked");
                UNSURE.to_owned()
            }
        }
    }

    async fn say(&self, reply: &Reply<'_>, text: &str, announced: bool) -> Result<(), Problem> {
        // What is not the subject is a sentence that says why not.
        let file = reply.file.as_ref().filter(|_| text.starts_with('{'));
        let (body, files) = match file {
            None => (render::private(text), Vec::new()),
            Some(name) => {
                let file = CreateAttachment::bytes(text.as_bytes(), name.clone());
                let mut body = render::private(
                    "The whole of it, for you alone. The SHA-256 of this file is the digest on the card.",
                );
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

    async fn callback(&self, reply: &Reply<'_>, kind: u8, data: &Value) -> Result<(), Problem> {
        let body = json!({"type": kind, "data": data});
        call(|| self.inner.http.create_interaction_response(reply.id.into(), reply.token, &body, Vec::new()))
            .await
    }

    /// A reaction was given. It is taken once, however often it is seen.
    pub(crate) async fn reacted(&self, commands: &Arc<dyn Commands>, message: u64, user: u64, mark: &str) {
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
        let text = self.give(commands, user, &line, &proof, Way::Reaction).await;
        // What was not looked at may be given again, or is read after the next start.
        if text == UNSURE || text == pace::hasty(self.inner.config.per_minute) {
            self.taken().remove(&(message, user, mark.to_owned()));
        }
        tracing::debug!(user, message, text, "a reaction was taken");
    }

    /// A reaction was taken back: it may be given again. The vote stands; a person says the opposite to change it.
    pub(crate) fn unreacted(&self, message: u64, user: u64, mark: &str) {
        self.taken().remove(&(message, user, mark.to_owned()));
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, std::collections::HashSet<(u64, u64, String)>> {
        self.inner.taken.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the reactions that were given while nobody listened.
    pub(crate) async fn catch_up(&self, commands: &Arc<dyn Commands>) {
        for channel in self.inner.config.channels.all() {
            if let Err(problem) = self.ensure_read(channel).await {
                tracing::warn!(channel, problem = problem.text(), "a channel can't be read");
            }
        }
        let open = self.registry().with_reactions();
        for (channel, message, reactions) in open {
            for reaction in reactions {
                let mark = ReactionType::Unicode(reaction.mark.clone());
                let (to, id) = (ChannelId::new(channel), MessageId::new(message));
                match call(|| self.inner.http.get_reaction_users(to, id, &mark, USERS, None)).await {
                    Ok(users) => {
                        for user in users.iter().filter(|user| !user.bot) {
                            self.reacted(commands, message, user.id.get(), &reaction.mark).await;
                        }
                    }
                    Err(Problem::NoMessage) => self.registry().gone(message),
                    Err(problem) => {
                        tracing::warn!(message, problem = problem.text(), "missed reactions can't be read");
                    }
                }
            }
        }
    }
}

/// What a message says, as one line: what somebody wrote, or what the bot shows.
fn words_of(message: &Message) -> String {
    let shown = message.embeds.first().and_then(|embed| embed.description.clone());
    let text = if message.content.is_empty() { shown.unwrap_or_default() } else { message.content.clone() };
    text.lines().next().unwrap_or_default().trim().to_owned()
}

fn given(user: u64, proof: &str, way: Way) -> Given {
    let (account, proof) = (Some(user.to_string()), Proof::Service(proof.to_owned()));
    Given { surface: "discord".to_owned(), account, proof, way }
}

/// What a person hears whom nobody here knows.
fn stranger(user: u64) -> String {
    format!(
        "I don't know who you are here. An owner links your account with: quarterdeck person link NAME discord:{user}"
    )
}
