//! A small world for tests: an executor with its database on disk, four people, two surfaces with keys, a clock.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use jiff::Timestamp;
use qd_approvals::{
    ApprovalError, Approvals, Ask, Asked, Authorised, Cast, Directory, Executor, KeyOwner, Known, Place,
    Proof, SCHEMA, SCHEMA_TERMS, SignedVote, Statement, SurfaceKey, Terms, WHOLE, authorise, confirm::Way,
};
use qd_sqlite::Db;
use qd_types::{
    Action, ApprovalId, Ballot, Binding, Call, Digest, FeatureId, Identity, Person, PersonId, Requirement,
    Role, RunId, Subject, Tier, Tool, Vote,
};
use serde_json::json;

/// Everything that a test needs.
pub(crate) struct World {
    /// `None` while the process is down.
    db: Option<Db>,
    /// Who keeps the approvals.
    pub(crate) executor: Executor,
    /// ines and mira own, theo asks, olaf only reads.
    pub(crate) people: Directory,
    /// The bot's key.
    pub(crate) bot: SurfaceKey,
    /// The key of the instance alpha.
    pub(crate) alpha: SurfaceKey,
    /// The wall clock.
    pub(crate) now: Timestamp,
    ids: u128,
    dir: tempfile::TempDir,
}

pub(crate) fn person(name: &str) -> PersonId {
    name.parse().unwrap()
}

pub(crate) fn account(service: &str, account: &str) -> Identity {
    Identity { service: service.into(), account: account.into() }
}

pub(crate) fn place(surface: &str, rank: u32) -> Place {
    Place { surface: surface.into(), recipient: "approvals".into(), rank }
}

/// A guarded tool call of alpha's first run, asked for on behalf of theo.
pub(crate) fn call(does: &str, tier: Tier) -> Subject {
    let feature: FeatureId = "A-1".parse().unwrap();
    let (roles, count) = match tier {
        Tier::Destroy => (vec![Role::Owner], 2),
        _ => (vec![Role::Owner, Role::Operator], 1),
    };
    Subject {
        action: Action::Tool(Call { does: does.into(), tier }),
        binding: Some(Binding {
            tool: Some(Tool { name: "docker.restart".into(), definition: "d1".repeat(32) }),
            arguments: json!({"container": "billing-db", "replicas": 1}),
            target: "billing-db".into(),
            fingerprint: "running since monday".into(),
            policies: "a1".repeat(32),
            askers: vec![],
            reopens: None,
        }),
        instance: "alpha".parse().unwrap(),
        run: RunId::new(feature.clone(), 1),
        feature,
        requesters: vec![person("theo")],
        requirement: Requirement { roles, count, solo: false },
    }
}

/// The usual one.
pub(crate) fn restart() -> Subject {
    call("container.restart", Tier::Operate)
}

