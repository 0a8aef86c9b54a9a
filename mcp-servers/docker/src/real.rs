//! The tools against a real engine of the test's own.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::CreateContainerOptionsBuilder,
};
use qd_dockerd::{Dockerd, IMAGE};
use qd_guard::{Call, Caller, Change, Fault, Look as _, Mutation as _, Permit, Who};
use qd_types::PolicyHash;
use serde_json::{Value, json};

use crate::{Config, FLEET, TEAM, engine::Engine, inspect, lists, operate, remove, run, watch};

struct World {
    daemon: Dockerd,
    engine: Arc<Engine>,
}

/// An engine with one image; `None`, said clearly, where there can be none.
fn world() -> Option<World> {
    let daemon = Dockerd::for_test()?;
    fs::create_dir_all(daemon.at("root/work")).unwrap();
    let config = Config {
        socket: daemon.socket(),
        images: vec!["quarterdeck/busybox".to_owned()],
        roots: vec![daemon.at("root")],
        ..Config::default()
    };
    Some(World { engine: Arc::new(Engine::new(config)), daemon })
}

impl World {
    fn at(&self, name: &str) -> PathBuf {
        self.daemon.at(name)
    }

    /// A container made by somebody, with these labels.
    async fn make(&self, name: &str, labels: &[(&str, &str)], script: &str, host: HostConfig) {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
            env: Some(vec!["API_TOKEN=hush-hush".to_owned(), "HOME=/".to_owned()]),
            labels: Some(labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
            host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..host }),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.engine.docker().await.unwrap().create_container(Some(options), body).await.unwrap();
    }

    /// Plans, and does it.
    async fn change<T: Change<Input = inspect::Named>>(&self, tool: &T, name: &str) -> Result<Value, Fault> {
        let named = || named(name);
        tool.plan(&call(), &named()).await?;
        let permit = Permit::Policy(PolicyHash::of(b"test"));
        let done = tool.change(&call(), named(), permit).await?;
        Ok(serde_json::to_value(done).unwrap())
    }
}

fn call() -> Call {
    let who = Who::Service { team: "alpha".parse().unwrap(), name: "ci".to_owned(), on_behalf: vec![] };
    let (cancel, progress) = Default::default();
    Call { id: "C".to_owned(), caller: Caller::new(who), cancel, progress }
}

fn named(name: &str) -> inspect::Named {
    serde_json::from_value(json!({ "container": name })).unwrap()
}

fn wanted(value: Value) -> run::Wanted {
    serde_json::from_value(value).unwrap()
}

