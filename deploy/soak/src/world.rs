//! The world: one thing after the other, in the order of a clock that only the simulation has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use qd_core::Rules;
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_types::{Person, Role};

use crate::{
    Broken,
    bot::{Bot, Chat},
    chance::Chance,
    disk::{Blank, Disk},
    faults::{self, Fault, TROUBLE},
    forge::Forge,
    invariants::{self, Known, REST},
    network::{LONGEST, Message, Millis, Network, Node, Packet},
    story,
    team::{self, Team},
    trace::{Trace, fingerprint},
};

/// Commands that people give in one simulation at most.
const COMMANDS: u64 = 12;

/// What simulations have in common: made once, as it takes long.
pub struct Fleet {
    teams: usize,
    bot: Blank,
    team: Blank,
    rules: Rules,
}

/// A simulation that came to its end.
#[derive(Debug)]
pub struct Ended {
    /// All that happened.
    pub trace: Trace,
    /// Writes of all processes.
    pub writes: u64,
}

/// A simulation in which something was broken.
#[derive(Debug)]
pub struct Failed {
    /// Which.
    pub seed: u64,
    /// What.
    pub broken: Broken,
    /// All that happened.
    pub trace: Trace,
}

impl Fleet {
    /// A fleet of so many teams.
    ///
    /// # Errors
    /// If the schemas or the policies are broken.
    pub fn new(teams: usize) -> Result<Self, Broken> {
        let names: Vec<_> = (0..teams).map(team::name).collect::<Result<_, _>>()?;
        let person = |name: &str, role| {
            let id = name.parse().map_err(|error| Broken(format!("{name}: {error}")))?;
            Ok::<_, Broken>(Person { id, roles: vec![role] })
        };
        let people = vec![person("ines", Role::Owner)?, person("theo", Role::Owner)?];
        let facts = Facts {
            people: people
                .iter()
                .map(|person| KnownPerson { person: person.clone(), identities: Vec::new() })
                .collect(),
            teams: names.clone(),
            repositories: names.iter().map(story::repository).collect::<Result<_, _>>()?,
            ..Facts::default()
        };
        let policies = Arc::new(Policies::new(Bundle::embedded()?, &facts, &[])?);
        let rules = Rules {
            teams: names,
            people,
            renamed: BTreeMap::new(),
            policies,
            merge_methods: BTreeMap::new(),
            read: BTreeSet::new(),
            protected: BTreeSet::new(),
            unprotected: BTreeSet::new(),
            approvals: qd_approvals::Rules::default(),
            distil: qd_core::Distil::new(&serde_json::Value::Null, jiff::tz::TimeZone::UTC)
                .map_err(|error| Broken(error.to_string()))?,
        };
        Ok(Self {
            teams,
            bot: Blank::new(qd_hub::steps::MIGRATIONS)?,
            team: Blank::new(qd_store::steps::MIGRATIONS)?,
            rules,
        })
    }
}

/// Simulates one seed, until all has come to rest.
///
/// # Errors
/// If an invariant does not hold, with everything that led there.
pub fn run(fleet: &Fleet, seed: u64) -> Result<Ended, Box<Failed>> {
    let mut trace = Trace::default();
    let ended = World::new(fleet, seed).and_then(|mut world| {
        let ended = world.run();
        trace = std::mem::take(&mut world.trace);
        let writes = world.teams.iter().map(|team| team.process.disk.writes()).sum::<u64>();
        ended.map(|()| writes + world.bot.process.disk.writes())
    });
    match ended {
        Ok(writes) => Ok(Ended { trace, writes }),
        Err(broken) => Err(Box::new(Failed { seed, broken, trace })),
    }
}

/// What is to happen at some time.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// A process looks at what there is to do, if it still lives the same life.
    Look(Node, u64),
    /// A process starts.
    Start(Node),
    /// A person does something.
    Person,
    /// Something goes wrong.
    Fault(Fault),
    /// Something else goes wrong, not drawn yet.
    Trouble,
    /// There is room on a disk again.
    Room(Node),
    /// Nothing goes wrong from now on.
    Calm,
    /// Has all come to rest?
    Rest,
}

/// A copy of a database, and what was known when it was made.
struct Copy {
    disk: Disk,
    raised: BTreeSet<u64>,
    commands: u64,
}

struct World {
    now: Millis,
    planned: u64,
    chance: Chance,
    agenda: BTreeMap<(Millis, u64), Task>,
    network: Network,
    forge: Forge,
    chat: Chat,
    bot: Bot,
    teams: Vec<Team>,
    known: Known,
    commands: u64,
    copy: Option<Copy>,
    /// Who is being restored: it is not started before.
    away: Option<Node>,
    trace: Trace,
    rested: bool,
}

