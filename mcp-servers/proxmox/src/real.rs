//! The tools against a cluster of the test's own: `fakepve` behind `tests/front.py`, programs of their own on loopback, which
//! end when the test does.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use qd_guard::{Call, Caller, Change as _, Fault, Look as _, Mutation as _, Permit, Who};
use qd_types::PolicyHash;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    Cluster, Config, destroy,
    effect::{Doing, Effect, Operates},
    operate, provision, read, rights,
    seen::{Reading, Seeing},
    shape, undo,
};

const TOKEN: &str = "11111111-1111-4111-8111-111111111111";

/// A cluster, as long as this is there.
pub(crate) struct World {
    front: Child,
    port: String,
    fingerprint: String,
}

impl Drop for World {
    fn drop(&mut self) {
        // It ends, and ends the fake, when its input does.
        drop(self.front.stdin.take());
        let _ = self.front.wait();
    }
}

impl World {
    /// Starts one; `None`, said clearly, where it can't be had.
    pub(crate) async fn start() -> Option<Self> {
        let told = env::var("QUARTERDECK_SKIP").unwrap_or_default();
        let there =
            Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success());
        if !there || told.split(',').any(|skipped| skipped == "python") {
            assert!(env::var_os("CI").is_none(), "CI has python3: the test command installs it");
            eprintln!("skipped: python3 is not installed");
            return None;
        }
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let mut starting = Command::new("python3");
        starting.arg(tests.join("front.py")).arg(tests.join("guests.json"));
        let mut front = starting.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(front.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            assert_eq!(front.wait().unwrap().code(), Some(77), "the front says what it can't have");
            assert!(env::var_os("CI").is_none(), "fakepve can't be installed");
            eprintln!("skipped: fakepve can't be installed");
            return None;
        };
        let mut world = Self { front, port: said["port"].to_string(), fingerprint: "00".repeat(32) };
        // The wrong one is refused, and the right one is said, as a person would read it.
        let problem = world.see::<read::ListGuests>(&[], json!({})).await.unwrap_err().problem;
        let found = problem.split("it has ").nth(1).unwrap_or_else(|| panic!("{problem}"));
        let found: String = found.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        assert_eq!(found.to_lowercase(), said["fingerprint"].as_str().unwrap());
        world.fingerprint = found;
        Some(world)
    }

    /// How it is configured.
    pub(crate) fn config(&self, more: &[(&str, &str)]) -> Config {
        let base = [
            ("PROXMOX_HOST", "127.0.0.1"),
            ("PROXMOX_PORT", &self.port),
            ("PROXMOX_USER", "mcp@pve"),
            ("PROXMOX_TOKEN_NAME", "mcp"),
            ("PROXMOX_TOKEN_VALUE", TOKEN),
            ("PROXMOX_FINGERPRINT", &self.fingerprint),
            ("PROXMOX_SCOPE_VMIDS", "100-199"),
            ("PROXMOX_SCOPE_NODES", "pve1"),
            ("PROXMOX_SCOPE_STORAGES", "local,local-lvm"),
            ("PROXMOX_SCOPE_TAGS", "qd"),
        ];
        let all: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        let read =
            |name: &str| all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::from_env(read).unwrap()
    }

    fn cluster(&self, more: &[(&str, &str)]) -> Arc<Cluster> {
        Arc::new(Cluster::connect(self.config(more)).unwrap())
    }

    async fn see<R: Reading>(&self, more: &[(&str, &str)], input: Value) -> Result<Value, Fault> {
        let seen = Seeing::<R>::new(&self.cluster(more)).look(&call(), input_of(input)).await?;
        Ok(serde_json::to_value(seen).unwrap())
    }

    /// What would happen, or why not.
    async fn plan<E: Effect>(&self, input: Value) -> String {
        let tool = Doing::<E>::new(&self.cluster(&[]));
        match tool.plan(&call(), &input_of(input)).await {
            Ok(plan) => plan.steps.join("\n"),
            Err(fault) => format!("no: {}", fault.problem),
        }
    }

    async fn change<E: Operates>(&self, input: Value) -> Result<Value, Fault> {
        let tool = Doing::<E>::new(&self.cluster(&[]));
        let permit = Permit::Policy(PolicyHash::of(b"rules"));
        Ok(serde_json::to_value(tool.change(&call(), input_of(input), permit).await?).unwrap())
    }
}