pub(crate) fn binding(subject: &mut Subject) -> &mut Binding {
    subject.binding.as_mut().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of("alpha")
    }

    pub(crate) fn of(executor: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (bot, alpha) = (SurfaceKey::new(&[1; 32]), SurfaceKey::new(&[2; 32]));
        let mut people = Directory::default();
        people.add_key(bot.public(), KeyOwner::Bot);
        people.add_key(alpha.public(), KeyOwner::Instance("alpha".parse().unwrap()));
        let all = [Role::Owner, Role::Manager, Role::Operator, Role::Reviewer];
        for (name, roles) in
            [("ines", all.as_slice()), ("mira", &all), ("theo", &all), ("olaf", &[Role::Viewer])]
        {
            let identities = ["discord", "github", "local"].map(|service| account(service, name)).to_vec();
            let known = Known { roles: roles.to_vec(), identities, ..Known::default() };
            people.people.insert(person(name), known);
        }
        let mut world = Self {
            db: None,
            executor: Executor::new(executor),
            people,
            bot,
            alpha,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
            ids: 0,
            dir,
        };
        world.start();
        world
    }

    /// The process ends. What is not on disk is lost.
    pub(crate) fn stop(&mut self) {
        self.db = None;
    }

    pub(crate) fn start(&mut self) {
        self.db = Some(Db::open(&self.dir.path().join("executor.db"), &[SCHEMA, SCHEMA_TERMS]).unwrap());
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub(crate) fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    pub(crate) fn pass(&mut self, minutes: i64) {
        self.now = self.now.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap();
    }

    /// One transaction.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Approvals<'_>) -> Result<T, ApprovalError> + Send + 'static,
    ) -> T {
        self.try_run(job).await.unwrap()
    }

    pub(crate) async fn try_run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Approvals<'_>) -> Result<T, ApprovalError> + Send + 'static,
    ) -> Result<T, ApprovalError> {
        let (executor, people, now) = (self.executor.clone(), self.people.clone(), self.now);
        self.db().write(move |c| job(&Approvals::at(c, &executor, &people, now)?)).await
    }

    /// Raw SQL, as a fault or an attacker would do it.
    pub(crate) async fn sql(&self, sql: &'static str) {
        self.db().write(move |c| Ok::<_, ApprovalError>(c.execute_batch(sql)?)).await.unwrap();
    }

    pub(crate) fn ask_of(&mut self, subject: Subject) -> Ask {
        self.ids += 1;
        Ask {
            subject,
            items: vec![],
            words: None,
            places: vec![place("board", 0)],
            waiter: Some("turn-1".into()),
            terms: Terms::default(),
            fresh: ulid::Ulid::from(self.ids),
        }
    }

    pub(crate) async fn ask(&mut self, subject: Subject) -> Asked {
        let ask = self.ask_of(subject);
        self.run(move |a| a.ask(ask)).await
    }

    /// Asks, and delivers the card.
    pub(crate) async fn asked(&mut self, subject: Subject) -> ApprovalId {
        let id = match self.ask(subject).await {
            Asked::Opened(id) => id,
            other => panic!("{other:?}"),
        };
        self.deliver(&id).await;
        id
    }

    pub(crate) async fn deliver(&self, id: &ApprovalId) {
        let id = id.clone();
        assert!(self.run(move |a| a.delivered(&id, &place("board", 0), "card-1")).await);
    }

    pub(crate) async fn digest(&self, id: &ApprovalId) -> Digest {
        let id = id.clone();
        self.run(move |a| a.show(&id)).await.approval.digest
    }

    /// What a person says on a surface, with all roles that the service says they hold.
    pub(crate) async fn statement(
        &self,
        id: &ApprovalId,
        who: &str,
        surface: &str,
        ballot: Ballot,
    ) -> Statement {
        let service = if matches!(surface, "discord" | "github") { surface } else { "local" };
        let roles = vec![Role::Owner, Role::Manager, Role::Operator, Role::Reviewer];
        Statement {
            vote: Vote {
                approval: id.clone(),
                digest: self.digest(id).await,
                person: Person { id: person(who), roles },
                surface: surface.into(),
                ballot,
                reason: None,
                at: self.now,
            },
            identity: account(service, who),
            proof: if service == "local" {
                Proof::Passphrase
            } else {
                Proof::Service("interaction-1".into())
            },
            way: Way::Button,
            typed: None,
            answer: None,
        }
    }

    /// Signed by whoever takes votes there.
    pub(crate) fn sign(&self, statement: &Statement) -> SignedVote {
        let remote = matches!(&*statement.vote.surface, "discord" | "github");
        let key = if remote { &self.bot } else { &self.alpha };
        key.sign(statement).unwrap()
    }

    pub(crate) async fn cast(&self, vote: SignedVote) -> Cast {
        self.run(move |a| a.cast(&vote)).await
    }

    pub(crate) async fn vote(&self, id: &ApprovalId, who: &str, surface: &str, ballot: Ballot) -> Cast {
        self.cast(self.sign(&self.statement(id, who, surface, ballot).await)).await
    }

    /// Why a vote is refused.
    pub(crate) async fn refusal(&self, vote: SignedVote) -> String {
        match self.cast(vote).await {
            Cast::Refused(refusal) => refusal.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Asked, delivered and granted by ines.
    pub(crate) async fn granted(&mut self, subject: Subject) -> ApprovalId {
        let id = self.asked(subject).await;
        assert!(matches!(self.vote(&id, "ines", "board", Ballot::Approve).await, Cast::Granted(_)));
        id
    }

    pub(crate) async fn authorise(&self, id: &ApprovalId, rebuilt: Subject, effect: &str) -> Authorised {
        authorise(self.db(), &self.executor, &self.people, (id, WHOLE), rebuilt, effect, self.now)
            .await
            .unwrap()
    }

    /// Why it is not carried out.
    pub(crate) async fn stopped(&self, id: &ApprovalId, rebuilt: Subject) -> String {
        match self.authorise(id, rebuilt, "act-1").await {
            Authorised::Lapsed { reason, .. } => reason,
            Authorised::Refused(refusal) => refusal.to_string(),
            Authorised::Go(_) => panic!("it was carried out"),
        }
    }

    pub(crate) async fn state(&self, id: &ApprovalId) -> String {
        let id = id.clone();
        format!("{:?}", self.run(move |a| a.show(&id)).await.state())
    }
}

/// A day, in minutes: how long people have.
pub(crate) const DAY: i64 = 24 * 60;

/// As above, for rules.
pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// Why nobody is asked.
pub(crate) fn refused(asked: Asked) -> String {
    match asked {
        Asked::Refused(refusal) => refusal.to_string(),
        other => panic!("{other:?}"),
    }
}
