//! A team's process: the real transactions of its store, behind a relay that greets, ships and polls as the real one does.

use jiff::{Timestamp, tz::TimeZone};
use qd_approvals::{Directory, Rules};
use qd_board::NewFeature;
use qd_store::{Applied, Keeper, NewRun, Settings, steps::Steps};
use qd_types::{CommitId, InstanceName, PersonId};
use qd_wire::v1::{Ack, Envelope, Order};

use crate::{
    Broken,
    chance::Chance,
    disk::{Disk, Written},
    network::{Message, Millis},
    process::Process,
    story::{self, Next},
};

/// Reports shipped at once.
pub const BATCH: usize = 16;
/// Past so many unshipped reports a team begins nothing new.
pub const CROWDED: u64 = 40;
/// How long an answer is waited for.
const PATIENCE: Millis = 3_000;
/// How often a team says that it is there.
const BEAT: Millis = 12_000;
/// How long a call for orders is held.
const HELD: Millis = 9_000;

/// A question that was not answered yet.
#[derive(Debug, Clone, Copy)]
struct Call {
    number: u64,
    until: Millis,
    greeting: bool,
    last: Option<Ack>,
}

/// What a team did.
#[derive(Debug, Default)]
pub struct Did {
    /// What it says to the bot.
    pub says: Vec<Message>,
    /// For the trace.
    pub notes: Vec<String>,
    /// The alert that it raised, by number.
    pub raised: Option<u64>,
    /// The bot is told again all that holds.
    pub anew: bool,
    /// It was killed.
    pub killed: bool,
    /// It wrote, or tried to.
    pub wrote: bool,
}

/// A team.
pub struct Team {
    /// Its number.
    pub number: usize,
    /// Its name.
    pub name: InstanceName,
    /// Its process.
    pub process: Process,
    /// Stories that it has been given so far.
    pub stories: u64,
    /// Alerts that it has raised, in all of its pasts: the next one has this number.
    pub alerts: u64,
    /// What is left of its work.
    pub work: u64,
    steps: Steps,
    keeper: Keeper,
    author: PersonId,
    greeted: bool,
    report: Option<Call>,
    poll: Option<Call>,
    calls: u64,
    /// When it says again that it is there.
    beats: Millis,
}

impl Team {
    /// A team with an empty board.
    ///
    /// # Errors
    /// Never for a number.
    pub fn new(number: usize, disk: Disk) -> Result<Self, Broken> {
        let name: InstanceName = name(number)?;
        let settings = Settings {
            instance: name.clone(),
            prefix: prefix(number),
            slots: 1,
            reviews: None,
            repair_rounds: 1,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone: TimeZone::UTC,
        };
        Ok(Self {
            number,
            steps: Steps::new(settings),
            keeper: Keeper::new(&name, Rules::default(), Directory::default()),
            author: "theo".parse().map_err(|error| Broken(format!("theo: {error}")))?,
            name,
            process: Process::new(disk),
            stories: 0,
            alerts: 0,
            work: 0,
            greeted: false,
            report: None,
            poll: None,
            calls: 0,
            beats: BEAT,
        })
    }

    /// Its process starts: it remembers nothing but its rows.
    pub fn start(&mut self) {
        self.process.up = true;
        self.process.life += 1;
        (self.greeted, self.report, self.poll) = (false, None, None);
    }

    /// Whether nothing is left to be shipped.
    ///
    /// # Errors
    /// If the rows can't be read.
    pub fn is_idle(&self) -> Result<bool, Broken> {
        Ok(self.work == 0 && self.greeted && self.unshipped()? == 0)
    }

    /// Reports that wait.
    ///
    /// # Errors
    /// If the rows can't be read.
    pub fn unshipped(&self) -> Result<u64, Broken> {
        self.process.disk.read(|c| self.steps.unshipped(c))
    }

    /// Up to where it has orders.
    ///
    /// # Errors
    /// If the rows can't be read.
    pub fn received(&self) -> Result<Ack, Broken> {
        self.process.disk.read(|c| self.steps.received(c))
    }

