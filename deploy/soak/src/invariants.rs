//! What has to hold after every step, and what has to be true once all has come to rest.
//!
//! The simulation knows what was raised, commanded and decided; this compares it with the rows of the processes. Only what a
//! restored database has forgotten may be missing, and nothing may be there twice.

use std::collections::{BTreeMap, BTreeSet};

use qd_sqlite::outbox;
use rusqlite::Connection;

use crate::{
    Broken,
    bot::Bot,
    forge::Forge,
    network::{Millis, Network},
    story::{self, Next},
    team::{self, CROWDED, Team},
};

/// Rows that may wait for one peer at most: what is told of work that was begun before a queue was crowded comes on top.
const QUEUED: u64 = CROWDED + 60;
/// Packets under way for one team at most.
const UNDER_WAY: usize = 12;

/// What is known to have happened.
#[derive(Debug, Default)]
pub struct Known {
    /// Alerts that were written, by team.
    raised: Vec<BTreeSet<u64>>,
    /// Alerts that a restored database has forgotten.
    forgotten: BTreeSet<(usize, u64)>,
    /// Commands that the bot has noted: whose, by number.
    commands: BTreeMap<u64, usize>,
    /// Commands that a restored database may have forgotten.
    forgotten_commands: BTreeSet<u64>,
    /// Teams that told the bot again all that holds: what was not over came once more.
    told_anew: BTreeSet<usize>,
    /// Approvals on which a person said yes.
    approved: BTreeSet<String>,
    /// Approvals whose merge was made.
    merged: BTreeSet<String>,
}

impl Known {
    /// Of so many teams nothing is known.
    pub fn new(teams: usize) -> Self {
        Self { raised: vec![BTreeSet::new(); teams], ..Self::default() }
    }

    /// A team has raised an alert.
    pub fn raised(&mut self, team: usize, number: u64) {
        if let Some(raised) = self.raised.get_mut(team) {
            raised.insert(number);
        }
    }

    /// A team tells the bot again all that holds.
    pub fn told_anew(&mut self, team: usize) {
        self.told_anew.insert(team);
    }

    /// The bot has noted a command for a team.
    pub fn commanded(&mut self, number: u64, team: usize) {
        self.commands.insert(number, team);
    }

    /// A person says yes.
    pub fn says_yes(&mut self, approval: &str) {
        self.approved.insert(approval.to_owned());
    }

    /// The bot has merged.
    ///
    /// # Errors
    /// If nobody said yes, or it is not the first time.
    pub fn merges(&mut self, approval: &str) -> Result<(), Broken> {
        if !self.approved.contains(approval) {
            return Err(Broken(format!("{approval} is merged, and nobody approved it")));
        }
        if !self.merged.insert(approval.to_owned()) {
            return Err(Broken(format!("{approval} is carried out twice")));
        }
        Ok(())
    }

    /// A team is restored: what it wrote since the copy was made, and was not shipped, never was.
    ///
    /// # Errors
    /// If the rows can't be read.
    pub fn team_restored(&mut self, team: &Team, copied: &BTreeSet<u64>, bot: &Bot) -> Result<(), Broken> {
        let kept = bot.process.disk.read(|c| alerts(c, team))?;
        let raised = self.raised.get(team.number).into_iter().flatten();
        let gone = raised.filter(|number| !copied.contains(number) && !kept.contains_key(number));
        self.forgotten.extend(gone.map(|number| (team.number, *number)));
        let theirs = self.commands.iter().filter(|(_, of)| **of == team.number).map(|(number, _)| *number);
        self.forgotten_commands.extend(theirs);
        Ok(())
    }

    /// The bot is restored: what it took since the copy was made is forgotten wherever it was acknowledged.
    pub fn bot_restored(
        &mut self,
        had: &BTreeSet<(usize, u64)>,
        has: &BTreeSet<(usize, u64)>,
        commands: u64,
    ) {
        self.forgotten.extend(had.difference(has));
        let later = self.commands.keys().filter(|number| **number >= commands).copied();
        self.forgotten_commands.extend(later);
    }

    /// Which alerts were written, for a copy that is made now.
    pub fn raised_by(&self, team: usize) -> BTreeSet<u64> {
        self.raised.get(team).cloned().unwrap_or_default()
    }

