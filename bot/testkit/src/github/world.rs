//! What is true on the fake: accounts, Apps, installations, tokens, repositories.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    faults::Faults,
    git::Bare,
    hooks::Hooks,
    keys::AppKey,
    limits::Limits,
    repo::{Actor, Label, Repo, Role},
};

/// The App of GitHub Actions. <https://api.github.com/apps/github-actions>
pub const ACTIONS: u64 = 15_368;

#[derive(Debug)]
pub(super) struct World {
    /// `http://127.0.0.1:1`.
    pub(super) base: String,
    pub(super) root: PathBuf,
    /// By login in lower case.
    pub(super) accounts: BTreeMap<String, Account>,
    pub(super) apps: BTreeMap<u64, App>,
    /// Manifests that wait for their code to be taken, by code.
    pub(super) manifests: BTreeMap<String, Value>,
    pub(super) installations: BTreeMap<u64, Installation>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) repos: BTreeMap<u64, Repo>,
    /// Full name in lower case to id; old names too.
    pub(super) names: BTreeMap<String, u64>,
    pub(super) hooks: Hooks,
    pub(super) limits: Limits,
    pub(super) faults: Faults,
    /// What was asked wrongly, or answered.
    pub(super) violations: Vec<String>,
    pub(super) requests: Vec<String>,
    pub(super) calls: BTreeMap<String, u64>,
    /// How often a list leaves out what was just made.
    pub(super) lag: u32,
    pub(super) fresh: BTreeMap<u64, u32>,
    /// How far the clock was put forward.
    pub(super) ahead: SignedDuration,
    next: u64,
}

/// A person, an organization, or an App's bot.
#[derive(Debug, Clone)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) login: String,
    /// `User`, `Organization` or `Bot`.
    pub(super) kind: &'static str,
}

/// A GitHub App.
#[derive(Debug)]
pub(super) struct App {
    pub(super) id: u64,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) owner: String,
    pub(super) client_id: String,
    pub(super) key: Option<AppKey>,
    pub(super) permissions: Permissions,
    pub(super) events: BTreeSet<String>,
    pub(super) hook: Option<Hook>,
    pub(super) created: Timestamp,
}

/// Where an App's webhooks go.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) url: String,
    pub(super) secret: Option<String>,
}

/// `issues` to `read`, `write` or `admin`.
pub(super) type Permissions = BTreeMap<String, Level>;

/// How much of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Read,
    Write,
    Admin,
}

impl Level {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// An App on an account.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub(super) id: u64,
    pub(super) app: u64,
    pub(super) account: String,
    /// None: all of the account.
    pub(super) repositories: Option<BTreeSet<u64>>,
    /// What the account's owner has agreed to.
    pub(super) permissions: Permissions,
    pub(super) suspended: Option<Timestamp>,
    pub(super) created: Timestamp,
}

/// Something to prove oneself with.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) of: Holder,
    /// None: all that the holder has.
    pub(super) repositories: Option<BTreeSet<u64>>,
    pub(super) permissions: Permissions,
    pub(super) expires: Option<Timestamp>,
    pub(super) revoked: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Holder {
    Installation(u64),
    /// A fine-grained personal token of this login.
    Person(String),
}

impl World {
    pub(super) fn new(base: String, root: PathBuf) -> Self {
        Self {
            base,
            root,
            accounts: BTreeMap::new(),
            apps: BTreeMap::new(),
            manifests: BTreeMap::new(),
            installations: BTreeMap::new(),
            tokens: BTreeMap::new(),
            repos: BTreeMap::new(),
            names: BTreeMap::new(),
            hooks: Hooks::default(),
            limits: Limits::default(),
            faults: Faults::default(),
            violations: Vec::new(),
            requests: Vec::new(),
            calls: BTreeMap::new(),
            lag: 0,
            fresh: BTreeMap::new(),
            ahead: SignedDuration::ZERO,
            next: 1_000_000,
        }
    }

    /// A new id, greater than all before.
    pub(super) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The fake clock, in whole seconds as GitHub tells it.
    pub(super) fn now(&self) -> Timestamp {
        let now = Timestamp::now() + self.ahead;
        Timestamp::from_second(now.as_second()).unwrap_or(now)
    }

    pub(super) fn complain(&mut self, what: String) {
        self.violations.push(what);
    }

    /// The account of a login, made where it is new.
    pub(super) fn account(&mut self, login: &str, kind: &'static str) -> Account {
        let id = self.id();
        let new = Account { id, login: login.to_owned(), kind };
        self.accounts.entry(login.to_lowercase()).or_insert(new).clone()
    }

    pub(super) fn login(&self, actor: &Actor) -> String {
        match actor {
            Actor::Person(login) => login.clone(),
            Actor::App(id) => {
                format!("{}[bot]", self.apps.get(id).map_or("ghost", |app| app.slug.as_str()))
            }
        }
    }

    /// The id of a repository, under any name that it has had.
    pub(super) fn find(&self, owner: &str, name: &str) -> Option<u64> {
        self.names.get(&format!("{owner}/{name}").to_lowercase()).copied()
    }

