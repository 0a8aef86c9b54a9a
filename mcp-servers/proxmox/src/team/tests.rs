//! The way of a team's machine against a cluster: every request of it lost, refused, or the last thing before a crash, on the
//! way there and on the way back. Afterwards no guest, no disk and no reservation is left.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use qd_guard::Mutation as _;
use qd_types::InstanceName;
use serde_json::json;
use tokio::sync::Notify;

use super::{
    Machines, NewTeam, Pace, TeamResize,
    hub::{Hub, Invitation},
    tools::{OldTeam, TeamCreate, TeamDestroy},
};
use crate::{
    Cluster, Config,
    cluster::{Guest, count, text},
    effect::Doing,
    error::PveError,
    https::{Https, Reply, Transport},
    names::{NodeName, StorageId},
    real::{World, call},
    request::{Method, Request},
    requests,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It does not get there.
    LostBefore,
    /// It is done, and nobody hears of it.
    LostAfter,
    /// It is refused.
    Refused,
    /// The process is killed before it is sent.
    KilledBefore,
    /// The process is killed once it is done.
    KilledAfter,
}

/// The way to the cluster, with one request that meets its fate. Only those that change something count.
struct Fated {
    inner: Https,
    changes: Arc<Mutex<usize>>,
    fate: Option<(usize, Fate)>,
    killed: Arc<Notify>,
}

