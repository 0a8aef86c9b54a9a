//! After a crash: exactly what was left is ended, and nothing else.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
};

use qd_agents::{Leftover, ProcessGroup, kill_leftover};
use qd_types::RunId;

use super::support::{alive, lives, until};

/// A group of its own that nobody watches, as after a crash.
struct Orphan {
    leader: Child,
    group: ProcessGroup,
}

impl Orphan {
    fn start(script: &str, run: &str) -> Self {
        let leader = Command::new("sh")
            .args(["-c", script])
            .env("QUARTERDECK_RUN", run)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let run: RunId = "A-1.1".parse().unwrap();
        let group = ProcessGroup::of(leader.id(), &run).unwrap();
        Self { leader, group }
    }

    /// The group as a later program reads it, with one field changed.
    fn stored(&self, field: &str, value: impl Into<serde_json::Value>) -> ProcessGroup {
        let mut row = serde_json::to_value(&self.group).unwrap();
        row[field] = value.into();
        serde_json::from_value(row).unwrap()
    }

    fn same(&self) -> ProcessGroup {
        self.stored("run", "A-1.1")
    }

    async fn leader_dies(&mut self) {
        self.leader.kill().unwrap();
        self.leader.wait().unwrap();
        let pgid = self.group.pgid();
        until("the rest is alone", || alive(pgid).len() == 1).await;
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.group.pgid()).unwrap();
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        let _ = self.leader.wait();
    }
}

#[tokio::test]
async fn what_a_crash_left_is_ended() {
    let orphan = Orphan::start("sleep 1000 & sh -c 'sleep 1000 & sleep 1000' & wait", "A-1.1");
    let pgid = orphan.group.pgid();
    until("all of it runs", || alive(pgid).len() >= 4).await;
    assert_eq!(kill_leftover(&orphan.same()).await.unwrap(), Leftover::Killed);
    assert_eq!(alive(pgid), Vec::<String>::new());
    assert_eq!(kill_leftover(&orphan.same()).await.unwrap(), Leftover::AlreadyGone);
}

#[tokio::test]
async fn one_that_will_not_go_is_made_to() {
    let orphan = Orphan::start("trap '' TERM; while :; do sleep 0.05; done", "A-1.1");
    assert_eq!(kill_leftover(&orphan.same()).await.unwrap(), Leftover::Killed);
    assert_eq!(alive(orphan.group.pgid()), Vec::<String>::new());
}

#[tokio::test]
async fn a_number_that_was_given_to_somebody_else_is_left_alone() {
    let orphan = Orphan::start("exec sleep 1000", "A-1.1");
    let earlier = orphan.stored("started", 1);
    assert_eq!(kill_leftover(&earlier).await.unwrap(), Leftover::NotOurs);
    let before_the_boot = orphan.stored("boot", "another");
    assert_eq!(kill_leftover(&before_the_boot).await.unwrap(), Leftover::AlreadyGone);
    assert_eq!(alive(orphan.group.pgid()).len(), 1);
}

#[tokio::test]
async fn a_group_without_its_leader_is_known_by_its_run() {
    let mut orphan = Orphan::start("sleep 1000 & wait", "A-1.1");
    let pgid = orphan.group.pgid();
    until("all of it runs", || alive(pgid).len() == 2).await;
    orphan.leader_dies().await;
    assert_eq!(kill_leftover(&orphan.stored("run", "A-9.9")).await.unwrap(), Leftover::NotOurs);
    assert_eq!(alive(pgid).len(), 1);
    assert_eq!(kill_leftover(&orphan.same()).await.unwrap(), Leftover::Killed);
    assert_eq!(alive(pgid), Vec::<String>::new());
}

#[tokio::test]
async fn who_left_the_group_is_ended_though_the_group_is_gone() {
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("pid");
    let script = format!(
        "export QUARTERDECK_GROUP=$$; setsid sh -c 'echo $$ > {}; exec sleep 1000' & wait",
        file.display()
    );
    let mut orphan = Orphan::start(&script, "A-1.1");
    let pid = || std::fs::read_to_string(&file).unwrap_or_default().trim().to_owned();
    until("it has left", || !pid().is_empty()).await;
    orphan.leader.kill().unwrap();
    orphan.leader.wait().unwrap();
    assert_eq!(alive(orphan.group.pgid()), Vec::<String>::new());
    // Another run's mark is not ours.
    assert_eq!(kill_leftover(&orphan.stored("run", "A-9.9")).await.unwrap(), Leftover::AlreadyGone);
    assert!(lives(&pid()));
    assert_eq!(kill_leftover(&orphan.same()).await.unwrap(), Leftover::Killed);
    assert!(!lives(&pid()));
}

#[test]
fn groups_that_would_hit_others_cannot_be_read() {
    for pgid in [-1, 0, 1] {
        let row = serde_json::json!({"pgid": pgid, "started": 1, "boot": "b", "run": "A-1.1"});
        let error = serde_json::from_value::<ProcessGroup>(row).unwrap_err();
        assert_eq!(error.to_string(), format!("{pgid} is not a process group that an agent can have"));
    }
}
