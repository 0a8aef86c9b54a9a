//! The tools that write: to the team's own channel, within its budget, and so that nobody is woken.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use qd_approvals::{Probe, inert};
use qd_engine::Resource;
use qd_guard::{Call, Caller, Change, Fault, Hints, Mutation, Permit, Plan, Spec};
use qd_types::Tier;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Desk, Post, changing, read::id};

/// Longest post, in characters: what makes it inert adds some, and Discord shows 4,096.
const TEXT: usize = 1_500;

/// Longest choice and title, in characters.
const LINE: usize = 80;

/// Most choices: the buttons of five rows.
const CHOICES: usize = 25;

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Posted {
    /// Where.
    channel: String,
    /// The message's or thread's id, as text.
    id: String,
}

fn fits(what: &str, text: &str, most: usize) -> Result<(), Fault> {
    if !text.trim().is_empty() && text.chars().count() <= most {
        return Ok(());
    }
    Err(Fault::failed(format!("The {what} is empty, or longer than {most} characters."), "Write it shorter."))
}

/// What a message is known by: its approval, or the call that policy allowed.
fn key(call: &Call, permit: &Permit) -> String {
    match permit {
        Permit::Grant(grant) => grant.grant().approval().to_string(),
        Permit::Policy(_) => call.id.clone(),
    }
}

fn outward(name: &'static str, action: &'static str, title: &'static str, about: &'static str) -> Spec {
    let spec = Spec::new(name, Tier::Operate, action).described(title, about);
    let hints = Hints { open_world: true, ..spec.hints };
    spec.hinted(hints)
}

impl Desk {
    /// Asks Discord before it is promised to people: what is not connected can't be posted to.
    async fn plan(&self, caller: &Caller, step: String) -> Result<Plan, Fault> {
        let team = self.team(caller)?;
        let channel = team.channel.clone();
        self.discord.messages(team.own(), 1).await.map_err(crate::looking)?;
        // A post depends on no state but where it goes.
        Ok(Plan { target: format!("#{channel}"), fingerprint: channel, steps: vec![step] })
    }

    async fn send(
        &self,
        call: &Call,
        permit: &Permit,
        text: &str,
        choices: &[String],
        question: bool,
    ) -> Result<Posted, Fault> {
        let team = self.team(&call.caller)?;
        self.budget.spend(call.caller.team().as_str(), Instant::now())?;
        let post = Post {
            // Whose words they are is said, so that nobody takes them for the fleet's own.
            text: inert::quoted(call.caller.team().as_str(), text, TEXT),
            choices: choices.iter().map(|choice| inert::plain(choice, LINE)).collect(),
            question,
            key: key(call, permit),
        };
        let id = self.discord.post(team.own(), &post).await.map_err(changing)?.to_string();
        Ok(Posted { channel: team.channel.clone(), id })
    }

    /// Whether the message of an approval is in one of the teams' channels. An approval is one team's: the first that has
    /// it is the one.
    async fn probed(&self, approval: &str) -> Probe {
        for team in self.config.teams.values() {
            match self.discord.posted(team.own(), approval).await {
                Ok(Some(id)) => {
                    let posted = Posted { channel: team.channel.clone(), id: id.to_string() };
                    return Probe::Happened(serde_json::to_string(&posted).unwrap_or_default());
                }
                Ok(None) => {}
                Err(error) => return Probe::CantTell(error.to_string()),
            }
        }
        Probe::DidNot
    }
}

pub(crate) struct Posting(pub(crate) Arc<Desk>);

/// A post to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Text {
    /// Up to 1,500 characters. Mentions wake nobody.
    text: String,
}

#[async_trait]
impl Mutation for Posting {
    type Input = Text;
    type Output = Posted;

    fn spec(&self) -> Spec {
        outward("post", "chat.post", "Post", "Posts to the team's own channel. Mentions wake nobody.")
    }

    fn resource(&self, caller: &Caller, _: Option<&Text>) -> Option<Resource> {
        self.0.own("post", caller)
    }

