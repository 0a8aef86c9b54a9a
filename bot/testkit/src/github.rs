//! A stateful GitHub over loopback and over real git, stricter than the real one: the REST API of a GitHub App, a few
//! documents of GraphQL, git over HTTP, signed webhooks. Routes and fields that it does not know are errors, and are kept as
//! [`FakeGithub::violations`]. Tests drive it as people would (see [`Drive`]), and as bad days do (see [`Fault`] and
//! [`Delivering`]).

mod access;
mod acts;
mod description;
mod door;
mod drive;
mod faults;
mod git;
mod hooks;
mod keys;
mod limits;
mod repo;
mod routes;
mod rules;
mod shapes;
mod smart;
mod world;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use serde_json::Value;

pub use drive::{Drive, Outcome, Person, Workflow};
pub use faults::Fault;
pub use hooks::Delivering;
pub use repo::{Role, Rules};
pub use world::ACTIONS;
use world::{Holder, Hook, Installation, Level, Permissions, Token, World};

/// The id of the App that is there from the beginning.
pub const APP: u64 = 424_242;
/// Its slug; its bot is `quarterdeck[bot]`.
pub const SLUG: &str = "quarterdeck";
/// The account that the repositories of [`Options`] belong to.
pub const OWNER: &str = "acme";
/// What its webhooks are signed with.
pub const WEBHOOK_SECRET: &str = "fake-webhook-secret";

/// What a fake begins with.
#[derive(Debug, Clone)]
pub struct Options {
    /// `owner/name`; the App is installed on the owner, with all of them.
    pub repositories: Vec<String>,
    /// Whether the repositories are private.
    pub private: bool,
    /// What the App was granted: `issues` to `write`.
    pub permissions: BTreeMap<String, String>,
    /// What the App's webhook tells of.
    pub events: Vec<String>,
}

impl Default for Options {
    /// One private repository `acme/app`, and an App that may do what a bot needs.
    fn default() -> Self {
        let write = ["contents", "issues", "pull_requests", "checks", "statuses", "actions", "deployments"];
        let read = ["metadata", "members"];
        let grants = |names: &[&str], level: &str| -> Vec<(String, String)> {
            names.iter().map(|name| ((*name).to_owned(), level.to_owned())).collect()
        };
        let events = [
            "issues",
            "issue_comment",
            "pull_request",
            "pull_request_review",
            "pull_request_review_comment",
            "pull_request_review_thread",
            "push",
            "check_suite",
            "check_run",
            "status",
            "workflow_run",
            "workflow_job",
            "milestone",
            "label",
            "repository",
            "deployment",
            "deployment_status",
            "deployment_review",
            "release",
            "merge_group",
        ];
        Self {
            repositories: vec![format!("{OWNER}/app")],
            private: true,
            permissions: grants(&write, "write").into_iter().chain(grants(&read, "read")).collect(),
            events: events.map(str::to_owned).into(),
        }
    }
}

/// The server and its people. Stops when it is dropped.
#[derive(Debug)]
pub struct FakeGithub {
    address: SocketAddr,
    shared: Arc<Shared>,
    folder: PathBuf,
    key: String,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// Rings when something changed.
    changed: tokio::sync::Notify,
    description: Option<description::Description>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the world and tells those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.change_with(|_, world| change(world))
    }

    fn change_with<T>(&self, change: impl FnOnce(&Self, &mut World) -> T) -> T {
        let result = change(self, &mut self.world());
        self.changed.notify_waiters();
        result
    }
}

