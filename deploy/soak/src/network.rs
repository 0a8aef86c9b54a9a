//! The network between the teams and the bot: it loses, delays, repeats and reorders what it is given. Nobody is told.
//!
//! It behaves as connections do: what a process sent before it was killed may still arrive, what was on its way to it is
//! lost. A restore takes longer than anything is under way.

use std::collections::BTreeMap;

use qd_wire::v1::{Ack, Envelope, Order, Report};

use crate::chance::Chance;

/// Milliseconds since the simulation began.
pub type Millis = u64;

/// The longest that anything is under way.
pub const LONGEST: Millis = 4_000;

/// Who sends or is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// The bot.
    Bot,
    /// A team, by its number.
    Team(usize),
}

/// What travels. A question carries a number, and its answer the same one.
#[derive(Debug, Clone)]
pub enum Message {
    /// A team hands reports over, or none to hear what the bot has.
    Reports {
        /// Number of the question.
        call: u64,
        /// In their order.
        batch: Vec<Envelope<Report>>,
    },
    /// The bot says what it has.
    Committed {
        /// Number of the question.
        call: u64,
        /// The highest report that is committed.
        ack: Ack,
    },
    /// A team asks for orders.
    Poll {
        /// Number of the question.
        call: u64,
        /// What it has, thereby acknowledged.
        after: Ack,
    },
    /// Orders, or none.
    Orders {
        /// Number of the question.
        call: u64,
        /// In their order.
        batch: Vec<Envelope<Order>>,
    },
}

/// Something under way.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Who sent it.
    pub from: Node,
    /// Where it goes.
    pub to: Node,
    /// What it says.
    pub message: Message,
}

/// How badly it behaves just now, in thousandths.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Of packets that are lost.
    pub lost: u64,
    /// Of packets that arrive twice.
    pub doubled: u64,
    /// Of packets that take very long.
    pub late: u64,
}

/// Everything under way, by the time at which it arrives.
#[derive(Debug, Default)]
pub struct Network {
    /// How it behaves.
    pub weather: Weather,
    under_way: BTreeMap<(Millis, u64), Packet>,
    cut: BTreeMap<usize, Millis>,
    sent: u64,
}

impl Network {
    /// A network in which nothing is under way.
    pub fn new(weather: Weather) -> Self {
        Self { weather, ..Self::default() }
    }

    /// Takes a packet at `now`.
    pub fn send(&mut self, now: Millis, packet: Packet, chance: &mut Chance) {
        let ((Node::Team(team), _) | (_, Node::Team(team))) = (packet.from, packet.to) else { return };
        if self.is_cut(now, team) || chance.happens(self.weather.lost) {
            return;
        }
        let copies = if chance.happens(self.weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let late = chance.happens(self.weather.late);
            let takes = if late { chance.between(200, LONGEST) } else { chance.between(1, 40) };
            self.sent += 1;
            self.under_way.insert((now + takes, self.sent), packet.clone());
        }
    }

    /// When the next packet arrives.
    pub fn next(&self) -> Option<Millis> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next packet, if it arrives by `now`. One that runs into a cut line is lost.
    pub fn arrive(&mut self, now: Millis) -> Option<Packet> {
        while self.next().is_some_and(|at| at <= now) {
            let (_, packet) = self.under_way.pop_first()?;
            let ((Node::Team(team), _) | (_, Node::Team(team))) = (packet.from, packet.to) else { continue };
            if !self.is_cut(now, team) {
                return Some(packet);
            }
        }
        None
    }

    /// Nothing gets to a team or from it until then.
    pub fn cut(&mut self, team: usize, until: Millis) {
        self.cut.insert(team, until);
    }

    /// A process was killed: what was on its way to it is lost.
    pub fn killed(&mut self, node: Node) {
        self.under_way.retain(|_, packet| packet.to != node);
    }

    /// From now on it behaves.
    pub fn calm(&mut self) {
        self.weather = Weather::default();
        self.cut.clear();
    }

    /// Packets under way.
    pub fn len(&self) -> usize {
        self.under_way.len()
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    fn is_cut(&self, now: Millis, team: usize) -> bool {
        self.cut.get(&team).is_some_and(|until| now < *until)
    }
}
