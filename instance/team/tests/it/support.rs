//! A team in a folder of its own, that nobody has started: its board and its API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Extension, Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use qd_board::{NewFeature, Rules, Wanted, hours::QuietHours, schedule::Limits};
use qd_engine::{Engine, Facts, KnownPerson, Source};
use qd_git::Git;
use qd_store::{NewRun, Settings, Store};
use qd_team::{Caller, RepositoryOptions, RunPolicy, Team, TeamOptions, Trains};
use qd_types::{Person, PolicyRule, Role};
use qd_worktrees::{GitWorktrees, RepositorySpec, Setup};
use serde_json::Value;
use tower::ServiceExt as _;

/// Where the API is in a fleet.
const ROOT: &str = "/teams/alpha/api/v1";

/// The API of a team with one repository, for a caller who may command the board.
pub struct Api {
    router: Router,
    dir: Arc<tempfile::TempDir>,
}

/// What was answered.
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub allow: Option<String>,
    pub body: Value,
}

impl Api {
    pub async fn new() -> Self {
        Self::with(&[]).await.caller("ines", Role::Manager, None)
    }

    /// With rules of a configuration on top of the policies; nobody calls yet.
    pub async fn with(rules: &[PolicyRule]) -> Self {
        Self::over(Arc::new(tempfile::tempdir().unwrap()), rules).await
    }

    /// With a feature of Olaf's that an agent works on, `A-1.1`.
    pub async fn with_run(agent: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let zone = jiff::tz::TimeZone::UTC;
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: "A".into(),
            slots: 1,
            reviews: None,
            repair_rounds: 1,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone,
        };
        let store = Store::open(&dir.path().join("board.db"), settings).unwrap();
        let now = jiff::Timestamp::now();
        let wanted = Wanted { title: "Split".into(), ..Wanted::default() };
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        let feature = store.add(&"olaf".parse().unwrap(), new, "sample".parse().unwrap(), now).await.unwrap();
        let run = NewRun {
            feature: feature.feature.id,
            agent: agent.into(),
            model: None,
            assigned_by: "the default".into(),
            branch: "qd/alpha/A-1-split".into(),
        };
        store.open_run(run, now).await.unwrap();
        drop(store);
        Self::over(dir, &[]).await
    }

    async fn over(dir: Arc<tempfile::TempDir>, rules: &[PolicyRule]) -> Self {
        let worktrees = GitWorktrees::open(Git::new(), dir.path()).await.unwrap();
        let policies = Arc::new(Engine::new(Source::Embedded, &facts(), rules).unwrap());
        let team = Team::open(options(dir.path(), policies), Arc::new(worktrees), Trains::default()).unwrap();
        Self { router: Router::new().nest(ROOT, qd_team::router(team)), dir }
    }

    /// The same team for somebody, or for an agent on their behalf.
    pub fn caller(&self, name: &str, role: Role, agent: Option<&str>) -> Self {
        let person = Person { id: name.parse().unwrap(), roles: vec![role] };
        let caller = Caller {
            person,
            agent: agent.map(str::to_owned),
            surface: "api".into(),
            proof: qd_approvals::Proof::Passphrase,
            granted: None,
        };
        Self { router: self.router.clone().layer(Extension(caller)), dir: Arc::clone(&self.dir) }
    }

    /// One request; `path` begins at the root of the API. A body is JSON unless `kind` says something else.
    pub async fn send(&self, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
        let address = format!("{ROOT}{}", path.strip_suffix('/').unwrap_or(path));
        let request = Request::builder().method(method).uri(address).header("content-type", kind);
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let header = |name| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
        let (status, kind, allow) =
            (response.status().as_u16(), header("content-type").unwrap_or_default(), header("allow"));
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status, kind, allow, body }
    }

    /// One request with a JSON body.
    pub async fn json(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(method, path, "application/json", body).await
    }
}

/// Ines manages, Olaf and Theo own, Oskar operates, Rosa reviews, Vera views.
fn facts() -> Facts {
    let known = |name: &str, role| KnownPerson {
        person: Person { id: name.parse().unwrap(), roles: vec![role] },
        identities: Vec::new(),
    };
    Facts {
        people: vec![
            known("ines", Role::Manager),
            known("olaf", Role::Owner),
            known("theo", Role::Owner),
            known("oskar", Role::Operator),
            known("rosa", Role::Reviewer),
            known("vera", Role::Viewer),
        ],
        teams: vec!["alpha".parse().unwrap()],
        agents: vec![("alpha".parse().unwrap(), "claude".into())],
        repositories: vec!["sample".parse().unwrap()],
        ..Facts::default()
    }
}

fn options(state: &std::path::Path, policies: Arc<Engine>) -> TeamOptions {
    let name: qd_types::RepositoryName = "sample".parse().unwrap();
    let spec = RepositorySpec {
        name: name.clone(),
        remote: state.join("forge.git").to_string_lossy().into_owned(),
        target: "main".into(),
    };
    let repository = RepositoryOptions {
        spec,
        checks: vec![],
        source: state.to_owned(),
        setup: Setup::default(),
        hooks: false,
        demands: None,
    };
    TeamOptions {
        id: "alpha".parse().unwrap(),
        name: "alpha".parse().unwrap(),
        prefix: "A".into(),
        state: state.to_owned(),
        limits: Limits::default(),
        agents: BTreeMap::new(),
        commands: BTreeMap::new(),
        rules: Arc::new(Rules::default()),
        quiet: QuietHours::default(),
        zone: jiff::tz::TimeZone::UTC,
        disk: u64::MAX,
        launcher: None,
        walls: None,
        sealed: Vec::new(),
        approvals: qd_approvals::Rules::default(),
        walls_expose: false,
        repositories: BTreeMap::from([(name, repository)]),
        metering: None,
        tools: None,
        runs: RunPolicy {
            repair_rounds: 1,
            log_lines: 10,
            returns: 1,
            large_files: 40,
            large_lines: 800,
            preserved_days: 14,
            retry_pause: None,
            transcript: 64 << 20,
            question: qd_board::Budget::default(),
        },
        trail: qd_team::TrailPolicy {
            folder: state.join("audit"),
            retention: qd_store::Retention::default(),
        },
        uplink: qd_team::UplinkPolicy::default(),
        policies,
    }
}
