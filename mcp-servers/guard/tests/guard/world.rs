//! A small world for tests: a state folder, people with a surface that signs their votes, policies, a guard over all that,
//! and clients.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use qd_agents::Redactor;
use qd_approvals::{Directory, Executor, KeyOwner, Known, Proof, SignedVote, Statement, SurfaceKey, confirm};
use qd_engine::{Engine, Facts, KnownPerson, Source};
use qd_guard::{Caller, EngineLaw, Guard, Ledger, Limits, Settings, Who, ledger::inbox};
use qd_types::{ApprovalId, Ballot, Identity, Person, PersonId, Role, RunId, Vote};
use rmcp::{
    ClientHandler, RoleClient, ServiceExt as _,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams,
        ElicitResult, ElicitationAction, Implementation, ProgressNotificationParam,
    },
    service::{
        ClientLifecycleMode, ClientServiceExt as _, NotificationContext, RequestContext, RunningService,
    },
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::fixtures::{SECRET, Services, server};

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) services: Arc<Services>,
    pub(crate) up: Option<Up>,
    hold: Duration,
    limits: Limits,
}

/// What ends with the process.
pub(crate) struct Up {
    pub(crate) guard: Guard,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) law: EngineLaw,
}

pub(crate) fn person(name: &str) -> PersonId {
    name.parse().unwrap()
}

fn key() -> SurfaceKey {
    SurfaceKey::new(&[2; 32])
}

const ALL: [Role; 4] = [Role::Owner, Role::Manager, Role::Operator, Role::Reviewer];

fn directory() -> Directory {
    let mut people = Directory::default();
    people.add_key(key().public(), KeyOwner::Instance("alpha".parse().unwrap()));
    for (name, roles) in [("ines", &ALL[..]), ("mira", &ALL), ("theo", &ALL), ("olaf", &[Role::Viewer])] {
        let identities = vec![Identity { service: "local".into(), account: name.into() }];
        let known = Known { roles: roles.to_vec(), identities, ..Known::default() };
        people.people.insert(person(name), known);
    }
    people
}

pub(crate) fn facts() -> Facts {
    let known = |name: &str, roles: &[Role]| KnownPerson {
        person: Person { id: person(name), roles: roles.to_vec() },
        identities: vec![],
    };
    Facts {
        people: vec![
            known("ines", &ALL),
            known("mira", &ALL),
            known("theo", &ALL),
            known("olaf", &[Role::Viewer]),
        ],
        teams: vec!["alpha".parse().unwrap()],
        agents: vec![
            ("alpha".parse().unwrap(), "coder".to_owned()),
            ("alpha".parse().unwrap(), "ci".to_owned()),
        ],
        tools: server(&Services::new()).known_tools(),
        ..Facts::default()
    }
}

/// The agent of a run of alpha, on behalf of theo.
pub(crate) fn agent(run: &str) -> Caller {
    Caller::new(Who::Agent {
        team: "alpha".parse().unwrap(),
        agent: "coder".to_owned(),
        run: run.parse::<RunId>().unwrap(),
        on_behalf: vec![person("theo")],
    })
}

/// A person's own coding agent.
pub(crate) fn of_person(name: &str) -> Caller {
    let roles = if name == "olaf" { vec![Role::Viewer] } else { ALL.to_vec() };
    Caller::new(Who::Person { person: Person { id: person(name), roles }, team: "alpha".parse().unwrap() })
}

