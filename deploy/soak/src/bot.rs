//! The bot's process: the real transactions of its hub, and between them the acts at the forge and the deliveries to chat,
//! each in the same order as the real ones.

use std::{cell::RefCell, collections::BTreeMap};

use qd_approvals::{Proof, SurfaceKey};
use qd_core::{
    Event, ForgeCall, Rules,
    chat::{Delivered, Given, Message as Card},
    forge::ForgeError,
};
use qd_hub::steps::{Act, Steps};
use qd_types::{InstanceName, Person};
use qd_wire::v1::Ack;

use crate::{
    Broken,
    chance::Chance,
    disk::{Disk, Written},
    forge::Forge,
    network::{Message, Millis},
    process::Process,
    team,
};

/// Tries while the forge does not answer, as the real hub has it.
const TRIES: u32 = 6;

/// How far an act has come. All of it is forgotten when the process is killed.
enum Acting {
    /// The forge is to be looked at.
    Begun(Act),
    /// It was looked at: the act did not happen.
    Probed(Act),
    /// The grant is spent, and that is committed.
    Authorised(Act),
    /// It is over, and has to be noted.
    Ended(i64, Box<Event>),
}

/// What people see: the newest of every card.
pub type Chat = BTreeMap<String, Card>;

/// What the bot did.
#[derive(Debug, Default)]
pub struct Did {
    /// What it says, and to which team.
    pub says: Vec<(usize, Message)>,
    /// For the trace.
    pub notes: Vec<String>,
    /// An approval whose merge was made just now.
    pub merged: Option<String>,
    /// It was killed.
    pub killed: bool,
}

/// The bot.
pub struct Bot {
    /// Its process.
    pub process: Process,
    rules: Rules,
    steps: Option<Steps>,
    acting: Option<Acting>,
    /// Calls for orders that are held, by team.
    held: BTreeMap<usize, (u64, Ack)>,
    /// The newest call for orders that was heard, by team.
    heard: BTreeMap<usize, u64>,
}

impl Bot {
    /// A bot that knows nothing.
    pub fn new(disk: Disk, rules: Rules) -> Self {
        Self {
            process: Process::new(disk),
            rules,
            steps: None,
            acting: None,
            held: BTreeMap::new(),
            heard: BTreeMap::new(),
        }
    }

    /// Its process starts.
    ///
    /// # Errors
    /// If something is broken.
    pub fn start(&mut self, now: Millis, chance: &mut Chance) -> Result<Did, Broken> {
        self.killed();
        self.process.life += 1;
        let at = self.process.clock(now)?;
        let ids = RefCell::new(chance.fork());
        let fresh = Box::new(move |at: jiff::Timestamp| {
            ids.borrow_mut().ulid(u64::try_from(at.as_millisecond()).unwrap_or(0))
        });
        let rules = self.rules.clone();
        let key = SurfaceKey::new(&[7; 32]);
        let written = self.process.write(chance, |c| Steps::start(c, rules, key, &[], fresh, at))?;
        let mut did = Did::default();
        match written {
            Written::Kept(steps) => {
                self.steps = Some(steps);
                self.process.up = true;
            }
            Written::Failed | Written::Killed(_) => did.killed = true,
        }
        Ok(did)
    }

    /// It is no more: what it had in memory is gone.
    pub fn killed(&mut self) {
        self.process.up = false;
        (self.steps, self.acting) = (None, None);
        self.held.clear();
        self.heard.clear();
    }

    /// Calls that are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// It hears from a team.
    ///
    /// # Errors
    /// If something is broken.
    pub fn hears(
        &mut self,
        now: Millis,
        from: (usize, &InstanceName),
        message: Message,
        chance: &mut Chance,
    ) -> Result<Did, Broken> {
        let mut did = Did::default();
        match message {
            Message::Reports { call, batch } => {
                let at = self.process.clock(now)?;
                if let Some(ack) =
                    self.write(chance, &mut did, |steps, c| steps.receive(c, from.1, batch, at))?
                {
                    did.notes.push(format!("has {}:{} of {}", ack.epoch, ack.seq, from.1));
                    did.says.push((from.0, Message::Committed { call, ack }));
                }
            }
            Message::Poll { call, after } => {
                // A call that is older than one that was heard is no news.
                if self.heard.get(&from.0).is_some_and(|heard| *heard >= call) {
                    return Ok(did);
                }
                self.heard.insert(from.0, call);
                let noted = self.write(chance, &mut did, |steps, c| steps.acknowledged(c, from.1, after))?;
                if noted.is_some() {
                    self.held.insert(from.0, (call, after));
                    self.answer(from.0, chance, &mut did)?;
                }
            }
            Message::Committed { .. } | Message::Orders { .. } => {}
        }
        if !did.killed {
            self.answer_all(chance, &mut did)?;
        }
        Ok(did)
    }