    /// It looks at what there is to do. `base` is where its target branch stands.
    ///
    /// # Errors
    /// If something is broken.
    pub fn look(&mut self, now: Millis, base: &CommitId, chance: &mut Chance) -> Result<Did, Broken> {
        let before = self.process.disk.writes();
        let mut did = self.looks(now, base, chance)?;
        did.wrote = self.process.disk.writes() != before;
        Ok(did)
    }

    fn looks(&mut self, now: Millis, base: &CommitId, chance: &mut Chance) -> Result<Did, Broken> {
        let mut did = Did::default();
        let at = self.process.clock(now)?;
        if self.report.is_some_and(|call| call.until <= now) {
            (self.report, self.greeted) = (None, false);
        }
        if self.poll.is_some_and(|call| call.until <= now) {
            self.poll = None;
        }
        if now >= self.beats {
            self.beats = now + BEAT;
            let steps = &self.steps;
            let written = self.process.write(chance, |c| steps.beat(c, 15, at))?;
            if let Written::Killed(_) = written {
                did.killed = true;
                return Ok(did);
            }
        }
        if self.report.is_none() {
            self.say_reports(now, chance, &mut did)?;
        }
        if self.poll.is_none() && !did.killed {
            let after = self.received()?;
            let number = self.call();
            self.poll = Some(Call { number, until: now + HELD, greeting: false, last: None });
            did.says.push(Message::Poll { call: number, after });
        }
        if !did.killed {
            self.work(at, base, chance, &mut did)?;
        }
        Ok(did)
    }

    fn say_reports(&mut self, now: Millis, chance: &mut Chance, did: &mut Did) -> Result<(), Broken> {
        let batch = if self.greeted {
            if self.unshipped()? == 0 {
                return Ok(());
            }
            let steps = &self.steps;
            match self.process.write(chance, |c| steps.ship(c, BATCH))? {
                Written::Kept(batch) => batch,
                Written::Failed => return Ok(()),
                Written::Killed(_) => {
                    did.killed = true;
                    return Ok(());
                }
            }
        } else {
            Vec::new()
        };
        let last = batch.last().map(|it| Ack { epoch: it.epoch, seq: it.seq });
        let number = self.call();
        self.report = Some(Call { number, until: now + PATIENCE, greeting: !self.greeted, last });
        did.says.push(Message::Reports { call: number, batch });
        Ok(())
    }

    fn work(
        &mut self,
        at: Timestamp,
        base: &CommitId,
        chance: &mut Chance,
        did: &mut Did,
    ) -> Result<(), Broken> {
        if self.unshipped()? > CROWDED {
            return Ok(());
        }
        // What was begun goes on first.
        for number in 1..=self.stories {
            let who = (&self.name, self.number);
            let next = self.process.disk.read(|c| story::next(c, who, number, base))?;
            let steps = &self.steps;
            let written = match next {
                Next::Wait | Next::Ended => continue,
                Next::File => {
                    let (author, repository) = (&self.author, story::repository(&self.name)?);
                    let mut new = NewFeature::titled(story::title(number));
                    new.ready = true;
                    self.process.write(chance, |c| {
                        let filed = steps.add(c, author, new, repository, at)?;
                        let run = NewRun {
                            feature: filed.feature.id,
                            agent: "agent".to_owned(),
                            model: None,
                            assigned_by: "the default".to_owned(),
                            branch: format!("qd/{number}"),
                        };
                        steps.open_run(c, run, at).map(|run| format!("files {}", run.id))
                    })?
                }
                Next::Ask(request) => self.process.write(chance, |c| {
                    let note = format!("asks {}", request.id);
                    steps.request(c, *request, at).map(|()| note)
                })?,
            };
            did.note(written);
            return Ok(());
        }
        if self.work == 0 {
            return Ok(());
        }
        self.work -= 1;
        let number = self.alerts;
        // A number is used once, whether or not it was written.
        self.alerts += 1;
        let steps = &self.steps;
        let written = self
            .process
            .write(chance, |c| steps.raise(c, &alert(number), format!("Alert {number}."), false, at))?;
        if let Written::Kept(()) = written {
            did.raised = Some(number);
        }
        did.note(match written {
            Written::Kept(()) => Written::Kept(format!("raises {number}")),
            Written::Failed => Written::Failed,
            Written::Killed(_) => Written::Killed(None),
        });
        Ok(())
    }

