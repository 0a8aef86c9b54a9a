//! Tools that were trusted and are put aside, because the server says something else of them now. Whoever calls finds them
//! gone; people are told, with what differs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use qd_audit::Kind;
use serde_json::json;
use tokio::sync::watch;

use crate::{Caller, Event, Guard, ledger::payload};

/// The tools that are put aside, by name, with what differs.
pub type Differences = BTreeMap<String, String>;

/// People who are told of what needs one of them.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// Tells them of a cause by its key; `over`, that it is gone, also if they were not told that it was there.
    async fn alert(&self, key: &str, text: &str, over: bool);
}

/// Those of one server.
#[derive(Debug)]
pub(super) struct Aside {
    differences: watch::Sender<Differences>,
    /// Clients list the tools again.
    told: Mutex<Option<Arc<watch::Sender<u64>>>>,
}

impl Aside {
    pub(super) fn new(differences: Differences) -> Self {
        Self { differences: watch::Sender::new(differences), told: Mutex::default() }
    }

    /// Whose clients hear of it.
    pub(super) fn tell(&self, told: Arc<watch::Sender<u64>>) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    pub(super) fn differences(&self) -> watch::Receiver<Differences> {
        self.differences.subscribe()
    }

    pub(super) fn has(&self, tool: &str) -> bool {
        self.differences.borrow().contains_key(tool)
    }

    /// One is not what was trusted.
    pub(super) fn put(&self, tool: &str, difference: String) {
        let mut all = self.differences.borrow().clone();
        all.insert(tool.to_owned(), difference);
        self.set(all);
    }

    /// These are all.
    pub(super) fn set(&self, all: Differences) {
        let changed = self.differences.send_if_modified(|known| {
            let changed = *known != all;
            *known = all;
            changed
        });
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if changed && let Some(told) = &*told {
            told.send_modify(|count| *count += 1);
        }
    }
}

impl Guard {
    /// Writes down which tools of a server of somebody else are put aside, in the name of the caller that it runs for, and
    /// tells people. Goes on until the server is gone.
    pub async fn watch(&self, mut aside: watch::Receiver<Differences>, caller: &Caller, alerts: &dyn Alerts) {
        let mut known: Option<Differences> = None;
        loop {
            let now = aside.borrow_and_update().clone();
            for (tool, difference) in &now {
                if known.as_ref().and_then(|known| known.get(tool)) != Some(difference) {
                    self.note_aside(caller, tool, difference).await;
                }
            }
            if known.as_ref() != Some(&now) {
                let key = format!("tools:{}", self.name());
                alerts.alert(&key, &words(self.name(), &now), now.is_empty()).await;
                known = Some(now);
            }
            if aside.changed().await.is_err() {
                return;
            }
        }
    }

    async fn note_aside(&self, caller: &Caller, tool: &str, difference: &str) {
        let tool = format!("{}.{tool}", self.name());
        tracing::warn!(tool, difference, "a tool is not what was trusted any more, and is not served");
        let text = format!("put {tool} aside: it is not what was trusted");
        let fields = json!({ "text": text, "tool": tool, "difference": difference });
        let (caller, call) = (caller.clone(), ulid::Ulid::generate().to_string());
        let event = Event { kind: Kind::Policy, caller, call, approval: None, payload: payload(fields) };
        if let Err(error) = self.0.trail.durable(event).await {
            tracing::error!(%error, tool, "a tool that was put aside is not in the trail");
        }
    }
}

fn words(server: &str, aside: &Differences) -> String {
    if aside.is_empty() {
        return format!("All trusted tools of the server {server} are as they were trusted.");
    }
    let each = aside.iter().map(|(tool, difference)| format!("{tool}:\n{difference}\n"));
    format!(
        "Tools of the server {server} are not what was trusted, and are not served until a person looked at them:\n{}",
        each.collect::<String>().trim_end()
    )
}
