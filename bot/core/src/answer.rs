//! What the core gives back: effects, the answer to a command, the outcome of a forge request.

use qd_types::{ApprovalId, InstanceName, PersonId};
use qd_wire::v1::{ForgeOutcome, Order};

use crate::{effect::Effect, forge::ForgeError, machines::Wanted, text};

/// What follows from an event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handled {
    /// To be kept, said and done.
    pub effects: Vec<Effect>,
    /// The answer to a command, for the person who gave it.
    pub reply: Option<String>,
    /// Their word travels to the instance that keeps this approval: what it says is a better answer, if it comes soon.
    pub awaits: Option<ApprovalId>,
    /// What they want of machines: the answer comes from whoever makes them.
    pub wanted: Option<Wanted>,
    /// An account was named to be linked, by the hash of its code: the answer comes from whoever keeps that.
    pub links: Option<String>,
    /// They ask who somebody is, and may know whose accounts these are: the answer comes from whoever keeps those, after the reply.
    pub accounts: Option<PersonId>,
    /// They ask what led to this: the answer comes from whoever keeps the bot's trail, and goes before the reply.
    pub trail: Option<String>,
}

impl From<Vec<Effect>> for Handled {
    fn from(effects: Vec<Effect>) -> Self {
        Self { effects, ..Self::default() }
    }
}

/// The answer to a forge request.
pub(crate) fn answer(to: &InstanceName, request: &str, outcome: ForgeOutcome) -> Effect {
    let order = Order::ForgeOutcome { request: request.to_owned(), outcome };
    Effect::Tell { to: to.clone(), living: None, order: Box::new(order) }
}

/// An error of the forge as an outcome: what can't be told is unknown, all else did not happen.
pub(crate) fn failed(error: &ForgeError) -> ForgeOutcome {
    match error {
        ForgeError::BaseMoved { actual } => ForgeOutcome::BaseMoved { base: actual.clone() },
        ForgeError::NotNow { .. } | ForgeError::Unavailable { .. } => {
            ForgeOutcome::Unknown { reason: text::sentence(error) }
        }
        _ => ForgeOutcome::Refused { reason: text::sentence(error) },
    }
}
