//! A real engine: limits hold, nothing gets out, and containers outlive us and are found again. One engine for all, for
//! it takes seconds to start.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use qd_dockerd::{Dockerd, IMAGE};
use qd_sandbox::{
    Bounds, Docker, Kind, Limits, Network, Sandbox as _, SandboxError, Spec,
    docker::{Contained, Inside},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::skip;

fn spec(folder: &Path, run: &str) -> Spec {
    let cwd = folder.join("work");
    fs::create_dir_all(&cwd).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    // The engine's nobody must write there, as the fleet is root here.
    fs::set_permissions(&cwd, fs::Permissions::from_mode(0o777)).unwrap();
    fs::create_dir_all(folder.join("git")).unwrap();
    fs::write(folder.join("git/HEAD"), "ref").unwrap();
    Spec {
        instance: "alpha".parse().unwrap(),
        run: run.parse().unwrap(),
        cwd,
        home: folder.join("home"),
        home_at: "/root".into(),
        write: vec![],
        read: vec![folder.join("git")],
        hidden: vec![],
        limits: Limits { memory: Some(64 << 20), processes: Some(32), millicpus: Some(500) },
        network: Network::Closed,
        turn: None,
        adopt: None,
    }
}

fn sh(script: &str) -> Inside {
    Inside {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        env: vec![("GIVEN".into(), "yes".into()), ("HOME".into(), "/root".into())],
    }
}

/// What it said on both streams, and its exit code.
async fn finish(mut contained: Contained) -> (String, String, i64) {
    let (mut out, mut err) = (String::new(), String::new());
    let handle = contained.handle();
    let read = async {
        contained.stdout.read_to_string(&mut out).await.unwrap();
        contained.stderr.read_to_string(&mut err).await.unwrap();
    };
    timeout(Duration::from_secs(60), read).await.unwrap();
    let exit = handle.wait().await.unwrap();
    handle.remove().await.unwrap();
    (out, err, exit.0)
}

async fn said(docker: &Docker, spec: &Spec, script: &str) -> (String, String, i64) {
    finish(docker.run(spec, sh(script)).await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_hold_what_they_should() {
    let engine = match Dockerd::start() {
        Ok(engine) => engine,
        Err(why) => return skip(&why),
    };
    let folder = tempfile::tempdir().unwrap();
    let docker =
        Docker { socket: engine.socket(), ..Docker::new(Bounds("/bin/true".into()), IMAGE, &engine.at("")) };
    assert!(docker.probe().await.unwrap().hogging);
    inside(&docker, folder.path()).await;
    limits(&docker, folder.path()).await;
    streams_and_stop(&docker, folder.path()).await;
    outlives(&docker, folder.path()).await;
}

async fn inside(docker: &Docker, folder: &Path) {
    let spec = spec(folder, "A-1.1");
    let git = folder.join("git").display().to_string();
    let (out, err, code) = said(docker, &spec, "id -u; echo bad >&2; touch here; env; exit 7").await;
    assert_eq!((out.lines().next(), err.as_str(), code), (Some("65534"), "bad\n", 7));
    assert!(spec.cwd.join("here").exists());
    assert!(out.contains("GIVEN=yes") && out.contains("HOME=/home/agent") && !out.contains("CARGO"), "{out}");
    let refused = async |script: &str| said(docker, &spec, script).await.2 != 0;
    assert!(refused(&format!("touch {git}/x")).await);
    assert!(refused("touch /x").await);
    assert!(refused("wget -T 2 -q -O- http://1.1.1.1").await);
    assert!(refused("ls /proc/1/root/../var/run/docker.sock").await);
    let (out, _, code) =
        said(docker, &spec, &format!("cat {git}/HEAD; touch $HOME/x /tmp/x; cat /proc/self/status")).await;
    assert_eq!(code, 0);
    assert!(out.contains("CapEff:\t0000000000000000") && out.contains("NoNewPrivs:\t1"), "{out}");
}

async fn limits(docker: &Docker, folder: &Path) {
    let spec = spec(folder, "A-1.2");
    let hog = said(docker, &spec, "tail /dev/zero").await;
    assert_eq!(hog.2, 137, "{hog:?}");
    // What can't be forked is refused, and the container ends with its first process.
    let bomb = "i=0; while [ $i -lt 100 ]; do sleep 30 & i=$((i+1)); done; echo all";
    let (out, err, _) = said(docker, &spec, bomb).await;
    assert!(!out.contains("all") && err.contains("fork"), "{out} {err}");
}

async fn streams_and_stop(docker: &Docker, folder: &Path) {
    let spec = spec(folder, "A-1.3");
    let mut echo = docker.run(&spec, sh("cat")).await.unwrap();
    echo.stdin.write_all(b"one\n").await.unwrap();
    let mut line = [0; 4];
    echo.stdout.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"one\n");
    echo.stdin.shutdown().await.unwrap();
    assert_eq!(finish(echo).await.2, 0);

    // A grandchild with a session of its own, which ignores SIGTERM, writes for as long as it lives.
    let deaf = "setsid sh -c 'trap \"\" TERM; while :; do date > beat; sleep 0.1; done' & trap 'touch asked; exit' TERM; while :; do sleep 0.1; done";
    let tree = docker.run(&spec, sh(&deaf.replace("date", "echo"))).await.unwrap();
    let beat = spec.cwd.join("beat");
    wait_for(&beat).await;
    tree.handle().stop(Duration::from_secs(3)).await.unwrap();
    assert!(spec.cwd.join("asked").exists());
    fs::remove_file(&beat).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!beat.exists());
}

async fn outlives(docker: &Docker, folder: &Path) {
    let (kept, orphan) = (spec(folder, "A-2.1"), spec(folder, "A-2.2"));
    let script = "echo before; read line; echo after $line";
    // Our program ends here: its handles are gone.
    std::mem::forget(docker.run(&kept, sh(script)).await.unwrap().stdin);
    drop(docker.run(&orphan, sh("sleep 100")).await.unwrap());
    let instance = kept.instance.clone();
    let found = docker.find(&instance).await.unwrap();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(docker.find(&"beta".parse().unwrap()).await.unwrap().is_empty());
    let reaped = docker.reap(&instance, &|run| *run == kept.run).await.unwrap();
    assert_eq!(reaped.iter().map(|found| &found.run).collect::<Vec<_>>(), [&orphan.run]);
    let found = docker.find(&instance).await.unwrap();
    let mut adopted = docker.adopt(found.first().unwrap()).await.unwrap();
    adopted.stdin.write_all(b"all\n").await.unwrap();
    let (out, _, code) = finish(adopted).await;
    assert_eq!((out.as_str(), code), ("before\nafter all\n", 0));
    assert!(docker.find(&instance).await.unwrap().is_empty());
}

async fn wait_for(path: &Path) {
    for _ in 0..100 {
        if path.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} does not come", path.display());
}

#[tokio::test]
async fn without_an_engine_it_is_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let docker = Docker {
        socket: folder.path().join("none"),
        ..Docker::new(qd_sandbox::Bounds("x".into()), "x", folder.path())
    };
    let error = docker.probe().await.unwrap_err();
    assert!(matches!(error, SandboxError::Unavailable { kind: Kind::Docker, .. }), "{error}");
    let error = docker.run(&spec(folder.path(), "A-1.1"), sh("true")).await.err().unwrap();
    assert!(matches!(error, SandboxError::Unavailable { kind: Kind::Docker, .. }), "{error}");
}
