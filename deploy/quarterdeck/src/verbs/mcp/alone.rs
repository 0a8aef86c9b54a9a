//! The guard in this process, for one client over standard input and output: the person at this computer, or whose token
//! is in the environment. What people have to agree to is kept below the state folder, and decided in another terminal.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_agents::Redactor;
use qd_approvals::{Directory, Executor, KeyOwner, Known, SurfaceKey};
use qd_config::{Loaded, Origin};
use qd_engine::{Facts, KnownPerson, KnownTool};
use qd_guard::{
    Answer, Caller, EngineLaw, Guard, Incoming, Ledger, Server, Settings, Who,
    proxy::{Alerts, Differences},
    stdio,
};
use qd_people::{Profile, SignedIn};
use qd_types::{Identity, InstanceName, Person, PersonId};
use secrecy::SecretString;
use tokio::sync::watch;

use super::{
    following::{Following, Held},
    listening, shell_word,
};
use crate::{
    cli::{Common, Listening},
    context::{self, UserError},
    log,
    people::{Roster, lends_to_services, person_at, voucher},
    policies::{self, PolicyPlan},
    say,
};

/// Where a client's configuration puts a person's token.
pub(super) const TOKEN: &str = "QUARTERDECK_TOKEN";

/// Time between two looks at votes and clocks.
const TEND: Duration = Duration::from_secs(1);

/// Who there is here, and where their things lie.
pub(crate) struct Home {
    pub(super) loaded: Loaded,
    /// Who calls, and decides.
    pub(super) me: Person,
    /// Their token, if they showed one.
    pub(super) token: Option<String>,
    /// What must not reach a client, whatever it looks like.
    pub(super) secrets: Vec<SecretString>,
    /// Tools of a server of somebody else that are not what was trusted any more.
    pub(super) aside: Option<watch::Receiver<Differences>>,
    /// The service account whose token it is. It acts on behalf of `me`.
    pub(super) service: Option<String>,
    /// The team that keeps the requests.
    pub(super) team: InstanceName,
    plan: PolicyPlan,
    /// What a person runs to decide.
    decide: String,
}

impl Home {
    /// From the configuration, and from people as the fleet knows them.
    pub(super) async fn open(common: &Common) -> Result<Self, UserError> {
        Self::open_for(common, None).await
    }

    /// The same for a team whose ledgers are there, whether or not it is configured any more.
    pub(super) async fn open_for(common: &Common, team: Option<&InstanceName>) -> Result<Self, UserError> {
        let sources = context::sources(common)?;
        let loaded = context::load(&sources)?;
        let (me, people) = context::household(&loaded, &sources.env)?;
        let team = match (team, loaded.config.teams.as_slice()) {
            (Some(team), _) => team.clone(),
            (None, []) => name("local")?,
            (None, _) => context::team(common, &loaded)?,
        };
        let plan = plan(&loaded, &people, &team).await?;
        let token = sources.env.get(TOKEN).filter(|token| !token.is_empty()).cloned();
        let (me, service) = match &token {
            Some(token) => whose(&loaded.state_dir, token, &team).await?.ok_or_else(nobody)?,
            None => (me, None),
        };
        let known = plan.facts.people.iter().find(|known| known.person.id == me);
        let me = known.map_or_else(|| Person { id: me, roles: Vec::new() }, |known| known.person.clone());
        let decide = deciding(&loaded, &sources.env);
        let secrets = token.iter().cloned().map(SecretString::from).collect();
        Ok(Self { loaded, me, token, secrets, aside: None, service, team, plan, decide })
    }

    /// Where the servers of this team keep their things.
    pub(super) fn folder(&self) -> PathBuf {
        folder(&self.loaded.state_dir).join(self.team.as_str())
    }

    /// Whose votes count in its ledgers.
    pub(super) fn directory(&self, key: &SurfaceKey) -> Directory {
        directory(&self.plan.facts, &self.team, key)
    }

    /// Whoever started this.
    fn caller(&self) -> Caller {
        let team = self.team.clone();
        Caller::new(match &self.service {
            Some(name) => Who::Service { team, name: name.clone(), on_behalf: vec![self.me.id.clone()] },
            None => Who::Person { person: self.me.clone(), team },
        })
    }

    /// The key that signs what is decided in a terminal of this computer.
    pub(super) fn key(&self) -> Result<SurfaceKey, UserError> {
        SurfaceKey::open(&voucher::key(&self.loaded.state_dir)).map_err(|error| UserError::from_error(&error))
    }

    /// The policies as they are in force for whoever calls.
    pub(super) fn policies(&self) -> Result<qd_engine::Engine, UserError> {
        self.plan.engine()
    }