impl FakeGithub {
    /// Starts on a free port of the loopback. Without GitHub's own description (see `description`) requests are not checked
    /// against it; that is said.
    pub async fn start(options: Options) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let folder = folder();
        let made = folder.clone();
        let made = tokio::task::spawn_blocking(move || begin(address, made, &options));
        let (shared, key) = made.await.unwrap();
        let router = door::router(shared.clone());
        let serve = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let send = tokio::spawn(hooks::send(shared.clone()));
        Self { address, shared, folder, key, tasks: vec![serve, send] }
    }

    /// What a client takes for `https://api.github.com`.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a client takes for the API of GitHub Enterprise Server.
    pub fn enterprise_url(&self) -> String {
        format!("http://{}/api/v3", self.address)
    }

    /// What git clones and pushes to: `http://127.0.0.1:1/acme/app.git`. A token is the password of `x-access-token`.
    pub fn git_url(&self, repository: &str) -> String {
        format!("http://{}/{repository}.git", self.address)
    }

    /// The folder with the bare repositories.
    pub fn root(&self) -> &Path {
        &self.folder
    }

    /// The bare repository. What is written there by hand is told of after [`Drive::looks_again`].
    pub fn bare(&self, repository: &str) -> PathBuf {
        let world = self.shared.world();
        world.repo(world.named(repository)).git.0.clone()
    }

    /// The private key of the App, as GitHub gives it: PKCS#1 in PEM.
    pub fn private_key(&self) -> &str {
        &self.key
    }

    /// The installation of the App on [`OWNER`].
    pub fn installation_id(&self) -> u64 {
        let world = self.shared.world();
        let it = world.installations.values().find(|it| it.app == APP && it.account == OWNER);
        it.map_or(0, |it| it.id)
    }

    /// The id of a repository.
    pub fn repository_id(&self, repository: &str) -> u64 {
        self.shared.world().named(repository)
    }

    /// The App's webhook goes there from now on, signed with [`WEBHOOK_SECRET`].
    pub fn set_webhook(&self, url: &str) {
        self.shared.change(|world| {
            let hook = Hook { url: url.to_owned(), secret: Some(WEBHOOK_SECRET.to_owned()) };
            world.apps.get_mut(&APP).unwrap().hook = Some(hook);
        });
    }

    /// A fine-grained token of a person: `("issues", "write")`.
    pub fn personal_token(&self, login: &str, permissions: &[(&str, &str)]) -> String {
        self.shared.change(|world| {
            world.account(login, "User");
            let permissions = granted(permissions.iter().copied());
            let of = Holder::Person(login.to_owned());
            world.add_token(
                "github_pat",
                Token { of, repositories: None, permissions, expires: None, revoked: false },
            )
        })
    }

    /// A token of the App's installation, as if it had been asked for; for what is not about how one is got.
    pub fn installation_token(&self) -> String {
        let id = self.installation_id();
        self.shared.change(|world| {
            let permissions = world.installations[&id].permissions.clone();
            world.installation_token(id, None, permissions).0
        })
    }

    /// What people do.
    pub fn drive(&self) -> Drive<'_> {
        Drive::new(self)
    }

    /// Whether requests are checked against GitHub's own description.
    pub fn is_described(&self) -> bool {
        self.shared.description.is_some()
    }

    /// Every request that GitHub would not have understood, and every answer of the fake's own that it would not have given. A
    /// test that ends well leaves none.
    pub fn violations(&self) -> Vec<String> {
        self.shared.world().violations.clone()
    }

    /// How often each route was asked: `POST /repos/{owner}/{repo}/pulls`, and `git fetch`, `git push`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.shared.world().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.shared.change(|world| world.calls.clear());
    }

    /// Every request so far: `POST /repos/acme/app/pulls 201`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.world().requests.clone()
    }

    /// The next request to a route (`POST /repos/{owner}/{repo}/pulls`, or a part of that) meets this.
    pub fn fault(&self, route: &str, fault: Fault) {
        self.shared.change(|world| world.faults.add(route, fault));
    }

    /// From now on webhooks go this way.
    pub fn delivering(&self, way: Delivering) {
        self.shared.change(|world| {
            world.hooks.release();
            world.hooks.way = Some(way);
        });
    }

    /// The webhooks so far, as GitHub lists them, oldest first.
    pub fn deliveries(&self) -> Vec<Value> {
        self.shared.world().hooks.deliveries.iter().map(hooks::Delivery::full).collect()
    }

    /// Waits until every webhook has been sent, or has failed. Whether that was so within the time.
    pub async fn settled(&self, within: Duration) -> bool {
        let end = tokio::time::Instant::now() + within;
        while tokio::time::Instant::now() < end {
            if self.shared.world().hooks.is_idle() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// What is wrong with the payloads of the webhooks so far, by GitHub's description. Nothing without it.
    pub fn payload_violations(&self) -> Vec<String> {
        let Some(known) = &self.shared.description else { return vec![] };
        let world = self.shared.world();
        let all = world.hooks.deliveries.iter();
        all.flat_map(|it| {
            let payload = serde_json::from_str(&it.payload).unwrap_or_default();
            let wrong = known.payload(&it.event, &payload);
            wrong.into_iter().map(|text| format!("{}: {text}", it.event)).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Lists leave out what was just made, so many times.
    pub fn lag(&self, lists: u32) {
        self.shared.change(|world| world.lag = lists);
    }

    /// Puts the clock forward: tokens end, limits begin anew.
    pub fn advance(&self, by: Duration) {
        self.shared.change(|world| world.ahead += jiff::SignedDuration::try_from(by).unwrap());
    }

    /// So many requests in an hour, and so many that make content in a minute.
    pub fn limits(&self, primary: u64, content: usize) {
        self.shared.change(|world| (world.limits.primary, world.limits.content) = (primary, content));
    }
}

impl Drop for FakeGithub {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A new folder of its own.
fn folder() -> PathBuf {
    tempfile::Builder::new().prefix("fake-github-").tempdir().unwrap().keep()
}

fn granted<'a>(permissions: impl Iterator<Item = (&'a str, &'a str)>) -> Permissions {
    let level = |level: &str| Level::parse(level).expect("a permission is read, write or admin");
    permissions.map(|(name, it)| (name.to_owned(), level(it))).collect()
}

fn begin(address: SocketAddr, folder: PathBuf, options: &Options) -> (Arc<Shared>, String) {
    let mut world = World::new(format!("http://{address}"), folder);
    let key = keys::AppKey::generate();
    let pem = key.pem.clone();
    let mut permissions =
        granted(options.permissions.iter().map(|(name, level)| (name.as_str(), level.as_str())));
    permissions.insert("metadata".to_owned(), Level::Read);
    let app = world.add_app(APP, SLUG, "Quarterdeck", OWNER);
    app.key = Some(key);
    app.permissions = permissions.clone();
    app.events = options.events.iter().cloned().collect();
    world.add_app(ACTIONS, "github-actions", "GitHub Actions", "github");
    let mut owners = std::collections::BTreeSet::from([OWNER.to_owned()]);
    for name in &options.repositories {
        world.add_repository(name, options.private);
        owners.extend(name.split_once('/').map(|(owner, _)| owner.to_owned()));
    }
    for account in owners {
        let (id, created) = (world.id(), world.now());
        let it = Installation {
            id,
            app: APP,
            account,
            repositories: None,
            permissions: permissions.clone(),
            suspended: None,
            created,
        };
        world.installations.insert(id, it);
    }
    let description = description::Description::find();
    let shared = Shared { world: Mutex::new(world), changed: tokio::sync::Notify::new(), description };
    (Arc::new(shared), pem)
}
