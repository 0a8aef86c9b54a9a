//! One transaction of the bot: what happened, what follows from it, and what the store of approvals says to that, until
//! nothing follows any more.

use std::collections::{BTreeSet, VecDeque};

use jiff::Timestamp;
use qd_core::{Effect, Event, FleetState, Handled, Moment, Step, handle, machines::Wanted};
use qd_types::{ApprovalId, InstanceName, PersonId};
use rusqlite::Connection;
use ulid::Ulid;

use crate::{
    HubError, keep,
    keeper::{self, Keeper},
};

/// Within one transaction, at one moment.
pub(crate) struct Turn<'c> {
    pub(crate) c: &'c Connection,
    pub(crate) fleet: &'c mut FleetState,
    pub(crate) keeper: &'c Keeper,
    pub(crate) now: Timestamp,
    /// Where fresh ids come from.
    pub(crate) fresh: &'c dyn Fn() -> Ulid,
    /// A person's word has begun its way to the instance that keeps this approval.
    pub(crate) awaits: Option<ApprovalId>,
    /// What a person wants of machines.
    pub(crate) wanted: Option<Wanted>,
    /// The code with which an account was named.
    pub(crate) links: Option<String>,
    /// Whose accounts a person asks for.
    pub(crate) accounts: Option<PersonId>,
    /// What a person asks the trail of.
    pub(crate) trail: Option<String>,
    /// Instances that there are new orders for.
    pub(crate) told: BTreeSet<InstanceName>,
}

impl<'c> Turn<'c> {
    /// Begins one.
    pub(crate) fn new(
        c: &'c Connection,
        fleet: &'c mut FleetState,
        keeper: &'c Keeper,
        now: Timestamp,
        fresh: &'c dyn Fn() -> Ulid,
    ) -> Self {
        Self {
            c,
            fleet,
            keeper,
            now,
            fresh,
            awaits: None,
            wanted: None,
            links: None,
            accounts: None,
            trail: None,
            told: BTreeSet::new(),
        }
    }

    /// The process has started.
    pub(crate) fn wake(&mut self) -> Result<(), HubError> {
        // Who was shut out while nothing ran, or whose votes were not ended before a crash.
        keeper::count_again(self)?;
        // What was taken away while nothing ran.
        keeper::show_again(self)?;
        // What the clock ended while nothing ran, and who is to be told of it.
        self.happens(Event::Tick).map(drop)
    }

    /// Handles an event and everything that follows from it. The answer is for whoever gave a command.
    pub(crate) fn happens(&mut self, event: Event) -> Result<Option<String>, HubError> {
        let mut due = VecDeque::from([event]);
        let mut reply = None;
        loop {
            while let Some(event) = due.pop_front() {
                let moment = Moment { at: self.now, fresh: (self.fresh)() };
                let Handled { effects, reply: said, awaits, wanted, links, accounts, trail } =
                    handle(self.fleet, event, moment);
                reply = said.or(reply);
                self.awaits = awaits.or(self.awaits.take());
                self.wanted = wanted.or(self.wanted.take());
                self.links = links.or(self.links.take());
                self.accounts = accounts.or(self.accounts.take());
                self.trail = trail.or(self.trail.take());
                for effect in effects {
                    if let Effect::Tell { to, .. } | Effect::Step(Step::Send { to, .. }) = &effect {
                        self.told.insert(to.clone());
                    }
                    match effect {
                        Effect::Step(step) => due.extend(self.keeper.take(
                            self.c,
                            step,
                            Moment { at: self.now, fresh: (self.fresh)() },
                        )?),
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
