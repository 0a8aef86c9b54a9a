//! A server's tools behind one guard: what is listed to whom, and the way in for every call.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use qd_agents::Redactor;
use qd_engine::{KnownTool, Request, Resource};
use qd_types::{Ruling, Verb};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::{
    Approvals, Approved, Caller, Change, Clock, Law, Limits, Look, Messages, Page, Refusal, ToolError, Trail,
    entry::Entry,
    limits::{Gate, TurnedAway},
    offers::Face,
    outputs::Outputs,
    pipeline::{
        OUTCOME,
        parse::{self, Fitting},
        records::{AuditTail, Behind, PlanShow},
    },
    redact::Redact,
    schema,
    tasks::Tasks,
};

/// A server: its name, its tools, and what else it offers.
pub struct Server {
    name: String,
    about: String,
    served: Arc<watch::Sender<u64>>,
    entries: BTreeMap<String, Arc<Entry>>,
    behind: Behind,
}

impl Server {
    /// A server without tools yet. `name` is the one in the configuration, `about` is for whoever reads the list of servers.
    pub fn new(name: impl Into<String>, about: impl Into<String>) -> Self {
        let served = Arc::new(watch::Sender::new(0));
        let (entries, behind) = (BTreeMap::new(), Behind::default());
        Self { name: name.into(), about: about.into(), served, entries, behind }
    }

    /// With a tool that only reads.
    pub fn look(self, tool: impl Look) -> Result<Self, ToolError> {
        let entry = Entry::look(&self.name, tool)?;
        self.with(entry)
    }

    /// With a tool that changes what can be changed back.
    pub fn change(self, tool: impl Change) -> Result<Self, ToolError> {
        let entry = Entry::change(&self.name, tool)?;
        self.with(entry)
    }

    /// With a tool that people decide on.
    pub fn approved(self, tool: impl Approved) -> Result<Self, ToolError> {
        let entry = Entry::approved(&self.name, tool)?;
        self.with(entry)
    }

    /// With a resource that clients read: `board://features/{feature}`, where the variables are the tool's arguments.
    pub fn resource(self, address: &str, tool: impl Look<Output = Page>) -> Result<Self, ToolError> {
        let entry = Entry::resource(&self.name, address, tool)?;
        self.with(entry)
    }

    /// With a prompt that people choose. Its arguments are texts.
    pub fn prompt(self, tool: impl Look<Output = Messages>) -> Result<Self, ToolError> {
        let entry = Entry::prompt(&self.name, tool)?;
        self.with(entry)
    }

    /// With two tools that read what its guard keeps: `plan_show`, what people were asked to agree to, and `audit_tail`, the
    /// newest rows of the trail.
    pub fn records(self) -> Result<Self, ToolError> {
        let behind = self.behind.clone();
        self.look(PlanShow(behind.clone()))?.look(AuditTail(behind))
    }

    pub(crate) fn with(mut self, entry: Entry) -> Result<Self, ToolError> {
        let (name, tool) = (entry.spec.name.to_string(), entry.full_name());
        if name == OUTCOME || self.entries.contains_key(&name) {
            return Err(ToolError { tool, problem: "there is a tool of that name already".to_owned() });
        }
        self.entries.insert(name, Arc::new(entry));
        Ok(self)
    }

    /// To be told when other tools are served.
    pub(crate) fn told(&self) -> Arc<watch::Sender<u64>> {
        self.served.clone()
    }

    /// The tools as policy has to know them.
    pub fn known_tools(&self) -> Vec<KnownTool> {
        self.entries.values().map(|entry| entry.known()).collect()
    }

    /// What a tool would take of these arguments of a caller: its own, and whether that is only to say what would happen. No
    /// policy is asked, and nothing is called: for tests of what gets past the parser.
    pub fn takes(
        &self,
        caller: &Caller,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<(Value, bool), Refusal> {
        let entry = self.entries.get(tool).ok_or_else(|| Refusal::no_tool(tool))?;
        parse::fit(caller, entry, arguments).map(|Fitting { input, dry_run }| (input, dry_run))
    }

    /// Whether every schema is one. They are compiled when they are first needed: this is for a server's own tests.
    pub fn verify(&self) -> Result<(), ToolError> {
        self.entries.values().try_for_each(|entry| {
            let compiles = entry.input.compiles().and_then(|()| schema::result_compiles(&entry.output));
            compiles.map_err(|problem| ToolError { tool: entry.full_name(), problem })
        })
    }
}

/// What a guard goes by.
#[derive(Clone)]
pub struct Settings {
    /// How much a caller may ask for.
    pub limits: Limits,
    /// How long a call is held open for people, if its client hears of progress. Clients give up after a minute.
    pub hold: Duration,
    /// How long an effect has to stop after it was told to.
    pub grace: Duration,
    /// Longest result in an answer, in bytes of JSON. The whole is a resource.
    pub max_output: usize,
    /// Secrets that are known by value.
    pub secrets: Redactor,
    /// What a person runs to decide; the id follows.
    pub decide: String,
    /// Whether they are asked in chat and on the board as well.
    pub asks_elsewhere: bool,
    /// The wall clock.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            hold: Duration::from_secs(45),
            grace: Duration::from_secs(5),
            max_output: 48 * 1024,
            secrets: Redactor::default(),
            decide: "quarterdeck approvals approve".to_owned(),
            asks_elsewhere: true,
            clock: Arc::new(Timestamp::now),
        }
    }
}

