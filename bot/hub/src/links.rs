//! Accounts that people link themselves: codes are rows, by their hashes, and what was said with one is a row until the account
//! is linked. What a crash cut short is done at the next start: linking again changes nothing.

use std::sync::Arc;

use qd_core::{Event, links::Links, people};
use qd_types::PersonId;

use crate::{Hub, HubError};

impl Hub {
    /// Has accounts linked by these. What was named before a crash is linked now.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn link_by(&self, links: Arc<dyn Links>) -> Result<(), HubError> {
        self.inner.links.get_or_init(|| links);
        let named = |turn: &mut crate::turn::Turn<'_>| {
            let named = turn.fleet.links.iter().filter(|(_, code)| code.said_by.is_some());
            Ok(named.map(|(hash, _)| hash.clone()).collect::<Vec<_>>())
        };
        for hash in self.within(named).await? {
            self.linked(hash).await?;
        }
        Ok(())
    }

    /// Which accounts are somebody's, as a line; nothing where nobody keeps them.
    pub(crate) async fn accounts(&self, person: &PersonId) -> Option<String> {
        match self.inner.links.get()?.accounts(person).await {
            Ok(accounts) => Some(people::accounts(&accounts)),
            Err(why) => Some(why),
        }
    }

    /// Links the account that was named with a code; what its person is told.
    pub(crate) async fn linked(&self, hash: String) -> Result<Option<String>, HubError> {
        let key = hash.clone();
        let found = self.within(move |turn| Ok(turn.fleet.links.get(&key).cloned())).await?;
        let named = found.and_then(|code| Some((code.person, code.said_by?)));
        let (Some((person, identity)), Some(links)) = (named, self.inner.links.get()) else {
            return Ok(None);
        };
        qd_failpoint::reached("account_named");
        let result = links.link(&person, &identity).await;
        self.process(Event::Linked { hash, result }, |_| Ok(())).await
    }
}
