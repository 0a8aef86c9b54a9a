//! What the bot and a team have in common as processes: a disk, a clock that is wrong, and an end that may come any time.

use jiff::Timestamp;
use rusqlite::Connection;

use crate::{
    Broken,
    chance::Chance,
    disk::{Disk, Fate, Written},
    network::Millis,
};

/// When every simulation begins: 2026-03-02, eight o'clock, in milliseconds since 1970.
const BEGINNING: i64 = 1_772_438_400_000;

/// A process.
pub struct Process {
    /// Its disk.
    pub disk: Disk,
    /// How wrong its clock is, in milliseconds.
    pub skew: i64,
    /// Whether it runs.
    pub up: bool,
    /// How often it was started. What was planned for an earlier life does not happen.
    pub life: u64,
    /// What becomes of its next write, if that is settled.
    pub doom: Option<Fate>,
    /// In how many of a thousand writes it is killed.
    pub mortality: u64,
}

impl Process {
    /// On this disk, and not started.
    pub fn new(disk: Disk) -> Self {
        Self { disk, skew: 0, up: false, life: 0, doom: None, mortality: 0 }
    }

    /// What its clock shows.
    ///
    /// # Errors
    /// Never within a simulation.
    pub fn clock(&self, now: Millis) -> Result<Timestamp, Broken> {
        Ok(Timestamp::from_millisecond(BEGINNING + self.skew + i64::try_from(now).unwrap_or(i64::MAX))?)
    }

    /// Writes. Whether it survives that is up to chance.
    ///
    /// # Errors
    /// If the job fails on a disk that has room.
    pub fn write<T, E: Into<Broken>>(
        &mut self,
        chance: &mut Chance,
        job: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<Written<T>, Broken> {
        let fate = self.doom.take().unwrap_or_else(|| match chance.below(1000) {
            drawn if drawn < self.mortality => Fate::KilledBefore,
            drawn if drawn < 2 * self.mortality => Fate::KilledAfter,
            _ => Fate::Kept,
        });
        self.disk.write(fate, job)
    }
}