    /// A person gives a command.
    ///
    /// # Errors
    /// If something is broken.
    pub fn command(
        &mut self,
        now: Millis,
        who: &str,
        text: String,
        chance: &mut Chance,
    ) -> Result<(Did, Option<String>), Broken> {
        let mut did = Did::default();
        let at = self.process.clock(now)?;
        let person: Person = self
            .rules
            .people
            .iter()
            .find(|person| person.id.as_str() == who)
            .cloned()
            .ok_or_else(|| Broken(format!("there is no {who}")))?;
        let given = Given::on_console(Proof::SignedIn);
        let reply =
            self.write(chance, &mut did, |steps, c| steps.command(c, person, given, text, at))?.flatten();
        if !did.killed {
            self.answer_all(chance, &mut did)?;
        }
        Ok((did, reply))
    }

    /// It does the next thing that is to be done: a part of an act, a delivery, a look at the clocks.
    ///
    /// # Errors
    /// If something is broken.
    pub fn look(
        &mut self,
        now: Millis,
        forge: &mut Forge,
        chat: &mut Chat,
        chance: &mut Chance,
    ) -> Result<Did, Broken> {
        let mut did = Did::default();
        let at = self.process.clock(now)?;
        self.act(now, forge, chance, &mut did)?;
        if !did.killed {
            self.deliver(now, chat, chance, &mut did)?;
        }
        if !did.killed && chance.happens(10) {
            self.write(chance, &mut did, |steps, c| steps.tick(c, at))?;
        }
        if !did.killed {
            self.answer_all(chance, &mut did)?;
        }
        Ok(did)
    }

    fn act(
        &mut self,
        now: Millis,
        forge: &mut Forge,
        chance: &mut Chance,
        did: &mut Did,
    ) -> Result<(), Broken> {
        let at = self.process.clock(now)?;
        self.acting = match self.acting.take() {
            None => {
                let waits = self.process.disk.read(|c| {
                    c.prepare_cached("SELECT EXISTS (SELECT 1 FROM acts WHERE state = 'pending')")?
                        .query_row([], |row| row.get::<_, bool>(0))
                })?;
                if !waits {
                    return Ok(());
                }
                let begun = self.write(chance, did, |steps, c| steps.begin_act(c))?.flatten();
                begun.map(Acting::Begun)
            }
            Some(Acting::Begun(act)) => self.begun(act, at, forge, chance, did)?,
            Some(Acting::Probed(act)) => {
                let ForgeCall::Merge { approval, rebuilt, .. } = &act.call else { return Ok(()) };
                let authorised =
                    self.write(chance, did, |steps, c| steps.authorise(c, approval, rebuilt, &act.key, at))?;
                match authorised {
                    Some(Ok(())) => Some(Acting::Authorised(act)),
                    Some(Err(reason)) => {
                        let result = Err(ForgeError::Refused { reason });
                        Some(ended(act.id, Event::Merged { approval: approval.clone(), result }))
                    }
                    None => None,
                }
            }
            Some(Acting::Authorised(act)) => {
                let ForgeCall::Merge { approval, order, .. } = &act.call else { return Ok(()) };
                let result = forge.merge(order);
                if result.is_ok() {
                    did.merged = Some(approval.key());
                    did.notes.push(format!("merges {} {}", order.repository, order.number));
                }
                // What was done, and whether that was heard, are two things.
                if chance.happens(30) && act.attempts < TRIES {
                    did.notes.push("hears nothing of the forge".to_owned());
                    None
                } else {
                    Some(ended(act.id, Event::Merged { approval: approval.clone(), result }))
                }
            }
            Some(Acting::Ended(id, event)) => {
                let again = event.clone();
                match self.write(chance, did, |steps, c| steps.acted(c, id, *event, at))? {
                    Some(()) => None,
                    None => Some(Acting::Ended(id, again)),
                }
            }
        };
        if did.killed {
            self.acting = None;
        }
        Ok(())
    }