const OWN: [(&str, &str); 2] = [(FLEET, "fleet"), (TEAM, "alpha")];
const SLEEP: &str = "trap 'exit 0' TERM; while true; do sleep 1 & wait; done";

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_started_read_and_stopped() {
    let Some(world) = world() else { return };
    let engine = &world.engine;
    world.make("own", &OWN, SLEEP, HostConfig::default()).await;
    let start = operate::Start(engine.clone());
    let before = start.plan(&call(), &named("own")).await.unwrap();
    assert_eq!(world.change(&start, "own").await.unwrap()["changed"], true);
    let after = start.plan(&call(), &named("own")).await.unwrap();
    assert_ne!(before.fingerprint, after.fingerprint, "a plan is bound to the state");
    assert_eq!(world.change(&start, "own").await.unwrap()["changed"], false, "twice is as once");
    let shown = inspect::Inspect(engine.clone()).look(&call(), named("own")).await.unwrap();
    let shown = serde_json::to_string(&shown).unwrap();
    assert!(shown.contains("API_TOKEN=[hidden]") && !shown.contains("hush-hush"), "{shown}");
    let all = serde_json::from_value(json!({})).unwrap();
    let listed = lists::Containers(engine.clone()).look(&call(), all).await.unwrap();
    assert!(serde_json::to_string(&listed).unwrap().contains("\"own\":true"));
    let stop = operate::Stop(engine.clone());
    let removing = remove::Remove(engine.clone());
    assert!(removing.plan(&call(), &named("own")).await.unwrap_err().problem.contains("runs"));
    assert_eq!(world.change(&stop, "own").await.unwrap()["changed"], true);
    assert_eq!(world.change(&stop, "own").await.unwrap()["changed"], false);
    assert!(removing.plan(&call(), &named("own")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn attacks_are_refused() {
    let Some(world) = world() else { return };
    let engine = &world.engine;
    let start = operate::Start(engine.clone());
    world.make("theirs", &[], SLEEP, HostConfig::default()).await;
    world.make("beta", &[(FLEET, "fleet"), (TEAM, "beta")], SLEEP, HostConfig::default()).await;
    world.make("lord", &OWN, SLEEP, HostConfig { privileged: Some(true), ..Default::default() }).await;
    let top = HostConfig { binds: Some(vec!["/:/host".to_owned()]), ..Default::default() };
    world.make("top", &OWN, SLEEP, top).await;
    let socket = format!("{}:/run/engine.sock", world.at("engine.sock").display());
    world.make("socket", &OWN, SLEEP, HostConfig { binds: Some(vec![socket]), ..Default::default() }).await;
    for odd in
        ["theirs", "beta", "lord", "top", "socket", "-own", "../own", "own/json", "оwn", "", "own?force=1"]
    {
        let refused = world.change(&start, odd).await.unwrap_err();
        assert!(!refused.unsure, "{odd}");
    }
    let running = run::Run(engine.clone());
    let mount =
        |host: &str| json!({"name": "x", "image": IMAGE, "mounts": [{"host": host, "inside": "/work"}]});
    let root = world.at("root");
    std::os::unix::fs::symlink("/", root.join("out")).unwrap();
    let work = root.join("work").display().to_string();
    assert!(running.plan(&call(), &wanted(mount(&work))).await.is_ok());
    for host in
        ["/", "/etc", "/var/run/docker.sock", &format!("{work}/../.."), &format!("{}/out", root.display())]
    {
        assert!(running.plan(&call(), &wanted(mount(host))).await.is_err(), "{host}");
    }
    for odd in [
        json!({"name": "-x", "image": IMAGE}),
        json!({"name": "x", "image": "alpine"}),
        json!({"name": "x", "image": "--privileged"}),
        json!({"name": "x", "image": IMAGE, "network": "host"}),
        json!({"name": "x", "image": IMAGE, "network": "container:theirs"}),
        json!({"name": "x", "image": IMAGE, "memory_mib": 100_000}),
        json!({"name": "x", "image": IMAGE, "pids": 0}),
        json!({"name": "x", "image": IMAGE, "environment": {"A=B": "c"}}),
        json!({"name": "theirs", "image": IMAGE}),
    ] {
        assert!(running.plan(&call(), &wanted(odd.clone())).await.is_err(), "{odd}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_has_an_end() {
    let Some(world) = world() else { return };
    world
        .make(
            "loud",
            &OWN,
            "i=0; while [ $i -lt 20000 ]; do echo line-$i-line; i=$((i+1)); done",
            HostConfig::default(),
        )
        .await;
    world.change(&operate::Start(world.engine.clone()), "loud").await.unwrap();
    for _ in 0..100 {
        if !world.engine.container("loud").await.unwrap().is_up() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let tail = serde_json::from_value(json!({"container": "loud", "lines": 1000})).unwrap();
    let log = watch::Logs(world.engine.clone()).look(&call(), tail).await.unwrap();
    let log = serde_json::to_value(&log).unwrap()["log"]["untrusted"].as_str().unwrap().to_owned();
    assert!(log.len() <= 32 * 1024 && log.ends_with("line-19999-line\n"), "{}", log.len());
}

#[tokio::test]
async fn an_engine_that_is_away_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { socket: folder.path().join("none.sock"), ..Config::default() };
    let nothing = serde_json::from_value(json!({})).unwrap();
    let fault = lists::Images(Arc::new(Engine::new(config))).look(&call(), nothing).await.unwrap_err();
    assert!(fault.problem.contains("can't be reached"), "{}", fault.problem);
    insta::assert_snapshot!(fault.way_out, @"A person has to start it (systemctl start docker), let this user use its socket, or name another socket in [mcp.docker].");
}