fn input_of<T: DeserializeOwned>(input: Value) -> T {
    serde_json::from_value(input).unwrap()
}

pub(crate) fn call() -> Call {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let id = format!("C{}", LAST.fetch_add(1, Ordering::Relaxed));
    let who = Who::Service { team: "alpha".parse().unwrap(), name: "ci".to_owned(), on_behalf: vec![] };
    let (cancel, progress) = Default::default();
    Call { id, caller: Caller::new(who), cancel, progress }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tier_with_a_token_of_its_own_goes_by_that() {
    let Some(world) = World::start().await else { return };
    let own = [
        ("PROXMOX_TOKEN_NAME_OPERATE", "mcp"),
        ("PROXMOX_TOKEN_VALUE_OPERATE", "22222222-2222-4222-8222-222222222222"),
    ];
    world.see::<read::ListGuests>(&own, json!({})).await.unwrap();
    let tool = Doing::<operate::Start>::new(&world.cluster(&own));
    let permit = Permit::Policy(PolicyHash::of(b"rules"));
    let refused = tool.change(&call(), input_of(json!({ "vmid": 103 })), permit).await.unwrap_err();
    assert!(refused.problem.contains("token"), "nobody knows that one: {}", refused.problem);
    world.change::<operate::Start>(json!({ "vmid": 103 })).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_started_once_and_stopped_once() {
    let Some(world) = World::start().await else { return };
    let one = || json!({ "vmid": 100 });
    let started = world.change::<operate::Start>(one()).await.unwrap();
    assert_eq!((&started["changed"], started["tasks"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(world.change::<operate::Start>(one()).await.unwrap()["changed"], json!(false));
    assert_eq!(world.change::<operate::Stop>(one()).await.unwrap()["undo"], json!("start 100"));
    assert_eq!(world.change::<operate::Stop>(one()).await.unwrap()["changed"], json!(false));
    world.change::<operate::SnapshotCreate>(json!({ "vmid": 100, "name": "before" })).await.unwrap();
    let snapshots = world.see::<read::ListSnapshots>(&[], one()).await.unwrap();
    assert_eq!(snapshots["rows"][0]["name"], json!("before"));
    let tagged = world.change::<operate::SetTags>(json!({ "vmid": 100, "tags": ["blue"] })).await.unwrap();
    assert_eq!(tagged["undo"], json!("set_tags 100 qd;team-alpha"));
    let guest = world.see::<read::GetGuest>(&[], one()).await.unwrap();
    assert_eq!(guest["facts"]["tags"], json!(["blue", "qd", "team-alpha"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_stays_outside() {
    let Some(world) = World::start().await else { return };
    let vm = |more: Value| {
        let mut vm = json!({ "vmid": 150, "node": "pve1", "name": "new", "cores": 1, "memory_mib": 512, "storage": "local-lvm", "disk_gib": 8, "bridge": "vmbr0" });
        vm.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        vm
    };
    let clone = |newid: u32| json!({ "vmid": 100, "newid": newid, "name": "copy", "full": true, "storage": "secret" });
    let said = [
        world.plan::<operate::Start>(json!({ "vmid": 101 })).await,
        world.plan::<operate::Start>(json!({ "vmid": 102 })).await,
        world.plan::<operate::Start>(json!({ "vmid": 700 })).await,
        world.plan::<operate::Start>(json!({ "vmid": 199 })).await,
        world.plan::<operate::Migrate>(json!({ "vmid": 100, "target": "pve2" })).await,
        world.plan::<operate::BackupCreate>(json!({ "vmid": 100, "storage": "secret" })).await,
        world.plan::<operate::SetTags>(json!({ "vmid": 100, "tags": ["team-beta"] })).await,
        world.plan::<provision::CloneGuest>(clone(700)).await,
        world.plan::<provision::CloneGuest>(clone(150)).await,
        world.plan::<provision::CloneGuest>(clone(101)).await,
        world.plan::<provision::CreateVm>(vm(json!({ "iso": "secret:iso/x.iso" }))).await,
        world.plan::<provision::CreateVm>(vm(json!({ "iso": "local-lvm:vm-101-disk-0" }))).await,
        world.plan::<provision::CreateVm>(vm(json!({ "iso": "local-lvm:vm-100-disk-0" }))).await,
        world.plan::<provision::CreateVm>(vm(json!({}))).await,
        world.plan::<shape::MoveDisk>(json!({ "vmid": 100, "disk": "scsi0", "storage": "secret" })).await,
        world.plan::<shape::GuestExec>(json!({ "vmid": 100, "argv": ["/bin/sh", "-c", "id"] })).await,
        world
            .plan::<destroy::BackupDelete>(json!({ "node": "pve1", "volume": "local-lvm:vm-100-disk-0" }))
            .await,
        world
            .plan::<destroy::BackupDelete>(
                json!({ "node": "pve1", "volume": "local:backup/vzdump-qemu-700-x.vma" }),
            )
            .await,
        world.plan::<destroy::GuestDelete>(json!({ "vmid": 100, "backup_to": "local" })).await,
    ];
    insta::assert_snapshot!(said.join("\n"), @r#"
    no: The guest 101 is another team's.
    no: The guest 102 (kept) has the tag protected.
    no: The number 700 is outside of what may be used here.
    no: There is no guest 199.
    no: The node pve2 is outside of what may be used here.
    no: The storage secret is outside of what may be used here.
    no: Tags that begin with team- say whose a guest is.
    no: The number 700 is outside of what may be used here.
    no: The storage secret is outside of what may be used here.
    no: The number 101 is taken.
    no: The storage secret is outside of what may be used here.
    no: The guest 101 is another team's.
    no: local-lvm:vm-100-disk-0 is not one of iso/.
    Make the qemu 150 on pve1: name=new, cores=1, memory=512, ostype=l26, scsihw=virtio-scsi-single, scsi0=local-lvm:8, net0=virtio,bridge=vmbr0,firewall=1, agent=1, tags=qd;team-alpha.
    no: The storage secret is outside of what may be used here.
    no: "/bin/sh" is not one of the allowed programs.
    no: There is no backup local-lvm:vm-100-disk-0.
    no: The number 700 is outside of what may be used here.
    Back 100 (web) up to local; if that fails, nothing is deleted.
    Delete 100 (web) with its disks and snapshots, for good.
    "#);
    let listed = world.see::<read::ListGuests>(&[], json!({})).await.unwrap();
    let numbers: Vec<&Value> = listed["rows"].as_array().unwrap().iter().map(|row| &row["vmid"]).collect();
    assert_eq!(numbers, [&json!(100), &json!(102), &json!(103)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_none_is_said_and_not_shown() {
    let Some(world) = World::start().await else { return };
    let wrong = [("PROXMOX_TOKEN_VALUE", "22222222-2222-4222-8222-222222222222")];
    let fault = world.see::<read::ListGuests>(&wrong, json!({})).await.unwrap_err();
    assert!(fault.problem.contains("does not know the token"), "{fault:?}");
    assert!(
        !format!("{fault:?}{:?}", world.cluster(&wrong).config).contains("2222-"),
        "the token is not shown"
    );
    let findings = world.see::<rights::Doctor>(&[], json!({})).await.unwrap();
    assert_eq!(findings["findings"][0]["ok"], json!(true));
}

#[test]
fn names_that_lead_out_are_no_arguments() {
    for wrong in [
        json!({ "vmid": "301abc" }),
        json!({ "vmid": "../100" }),
        json!({ "vmid": 99 }),
        json!({ "vmid": -1 }),
    ] {
        assert!(serde_json::from_value::<operate::One>(wrong).is_err());
    }
    for target in ["..", "%2e%2e", "a/b", "pve1\n", "pve1/../x", ""] {
        assert!(
            serde_json::from_value::<operate::Move>(json!({ "vmid": 100, "target": target })).is_err(),
            "{target:?}"
        );
    }
}

#[test]
fn every_tool_can_be_served() {
    let read = |name: &str| match name {
        "PROXMOX_HOST" => Some("127.0.0.1".to_owned()),
        "PROXMOX_USER" => Some("mcp@pve".to_owned()),
        "PROXMOX_TOKEN_NAME" => Some("mcp".to_owned()),
        "PROXMOX_TOKEN_VALUE" => Some(TOKEN.to_owned()),
        "PROXMOX_FINGERPRINT" => Some("00".repeat(32)),
        _ => None,
    };
    let mut config = Config::from_env(read).unwrap();
    let tools = |config: &Config| {
        let cluster = Cluster::connect(config.clone()).unwrap();
        crate::server("proxmox", cluster, Arc::new(crate::NoHub)).unwrap().known_tools().len()
    };
    assert_eq!(tools(&config), 22);
    config.elevated = true;
    assert_eq!(tools(&config), 57);
    config.programs = vec!["/bin/ls".to_owned()];
    assert_eq!(tools(&config), 58);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_back_unless_something_came_after() {
    let Some(world) = World::start().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let cluster = || {
        let cluster = Cluster::connect(world.config(&[])).unwrap();
        Arc::new(cluster.keeping(folder.path().to_owned()))
    };
    async fn done<E: Effect>(cluster: &Arc<Cluster>, input: Value) -> Result<Value, Fault> {
        let done = Doing::<E>::new(cluster).carry_out(&call(), &input_of(input)).await?;
        Ok(serde_json::to_value(done).unwrap())
    }
    let first = done::<shape::SetResources>(&cluster(), json!({ "vmid": 100, "cores": 3 })).await.unwrap();
    let undo = first["undo"].as_str().unwrap().strip_prefix("undo_change ").unwrap().to_owned();
    let second =
        done::<operate::SetTags>(&cluster(), json!({ "vmid": 100, "tags": ["blue"] })).await.unwrap();
    let refused = done::<undo::UndoChange>(&cluster(), json!({ "change": undo })).await.unwrap_err();
    insta::assert_snapshot!(refused.problem, @"100 (web) was changed since.");
    // The newest first: then the one before is the newest.
    let newest = second["undo"].as_str().unwrap().strip_prefix("undo_change ").unwrap();
    let back = done::<undo::UndoChange>(&cluster(), json!({ "change": newest })).await.unwrap();
    insta::assert_snapshot!(back["steps"][0].as_str().unwrap(), @"Set 100 (web) back: tags=team-alpha;qd (it was: Set the tags of 100 (web): blue;qd;team-alpha (now: qd;team-alpha).)");
    let back = done::<undo::UndoChange>(&cluster(), json!({ "change": undo })).await;
    assert!(back.is_ok(), "{back:?}");
    let guest = Seeing::<read::GetGuest>::new(&cluster())
        .look(&call(), input_of(json!({ "vmid": 100 })))
        .await
        .unwrap();
    let guest = serde_json::to_value(guest).unwrap();
    assert_eq!(guest["facts"]["config"]["cores"].to_string().trim_matches('"'), "1", "{guest}");
    let again = done::<undo::UndoChange>(&cluster(), json!({ "change": "../x" })).await.unwrap_err();
    insta::assert_snapshot!(again.problem, @"There is no such change here.");
    let kept = Seeing::<undo::ListChanges>::new(&cluster()).look(&call(), input_of(json!({}))).await.unwrap();
    assert_eq!(serde_json::to_value(kept).unwrap()["changes"].as_array().unwrap().len(), 4);
}
