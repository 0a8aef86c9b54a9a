//! The guard in this process, for one client over standard input and output: the person at this computer, or whose token
//! is in the environment. What people have to agree to is kept below the state folder, and decided in another terminal.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use qd_approvals::{Directory, Executor, KeyOwner, Known, SurfaceKey};
use qd_config::Loaded;
use qd_engine::{Facts, KnownPerson, KnownTool, Request, Resource};
use qd_guard::{
    Answer, Caller, EngineLaw, Guard, Incoming, Ledger, LedgerError, Server, Settings, Who, stdio,
};
use qd_people::SignedIn;
use qd_sqlite::DbError;
use qd_types::{Identity, InstanceName, Person, PersonId, Verb};

use super::{following::Following, listening};
use crate::{
    cli::{Common, Listening},
    context::{self, UserError},
    log,
    people::{Roster, lends_to_services, person_at, voucher},
    policies::{self, PolicyPlan},
};

/// Where a client's configuration puts a person's token.
pub(super) const TOKEN: &str = "QUARTERDECK_TOKEN";

/// Sessions of one server at once. Each has a folder of its own while it runs.
const AT_ONCE: u32 = 32;

/// Time between two looks at votes and clocks.
const TEND: Duration = Duration::from_secs(1);

/// Who there is here, and where their things lie.
pub(crate) struct Home {
    pub(super) loaded: Loaded,
    /// Who calls, and decides.
    pub(super) me: Person,
    /// Their token, if they showed one.
    pub(super) token: Option<String>,
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
            Some(token) => whose(&loaded, token, &team).await?,
            None => (me, None),
        };
        let known = plan.facts.people.iter().find(|known| known.person.id == me);
        let me = known.map_or_else(|| Person { id: me, roles: Vec::new() }, |known| known.person.clone());
        let config = common.config.as_ref().map(|file| file.canonicalize().unwrap_or_else(|_| file.clone()));
        let config = config.map_or_else(String::new, |file| format!("--config {} ", quoted(&file)));
        let decide = format!("quarterdeck {config}approvals approve");
        Ok(Self { loaded, me, token, service, team, plan, decide })
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

    /// Serves the server of this name until the client closes its end.
    pub(super) async fn serve(self, name: &str, server: Server) -> Result<(), UserError> {
        let (caller, policies) = (self.caller(), self.policies_with(name, &server)?);
        let mut asked = Request::new(caller.principal(), Verb::ServerUse, Resource::Server(name.to_owned()));
        asked.team = Some(self.team.clone());
        policies
            .permit(&asked)
            .map_err(|refusal| UserError::failed(format!("{refusal} {}", refusal.help)))?;
        let law = EngineLaw::new(Arc::new(policies));
        let (guard, ledger) = self.guard(name, server, law).await?;
        let tending = tokio::spawn(tend(ledger.clone()));
        let served = Box::pin(stdio::serve(guard, caller, tokio::io::stdin(), tokio::io::stdout())).await;
        tending.abort();
        ledger.flush().await.map_err(|error| UserError::from_error(&error))?;
        served.map(drop).map_err(|error| UserError::from_error(&error))
    }

    /// The guard over a server, for a command in this process.
    pub(super) async fn called(self, name: &str, server: Server) -> Result<Called, UserError> {
        let (caller, policies) = (self.caller(), self.policies_with(name, &server)?);
        let (guard, ledger) = self.guard(name, server, EngineLaw::new(Arc::new(policies))).await?;
        let tending = tokio::spawn(tend(ledger.clone()));
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
        let engine = Arc::new(self.policies_with(name, &server)?);
        let (law, tools) = (EngineLaw::new(engine.clone()), server.known_tools());
        let key = self.key()?;
        let (guard, ledger) = self.guard(name, server, law.clone()).await?;
        let tending = tokio::spawn(tend(ledger.clone()));
        let following = Following {
            common: common.clone(),
            name: name.to_owned(),
            tools,
            team: team.clone(),
            engine,
            law,
            ledger: ledger.clone(),
            key,
        };
        let following = tokio::spawn(following.follow());
        let served = listening::serve(asked, private, guard, roster, team).await;
        tending.abort();
        following.abort();
        ledger.flush().await.map_err(|error| UserError::from_error(&error))?;
        served
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
        let settings = Settings { decide: self.decide.clone(), ..Settings::default() };
        let guard = Guard::new(server, Arc::new(law), ledger.clone(), ledger.clone(), settings);
        guard.recover().await.map_err(|error| UserError::from_error(&error))?;
        crate::memory::settle_when_quiet();
        Ok((guard, ledger))
    }
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

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
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

/// Whose token it is: a person's, or that of a service account on their behalf.
async fn whose(
    loaded: &Loaded,
    token: &str,
    team: &InstanceName,
) -> Result<(PersonId, Option<String>), UserError> {
    let nobody = || {
        UserError::failed(format!(
            "the token in {TOKEN} is nobody's here, or not any more: quarterdeck mcp token makes one"
        ))
    };
    let roster = Roster::look(&loaded.state_dir).ok_or_else(nobody)?;
    let found = roster.by_token(token).await.map_err(|error| UserError::from_error(&error))?;
    let SignedIn { profile, service, .. } = found.ok_or_else(nobody)?;
    if service.is_some() && !lends_to_services(&person_at(&profile, &format!("/teams/{team}"))) {
        return Err(nobody());
    }
    Ok((profile.id, service))
}

/// The server's ledger; where another session has it, the next one.
async fn open(
    folder: &Path,
    server: &str,
    team: &InstanceName,
    people: Directory,
) -> Result<Ledger, UserError> {
    for number in 1..=AT_ONCE {
        let name = if number == 1 { server.to_owned() } else { format!("{server}-{number}") };
        let executor = Executor::new(team.as_str());
        let opened =
            Ledger::open(&folder.join(name), executor, people.clone(), Arc::new(Timestamp::now)).await;
        match opened {
            Err(LedgerError::Db(DbError::Locked { .. })) => {}
            opened => return opened.map_err(|error| UserError::from_error(&error)),
        }
    }
    Err(UserError::failed(format!("{AT_ONCE} sessions of {server} run already: close one")))
}

async fn tend(ledger: Arc<Ledger>) {
    loop {
        if let Err(error) = ledger.tend().await {
            tracing::warn!(%error, "votes and clocks can't be looked at");
        }
        tokio::time::sleep(TEND).await;
    }
}