    /// It hears from the bot.
    ///
    /// # Errors
    /// If something is broken.
    pub fn hears(&mut self, now: Millis, message: Message, chance: &mut Chance) -> Result<Did, Broken> {
        let mut did = Did { wrote: true, ..Did::default() };
        let at = self.process.clock(now)?;
        match message {
            Message::Committed { call, ack } => {
                let Some(asked) = self.report.filter(|asked| asked.number == call) else { return Ok(did) };
                self.report = None;
                let (steps, keeper) = (&self.steps, &self.keeper);
                let written = if asked.greeting {
                    self.process.write(chance, |c| steps.greeted(c, keeper, ack, at))?
                } else {
                    self.process.write(chance, |c| steps.acknowledged(c, ack).map(|()| false))?
                };
                match written {
                    Written::Kept(anew) => {
                        // Less than all of it was taken: perhaps it is another bot, and it is asked what it has.
                        self.greeted = asked.greeting || asked.last == Some(ack);
                        did.anew = anew;
                        let anew = if anew { ", anew" } else { "" };
                        did.notes.push(format!("is acknowledged {}:{}{anew}", ack.epoch, ack.seq));
                    }
                    Written::Failed => self.greeted = false,
                    // What it began before it was killed holds, though it does not know it.
                    Written::Killed(anew) => (did.killed, did.anew) = (true, anew.unwrap_or_default()),
                }
            }
            Message::Orders { call, batch } => {
                if self.poll.is_none_or(|asked| asked.number != call) {
                    return Ok(did);
                }
                self.poll = None;
                self.take(at, batch, chance, &mut did)?;
            }
            Message::Reports { .. } | Message::Poll { .. } => {}
        }
        Ok(did)
    }

    fn take(
        &mut self,
        at: Timestamp,
        batch: Vec<Envelope<Order>>,
        chance: &mut Chance,
        did: &mut Did,
    ) -> Result<(), Broken> {
        for order in batch {
            let place = format!("{}:{}", order.epoch, order.seq);
            let (steps, repository) = (&self.steps, story::repository(&self.name)?);
            let written =
                self.process.write(chance, |c| steps.apply(c, order, Some(repository), None, at))?;
            match written {
                Written::Kept(Applied::Gap) => {
                    did.notes.push(format!("misses what is before {place}"));
                    return Ok(());
                }
                Written::Kept(applied) => did.notes.push(format!("applies {place}: {applied:?}")),
                Written::Failed => return Ok(()),
                Written::Killed(_) => {
                    did.killed = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn call(&mut self) -> u64 {
        self.calls += 1;
        self.process.life << 32 | self.calls
    }
}

impl Did {
    fn note(&mut self, written: Written<String>) {
        match written {
            Written::Kept(note) => self.notes.push(note),
            Written::Failed => self.notes.push("has no room".to_owned()),
            Written::Killed(_) => self.killed = true,
        }
    }
}

/// The key of an alert.
pub fn alert(number: u64) -> String {
    format!("simulated:{number}")
}

/// What the features of a team are called: letters alone.
fn prefix(number: usize) -> String {
    let letter = |digit: usize| char::from(b'A' + u8::try_from(digit % 26).unwrap_or(0));
    [letter(number / 26), letter(number)].into_iter().collect()
}

/// The name of a team.
///
/// # Errors
/// Never for a number.
pub fn name(number: usize) -> Result<InstanceName, Broken> {
    format!("t{number:02}").parse().map_err(|error| Broken(format!("team {number}: {error}")))
}