/// A server behind its guard. Clones share it.
#[derive(Clone)]
pub struct Guard(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) server: Server,
    pub(crate) law: Arc<dyn Law>,
    pub(crate) approvals: Arc<dyn Approvals>,
    pub(crate) trail: Arc<dyn Trail>,
    pub(crate) gate: Gate,
    pub(crate) turned_away: TurnedAway,
    pub(crate) redact: Redact,
    pub(crate) outputs: Outputs,
    pub(crate) tasks: Tasks,
    pub(crate) settings: Settings,
}

impl Guard {
    /// Puts a server behind its guard.
    pub fn new(
        server: Server,
        law: Arc<dyn Law>,
        approvals: Arc<dyn Approvals>,
        trail: Arc<dyn Trail>,
        settings: Settings,
    ) -> Self {
        let (gate, redact) = (Gate::new(settings.limits), Redact::new(settings.secrets.clone()));
        let (outputs, tasks) = (Outputs::default(), Tasks::default());
        let behind = server.behind.clone();
        let turned_away = TurnedAway::default();
        let inner =
            Inner { server, law, approvals, trail, gate, turned_away, redact, outputs, tasks, settings };
        let inner = Arc::new(inner);
        behind.get_or_init(|| Arc::downgrade(&inner));
        Self(inner)
    }

    /// The tools as policy has to know them.
    pub fn known_tools(&self) -> Vec<KnownTool> {
        self.0.server.known_tools()
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.server.name
    }

    /// A tool's name here, from its full name; `None` if it is another server's.
    pub(crate) fn own<'a>(&self, full: &'a str) -> Option<&'a str> {
        full.strip_prefix(self.name())?.strip_prefix('.')
    }

    pub(crate) fn about(&self) -> &str {
        &self.0.server.about
    }

    /// What of one list this caller may use, as the policies stand: allowed at once, or once people agreed.
    pub(crate) fn visible(&self, caller: &Caller, face: &Face) -> Vec<Arc<Entry>> {
        let may = |entry: &&Arc<Entry>| entry.face.is_as(face) && self.may(caller, entry);
        self.0.server.entries.values().filter(may).cloned().collect()
    }

    /// Whether the server offers any such thing, to whomever.
    pub(crate) fn offers(&self, face: &Face) -> bool {
        self.0.server.entries.values().any(|entry| entry.face.is_as(face))
    }

    /// A tool, if this caller's token is good for it. What policy says is another stage.
    pub(crate) fn find(&self, caller: &Caller, name: &str, face: &Face) -> Option<Arc<Entry>> {
        let within = |entry: &&Arc<Entry>| {
            entry.face.is_as(face)
                && entry.body.is_served()
                && caller.scope.holds(&entry.full_name(), entry.spec.tier)
        };
        self.0.server.entries.get(name).filter(within).cloned()
    }

    /// A tool, if it is listed to this caller.
    pub(crate) fn listed(&self, caller: &Caller, name: &str) -> Option<Arc<Entry>> {
        self.entry(name).filter(|entry| entry.face == Face::Tool && self.may(caller, entry)).cloned()
    }

    /// A tool, whoever asks.
    pub(crate) fn entry(&self, name: &str) -> Option<&Arc<Entry>> {
        self.0.server.entries.get(name)
    }

    /// Whether any tool may have to wait for people.
    pub(crate) fn asks(&self) -> bool {
        self.0.server.entries.values().any(|entry| entry.changes())
    }

    fn may(&self, caller: &Caller, entry: &Entry) -> bool {
        if !entry.body.is_served() || !caller.scope.holds(&entry.full_name(), entry.spec.tier) {
            return false;
        }
        let Ok(resource) = entry.subject(caller, None) else { return false };
        let mut request = Request::new(caller.principal(), entry.spec.verb, resource);
        request.team = Some(caller.team().clone());
        match self.0.law.decide(&request).ruling {
            Ruling::Allow | Ruling::Ask(_) => true,
            Ruling::Deny { .. } => false,
        }
    }

    /// Whether policy lets this caller have the server at all; the error is a sentence with the way out. A server is given at
    /// once or not: where people would have to be asked, it is not.
    pub(crate) fn admits(&self, caller: &Caller) -> Result<(), String> {
        let resource = Resource::Server(self.name().to_owned());
        let mut request = Request::new(caller.principal(), Verb::ServerUse, resource);
        request.team = Some(caller.team().clone());
        let decision = self.0.law.decide(&request);
        let why = match decision.ruling {
            Ruling::Allow => return Ok(()),
            Ruling::Deny { reason } => format!("says no: {reason}"),
            Ruling::Ask(_) => "would ask people, and a server is given at once or not.".to_owned(),
        };
        Err(format!(
            "The server {} is not given to {caller}: the policy {} {why} An owner changes policies.",
            self.name(),
            decision.policy
        ))
    }

    /// Ticks when policy may let others see other tools.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.law.changes()
    }

    /// Ticks when the server itself serves other tools.
    pub(crate) fn served(&self) -> watch::Receiver<u64> {
        self.0.server.served.subscribe()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0.settings.clock)()
    }
}