    /// After a step in which this team took part.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn check(&self, team: &Team, bot: &Bot) -> Result<(), Broken> {
        let name = &team.name;
        let alerts = bot.process.disk.read(|c| alerts(c, team))?;
        let newest = alerts.keys().next_back().copied();
        for (number, count) in &alerts {
            if *count != 1 && !self.told_anew.contains(&team.number) {
                return Err(Broken(format!("alert {number} of {name} was applied {count} times")));
            }
        }
        let raised = self.raised.get(team.number).into_iter().flatten();
        let before = raised.take_while(|number| newest.is_some_and(|newest| **number <= newest));
        for number in before {
            if !alerts.contains_key(number) && !self.forgotten.contains(&(team.number, *number)) {
                return Err(Broken(format!("alert {number} of {name} was passed over")));
            }
        }
        let filed = team.process.disk.read(commands)?;
        if let Some((number, times)) = filed.iter().find(|(_, times)| **times > 1) {
            return Err(Broken(format!("command {number} was carried out {times} times by {name}")));
        }
        let (up, down) = (team.unshipped()?, bot.process.disk.read(|c| outbox::waiting(c, name.as_str()))?);
        if up > QUEUED || down > QUEUED {
            return Err(Broken(format!("{up} reports and {down} orders of {name} wait")));
        }
        Ok(())
    }

    /// After every step.
    ///
    /// # Errors
    /// If an invariant does not hold.
    pub fn check_all(&self, teams: usize, network: &Network, bot: &Bot, forge: &Forge) -> Result<(), Broken> {
        if network.len() > teams * UNDER_WAY {
            return Err(Broken(format!("{} packets are under way", network.len())));
        }
        if bot.held() > teams {
            return Err(Broken(format!("{} calls are held", bot.held())));
        }
        let twice = forge.pulls().find(|(_, _, pull)| pull.merges > 1);
        if let Some((repository, number, pull)) = twice {
            return Err(Broken(format!("pull request {number} of {repository} was merged {}x", pull.merges)));
        }
        Ok(())
    }

    /// Once nothing goes wrong any more, and there was time.
    ///
    /// # Errors
    /// If something is lost.
    pub fn check_rest(&self, teams: &[Team], bot: &Bot, forge: &mut Forge) -> Result<(), Broken> {
        for team in teams {
            self.check(team, bot)?;
            let (name, number) = (&team.name, team.number);
            let there = bot.process.disk.read(|c| alerts(c, team))?;
            let raised = self.raised.get(number).into_iter().flatten();
            let lost = raised
                .filter(|alert| !there.contains_key(alert) && !self.forgotten.contains(&(number, **alert)));
            if let Some(alert) = lost.min() {
                return Err(Broken(format!("alert {alert} of {name} never came")));
            }
            let filed = team.process.disk.read(commands)?;
            let lost = self.commands.iter().find(|(command, of)| {
                **of == number && !filed.contains_key(command) && !self.forgotten_commands.contains(command)
            });
            if let Some((command, _)) = lost {
                return Err(Broken(format!("command {command} never came to {name}")));
            }
            let base = forge.target(&story::repository(name)?)?;
            for story in 1..=team.stories {
                let next = team.process.disk.read(|c| story::next(c, (name, number), story, &base))?;
                if next != Next::Ended {
                    return Err(Broken(format!("story {story} of {name} has no end: {next:?}")));
                }
            }
        }
        Ok(())
    }
}

/// The alerts of a team that the bot has, and how often each came.
fn alerts(c: &Connection, team: &Team) -> Result<BTreeMap<u64, u64>, Broken> {
    let prefix = team::alert(0);
    let prefix = prefix.trim_end_matches('0');
    let sql =
        "SELECT cause, alert ->> 'count' FROM alerts WHERE team = ?1 AND cause >= ?2 AND cause < ?2 || 'x'";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([team.name.as_str(), prefix])?;
    let mut alerts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let cause: String = row.get(0)?;
        if let Some(number) = cause.strip_prefix(prefix).and_then(|number| number.parse().ok()) {
            alerts.insert(number, row.get::<_, i64>(1)?.unsigned_abs());
        }
    }
    Ok(alerts)
}

/// All alerts that the bot has.
///
/// # Errors
/// If the rows can't be read.
pub fn all_alerts(c: &Connection, teams: &[Team]) -> Result<BTreeSet<(usize, u64)>, Broken> {
    let mut all = BTreeSet::new();
    for team in teams {
        all.extend(alerts(c, team)?.into_keys().map(|number| (team.number, number)));
    }
    Ok(all)
}

/// The commands that a team has carried out, and how often.
fn commands(c: &Connection) -> Result<BTreeMap<u64, u64>, Broken> {
    let sql = "SELECT title, count(*) FROM features WHERE title >= 'Command ' AND title < 'Command x' GROUP BY title";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut commands = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let title: String = row.get(0)?;
        if let Some(number) = title.strip_prefix("Command ").and_then(|number| number.parse().ok()) {
            commands.insert(number, row.get::<_, i64>(1)?.unsigned_abs());
        }
    }
    Ok(commands)
}

/// The longest that coming to rest may take after the last fault.
pub const REST: Millis = 90_000;