    /// Serves the server of this name until the client closes its end, or until whoever started it may not have it any
    /// more: then the client finds it gone, and the error says why.
    pub(super) async fn serve(self, common: &Common, name: &str, server: Server) -> Result<(), UserError> {
        let (caller, state) = (self.caller(), self.loaded.state_dir.clone());
        let held = Held { caller: caller.clone(), token: self.token.clone(), state };
        let (guard, kept) = self.kept(common, name, server).await?;
        kept.following.admits(&held)?;
        let serving = Box::pin(stdio::serve(guard, caller, tokio::io::stdin(), tokio::io::stdout()));
        let served = tokio::select! {
            served = serving => served.map(drop).map_err(|error| UserError::from_error(&error)),
            why = kept.following.until_refused(&held) => Err(why),
        };
        kept.tending.abort();
        kept.following.ledger.flush().await.map_err(|error| UserError::from_error(&error))?;
        served
    }

    /// The guard over a server, for a command in this process.
    pub(super) async fn called(self, name: &str, server: Server) -> Result<Called, UserError> {
        let (caller, policies) = (self.caller(), self.policies_with(name, &server)?);
        let (guard, ledger) = self.guard(name, server, EngineLaw::new(Arc::new(policies))).await?;
        let tending = tokio::spawn(tend(guard.clone(), ledger.clone()));
        Ok(Called { guard, caller, ledger, tending })
    }

    /// Serves it over HTTP until it is interrupted, to whoever has a token.
    pub(super) async fn listen(
        self,
        common: &Common,
        name: &str,
        server: Server,
        asked: &Listening,
        private: bool,
    ) -> Result<(), UserError> {
        let team = self.team.clone();
        let roster = Roster::beside(&self.loaded.state_dir).await;
        let roster = roster.map_err(|error| UserError::from_error(&error))?;
        let (guard, kept) = self.kept(common, name, server).await?;
        let ledger = kept.following.ledger.clone();
        let following = tokio::spawn(kept.following.follow());
        let served = listening::serve(asked, private, guard, roster, team).await;
        kept.tending.abort();
        following.abort();
        ledger.flush().await.map_err(|error| UserError::from_error(&error))?;
        served
    }

    /// The guard over a server that goes on for long, and what keeps it up to date.
    async fn kept(self, common: &Common, name: &str, server: Server) -> Result<(Guard, Kept), UserError> {
        let engine = Arc::new(self.policies_with(name, &server)?);
        let (law, tools) = (EngineLaw::new(engine.clone()), server.known_tools());
        let (key, team) = (self.key()?, self.team.clone());
        let watched = self.aside.clone().map(|aside| (aside, self.caller()));
        let (guard, ledger) = self.guard(name, server, law.clone()).await?;
        if let Some((aside, caller)) = watched {
            let guard = guard.clone();
            tokio::spawn(async move { guard.watch(aside, &caller, &Log).await });
        }
        let tending = tokio::spawn(tend(guard.clone(), ledger.clone()));
        let (common, name) = (common.clone(), name.to_owned());
        let following = Following { common, name, tools, team, engine, law, ledger, key };
        Ok((guard, Kept { tending, following }))
    }

    /// The policies as they are in force, with the tools of one server.
    fn policies_with(&self, name: &str, server: &Server) -> Result<qd_engine::Engine, UserError> {
        let mut plan = self.plan.clone();
        served(&mut plan.facts, name, server.known_tools());
        plan.engine()
    }

    /// The guard over a server, and where it writes.
    async fn guard(
        self,
        name: &str,
        server: Server,
        law: EngineLaw,
    ) -> Result<(Guard, Arc<Ledger>), UserError> {
        log::start("warn", self.loaded.config.log.format);
        let people = self.directory(&self.key()?);
        let ledger = Arc::new(open(&self.folder(), name, &self.team, people).await?);
        let settings = Settings {
            secrets: Redactor::new(&self.secrets),
            decide: self.decide.clone(),
            asks_elsewhere: false,
            ..Settings::default()
        };
        let guard = Guard::new(server, Arc::new(law), ledger.clone(), ledger.clone(), settings);
        guard.recover().await.map_err(|error| UserError::from_error(&error))?;
        crate::memory::settle_when_quiet();
        Ok((guard, ledger))
    }
}

/// The client's log: the one place that the person at this computer looks at.
struct Log;

#[async_trait]
impl Alerts for Log {
    async fn alert(&self, _key: &str, text: &str, over: bool) {
        if !over {
            say::note(text);
        }
    }
}

/// What keeps a guard up to date.
struct Kept {
    tending: tokio::task::JoinHandle<()>,
    following: Following,
}

/// A guard that one command calls, as the person at this computer.
pub(crate) struct Called {
    guard: Guard,
    caller: Caller,
    ledger: Arc<Ledger>,
    tending: tokio::task::JoinHandle<()>,
}

impl Called {
    /// Answers a call.
    pub(crate) async fn call(&self, incoming: Incoming) -> Answer {
        self.guard.call(&self.caller, incoming).await
    }