impl World {
    fn new(fleet: &Fleet, seed: u64) -> Result<Self, Broken> {
        let mut chance = Chance::new(seed);
        let mortality = if chance.happens(500) { 0 } else { chance.between(1, 8) };
        let mut bot = Bot::new(fleet.bot.disk()?, fleet.rules.clone());
        bot.process.mortality = mortality;
        bot.process.skew = skew(&mut chance);
        let mut teams = Vec::new();
        for number in 0..fleet.teams {
            let mut team = Team::new(number, fleet.team.disk()?)?;
            team.process.mortality = mortality;
            team.process.skew = skew(&mut chance);
            team.work = chance.below(4);
            team.stories = if chance.happens(200) { chance.between(1, 2) } else { 0 };
            teams.push(team);
        }
        let mut world = Self {
            now: 0,
            planned: 0,
            network: Network::new(faults::first_weather(&mut chance)),
            chance,
            agenda: BTreeMap::new(),
            forge: Forge::default(),
            chat: Chat::new(),
            bot,
            known: Known::new(teams.len()),
            teams,
            commands: 0,
            copy: None,
            away: None,
            trace: Trace::default(),
            rested: false,
        };
        world.plan(0, Task::Start(Node::Bot));
        for number in 0..fleet.teams {
            let at = world.chance.below(500);
            world.plan(at, Task::Start(Node::Team(number)));
        }
        if let Some((node, copied, restored)) = Fault::restore(fleet.teams, &mut world.chance) {
            world.plan(copied, Task::Fault(Fault::Backup(node)));
            world.plan(restored, Task::Fault(Fault::Restore(node)));
        }
        world.plan(500, Task::Trouble);
        world.plan(300, Task::Person);
        world.plan(TROUBLE, Task::Calm);
        world.plan(TROUBLE + 2_000, Task::Rest);
        Ok(world)
    }