    async fn plan(&self, call: &Call, input: &Text) -> Result<Plan, Fault> {
        fits("text", &input.text, TEXT)?;
        self.0.plan(&call.caller, format!("Post: {:?}", input.text)).await
    }

    async fn probe(&self, approval: &str, _: &Text) -> Probe {
        self.0.probed(approval).await
    }
}

#[async_trait]
impl Change for Posting {
    async fn change(&self, call: &Call, input: Text, permit: Permit) -> Result<Posted, Fault> {
        fits("text", &input.text, TEXT)?;
        self.0.send(call, &permit, &input.text, &[], false).await
    }
}

pub(crate) struct Ask(pub(crate) Arc<Desk>);

/// A question to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Asking {
    /// Up to 1,500 characters. Mentions wake nobody.
    question: String,
    /// Up to 25; without any the answer is free text.
    #[serde(default)]
    choices: Vec<String>,
}

impl Asking {
    fn fits(&self) -> Result<(), Fault> {
        fits("question", &self.question, TEXT)?;
        if self.choices.len() > CHOICES {
            return Err(Fault::failed(format!("There are more than {CHOICES} choices."), "Offer fewer."));
        }
        self.choices.iter().try_for_each(|choice| fits("choice", choice, LINE))
    }
}

#[async_trait]
impl Mutation for Ask {
    type Input = Asking;
    type Output = Posted;

    fn spec(&self) -> Spec {
        outward(
            "ask",
            "chat.ask",
            "Ask people",
            "Asks a question in the team's own channel and does not wait: see answer. It approves nothing.",
        )
    }

    fn resource(&self, caller: &Caller, _: Option<&Asking>) -> Option<Resource> {
        self.0.own("ask", caller)
    }

    async fn plan(&self, call: &Call, input: &Asking) -> Result<Plan, Fault> {
        input.fits()?;
        self.0
            .plan(&call.caller, format!("Ask {:?}, with {} choices.", input.question, input.choices.len()))
            .await
    }

    async fn probe(&self, approval: &str, _: &Asking) -> Probe {
        self.0.probed(approval).await
    }
}

#[async_trait]
impl Change for Ask {
    async fn change(&self, call: &Call, input: Asking, permit: Permit) -> Result<Posted, Fault> {
        input.fits()?;
        self.0.send(call, &permit, &input.question, &input.choices, true).await
    }
}

pub(crate) struct Thread(pub(crate) Arc<Desk>);

/// A thread to be.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Threading {
    /// The message's id, in the team's own channel.
    message: String,
    /// Up to 80 characters.
    title: String,
}

#[async_trait]
impl Mutation for Thread {
    type Input = Threading;
    type Output = Posted;

    fn spec(&self) -> Spec {
        outward(
            "thread",
            "chat.thread",
            "Open a thread",
            "Opens a thread under a message of the team's own channel, or finds the one that is there. What people say in it, answer tells.",
        )
    }

    fn resource(&self, caller: &Caller, _: Option<&Threading>) -> Option<Resource> {
        self.0.own("thread", caller)
    }

    async fn plan(&self, call: &Call, input: &Threading) -> Result<Plan, Fault> {
        fits("title", &input.title, LINE)?;
        let message = id(&input.message)?;
        self.0.plan(&call.caller, format!("Open the thread {:?} under {message}.", input.title)).await
    }
}

#[async_trait]
impl Change for Thread {
    async fn change(&self, call: &Call, input: Threading, _: Permit) -> Result<Posted, Fault> {
        fits("title", &input.title, LINE)?;
        let message = id(&input.message)?;
        let team = self.0.team(&call.caller)?;
        self.0.budget.spend(call.caller.team().as_str(), Instant::now())?;
        let title = inert::plain(&input.title, LINE);
        let thread = self.0.discord.thread(team.own(), message, &title).await.map_err(changing)?;
        Ok(Posted { channel: team.channel.clone(), id: thread.to_string() })
    }
}
