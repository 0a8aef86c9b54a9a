//! The hub's transactions one by one, on a connection and at a moment that are given: without threads, and without a clock
//! or chance of its own. [`Hub`](crate::Hub) takes the same steps in its database's writer; the simulation takes them here,
//! and cuts them short wherever it likes.

use std::sync::Arc;

use jiff::Timestamp;
use qd_approvals::{Probe, Spending, SurfaceKey, WHOLE};
use qd_core::{
    Event, FleetState, Rules,
    chat::{Delivered, Given},
    text,
};
use qd_sqlite::{Migration, outbox};
use qd_types::{ApprovalId, InstanceName, Person, Subject};
use qd_wire::v1::{Ack, Envelope, Order, Report};
use rusqlite::Connection;
use ulid::Ulid;

use crate::{
    HubError,
    chat::{self, Lane, Voice},
    forge, heads, keep,
    keeper::{self, Keeper},
    schema,
    turn::Turn,
    uplink,
};
pub use crate::{chat::Due, forge::Act};

/// All versions of the schema, oldest first.
pub const MIGRATIONS: &[Migration] = schema::MIGRATIONS;

/// Where fresh ids come from: for a clock that shows this.
pub type Fresh = Box<dyn Fn(Timestamp) -> Ulid>;

/// The bot's process, as far as it is not its database. Each step is to be taken in a transaction that is committed if it
/// succeeds; after one that was not, [`Steps::forget`] has to be called.
pub struct Steps {
    /// `None` when what is in memory may be ahead of the rows, which are then read anew.
    fleet: Option<FleetState>,
    rules: Rules,
    keeper: Arc<Keeper>,
    voice: Voice,
    fresh: Fresh,
}

impl Steps {
    /// Starts on a database with the newest schema. `teams` are the keys by which teams sign.
    ///
    /// # Errors
    /// If the database fails, or a key was withdrawn.
    pub fn start(
        c: &Connection,
        rules: Rules,
        key: SurfaceKey,
        teams: &[(InstanceName, [u8; 32])],
        fresh: Fresh,
        now: Timestamp,
    ) -> Result<Self, HubError> {
        heads::begin(c, &key)?;
        for (team, public) in teams {
            keeper::enrol(c, team, public, now)?;
        }
        let own = [key.public()];
        let keeper = Arc::new(Keeper::new(&rules, Arc::new(key), &own, keeper::keys(c)?));
        let voice = Voice::new(rules.distil.budget);
        let mut steps = Self { fleet: None, rules, keeper, voice, fresh };
        steps.turn(c, now, |turn| turn.wake())?;
        Ok(steps)
    }

    /// The transaction was not committed: what it made of the memory is forgotten.
    pub fn forget(&mut self) {
        self.fleet = None;
    }

    /// Takes reports of a team, in order; answers with what is then kept.
    ///
    /// # Errors
    /// If the database fails.
    pub fn receive(
        &mut self,
        c: &Connection,
        from: &InstanceName,
        batch: Vec<Envelope<Report>>,
        now: Timestamp,
    ) -> Result<Ack, HubError> {
        let (epoch, seq) = outbox::received(c, from.as_str())?;
        let (known, taken) = uplink::next(from, Ack { epoch, seq }, batch);
        if !taken.is_empty() {
            self.turn(c, now, |turn| uplink::apply(turn, from, &taken))?;
        }
        Ok(known)
    }

    /// A team has the orders up to here, as its newest call says.
    ///
    /// # Errors
    /// If the database fails.
    pub fn acknowledged(&self, c: &Connection, by: &InstanceName, ack: Ack) -> Result<(), HubError> {
        uplink::agree(c, by, ack, true)
    }

    /// Whether there are orders for a team after those that it was sent. It only looks.
    ///
    /// # Errors
    /// If the database fails.
    pub fn due(&self, c: &Connection, to: &InstanceName, sent: Ack) -> Result<bool, HubError> {
        Ok(outbox::due(c, to.as_str(), sent.epoch, sent.seq, uplink::ORDERS)?)
    }

    /// Orders for a team after those that it was sent.
    ///
    /// # Errors
    /// If the database fails.
    pub fn orders(
        &self,
        c: &Connection,
        to: &InstanceName,
        sent: Ack,
    ) -> Result<Vec<Envelope<Order>>, HubError> {
        let mut orders = uplink::shipped(c, to)?;
        orders.retain(|order| order.epoch != sent.epoch || order.seq > sent.seq);
        Ok(orders)
    }

