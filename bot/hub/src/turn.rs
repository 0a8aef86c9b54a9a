//! One transaction of the bot: what happened, what follows from it, and what the store of approvals says to that, until
//! nothing follows any more.

use std::collections::VecDeque;

use jiff::Timestamp;
use qd_core::{Effect, Event, FleetState, Handled, Moment, handle};
use qd_types::ApprovalId;
use rusqlite::Connection;

use crate::{HubError, keep, keeper::Keeper};

/// Within one transaction, at one moment.
pub(crate) struct Turn<'c> {
    pub(crate) c: &'c Connection,
    pub(crate) fleet: &'c mut FleetState,
    pub(crate) keeper: &'c Keeper,
    pub(crate) now: Timestamp,
    /// A person's word has begun its way to the instance that keeps this approval.
    pub(crate) awaits: Option<ApprovalId>,
}

impl Turn<'_> {
    /// Handles an event and everything that follows from it. The answer is for whoever gave a command.
    pub(crate) fn happens(&mut self, event: Event) -> Result<Option<String>, HubError> {
        let mut due = VecDeque::from([event]);
        let mut reply = None;
        loop {
            while let Some(event) = due.pop_front() {
                let moment = Moment { at: self.now, fresh: ulid::Ulid::generate() };
                let Handled { effects, reply: said, awaits } = handle(self.fleet, event, moment);
                reply = said.or(reply);
                self.awaits = awaits.or(self.awaits.take());
                for effect in effects {
                    match effect {
                        Effect::Step(step) => due.extend(self.keeper.take(self.c, step, self.now)?),
                        other => keep::keep(self.c, &other, self.now)?,
                    }
                }
            }
            due.extend(self.keeper.resumed(self.c, self.now)?);
            if due.is_empty() {
                return Ok(reply);
            }
        }
    }
}