#[async_trait]
impl Transport for Fated {
    async fn send(&self, request: &Request) -> Result<Reply, PveError> {
        if request.method() == Method::Get || request.template().ends_with("/ping") {
            return self.inner.send(request).await;
        }
        let number = {
            let mut changes = self.changes.lock().unwrap();
            *changes += 1;
            *changes
        };
        let fate = self.fate.filter(|(at, _)| *at == number).map(|(_, fate)| fate);
        let lost = |sent| PveError::Unreachable { said: "the line broke".to_owned(), sent };
        match fate {
            None => self.inner.send(request).await,
            Some(Fate::LostBefore) => Err(lost(true)),
            Some(Fate::LostAfter) => self.inner.send(request).await.and(Err(lost(true))),
            Some(Fate::Refused) => {
                Ok(Reply { status: 500, reason: "it does not want to".to_owned(), body: Vec::new() })
            }
            Some(Fate::KilledBefore) => {
                self.killed.notify_one();
                std::future::pending().await
            }
            Some(Fate::KilledAfter) => {
                let _ = self.inner.send(request).await;
                self.killed.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// A hub that hears what happens in the guests.
struct TestHub {
    to: Https,
    deaf: AtomicBool,
}

#[async_trait]
impl Hub for TestHub {
    async fn invitation(&self, team: &InstanceName) -> Result<Invitation, String> {
        Ok(Invitation { url: "https://bot.example.org".to_owned(), token: format!("token-of-{team}").into() })
    }

    async fn has_joined(&self, team: &InstanceName) -> Result<bool, String> {
        if self.deaf.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let said = self.to.send(&Request::new(Method::Get).at("_front/joined")).await;
        let said: serde_json::Value = serde_json::from_slice(&said.map_err(|e| e.to_string())?.body).unwrap();
        Ok(said["data"].as_array().unwrap().iter().any(|joined| joined == team.as_str()))
    }

    async fn forget(&self, _: &InstanceName, _: Option<&qd_types::PersonId>) -> Result<(), String> {
        Ok(())
    }
}

fn https(config: &Config) -> Https {
    Https::new(&config.authority(), config.authorization(), &config.trust).unwrap()
}

struct Stage {
    config: Config,
    folder: tempfile::TempDir,
    hub: Arc<TestHub>,
}

impl Stage {
    fn new(world: &World, more: &[(&str, &str)]) -> Self {
        let scope = [("PROXMOX_SCOPE_VMIDS", "110-190")];
        let config = world.config(&[&scope, more].concat());
        let hub = Arc::new(TestHub { to: https(&config), deaf: AtomicBool::new(false) });
        Self { config, folder: tempfile::tempdir().unwrap(), hub }
    }

    /// A process's own: what another one knows is on disk only.
    fn machines(&self, fate: Option<(usize, Fate)>) -> (Machines, Arc<Notify>) {
        let killed = Arc::new(Notify::new());
        let fated =
            Fated { inner: https(&self.config), changes: Arc::default(), fate, killed: killed.clone() };
        let cluster = Cluster::over(self.config.clone(), Box::new(fated));
        let cluster = Arc::new(cluster.keeping(self.folder.path().to_owned()));
        let hub: Arc<dyn Hub> = self.hub.clone();
        let pace = Pace { look: Duration::from_millis(5), patience: Duration::from_secs(2), tries: 3 };
        (Machines { pace, ..Machines::new(&cluster, &hub) }, killed)
    }

    /// Makes it; `None` if it was killed on the way.
    async fn create(&self, fate: Option<(usize, Fate)>) -> Option<Result<String, String>> {
        let (machines, killed) = self.machines(fate);
        let call = call();
        let created = machines.create(&call, alpha());
        let told = |ended: Result<_, qd_guard::Fault>| {
            ended.map(|made| serde_json::to_string(&made).unwrap()).map_err(|fault| fault.problem)
        };
        tokio::select! {
            ended = created => Some(told(ended)),
            () = killed.notified() => None,
        }
    }

    /// Takes it away; `None` if it was killed on the way.
    async fn destroy(&self, fate: Option<(usize, Fate)>) -> Option<Result<(), String>> {
        let (machines, killed) = self.machines(fate);
        let (call, old) = (call(), OldTeam { team: alpha().team, backup_to: None });
        let destroyed = machines.destroy(&call, &old);
        tokio::select! {
            ended = destroyed => Some(ended.map(drop).map_err(|fault| fault.problem)),
            () = killed.notified() => None,
        }
    }

    /// Everything there is of machines: guests, disks, records.
    async fn left(&self) -> Vec<String> {
        let (machines, _) = self.machines(None);
        let api = &machines.cluster.api;
        let rows = api.ask(&requests::resources()).await.unwrap();
        let guests = rows.as_array().unwrap().iter().filter_map(Guest::of_row);
        let guests = guests.filter(|guest| (110..190).contains(&guest.vmid.number()));
        let mut left: Vec<String> = guests.map(|guest| format!("guest {guest}")).collect();
        let (node, storage) = (NodeName::parse("pve1").unwrap(), StorageId::parse("local-lvm").unwrap());
        let rows = api.ask(&requests::content(&node, &storage, None)).await.unwrap();
        let rows = rows.as_array().unwrap().iter();
        let own = rows.filter(|row| (110..190).contains(&count(row, "vmid")));
        left.extend(own.map(|row| format!("volume {}", text(row, "volid"))));
        left.extend(
            machines
                .cluster
                .journal()
                .unwrap()
                .all()
                .unwrap()
                .iter()
                .map(|r| format!("record {:?}", r.phase)),
        );
        left
    }

    /// How many changes the way there takes, and the way back, if nothing happens.
    async fn changes(&self) -> (usize, usize) {
        let counted: Arc<Mutex<usize>> = Arc::default();
        let fated = Fated {
            inner: https(&self.config),
            changes: counted.clone(),
            fate: None,
            killed: Arc::new(Notify::new()),
        };
        let cluster = Cluster::over(self.config.clone(), Box::new(fated));
        let cluster = Arc::new(cluster.keeping(self.folder.path().to_owned()));
        let machines = Machines { cluster, ..self.machines(None).0 };
        machines.create(&call(), alpha()).await.unwrap();
        let there = std::mem::take(&mut *counted.lock().unwrap());
        machines.create(&call(), alpha()).await.unwrap();
        assert_eq!(*counted.lock().unwrap(), 0, "what is there is left alone");
        machines.destroy(&call(), &OldTeam { team: alpha().team, backup_to: None }).await.unwrap();
        let back = *counted.lock().unwrap();
        (there, back)
    }
}

fn team(name: &str) -> NewTeam {
    let order = json!({
        "team": name, "template": 190, "cores": 4, "memory_mib": 4096, "disk_gib": 12,
        "ssh_keys": ["ssh-ed25519 AAAA ops@example.org"],
    });
    serde_json::from_value(order).unwrap()
}

fn alpha() -> NewTeam {
    team("alpha")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_made_once_and_taken_away_whole() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[]);
    let (machines, _) = stage.machines(None);
    let plan = TeamCreate(machines.clone()).plan(&call(), &alpha()).await.unwrap();
    insta::assert_snapshot!(plan.steps.join("\n"), @"
    Clone 190 (debian) (linked) to team-alpha, under the first free number of 110-190, in no pool: 4 cores, 4096 MiB, 12 GiB.
    Give it the tags qd;quarterdeck;team-alpha, and Proxmox's protection.
    Set the user quarterdeck, 1 keys and the network by cloud-init.
    Start it, and wait for its agent.
    Bring the program of the template, the configuration and the invitation into it.
    Wait until alpha says hello at the hub. If anything fails, all of it is taken away.
    ");
    let made = stage.create(None).await.unwrap().unwrap();
    insta::assert_snapshot!(made, @r#"{"team":"alpha","vmid":110,"node":"pve1","standing":"is at work"}"#);
    assert_eq!(stage.create(None).await.unwrap().unwrap(), made, "again, it is the same");
    let (vmid, node) = (serde_json::from_value(json!(110)).unwrap(), NodeName::parse("pve1").unwrap());
    let guest = Guest::machine(vmid, node, String::new());
    let config = machines.cluster.api.ask(&requests::config(&guest)).await.unwrap();
    let shown = ["tags", "protection", "cores", "memory", "scsi0", "ciuser", "ipconfig0", "name"];
    let shown: Vec<String> = shown.iter().map(|key| format!("{key}={}", config[key])).collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    tags="qd;quarterdeck;team-alpha"
    protection="1"
    cores="4"
    memory="4096"
    scsi0="local-lvm:vm-110-disk-0,size=8G"
    ciuser="quarterdeck"
    ipconfig0="ip=dhcp"
    name="team-alpha"
    "#);
    let other = NewTeam { cores: 8, ..alpha() };
    let refused = TeamCreate(machines.clone()).plan(&call(), &other).await.unwrap_err();
    insta::assert_snapshot!(refused.problem, @"There is a machine of alpha, asked for otherwise: it is at work.");
    let old = OldTeam { team: alpha().team, backup_to: None };
    let plan = TeamDestroy(machines).plan(&call(), &old).await.unwrap();
    insta::assert_snapshot!(plan.steps.join("\n"), @"
    Shut the machine of alpha down (guest 110).
    Delete it with its disks and snapshots, for good.
    Put alpha out of the fleet: its key counts no more.
    ");
    stage.destroy(None).await.unwrap().unwrap();
    assert_eq!(stage.left().await, Vec::<String>::new());
    let again = stage.destroy(None).await.unwrap().unwrap_err();
    insta::assert_snapshot!(again, @"There is no machine of alpha here.");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_on_the_way_there_is_one_or_nothing() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[]);
    let (there, _) = stage.changes().await;
    let mut matrix = Vec::new();
    for at in 1..=there {
        for fate in [Fate::LostBefore, Fate::LostAfter, Fate::Refused, Fate::KilledBefore, Fate::KilledAfter]
        {
            let ended = stage.create(Some((at, fate))).await;
            let word = match &ended {
                Some(Ok(_)) => "there",
                Some(Err(_)) => "gone",
                None => "resumed",
            };
            match fate {
                Fate::LostBefore | Fate::LostAfter => assert_eq!(word, "there", "{at} {fate:?} {ended:?}"),
                Fate::Refused => {
                    assert_eq!(word, "gone", "{at} {fate:?} {ended:?}");
                    assert_eq!(stage.left().await, Vec::<String>::new(), "{at} {fate:?}");
                }
                Fate::KilledBefore | Fate::KilledAfter => {
                    assert_eq!(word, "resumed", "{at} {fate:?} {ended:?}");
                    stage.create(None).await.unwrap().unwrap();
                }
            }
            if word != "gone" {
                // One guest, its two disks and its record: what was made twice would show.
                let left = stage.left().await;
                assert_eq!(
                    left.iter().filter(|one| one.starts_with("guest")).count(),
                    1,
                    "{at} {fate:?} {left:?}"
                );
                stage.destroy(None).await.unwrap().unwrap();
            }
            assert_eq!(stage.left().await, Vec::<String>::new(), "{at} {fate:?}");
            matrix.push(format!("{at} {fate:?}: {word}"));
        }
    }
    assert_eq!(matrix.len(), there * 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_on_the_way_back_nothing_is_left() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[]);
    let (there, back) = stage.changes().await;
    // The team never says hello: all of it is taken away, whatever happens then.
    for at in 1..=back {
        for fate in [Fate::LostBefore, Fate::LostAfter, Fate::KilledBefore, Fate::KilledAfter] {
            stage.hub.deaf.store(true, Ordering::Relaxed);
            let ended = stage.create(Some((there + at, fate))).await;
            stage.hub.deaf.store(false, Ordering::Relaxed);
            if ended.is_none() {
                stage.destroy(None).await.unwrap().unwrap();
            }
            assert!(!matches!(ended, Some(Ok(_))), "{at} {fate:?} {ended:?}");
            assert_eq!(stage.left().await, Vec::<String>::new(), "back {at} {fate:?}");
        }
    }
    // Killed while people have it taken away.
    for at in 1..=back {
        for fate in [Fate::LostBefore, Fate::LostAfter, Fate::KilledBefore, Fate::KilledAfter] {
            stage.create(None).await.unwrap().unwrap();
            if !matches!(stage.destroy(Some((at, fate))).await, Some(Ok(()))) {
                stage.destroy(None).await.unwrap().unwrap();
            }
            assert_eq!(stage.left().await, Vec::<String>::new(), "destroy {at} {fate:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_teams_at_once_get_a_machine_each() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[]);
    let (machines, _) = stage.machines(None);
    let machines =
        Machines { pace: Pace { patience: Duration::from_secs(120), ..machines.pace }, ..machines };
    let begun = std::time::Instant::now();
    let making: Vec<_> = (0..50)
        .map(|number| {
            let machines = machines.clone();
            tokio::spawn(async move { machines.create(&call(), team(&format!("t{number}"))).await })
        })
        .collect();
    let mut numbers = BTreeSet::new();
    for made in making {
        let made = serde_json::to_value(made.await.unwrap().unwrap()).unwrap();
        assert!(numbers.insert(made["vmid"].as_u64().unwrap()), "{made}");
    }
    eprintln!("50 teams in {} ms", begun.elapsed().as_millis());
    assert_eq!(numbers.len(), 50);
    for number in 0..50 {
        let old = OldTeam { team: team(&format!("t{number}")).team, backup_to: None };
        machines.destroy(&call(), &old).await.unwrap();
    }
    assert_eq!(stage.left().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_not_overfull_however_many_ask_at_once() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[("PROXMOX_QUOTA_CORES", "12")]);
    let (machines, _) = stage.machines(None);
    machines.cluster.api.ask(&Request::new(Method::Post).at("pools").with("poolid", "teams")).await.unwrap();
    let making: Vec<_> = (0..8)
        .map(|number| {
            let machines = machines.clone();
            let order = NewTeam {
                pool: Some(serde_json::from_value(json!("teams")).unwrap()),
                ..team(&format!("q{number}"))
            };
            tokio::spawn(async move { machines.create(&call(), order).await })
        })
        .collect();
    let (mut made, mut refused) = (0, BTreeSet::new());
    for ended in making {
        match ended.await.unwrap() {
            Ok(_) => made += 1,
            Err(fault) => {
                refused.insert(fault.problem.split_once(": ").unwrap().1.to_owned());
            }
        }
    }
    assert_eq!(made, 3, "{refused:?}");
    assert!(refused.iter().all(|why| why.contains("of 12 cores")), "{refused:?}");
    assert!(Path::new(stage.folder.path()).join("teams").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_that_grow_at_once_do_not_overfill_their_pool() {
    let Some(world) = World::start().await else { return };
    let stage = Stage::new(&world, &[("PROXMOX_QUOTA_CORES", "12")]);
    let (machines, _) = stage.machines(None);
    machines.cluster.api.ask(&Request::new(Method::Post).at("pools").with("poolid", "teams")).await.unwrap();
    for name in ["r0", "r1"] {
        let pool = Some(serde_json::from_value(json!("teams")).unwrap());
        machines.create(&call(), NewTeam { pool, ..team(name) }).await.unwrap();
    }
    let growing: Vec<_> = ["r0", "r1"]
        .map(|name| {
            let tool = Doing::<TeamResize>::new(&machines.cluster);
            let input = serde_json::from_value(json!({ "team": name, "cores": 8 })).unwrap();
            tokio::spawn(async move { tool.carry_out(&call(), &input).await.map_err(|fault| fault.problem) })
        })
        .into();
    let mut ended = Vec::new();
    for grown in growing {
        ended.push(grown.await.unwrap().map(drop));
    }
    ended.sort();
    assert!(
        matches!(ended.as_slice(), [Ok(()), Err(why)] if why.contains("of 12 cores")),
        "one has room, both have not: {ended:?}"
    );
}