/// A service account.
pub(crate) fn service() -> Caller {
    Caller::new(Who::Service {
        team: "alpha".parse().unwrap(),
        name: "ci".to_owned(),
        on_behalf: vec![person("theo")],
    })
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Duration::ZERO, Limits::default()).await
    }

    pub(crate) async fn with(hold: Duration, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { folder, services: Services::new(), up: None, hold, limits };
        world.start().await;
        world
    }

    pub(crate) async fn start(&mut self) {
        self.up = Some(self.begun().await);
    }

    /// A process: another one in the same folder, if one runs.
    pub(crate) async fn begun(&self) -> Up {
        let executor = Executor::new("alpha");
        let clock: qd_guard::Clock = Arc::new(Timestamp::now);
        let opened = Ledger::open(self.folder.path(), executor, directory(), clock).await;
        let ledger = Arc::new(opened.unwrap());
        let engine = Arc::new(Engine::new(Source::Embedded, &facts(), &[]).unwrap());
        let law = EngineLaw::new(engine.clone());
        let secret = SecretString::from(SECRET.to_owned());
        let settings = Settings {
            hold: self.hold,
            limits: self.limits,
            grace: Duration::from_millis(200),
            secrets: Redactor::new([&secret]),
            ..Settings::default()
        };
        let server = server(&self.services);
        let guard = Guard::new(server, Arc::new(law.clone()), ledger.clone(), ledger.clone(), settings);
        guard.recover().await.unwrap();
        Up { guard, ledger, engine, law }
    }

    /// The process ends, and another one begins in the same folder.
    pub(crate) async fn restart(&mut self) {
        let up = self.up.take().unwrap();
        up.ledger.flush().await.unwrap();
        drop(up);
        // The lock goes with the last session's task.
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.start().await;
    }

    pub(crate) fn up(&self) -> &Up {
        self.up.as_ref().unwrap()
    }

    pub(crate) async fn client(&self, caller: Caller) -> Client {
        self.client_of(self.up().guard.clone(), caller).await
    }

    pub(crate) async fn client_of(&self, guard: Guard, caller: Caller) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(qd_guard::stdio::serve(guard, caller, reader, writer));
        let seen = Arc::new(Seen::default());
        let running = Handler(seen.clone()).serve(ours).await.unwrap();
        Client { running, seen }
    }

    /// A client that speaks the newest protocol, which has no handshake.
    pub(crate) async fn newest(&self, caller: Caller) -> Client {
        self.newest_as(caller, Seen::default()).await
    }

    pub(crate) async fn newest_as(&self, caller: Caller, seen: Seen) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (reader, writer) = tokio::io::split(theirs);
        tokio::spawn(qd_guard::stdio::serve(self.up().guard.clone(), caller, reader, writer));
        let seen = Arc::new(seen);
        let preferred_versions = vec![rmcp::model::ProtocolVersion::V_2026_07_28];
        let mode = ClientLifecycleMode::Discover { preferred_versions };
        let running = Handler(seen.clone()).serve_with_lifecycle(ours, mode).await.unwrap();
        Client { running, seen }
    }

    /// What is asked for, read as a terminal would: beside the server that has the database open.
    fn digest(&self, id: &ApprovalId) -> (qd_types::Digest, String) {
        let c = qd_sqlite::read_only(&self.folder.path().join("guard.db")).unwrap();
        let (executor, people) = (Executor::new("alpha"), directory());
        let approvals = qd_approvals::Approvals::reading(&c, &executor, &people, Timestamp::now()).unwrap();
        let record = approvals.show(id).unwrap();
        let target = record.approval.subject.binding.unwrap().target;
        (record.approval.digest, target)
    }

    fn vote(&self, id: &ApprovalId, who: &str, ballot: Ballot) -> SignedVote {
        let (digest, target) = self.digest(id);
        key()
            .sign(&Statement {
                vote: Vote {
                    approval: id.clone(),
                    digest,
                    person: Person { id: person(who), roles: ALL.to_vec() },
                    surface: "cli".into(),
                    ballot,
                    reason: None,
                    at: Timestamp::now(),
                },
                identity: Identity { service: "local".into(), account: who.into() },
                proof: Proof::Passphrase,
                way: confirm::Way::Typed,
                typed: Some(target),
                answer: None,
            })
            .unwrap()
    }

    /// What a person runs in another terminal; what it says.
    pub(crate) async fn decide(&self, id: &ApprovalId, who: &str, ballot: Ballot) -> String {
        let answer = inbox::put(self.folder.path(), &self.vote(id, who, ballot)).unwrap();
        for _ in 0..100 {
            self.up().ledger.tend().await.unwrap();
            if let Ok(text) = std::fs::read_to_string(&answer) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody took the vote");
    }

    pub(crate) async fn approve(&self, id: &ApprovalId, who: &str) -> String {
        self.decide(id, who, Ballot::Approve).await
    }

    /// The trail: kinds and texts.
    pub(crate) async fn trail(&self) -> Vec<String> {
        self.up().ledger.flush().await.unwrap();
        rows(self.folder.path())
    }
}