    fn plan(&mut self, after: Millis, task: Task) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), task);
    }

    fn run(&mut self) -> Result<(), Broken> {
        while !self.rested {
            let planned = self.agenda.first_key_value().map_or(Millis::MAX, |((at, _), _)| *at);
            match self.network.next().filter(|arrives| *arrives <= planned) {
                Some(at) => {
                    self.now = at;
                    if let Some(packet) = self.network.arrive(at) {
                        self.deliver(packet)?;
                    }
                }
                None => {
                    let Some(((at, _), task)) = self.agenda.pop_first() else { return Ok(()) };
                    self.now = at;
                    self.happen(task)?;
                }
            }
            self.known.check_all(self.teams.len(), &self.network, &self.bot, &self.forge)?;
        }
        Ok(())
    }

    fn deliver(&mut self, packet: Packet) -> Result<(), Broken> {
        let Packet { from, to, message } = packet;
        match (from, to) {
            (Node::Team(number), Node::Bot) if self.bot.process.up => {
                let Some(team) = self.teams.get(number) else { return Ok(()) };
                let before = self.bot.process.disk.writes();
                let did = self.bot.hears(self.now, (number, &team.name), message, &mut self.chance)?;
                self.bot_did(did)?;
                if self.bot.process.disk.writes() == before { Ok(()) } else { self.check(number) }
            }
            (Node::Bot, Node::Team(number)) => {
                let Some(team) = self.teams.get_mut(number).filter(|team| team.process.up) else {
                    return Ok(());
                };
                let did = team.hears(self.now, message, &mut self.chance)?;
                self.team_did(number, did)
            }
            _ => Ok(()),
        }
    }

    fn happen(&mut self, task: Task) -> Result<(), Broken> {
        match task {
            Task::Look(node, life) => self.look(node, life),
            Task::Start(node) => self.start(node),
            Task::Person => self.person(),
            Task::Trouble => {
                let (pause, fault) = Fault::draw(self.teams.len(), &mut self.chance);
                if self.now + pause < TROUBLE {
                    self.plan(pause, Task::Trouble);
                    self.fault(fault)?;
                }
                Ok(())
            }
            Task::Fault(fault) => self.fault(fault),
            Task::Room(node) => self.disk(node).map_or(Ok(()), |disk| disk.set_full(false)),
            Task::Calm => self.calm(),
            Task::Rest => self.rest(),
        }
    }

    fn look(&mut self, node: Node, life: u64) -> Result<(), Broken> {
        match node {
            Node::Bot => {
                if !self.bot.process.up || self.bot.process.life != life {
                    return Ok(());
                }
                let did = self.bot.look(self.now, &mut self.forge, &mut self.chat, &mut self.chance)?;
                let pause = self.chance.between(5, 60);
                self.plan(pause, Task::Look(node, life));
                self.bot_did(did)
            }
            Node::Team(number) => {
                let Some(team) = self.teams.get_mut(number) else { return Ok(()) };
                if !team.process.up || team.process.life != life {
                    return Ok(());
                }
                let base = self.forge.target(&story::repository(&team.name)?)?;
                let did = team.look(self.now, &base, &mut self.chance)?;
                let busy = did.wrote || team.work > 0 || team.stories > 0;
                let pause =
                    if busy { self.chance.between(100, 900) } else { self.chance.between(800, 2_500) };
                self.plan(pause, Task::Look(node, life));
                self.team_did(number, did)
            }
        }
    }

    fn start(&mut self, node: Node) -> Result<(), Broken> {
        if self.away == Some(node) {
            return Ok(());
        }
        let life = match node {
            Node::Bot if self.bot.process.up => return Ok(()),
            Node::Bot => {
                let did = self.bot.start(self.now, &mut self.chance)?;
                if did.killed {
                    self.plan(500, Task::Start(node));
                    return Ok(());
                }
                self.bot.process.life
            }
            Node::Team(number) => {
                let Some(team) = self.teams.get_mut(number) else { return Ok(()) };
                if team.process.up {
                    return Ok(());
                }
                team.start();
                team.process.life
            }
        };
        self.trace.line(self.now, format_args!("{node:?} starts"));
        self.plan(1, Task::Look(node, life));
        Ok(())
    }

    fn bot_did(&mut self, did: crate::bot::Did) -> Result<(), Broken> {
        for note in &did.notes {
            self.trace.line(self.now, format_args!("bot {note}"));
        }
        if let Some(approval) = &did.merged {
            self.known.merges(approval)?;
        }
        for (number, message) in did.says {
            self.send(Node::Bot, Node::Team(number), message)?;
        }
        if did.killed {
            self.kill(Node::Bot, 0);
        }
        Ok(())
    }

    fn team_did(&mut self, number: usize, did: crate::team::Did) -> Result<(), Broken> {
        for note in &did.notes {
            self.trace.line(self.now, format_args!("team {number} {note}"));
        }
        if let Some(alert) = did.raised {
            self.known.raised(number, alert);
        }
        if did.anew {
            self.known.told_anew(number);
        }
        for message in did.says {
            self.send(Node::Team(number), Node::Bot, message)?;
        }
        if did.killed {
            self.kill(Node::Team(number), 0);
        }
        // Who wrote nothing has changed nothing.
        if did.wrote { self.check(number) } else { Ok(()) }
    }

    fn send(&mut self, from: Node, to: Node, message: Message) -> Result<(), Broken> {
        let (what, bytes) = match &message {
            Message::Reports { batch, .. } => ("reports", serde_json::to_vec(batch)?),
            Message::Committed { ack, .. } => ("committed", serde_json::to_vec(ack)?),
            Message::Poll { after, .. } => ("poll", serde_json::to_vec(after)?),
            Message::Orders { batch, .. } => ("orders", serde_json::to_vec(batch)?),
        };
        let print = fingerprint(&bytes);
        self.trace
            .line(self.now, format_args!("{from:?} to {to:?}: {what}, {} bytes, {print:08x}", bytes.len()));
        self.network.send(self.now, Packet { from, to, message }, &mut self.chance);
        Ok(())
    }

    fn check(&self, number: usize) -> Result<(), Broken> {
        self.teams.get(number).map_or(Ok(()), |team| self.known.check(team, &self.bot))
    }

    /// A person presses a button on a card that is open, or gives a command.
    fn person(&mut self) -> Result<(), Broken> {
        let pause = self.chance.between(100, 500);
        self.plan(pause, Task::Person);
        if !self.bot.process.up {
            return Ok(());
        }
        let open: Vec<String> = self
            .chat
            .iter()
            .filter(|(_, card)| !card.buttons.is_empty())
            .map(|(key, _)| key.clone())
            .collect();
        let picked = open.get(self.chance.below(open.len() as u64) as usize).cloned();
        if let Some(card) = picked.and_then(|key| self.chat.get(&key)) {
            let approves = self.chance.happens(850);
            let label = if approves { "Approve" } else { "Deny" };
            let Some(button) = card.buttons.iter().find(|button| button.label == label) else {
                return Ok(());
            };
            let text = button.command.clone();
            if let Some(approval) = text.strip_prefix("approve ") {
                self.known.says_yes(approval);
            }
            self.trace.line(self.now, format_args!("ines: {text}"));
            let (did, _) = self.bot.command(self.now, "ines", text, &mut self.chance)?;
            return self.bot_did(did);
        }
        if self.now < TROUBLE && self.commands < COMMANDS && self.chance.happens(300) {
            let number = self.commands;
            self.commands += 1;
            let team = self.chance.below(self.teams.len() as u64) as usize;
            let text = format!("feature add --team {} Command {number}", team::name(team)?);
            self.trace.line(self.now, format_args!("ines: {text}"));
            let (did, reply) = self.bot.command(self.now, "ines", text, &mut self.chance)?;
            if reply.is_some() {
                self.known.commanded(number, team);
            }
            return self.bot_did(did);
        }
        Ok(())
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Broken> {
        self.trace.line(self.now, format_args!("{fault:?}"));
        match fault {
            Fault::Kill(node, pause) => self.kill(node, pause),
            Fault::Doom(node, fate) => match node {
                Node::Bot => self.bot.process.doom = Some(fate),
                Node::Team(number) => {
                    if let Some(team) = self.teams.get_mut(number) {
                        team.process.doom = Some(fate);
                    }
                }
            },
            Fault::Full(node, pause) => {
                if let Some(disk) = self.disk(node) {
                    disk.set_full(true)?;
                    self.plan(pause, Task::Room(node));
                }
            }
            Fault::Cut(team, pause) => self.network.cut(team, self.now + pause),
            Fault::CutAll(pause) => {
                for team in 0..self.teams.len() {
                    self.network.cut(team, self.now + pause);
                }
            }
            Fault::Weather(lost, doubled, late) => {
                self.network.weather = crate::network::Weather { lost, doubled, late };
            }
            Fault::Jump(node, by) => match node {
                Node::Bot => self.bot.process.skew += by,
                Node::Team(number) => {
                    if let Some(team) = self.teams.get_mut(number) {
                        team.process.skew += by;
                    }
                }
            },
            Fault::Backup(node) => {
                let raised = match node {
                    Node::Team(number) => self.known.raised_by(number),
                    Node::Bot => BTreeSet::new(),
                };
                let commands = self.commands;
                let disk = self.disk(node).map(|disk| disk.backup()).transpose()?;
                self.copy = disk.map(|disk| Copy { disk, raised, commands });
            }
            Fault::Restore(node) => self.restore(node)?,
        }
        Ok(())
    }

    /// The process is stopped, its database replaced by the copy, and it starts again: later than anything is under way.
    fn restore(&mut self, node: Node) -> Result<(), Broken> {
        if self.away.is_none() {
            self.kill(node, 0);
            self.away = Some(node);
            self.plan(LONGEST + 1_000, Task::Fault(Fault::Restore(node)));
            return Ok(());
        }
        self.away = None;
        let Some(copy) = self.copy.take() else { return Ok(()) };
        match node {
            Node::Bot => {
                let had = self.bot.process.disk.read(|c| invariants::all_alerts(c, &self.teams))?;
                self.bot.process.disk = copy.disk;
                let has = self.bot.process.disk.read(|c| invariants::all_alerts(c, &self.teams))?;
                self.known.bot_restored(&had, &has, copy.commands);
            }
            Node::Team(number) => {
                if let Some(team) = self.teams.get_mut(number) {
                    self.known.team_restored(team, &copy.raised, &self.bot)?;
                    team.process.disk = copy.disk;
                }
            }
        }
        self.plan(1, Task::Start(node));
        Ok(())
    }

    fn kill(&mut self, node: Node, pause: Millis) {
        self.trace.line(self.now, format_args!("{node:?} is killed"));
        match node {
            Node::Bot => self.bot.killed(),
            Node::Team(number) => {
                if let Some(team) = self.teams.get_mut(number) {
                    team.process.up = false;
                }
            }
        }
        self.network.killed(node);
        let pause = pause.max(self.chance.between(10, 800));
        self.plan(pause, Task::Start(node));
    }

    fn disk(&mut self, node: Node) -> Option<&mut Disk> {
        match node {
            Node::Bot => Some(&mut self.bot.process.disk),
            Node::Team(number) => self.teams.get_mut(number).map(|team| &mut team.process.disk),
        }
    }

    fn calm(&mut self) -> Result<(), Broken> {
        self.trace.line(self.now, format_args!("calm"));
        self.network.calm();
        let bot = &mut self.bot.process;
        for process in self.teams.iter_mut().map(|team| &mut team.process).chain([bot]) {
            (process.doom, process.mortality) = (None, 0);
            process.disk.set_full(false)?;
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), Broken> {
        let mut idle = self.away.is_none() && self.bot.process.up;
        for team in &self.teams {
            idle = idle && team.process.up && team.is_idle()?;
        }
        let rest = if idle {
            self.known.check_rest(&self.teams, &self.bot, &mut self.forge)
        } else {
            Err(Broken("something is still going on".to_owned()))
        };
        match rest {
            Ok(()) => {
                self.rested = true;
                Ok(())
            }
            Err(broken) if self.now > TROUBLE + REST => Err(broken),
            Err(_) => {
                self.plan(2_000, Task::Rest);
                Ok(())
            }
        }
    }
}

/// How wrong a clock is at the beginning: up to two days.
fn skew(chance: &mut Chance) -> i64 {
    let most = 2 * 86_400_000;
    i64::try_from(chance.below(2 * most)).unwrap_or(0) - most as i64
}
