//! A run's folders, a keeper of process groups, and a look at what is still alive.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use qd_agents::{
    Agent, AgentEnd, AgentError, CommandAgent, Metered, OnStart, ProcessGroup, Redactor, RunFolder, Stop,
    Task, Transcript,
    acp::{DenyAll, Permissions},
    process::KeepError,
    stop, transcript,
};
use qd_types::RunId;
use tempfile::TempDir;

/// Keeps what it is told, and may refuse.
#[derive(Default)]
pub(super) struct Keeper {
    pub(super) groups: Mutex<Vec<ProcessGroup>>,
    pub(super) refuse: bool,
}

#[async_trait]
impl OnStart for Keeper {
    async fn started(&self, group: &ProcessGroup) -> Result<(), KeepError> {
        self.groups.lock().unwrap().push(group.clone());
        if self.refuse { Err("the disk is full".into()) } else { Ok(()) }
    }
}

impl Keeper {
    pub(super) fn pgid(&self) -> i32 {
        self.groups.lock().unwrap().last().expect("a group was started").pgid()
    }
}

/// A worktree and a state folder.
pub(super) struct Place {
    pub(super) dir: TempDir,
    pub(super) run: RunId,
    pub(super) keeper: Keeper,
    /// Who decides what an agent may do.
    pub(super) permissions: Arc<dyn Permissions>,
    /// Where an agent finds its model.
    pub(super) metered: Option<Metered>,
}

impl Place {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::create_dir(dir.path().join("tree")).unwrap();
        Self {
            dir,
            run: "A-1.1".parse().unwrap(),
            keeper: Keeper::default(),
            permissions: Arc::new(DenyAll),
            metered: None,
        }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    pub(super) fn folder(&self) -> RunFolder {
        RunFolder::new(self.dir.path(), &self.run)
    }

    pub(super) fn transcript(&self) -> Transcript {
        let header = transcript::Header::new(self.run.clone(), "test");
        Transcript::open(&self.folder().transcript(), &header, Redactor::default()).unwrap()
    }

    pub(super) fn task(&self, prompt: &str) -> Task {
        Task {
            run: self.run.clone(),
            cwd: self.tree(),
            prompt: prompt.to_owned(),
            prompt_file: self.folder().prompt(1),
            model: None,
            confined: None,
            metered: self.metered.clone(),
            home: self.dir.path().join("home"),
            permissions: Arc::clone(&self.permissions),
        }
    }

    /// The entries so far, as `kind: text`.
    pub(super) fn entries(&self) -> Vec<String> {
        let page = transcript::read(&self.folder().transcript(), 0, 1 << 20).unwrap();
        assert_eq!(page.skipped, 0);
        page.entries.iter().map(|entry| format!("{}: {}", entry.kind.as_str(), entry.text)).collect()
    }

    pub(super) async fn work(&self, agent: &CommandAgent, prompt: &str) -> Result<AgentEnd, AgentError> {
        let (_stopper, never) = stop();
        self.work_until(agent, prompt, never).await
    }

    pub(super) async fn work_until(
        &self,
        agent: &CommandAgent,
        prompt: &str,
        stop: Stop,
    ) -> Result<AgentEnd, AgentError> {
        agent.work(self.task(prompt), &mut self.transcript(), &self.keeper, stop).await
    }
}

/// An agent that is a shell script.
pub(super) fn shell(script: &str) -> CommandAgent {
    CommandAgent {
        name: "shell".to_owned(),
        argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        env_allow: vec![],
        secrets: vec![],
        limit: Duration::from_secs(60),
    }
}

/// The living processes of a group, each as its line in `/proc`.
pub(super) fn alive(pgid: i32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    // After the name in brackets: state, parent, group.
    let of_group = |line: &String| {
        let fields: Vec<&str> = line.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[0] != "Z" && fields[2] == pgid.to_string()
    };
    lines.filter(of_group).collect()
}

/// Whether a process is there and not over.
pub(super) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until it holds, for at most ten seconds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
