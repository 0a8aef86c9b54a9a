//! What goes wrong, and when: drawn from the seed before each time it does.

use crate::{
    chance::Chance,
    disk::Fate,
    network::{Millis, Node, Weather},
};

/// Until when things go wrong. After that all of it has to come to rest.
pub const TROUBLE: Millis = 12_000;
/// The longest pause between two faults.
const PAUSE: Millis = 600;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A process is killed, and starts again after a while.
    Kill(Node, Millis),
    /// A process is killed within its next write.
    Doom(Node, Fate),
    /// A disk is full for a while.
    Full(Node, Millis),
    /// A team's line is cut for a while.
    Cut(usize, Millis),
    /// All lines are cut for a while.
    CutAll(Millis),
    /// The network behaves otherwise from now on.
    Weather(u64, u64, u64),
    /// A clock jumps by so many milliseconds.
    Jump(Node, i64),
    /// A database is copied.
    Backup(Node),
    /// The copy takes the place of the database.
    Restore(Node),
}

impl Fault {
    /// The next fault among so many teams, and how long after the last one.
    pub fn draw(teams: usize, chance: &mut Chance) -> (Millis, Self) {
        let pause = chance.between(50, PAUSE);
        let team = chance.below(teams as u64) as usize;
        let node = if chance.happens(350) { Node::Bot } else { Node::Team(team) };
        let fault = match chance.below(7) {
            0 => Self::Kill(node, chance.between(10, 3_000)),
            1 => Self::Doom(node, if chance.happens(500) { Fate::KilledBefore } else { Fate::KilledAfter }),
            2 => Self::Full(node, chance.between(100, 3_000)),
            3 if chance.happens(150) => Self::CutAll(chance.between(100, 3_000)),
            3 => Self::Cut(team, chance.between(100, 6_000)),
            4 => Self::Weather(chance.below(250), chance.below(250), chance.below(250)),
            5 => Self::Jump(node, i64::try_from(chance.below(1_200_000)).unwrap_or(0) - 600_000),
            _ => Self::Doom(
                Node::Bot,
                if chance.happens(500) { Fate::KilledBefore } else { Fate::KilledAfter },
            ),
        };
        (pause, fault)
    }

    /// The one restore of a simulation, if it has one: of whom, when the copy is made, and when it is put back.
    pub fn restore(teams: usize, chance: &mut Chance) -> Option<(Node, Millis, Millis)> {
        let node = match chance.below(4) {
            0 => Node::Bot,
            1 => Node::Team(chance.below(teams as u64) as usize),
            _ => return None,
        };
        let copied = chance.between(1_000, TROUBLE / 2);
        Some((node, copied, chance.between(copied + 500, TROUBLE)))
    }
}

/// Of what the network is capable when a simulation begins.
pub fn first_weather(chance: &mut Chance) -> Weather {
    Weather { lost: chance.below(100), doubled: chance.below(100), late: chance.below(100) }
}