    /// Writes down what is not written yet.
    pub(crate) async fn end(self) -> Result<(), UserError> {
        self.tending.abort();
        self.ledger.flush().await.map_err(|error| UserError::from_error(&error))
    }
}

/// Where all tool servers keep their things.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("mcp")
}

/// The account of a person at this computer.
pub(crate) fn local(person: &PersonId) -> Identity {
    Identity { service: "local".to_owned(), account: person.to_string() }
}

fn name(text: &str) -> Result<InstanceName, UserError> {
    text.parse().map_err(|error: qd_types::IdError| UserError::from_error(&error))
}

/// The command that decides, wherever it is run: with the configuration's file, and with the state folder where that does
/// not follow from the file.
fn deciding(loaded: &Loaded, env: &BTreeMap<String, String>) -> String {
    let mut words = vec!["quarterdeck".to_owned()];
    if let Some(file) = &loaded.file {
        let file = file.canonicalize().unwrap_or_else(|_| file.clone());
        words.extend(["--config".to_owned(), shell_word(&file.to_string_lossy())]);
    }
    let follows = match loaded.origins.get("state.dir") {
        Some(origin) => matches!(origin, Origin::File { .. }),
        None => ["STATE_DIRECTORY", "XDG_STATE_HOME"].iter().all(|name| !env.contains_key(*name)),
    };
    if !follows {
        let state = format!("state.dir={}", loaded.state_dir.display());
        words.extend(["--set".to_owned(), shell_word(&state)]);
    }
    words.extend(["approvals".to_owned(), "approve".to_owned()]);
    words.join(" ")
}

/// What is in force below the state folder, and who there is; `people` where nobody was taken in yet.
pub(super) async fn plan(
    loaded: &Loaded,
    people: &[Person],
    team: &InstanceName,
) -> Result<PolicyPlan, UserError> {
    let mut plan = PolicyPlan::without_servers(loaded).kept(&loaded.state_dir)?;
    if loaded.config.people.is_empty() {
        let people: Vec<KnownPerson> = people.iter().cloned().map(policies::known).collect();
        plan.facts = Facts { solo: true, ..plan.facts_with(&people) };
    }
    let mut plan = plan.with_people(&loaded.state_dir).await?;
    if !plan.facts.teams.contains(team) {
        plan.facts.teams.push(team.clone());
    }
    Ok(plan)
}

/// Has the facts know one server, and its tools alone.
pub(super) fn served(facts: &mut Facts, name: &str, tools: Vec<KnownTool>) {
    facts.tools = tools;
    facts.servers.push(name.to_owned());
}

/// Whose votes count in a ledger.
pub(super) fn directory(facts: &Facts, team: &InstanceName, key: &SurfaceKey) -> Directory {
    let mut people = Directory::default();
    for KnownPerson { person, .. } in &facts.people {
        let roles = person.roles.clone();
        let known = Known { roles, identities: vec![local(&person.id)], ..Known::default() };
        people.people.insert(person.id.clone(), known);
    }
    people.add_key(key.public(), KeyOwner::Instance(team.clone()));
    people
}

pub(super) fn nobody() -> UserError {
    let text =
        format!("the token in {TOKEN} is nobody's here, or not any more: quarterdeck mcp token makes one");
    UserError::failed(text)
}

/// Whose token it is: a person's, or that of a service account on their behalf; `None` if nobody's.
pub(super) async fn whose(
    state: &Path,
    token: &str,
    team: &InstanceName,
) -> Result<Option<(PersonId, Option<String>)>, UserError> {
    let Some(roster) = Roster::look(state) else { return Ok(None) };
    let found = roster.by_token(token).await.map_err(|error| UserError::from_error(&error))?;
    let lends = |profile: &Profile| lends_to_services(&person_at(profile, &format!("/teams/{team}")));
    let found = found.filter(|found| found.service.is_none() || lends(&found.profile));
    Ok(found.map(|SignedIn { profile, service, .. }| (profile.id, service)))
}

/// The server's ledger. All sessions of the server share it.
async fn open(
    folder: &Path,
    server: &str,
    team: &InstanceName,
    people: Directory,
) -> Result<Ledger, UserError> {
    let executor = Executor::new(team.as_str());
    let opened = Ledger::open(&folder.join(server), executor, people, Arc::new(Timestamp::now)).await;
    opened.map_err(|error| UserError::from_error(&error))
}

/// Looks at votes and clocks, and at what a session of which the process is gone left under way.
async fn tend(guard: Guard, ledger: Arc<Ledger>) {
    loop {
        if let Err(error) = ledger.tend().await {
            tracing::warn!(%error, "votes and clocks can't be looked at");
        }
        if let Err(error) = guard.recover().await {
            tracing::warn!(%error, "what was cut short can't be looked at");
        }
        tokio::time::sleep(TEND).await;
    }
}
