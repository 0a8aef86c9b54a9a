//! Discord beside the console: the same messages in both, so that the page has them while Discord does not answer. What counts
//! as delivered is Discord's word.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use qd_command::Service;
use qd_console::Console;
use qd_core::{
    chat::{Chat, ChatError, Delivered, Message},
    links::Links,
};
use qd_discord::{Discord, People};
use qd_hub::Hub;
use qd_people::{By, Identity, People as Roll};
use qd_types::{Person, PersonId};

use crate::people::Roster;

/// After a connection that ended for good, doubled each time.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(300);

/// Both chats.
pub(super) struct Both {
    pub(super) console: Console,
    pub(super) discord: Discord,
}

#[async_trait]
impl Chat for Both {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        // First the copy at hand: it is there whatever becomes of the other.
        if let Err(error) = self.console.put(message).await {
            tracing::debug!(message = message.key.0, %error, "the console has no copy");
        }
        self.discord.put(message).await
    }
}

/// People whose accounts are linked: `quarterdeck person link NAME discord:ID`.
pub(super) struct Linked(pub(super) Roster);

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

/// Hears what people do there, until the task is dropped. What ended for good is begun again, ever more slowly.
pub(super) async fn listen(discord: Discord, hub: Hub) {
    let mut pause = PAUSE;
    loop {
        let begun = tokio::time::Instant::now();
        if let Err(error) = discord.run(Arc::new(hub.clone())).await {
            tracing::error!(%error, "nobody is heard on Discord");
        }
        pause = if begun.elapsed() > LONGEST { PAUSE } else { pause };
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}
