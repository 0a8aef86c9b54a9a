//! A bot on disk, and teams that speak to it over some transport.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use qd_approvals::{Proof, SurfaceKey};
use qd_core::{
    Distil, Rules,
    chat::{Commands as _, Given},
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_hub::{Hub, HubGate, NoCredentials};
use qd_testkit::{Nowhere, Quiet};
use qd_types::{InstanceName, Person, Role};
use qd_uplink::{Identity, SignedUplink, Status};
use qd_wire::{
    port::Carrier,
    v1::{Alert, Envelope, Report},
};

/// The fleet's name.
pub(crate) const FLEET: &str = "home";
/// The teams' names.
pub(crate) const TEAMS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// A way from teams to the bot that can be broken.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    /// The bot's end, for as long as the value lives.
    async fn serve(&mut self, gate: HubGate);
    /// The way of a team.
    async fn carrier(&self, team: &InstanceName) -> Arc<dyn Carrier>;
    /// Whatever is in between breaks, and comes back.
    async fn breaks(&mut self);
    /// The bot's end is gone: its process ended.
    async fn stop(&mut self);
}

/// The bot.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    hub: Option<(Hub, tokio::task::JoinHandle<()>)>,
}

pub(crate) fn team(name: &str) -> InstanceName {
    name.parse().unwrap()
}

fn key(name: &str) -> SurfaceKey {
    let mut secret = [7; 32];
    for (byte, letter) in secret.iter_mut().zip(name.bytes()) {
        *byte = letter;
    }
    SurfaceKey::new(&secret)
}

fn rules() -> Rules {
    let people = vec![Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner] }];
    let teams: Vec<InstanceName> = TEAMS.into_iter().map(team).collect();
    let known = |person: &Person| KnownPerson { person: person.clone(), identities: Vec::new() };
    let facts =
        Facts { people: people.iter().map(known).collect(), teams: teams.clone(), ..Facts::default() };
    Rules {
        teams,
        people,
        renamed: BTreeMap::new(),
        policies: Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, &[]).unwrap()),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules::default(),
        distil: Distil::new(&serde_json::Value::Null, TimeZone::UTC).unwrap(),
    }
}

impl Site {
    pub(crate) async fn new(transport: &mut dyn Transport) -> Self {
        let mut site = Self { dir: tempfile::tempdir().unwrap(), hub: None };
        site.start(transport).await;
        site
    }

    pub(crate) async fn start(&mut self, transport: &mut dyn Transport) {
        // What the process before had begun ends a moment after it.
        let begun = Instant::now();
        let hub = loop {
            match Hub::open(&self.file(), rules(), Arc::new(Nowhere), Arc::new(Quiet)).await {
                Ok(hub) => break hub,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        for name in TEAMS {
            hub.enrol(&team(name), key(name).public()).await.unwrap();
        }
        transport.serve(self.gate(&hub)).await;
        let running = tokio::spawn(hub.clone().run());
        self.hub = Some((hub, running));
    }

    /// The bot's process ends.
    pub(crate) async fn stop(&mut self, transport: &mut dyn Transport) {
        transport.stop().await;
        let (hub, running) = self.hub.take().unwrap();
        running.abort();
        let _ended = running.await;
        drop(hub);
    }

    fn gate(&self, hub: &Hub) -> HubGate {
        HubGate::open(hub.clone(), self.dir.path(), FLEET, Arc::new(NoCredentials)).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("bot.db")
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub.as_ref().unwrap().0
    }

    pub(crate) async fn uplink(&self, transport: &dyn Transport, name: &str) -> SignedUplink {
        let bot = self.hub().surface_key();
        let identity = Identity { fleet: FLEET.into(), instance: team(name), key: key(name), bot };
        SignedUplink::new(transport.carrier(&team(name)).await, identity, Status::default())
    }

    /// A person has something filed on a team's board: an order for it.
    pub(crate) async fn orders(&self, name: &str, title: &str) {
        let ines = Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner] };
        let text = format!("feature add --team {name} {title}");
        let said = self.hub().command(&ines, &Given::on_console(Proof::SignedIn), &text).await;
        // A team that was not heard yet gets it as well.
        assert!(said == format!("Sent to {name}.") || said.contains("The order is kept"), "{said}");
    }

    /// The alerts of a team in the order in which they were first taken, each with how often it came.
    pub(crate) fn alerts(&self, name: &str) -> BTreeMap<String, u64> {
        let c = qd_sqlite::read_only(&self.file()).unwrap();
        let sql = "SELECT cause, alert ->> 'count' FROM alerts WHERE team = ?1";
        let mut statement = c.prepare(sql).unwrap();
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(1).map(i64::unsigned_abs);
        let rows = statement.query_map([name], |row| Ok((row.get(0)?, count(row)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// A report by its number.
pub(crate) fn report(seq: u64) -> Envelope<Report> {
    let key = format!("{seq:05}");
    let body = Report::Alert(Alert { key, text: format!("Alert {seq}."), over: false });
    Envelope { epoch: 1, seq, at: Timestamp::now(), body }
}