    fn begun(
        &mut self,
        act: Act,
        at: jiff::Timestamp,
        forge: &mut Forge,
        chance: &mut Chance,
        did: &mut Did,
    ) -> Result<Option<Acting>, Broken> {
        did.notes.push(format!("does {} for the {}. time", act.key, act.attempts));
        if act.call.is_living() {
            // What is only shown there has no other end than that it is.
            self.write(chance, did, |steps, c| steps.shown(c, &act, at))?;
            return Ok(None);
        }
        let event = match &act.call {
            ForgeCall::Open { instance, request, new, .. } => {
                let result = Ok(forge.open(new));
                Event::Opened { instance: instance.clone(), request: request.clone(), result }
            }
            ForgeCall::Rebuild { approval, reviewed, order } => {
                Event::Rebuilt { approval: approval.clone(), result: forge.rebuild(order, reviewed) }
            }
            ForgeCall::Merge { approval, order, .. } => {
                let approval = approval.clone();
                match forge.pull(&order.repository, order.number).and_then(|pull| pull.merged.clone()) {
                    Some((commit, head)) if head == order.head => {
                        Event::Merged { approval, result: Ok(commit) }
                    }
                    Some((_, actual)) => {
                        Event::Merged { approval, result: Err(ForgeError::HeadMoved { actual }) }
                    }
                    None => {
                        let noted = self.write(chance, did, |steps, c| steps.did_not(c, &approval, at))?;
                        return Ok(noted.map(|()| Acting::Probed(act)));
                    }
                }
            }
            ForgeCall::Pushed { approval, head, .. } => {
                Event::Pushed { approval: approval.clone(), result: Ok(head.clone()) }
            }
            ForgeCall::Close { instance, request, .. } => {
                Event::Closed { instance: instance.clone(), request: request.clone(), result: Ok(()) }
            }
            ForgeCall::OpenIssue { instance, request, team, issue } => Event::IssueOpened {
                instance: instance.clone(),
                request: request.clone(),
                team: team.clone(),
                issue: Box::new(issue.clone()),
                result: Ok(1),
            },
            ForgeCall::Answer { .. } | ForgeCall::Settle { .. } => {
                Event::Said { key: act.key.clone(), result: Ok(()) }
            }
            ForgeCall::Show { .. }
            | ForgeCall::Draft { .. }
            | ForgeCall::Card { .. }
            | ForgeCall::Check { .. }
            | ForgeCall::RollUp { .. } => return Ok(None),
        };
        Ok(Some(ended(act.id, event)))
    }

    fn deliver(
        &mut self,
        now: Millis,
        chat: &mut Chat,
        chance: &mut Chance,
        did: &mut Did,
    ) -> Result<(), Broken> {
        let at = self.process.clock(now)?;
        let Some(steps) = &self.steps else { return Ok(()) };
        let Some(due) = self.process.disk.read(|c| steps.message(c))? else { return Ok(()) };
        let card = due.message();
        chat.insert(card.key.0.clone(), card.clone());
        let delivered = Delivered { id: card.key.0.clone(), at };
        self.write(chance, did, |steps, c| steps.delivered(c, &due, &delivered, at)).map(drop)
    }

    /// Answers every call that is held and for which there is something.
    fn answer_all(&mut self, chance: &mut Chance, did: &mut Did) -> Result<(), Broken> {
        if self.held.is_empty() {
            return Ok(());
        }
        let peers: Vec<String> = self.process.disk.read(|c| {
            c.prepare_cached("SELECT DISTINCT peer FROM outbox")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, rusqlite::Error>>()
        })?;
        for peer in peers {
            let number = peer.trim_start_matches('t').parse().unwrap_or(usize::MAX);
            if !did.killed {
                self.answer(number, chance, did)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, team: usize, chance: &mut Chance, did: &mut Did) -> Result<(), Broken> {
        let Some((call, after)) = self.held.get(&team).copied() else { return Ok(()) };
        let name = team::name(team)?;
        let Some(steps) = &self.steps else { return Ok(()) };
        if !self.process.disk.read(|c| steps.due(c, &name, after))? {
            return Ok(());
        }
        let orders = self.write(chance, did, |steps, c| steps.orders(c, &name, after))?;
        if let Some(batch) = orders.filter(|batch| !batch.is_empty()) {
            self.held.remove(&team);
            did.says.push((team, Message::Orders { call, batch }));
        }
        Ok(())
    }

    /// One write. Nothing if it failed or the bot is no more.
    fn write<T, E: Into<Broken>>(
        &mut self,
        chance: &mut Chance,
        did: &mut Did,
        job: impl FnOnce(&mut Steps, &rusqlite::Connection) -> Result<T, E>,
    ) -> Result<Option<T>, Broken> {
        let Some(steps) = &mut self.steps else { return Ok(None) };
        match self.process.write(chance, |c| job(steps, c))? {
            Written::Kept(done) => return Ok(Some(done)),
            Written::Failed => {
                steps.forget();
                did.notes.push("has no room".to_owned());
            }
            Written::Killed(_) => did.killed = true,
        }
        Ok(None)
    }
}

fn ended(act: i64, event: Event) -> Acting {
    Acting::Ended(act, Box::new(event))
}
