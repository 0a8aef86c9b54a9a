//! A team in a folder of its own, that nobody has started: its board and its API.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Extension, Router, body::Body, http::Request};
use http_body_util::BodyExt as _;
use qd_board::{Rules, hours::QuietHours, schedule::Limits};
use qd_git::Git;
use qd_team::{Caller, RepositoryOptions, RunPolicy, Team, TeamOptions, Trains};
use qd_types::{Person, Role};
use qd_worktrees::{GitWorktrees, RepositorySpec, Setup};
use serde_json::Value;
use tower::ServiceExt as _;

/// Where the API is in a fleet.
const ROOT: &str = "/teams/alpha/api/v1";

/// The API of a team with one repository, for a caller who may command the board.
pub struct Api {
    router: Router,
    _dir: tempfile::TempDir,
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
        let dir = tempfile::tempdir().unwrap();
        let worktrees = GitWorktrees::open(Git::new(), dir.path()).await.unwrap();
        let team = Team::open(options(dir.path()), Arc::new(worktrees), Trains::default()).unwrap();
        let person = Person { id: "ines".parse().unwrap(), roles: vec![Role::Manager] };
        let caller = Caller { person, surface: "api".into(), proven: true };
        let router = Router::new().nest(ROOT, qd_team::router(team)).layer(Extension(caller));
        Self { router, _dir: dir }
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

fn options(state: &std::path::Path) -> TeamOptions {
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
    };
    TeamOptions {
        id: "alpha".parse().unwrap(),
        name: "alpha".parse().unwrap(),
        prefix: "A".into(),
        state: state.to_owned(),
        limits: Limits::default(),
        agents: BTreeMap::new(),
        rules: Arc::new(Rules::default()),
        quiet: QuietHours::default(),
        zone: jiff::tz::TimeZone::UTC,
        disk: u64::MAX,
        launcher: None,
        repositories: BTreeMap::from([(name, repository)]),
        runs: RunPolicy {
            repair_rounds: 1,
            log_lines: 10,
            returns: 1,
            large_files: 40,
            large_lines: 800,
            preserved_days: 14,
        },
    }
}
