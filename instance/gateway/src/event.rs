//! What people are told of: budgets that come to their end, providers in trouble. Facts, not sentences for a card.

use std::time::Duration;

use qd_types::RunId;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::budget::{Scope, Standing};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A budget has come to another standing: warned, reached, or its price is unknown. Told once for each.
    Budget {
        /// Whose call it was.
        run: RunId,
        /// Which budget.
        scope: Scope,
        /// How it stands.
        standing: Standing,
    },
    /// A call was refused for its budget. The run has to wait for a decision.
    Refused {
        /// Who called.
        run: RunId,
        /// Which budget.
        scope: Scope,
        /// How it stands.
        standing: Standing,
    },
    /// A provider is in trouble.
    Provider {
        /// Who called.
        run: RunId,
        /// Which provider, by its name.
        provider: String,
        /// What it is.
        trouble: Trouble,
        /// What is done about it.
        next: Next,
    },
}

/// What is wrong with a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// It can't be reached.
    Unreachable,
    /// It failed, 5xx.
    Outage,
    /// It has too much to do, 503 or 529.
    Overloaded,
    /// It wants us to slow down, 429.
    RateLimited,
    /// It wants money, 402.
    Unpaid,
    /// It does not take our key, 401 or 403.
    KeyRefused,
    /// It is silent.
    Silent,
    /// Its answer broke off.
    Cut,
}

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "next")]
pub enum Next {
    /// The same again.
    Retry {
        /// After so long.
        after: Duration,
    },
    /// Somebody else is asked.
    Fallback {
        /// Who.
        provider: String,
        /// With which model.
        model: String,
    },
    /// The client is told.
    GivenUp,
}

/// Where events go. Telling never waits.
pub trait Events: Send + Sync {
    /// Tells.
    fn tell(&self, event: Event);
}

/// A bounded channel. What does not fit is logged and lost: every fact in an event can be asked for again, and a refusal
/// is told anew with every call.
impl Events for mpsc::Sender<Event> {
    fn tell(&self, event: Event) {
        if let Err(error) = self.try_send(event) {
            tracing::warn!(%error, "nobody takes the gateway's events");
        }
    }
}