    /// The id of a repository of a test, by its full name.
    pub(super) fn named(&self, full_name: &str) -> u64 {
        let id = full_name.split_once('/').and_then(|(owner, name)| self.find(owner, name));
        id.filter(|id| self.repos.contains_key(id)).unwrap_or_else(|| panic!("no repository {full_name}"))
    }

    pub(super) fn repo(&self, id: u64) -> &Repo {
        self.repos.get(&id).expect("a repository that was found")
    }

    pub(super) fn repo_mut(&mut self, id: u64) -> &mut Repo {
        self.repos.get_mut(&id).expect("a repository that was found")
    }

    /// A repository with one commit on its default branch.
    pub(super) fn add_repository(&mut self, full_name: &str, private: bool) -> u64 {
        let (owner, name) = full_name.split_once('/').expect("a repository is owner/name");
        if !self.accounts.contains_key(&owner.to_lowercase()) {
            self.account(owner, "Organization");
        }
        let (id, now) = (self.id(), self.now());
        let git = Bare::init(&self.root.join(format!("{id}.git")), "main");
        let readme = format!("# {name}\n");
        let first = [("README.md", Some(readme.as_bytes()))];
        let commit = git.write(None, &first, "Initial commit", ("GitHub", "noreply@github.com"));
        git.update_ref("refs/heads/main", &commit);
        let labels = ["bug", "documentation", "enhancement", "question"];
        let labels = labels.map(|name| Label {
            id: self.id(),
            name: name.to_owned(),
            color: "d73a4a".to_owned(),
            description: None,
        });
        let repo = Repo {
            id,
            owner: owner.to_owned(),
            name: name.to_owned(),
            parent: None,
            private,
            archived: false,
            default_branch: "main".to_owned(),
            delete_branch_on_merge: false,
            created: now,
            pushed: now,
            refs: git.refs(),
            git,
            collaborators: BTreeMap::<String, Role>::new(),
            issues: BTreeMap::new(),
            pulls: BTreeMap::new(),
            comments: BTreeMap::new(),
            reviews: BTreeMap::new(),
            remarks: BTreeMap::new(),
            labels: labels.into(),
            milestones: BTreeMap::new(),
            suites: BTreeMap::new(),
            checks: BTreeMap::new(),
            statuses: Vec::new(),
            runs: BTreeMap::new(),
            jobs: BTreeMap::new(),
            deployments: BTreeMap::new(),
            protected: BTreeMap::new(),
            rulesets: BTreeMap::new(),
            events: Vec::new(),
        };
        self.names.insert(full_name.to_lowercase(), id);
        self.repos.insert(id, repo);
        id
    }

    /// A fork, with all branches, for somebody.
    pub(super) fn fork(&mut self, parent: u64, login: &str) -> u64 {
        let held = self.repo(parent);
        let (private, source, name) = (held.private, held.git.clone(), format!("{login}/{}", held.name));
        if let Some(known) = self.find(login, &self.repo(parent).name.clone()) {
            return known;
        }
        let id = self.add_repository(&name, private);
        let fork = self.repo_mut(id);
        fork.git.fetch(&source, "+refs/heads/*:refs/heads/*");
        fork.parent = Some(parent);
        fork.refs = fork.git.refs();
        id
    }

    /// A new App, owned by this account.
    pub(super) fn add_app(&mut self, id: u64, slug: &str, name: &str, owner: &str) -> &mut App {
        let created = self.now();
        self.account(&format!("{slug}[bot]"), "Bot");
        self.account(owner, "Organization");
        let app = App {
            id,
            slug: slug.to_owned(),
            name: name.to_owned(),
            owner: owner.to_owned(),
            client_id: format!("Iv23fake{id}"),
            key: None,
            permissions: Permissions::from([("metadata".to_owned(), Level::Read)]),
            events: BTreeSet::new(),
            hook: None,
            created,
        };
        self.apps.entry(id).or_insert(app)
    }

    /// The installation of an App that has a repository.
    pub(super) fn installation_of(&self, app: u64, repo: u64) -> Option<&Installation> {
        let owner = &self.repo(repo).owner;
        self.installations.values().find(|it| {
            it.app == app
                && it.account.eq_ignore_ascii_case(owner)
                && it.repositories.as_ref().is_none_or(|known| known.contains(&repo))
        })
    }

    /// Makes a token of this beginning. No real one looks like it.
    pub(super) fn add_token(&mut self, prefix: &str, token: Token) -> String {
        let name = format!("{prefix}_fake{:032}", self.id());
        self.tokens.insert(name.clone(), token);
        name
    }

    /// Remembers something new, which lists leave out for a while where they lag.
    pub(super) fn made(&mut self, id: u64) {
        if self.lag > 0 {
            self.fresh.insert(id, self.lag);
        }
    }

    /// What a list shows now.
    pub(super) fn listed(&mut self, items: &mut Vec<Value>) {
        items.retain(|item| {
            let Some(left) = item["id"].as_u64().and_then(|id| self.fresh.get_mut(&id)) else { return true };
            let hidden = *left > 0;
            *left = left.saturating_sub(1);
            !hidden
        });
    }

    /// `{"issues": "write"}`.
    pub(super) fn permissions(permissions: &Permissions) -> Value {
        permissions.iter().map(|(name, level)| (name.clone(), json!(level.name()))).collect()
    }
}
