//! Discord beside the console: the same messages in both, so that the page has them while Discord does not answer. What counts
//! as delivered is Discord's word.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_command::Service;
use qd_console::Console;
use qd_core::{
    chat::{Channel, Chat, ChatError, Delivered, Message, MessageKey},
    links::Links,
};
use qd_discord::{Discord, People};
use qd_hub::Hub;
use qd_people::{By, Identity, People as Roll};
use qd_text::say;
use qd_types::{Person, PersonId};

use super::FleetPlan;
use crate::people::Roster;

/// After a connection that ended for good, doubled each time.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// A connection that stands so long is one.
const STANDS: Duration = Duration::from_secs(30);

/// What Discord does not do, told where people can still read it: one message among the alerts of the page.
pub(super) struct Outage {
    console: Console,
    /// By what it concerns: since when, and what is wrong.
    troubles: Mutex<BTreeMap<String, (Timestamp, String)>>,
}

/// What concerns the gateway.
const HEARS: &str = "gateway";
/// What concerns every channel.
const ANSWERS: &str = "rest";

impl Outage {
    pub(super) fn new(console: Console) -> Arc<Self> {
        Arc::new(Self { console, troubles: Mutex::default() })
    }

    /// How it stands with one of them. What was told already is not told again.
    async fn stands(&self, what: &str, problem: Option<String>) {
        let Some(text) = self.changed(what, problem) else { return };
        let message = Message::new(Channel::Alerts, MessageKey("discord:outage".to_owned()), text);
        if let Err(error) = self.console.put(&message).await {
            tracing::warn!(%error, "the page can't say how it stands with Discord");
        }
    }

    fn changed(&self, what: &str, problem: Option<String>) -> Option<String> {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(problem) if troubles.get(what).is_some_and(|(_, told)| *told == problem) => return None,
            Some(problem) => {
                let since = troubles.get(what).map_or_else(Timestamp::now, |(since, _)| *since);
                troubles.insert(what.to_owned(), (since, problem));
            }
            None => {
                troubles.remove(what)?;
            }
        }
        if troubles.is_empty() {
            return Some(say!("discord-outage-over"));
        }
        let lines = troubles.values().map(|(since, problem)| {
            let since = since.strftime("%Y-%m-%d %H:%M UTC").to_string();
            say!("discord-outage-since", since = since, problem = problem)
        });
        Some(std::iter::once(say!("discord-outage")).chain(lines).collect::<Vec<_>>().join("\n"))
    }
}

/// Both chats.
pub(super) struct Both {
    pub(super) console: Console,
    pub(super) discord: Discord,
    pub(super) outage: Arc<Outage>,
}

#[async_trait]
impl Chat for Both {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        // First the copy at hand: it is there whatever becomes of the other.
        if let Err(error) = self.console.put(message).await {
            tracing::debug!(message = message.key.0, %error, "the console has no copy");
        }
        let put = self.discord.put(message).await;
        let place = message.channel.as_str();
        match &put {
            Ok(_) => {
                self.outage.stands(place, None).await;
                self.outage.stands(ANSWERS, None).await;
            }
            Err(ChatError::Refused(problem)) => self.outage.stands(place, Some(problem.clone())).await,
            Err(ChatError::Unavailable(problem)) => self.outage.stands(ANSWERS, Some(problem.clone())).await,
        }
        put
    }
}

/// People whose accounts are linked: `quarterdeck person link NAME discord:ID`.
struct Linked(Roster);

#[async_trait]
impl People for Linked {
    async fn by_account(&self, account: u64) -> Result<Option<Person>, String> {
        let profile = self.0.by_identity(Identity::Discord(account)).await;
        Ok(profile.map_err(|error| error.to_string())?.map(|profile| profile.ceiling()))
    }
}

/// Accounts that people link themselves, by a code.
pub(super) struct Linking {
    pub(super) roster: Roster,
    pub(super) discord: bool,
    pub(super) github: bool,
}

#[async_trait]
impl Links for Linking {
    fn services(&self) -> Vec<Service> {
        let github = self.github.then_some(Service::Github);
        self.discord.then_some(Service::Discord).into_iter().chain(github).collect()
    }

    async fn accounts(&self, person: &PersonId) -> Result<Vec<qd_types::Identity>, String> {
        let profile = self.roster.find(person).await.map_err(|error| format!("{error}."))?;
        let identities = profile.into_iter().flat_map(|profile| profile.identities);
        let account = |one: Identity| {
            let (service, account) =
                one.to_string().split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
            Some(qd_types::Identity { service, account })
        };
        Ok(identities.filter_map(account).collect())
    }

    async fn link(&self, person: &PersonId, identity: &qd_types::Identity) -> Result<(), String> {
        let text = format!("{}:{}", identity.service, identity.account);
        let identity: Identity = text.parse().map_err(|error: qd_types::IdError| format!("{error}."))?;
        let (by, person) = (By::Person(person.clone()), person.clone());
        let job = move |people: &Roll<'_>| people.link(&person, &identity);
        self.roster.change(by, job).await.map_err(|error| format!("{error}."))
    }
}

/// Discord, if it is configured. Nothing is asked of it yet.
pub fn on_discord(plan: &FleetPlan, roster: &Roster) -> Option<Discord> {
    let config = plan.discord.clone()?;
    Some(Discord::new(config, Arc::new(Linked(roster.clone()))))
}

/// Hears what people do there, until the task is dropped. What ended for good is begun again, ever more slowly.
pub(super) async fn listen(discord: Discord, hub: Hub, outage: Arc<Outage>) {
    let mut pause = PAUSE;
    loop {
        let begun = tokio::time::Instant::now();
        let stands = async {
            tokio::time::sleep(STANDS).await;
            outage.stands(HEARS, None).await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = discord.run(Arc::new(hub.clone())) => ended,
            never = stands => never,
        };
        if let Err(error) = ended {
            tracing::error!(%error, "nobody is heard on Discord");
            let problem = say!("discord-unheard", problem = error);
            outage.stands(HEARS, Some(problem)).await;
        }
        pause = if begun.elapsed() > LONGEST { PAUSE } else { pause };
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}