pub(crate) fn rows(folder: &Path) -> Vec<String> {
    let c = qd_sqlite::read_only(&folder.join("guard.db")).unwrap();
    let segments = qd_audit::segments_beside(&folder.join("guard.db"));
    let report = qd_audit::verify(&c, &segments, &[], &[]).unwrap();
    assert_eq!(report.fault, None);
    let mut found = c.prepare("SELECT kind, actor, payload FROM audit_chain ORDER BY seq").unwrap();
    let rows = found.query_map([], |row| {
        let payload: String = row.get(2)?;
        let payload: Value = serde_json::from_str(&payload).unwrap();
        let text = payload["text"].as_str().unwrap_or_default().to_owned();
        Ok(format!("{} {}: {text}", row.get::<_, String>(0)?, row.get::<_, String>(1)?))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What a client was told besides answers.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) lists: Mutex<u32>,
    pub(crate) progress: Mutex<Vec<(f64, String)>>,
    pub(crate) elicited: Mutex<u32>,
    /// Lists of resources and of prompts that changed.
    pub(crate) others: Mutex<(u32, u32)>,
    /// It waits with tasks.
    pub(crate) tasks: bool,
}

pub(crate) struct Handler(pub(crate) Arc<Seen>);

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let can = ClientCapabilities::builder().enable_elicitation();
        let can = if self.0.tasks { can.enable_tasks().build() } else { can.build() };
        ClientConfig::new(can, Implementation::new("a test", "1"))
    }

    /// Agrees to everything, at once.
    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, rmcp::ErrorData> {
        *self.0.elicited.lock().unwrap() += 1;
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(json!({ "approve": true })))
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.0.progress.lock().unwrap().push((told.progress, told.message.unwrap_or_default()));
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.others.lock().unwrap().0 += 1;
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.others.lock().unwrap().1 += 1;
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        *self.0.lists.lock().unwrap() += 1;
    }
}

pub(crate) struct Client {
    pub(crate) running: RunningService<RoleClient, Handler>,
    pub(crate) seen: Arc<Seen>,
}

impl Client {
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> CallToolResult {
        let Value::Object(arguments) = arguments else { panic!("no object") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        self.running.call_tool(params).await.unwrap()
    }

    /// The text of an answer that is no error.
    pub(crate) async fn good(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_ne!(result.is_error, Some(true), "{}", text(&result));
        text(&result)
    }

    /// The text of a tool's error.
    pub(crate) async fn refused(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await;
        assert_eq!(result.is_error, Some(true), "{}", text(&result));
        text(&result)
    }

    /// The id of a call that waits for people.
    pub(crate) async fn pending(&self, tool: &'static str, arguments: Value) -> ApprovalId {
        id(&self.call(tool, arguments).await)
    }

    pub(crate) async fn outcome(&self, id: &ApprovalId) -> CallToolResult {
        self.call("call_outcome", json!({ "approval": id })).await
    }

    pub(crate) async fn tools(&self) -> Vec<String> {
        let tools = self.running.list_all_tools().await.unwrap();
        tools.into_iter().map(|tool| tool.name.into_owned()).collect()
    }
}

pub(crate) fn id(result: &CallToolResult) -> ApprovalId {
    let value = result.structured_content.clone().unwrap_or_default();
    assert_eq!(value["state"], "pending", "{}", text(result));
    value["approval"].as_str().unwrap().parse().unwrap()
}

pub(crate) fn text(result: &CallToolResult) -> String {
    let texts: Vec<&str> =
        result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
    texts.join("\n")
}

/// A text with its id made the same for every run.
pub(crate) fn masked(text: &str, id: &ApprovalId) -> String {
    text.replace(&id.to_string(), "alpha/ID")
}