    /// Takes a person's command; answers what they are told.
    ///
    /// # Errors
    /// If the database fails.
    pub fn command(
        &mut self,
        c: &Connection,
        person: Person,
        given: Given,
        text: String,
        now: Timestamp,
    ) -> Result<Option<String>, HubError> {
        self.turn(c, now, |turn| turn.happens(Event::Command { person, given, text }))
    }

    /// Looks at the clocks of approvals.
    ///
    /// # Errors
    /// If the database fails.
    pub fn tick(&mut self, c: &Connection, now: Timestamp) -> Result<(), HubError> {
        self.turn(c, now, |turn| turn.happens(Event::Tick).map(drop))
    }

    /// Begins the oldest act at the forge that is not done: its attempt is counted.
    ///
    /// # Errors
    /// If the database fails.
    pub fn begin_act(&self, c: &Connection) -> Result<Option<Act>, HubError> {
        // As much as is to be done, at a moment when all of it is due.
        forge::oldest(c, Timestamp::MAX)?.map(|id| forge::begin(c, id)).transpose()
    }

    /// A living state was shown at the forge. Where it changed meanwhile, it is shown again.
    ///
    /// # Errors
    /// If the database fails.
    pub fn shown(&self, c: &Connection, act: &Act, now: Timestamp) -> Result<(), HubError> {
        forge::shown(c, act, now)
    }

    /// The forge was looked at, and what was cut short has not happened.
    ///
    /// # Errors
    /// If the database fails.
    pub fn did_not(&self, c: &Connection, approval: &ApprovalId, now: Timestamp) -> Result<(), HubError> {
        self.keeper.at(c, now)?.probed(approval, WHOLE, &Probe::DidNot)?;
        Ok(())
    }

    /// The last question before an act. Once it is committed that the grant is spent, the act may be done; the error of the
    /// inner result says why not.
    ///
    /// # Errors
    /// If the database fails.
    pub fn authorise(
        &self,
        c: &Connection,
        approval: &ApprovalId,
        rebuilt: &Subject,
        key: &str,
        now: Timestamp,
    ) -> Result<Result<(), String>, HubError> {
        let (spending, _) = self.keeper.at(c, now)?.spend_and_begin((approval, WHOLE), rebuilt, key)?;
        Ok(match spending {
            Spending::Planned => Ok(()),
            Spending::Lapsed { reason, .. } => Err(text::lapsed(&reason)),
            Spending::Refused(refusal) => Err(refusal.to_string()),
        })
    }

    /// An act has ended, and this became of it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn acted(&mut self, c: &Connection, act: i64, event: Event, now: Timestamp) -> Result<(), HubError> {
        forge::done(c, act)?;
        self.turn(c, now, |turn| turn.happens(event).map(drop))
    }

    /// The message that chat is to be given next.
    ///
    /// # Errors
    /// If the database fails.
    pub fn message(&self, c: &Connection) -> Result<Option<Due>, HubError> {
        // As much as is to be said, at a moment when every channel can take it.
        chat::next(c, Lane::All, &mut Voice::new(self.rules.distil.budget), Timestamp::MAX)
    }

    /// The message that chat is to be given next within the budget of its channel, if any can be given now. That is a call.
    ///
    /// # Errors
    /// If the database fails.
    pub fn message_now(&mut self, c: &Connection, now: Timestamp) -> Result<Option<Due>, HubError> {
        chat::next(c, Lane::All, &mut self.voice, now)
    }

    /// Chat has it.
    ///
    /// # Errors
    /// If the database fails.
    pub fn delivered(
        &mut self,
        c: &Connection,
        due: &Due,
        delivered: &Delivered,
        now: Timestamp,
    ) -> Result<(), HubError> {
        self.turn(c, now, |turn| chat::delivered(turn, due, delivered))
    }

    fn turn<T>(
        &mut self,
        c: &Connection,
        now: Timestamp,
        job: impl FnOnce(&mut Turn<'_>) -> Result<T, HubError>,
    ) -> Result<T, HubError> {
        let mut fleet = match self.fleet.take() {
            Some(fleet) => fleet,
            None => keep::load(c, self.rules.clone(), &self.keeper, now)?,
        };
        let fresh = || (self.fresh)(now);
        let done = job(&mut Turn::new(c, &mut fleet, &self.keeper, now, &fresh))?;
        self.fleet = Some(fleet);
        Ok(done)
    }
}
