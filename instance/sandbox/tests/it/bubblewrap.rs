//! Real namespaces: what is written elsewhere, hidden, cut or left behind.

use std::{
    fs,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use qd_sandbox::{Bounds, Bubblewrap, Cgroups, Limits, Network, Sandbox as _, Spec};

use super::skip;

struct Place {
    folder: tempfile::TempDir,
    bwrap: Bubblewrap,
    spec: Spec,
}

/// A state folder with a worktree, a git folder and a secret in it.
fn place() -> Option<Place> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = folder.path();
    // The limits need our own program: the test does without.
    let bounds = root.join("bounds");
    fs::write(&bounds, "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n").unwrap();
    assert!(Command::new("chmod").arg("+x").arg(&bounds).status().unwrap().success());
    let bwrap = Bubblewrap::new(Bounds(bounds));
    if let Err(why) = bwrap.works() {
        skip(&why.to_string());
        return None;
    }
    for name in ["state/work", "state/git", "state/other", "ours"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::write(root.join("state/git/HEAD"), "ref").unwrap();
    fs::write(root.join("state/bot.db"), "secret").unwrap();
    fs::write(root.join("ours/login"), "secret").unwrap();
    let spec = Spec {
        instance: "alpha".parse().unwrap(),
        run: "A-1.1".parse().unwrap(),
        cwd: root.join("state/work"),
        home: root.join("state/homes/A-1.1"),
        home_at: root.join("ours"),
        write: vec![],
        read: vec![root.join("state/git")],
        hidden: vec![root.join("state")],
        limits: Limits::default(),
        network: Network::Closed,
        turn: None,
        adopt: None,
    };
    Some(Place { folder, bwrap, spec })
}

impl Place {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, script: &str) -> Command {
        let launch = self.bwrap.launch(&self.spec).unwrap();
        let mut argv = launch.argv.into_iter();
        let mut command = Command::new(argv.next().unwrap());
        command.args(argv).args(["/bin/sh", "-c", script]).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", &self.spec.home_at).env("ROOT", self.folder.path());
        command
    }

    fn sh(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    fn ok(&self, script: &str) -> bool {
        self.sh(script).status.success()
    }
}

#[test]
fn only_what_is_let_through_is_there() {
    let Some(place) = place() else { return };
    let socket = place.at("state/api.sock");
    let _listens = UnixListener::bind(socket).unwrap();
    let said = place.sh("touch here && echo kept > $HOME/x && cat $ROOT/state/git/HEAD");
    assert_eq!(String::from_utf8_lossy(&said.stdout), "ref", "{}", String::from_utf8_lossy(&said.stderr));
    assert!(place.at("state/work/here").exists());
    assert_eq!(fs::read_to_string(place.at("state/homes/A-1.1/x")).unwrap(), "kept\n");
    for refused in [
        "touch $ROOT/state/x",
        "touch $ROOT/state/git/x",
        "touch /etc/x",
        "touch /run/x",
        "cat $ROOT/state/bot.db",
        "ls $ROOT/state/other",
        "ls $ROOT/state/api.sock",
        "cat $HOME/login",
        "ls /run/* ",
        "mount -t tmpfs none /mnt",
        "unshare -Ur true",
    ] {
        assert!(!place.ok(refused), "{refused}");
    }
    // What is temporary is its own, and nowhere outside.
    assert!(place.ok("touch /tmp/qd-within-walls"));
    assert!(!Path::new("/tmp/qd-within-walls").exists());
    let status = place.sh("cat /proc/self/status; ls -d /proc/[0-9]*");
    let status = String::from_utf8_lossy(&status.stdout);
    assert!(status.contains("CapEff:\t0000000000000000") && status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.lines().filter(|line| line.starts_with("/proc/")).count() < 6, "{status}");
}

#[test]
fn no_network_is_none() {
    let Some(mut place) = place() else { return };
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    let connect = format!("bash -c 'echo > /dev/tcp/127.0.0.1/{port}'");
    assert!(!place.ok(&connect));
    place.spec.network = Network::Open;
    assert!(place.ok(&connect));
}

#[test]
fn secrets_of_ours_are_nowhere() {
    let Some(place) = place() else { return };
    let planted = "planted-4711";
    // SAFETY of another kind: the command clears the environment, and processes outside can't be seen.
    let mut outer = Command::new("/bin/sleep");
    let mut outer = outer.arg("20").env("QD_PLANTED", planted).stdin(Stdio::null()).spawn().unwrap();
    let said = place.sh("env; cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'");
    outer.kill().unwrap();
    outer.wait().unwrap();
    assert!(!String::from_utf8_lossy(&said.stdout).contains(planted));
}

/// Groups are entered as our own program does it, for which a shell stands here. Loud where no group can be made.
#[tokio::test]
async fn limits_hold_for_all_of_it_together() {
    let Some(mut place) = place() else { return };
    let groups = match Cgroups::delegated(place.folder.path()) {
        Ok(groups) => groups,
        Err(why) => return eprintln!("SKIPPED: limits of control groups are not tried here: {why}"),
    };
    groups.prepare().unwrap();
    let enters = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do\n  [ \"$1\" = --cgroup ] && echo 0 > \"$2/cgroup.procs\"\n  shift\ndone\n\
                  shift\nexec \"$@\"\n";
    fs::write(place.at("bounds"), enters).unwrap();
    let (instance, run) = (place.spec.instance.clone(), place.spec.run.clone());
    place.bwrap = place.bwrap.clone().with_cgroups(Some(groups));
    assert!(place.bwrap.works().unwrap().hogging);
    place.spec.limits = Limits { memory: Some(64 << 20), processes: Some(32), millicpus: Some(500) };
    // All of it in one process; and a little in each of several, more than it may have together.
    assert!(place.ok("head -c 8000000 /dev/zero | tail -c 8000000 > /dev/null"));
    assert!(!place.ok("tail /dev/zero"));
    let together = "for i in 1 2 3 4; do (head -c 30000000 /dev/zero; sleep 1) | tail -c 30000000 > /dev/null & \
                    all=\"$all $!\"; done; for one in $all; do wait $one || exit 1; done";
    assert!(!place.ok(together));
    // A bomb is held, and what it leaves is ended with the group.
    let bomb = "i=0; while [ $i -lt 100 ]; do sleep 30 & i=$((i+1)); done; echo all";
    let said = place.sh(bomb);
    assert!(!String::from_utf8_lossy(&said.stdout).contains("all"), "{said:?}");
    let mut lives = place.command("touch begun; sleep 100").spawn().unwrap();
    wait_for(&place.at("state/work/begun"));
    let found = place.bwrap.find(&instance).await.unwrap();
    assert!(matches!(found.as_slice(), [one] if one.running && one.run == run), "{found:?}");
    assert!(place.bwrap.find(&"beta".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(place.bwrap.reap(&instance, &|_| false).await.unwrap().len(), 1);
    assert!(!lives.wait().unwrap().success());
    assert!(place.bwrap.find(&instance).await.unwrap().is_empty());
}

#[test]
fn its_end_is_the_end_of_all() {
    let Some(place) = place() else { return };
    let beat = place.at("state/work/beat");
    let script = "setsid sh -c 'trap \"\" TERM HUP; while :; do echo > beat; sleep 0.05; done' & wait";
    let mut bwrap = place.command(script).spawn().unwrap();
    wait_for(&beat);
    // Who is asked to end is asked within: bwrap itself goes last.
    let pid = rustix::process::Pid::from_raw(i32::try_from(bwrap.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    fs::remove_file(&beat).unwrap();
    wait_for(&beat);
    bwrap.kill().unwrap();
    bwrap.wait().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    fs::remove_file(&beat).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(!beat.exists());
}

fn wait_for(path: &Path) {
    for _ in 0..100 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} does not come", path.display());
}
