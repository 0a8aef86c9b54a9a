//! Check runs, statuses, and runs of GitHub Actions.

use serde_json::{Value, json};

use super::super::{
    repo::{Actor, CheckRun, Job, Status, WorkflowRun},
    world::{ACTIONS, World},
};

/// What is said of a check, where it is said.
#[derive(Debug, Default)]
pub(in super::super) struct CheckText {
    pub(in super::super) name: Option<String>,
    pub(in super::super) status: Option<String>,
    pub(in super::super) conclusion: Option<String>,
    pub(in super::super) details: Option<String>,
    pub(in super::super) external: Option<String>,
    pub(in super::super) started: Option<String>,
    pub(in super::super) completed: Option<String>,
    pub(in super::super) title: Option<String>,
    pub(in super::super) summary: Option<String>,
    pub(in super::super) text: Option<String>,
    pub(in super::super) annotations: Vec<Value>,
}

impl World {
    pub(in super::super) fn add_check(&mut self, repo: u64, app: u64, head: &str, text: CheckText) -> u64 {
        let suite = self.suite_for(repo, app, head, None);
        let id = self.id();
        self.made(id);
        let run = CheckRun {
            id,
            suite,
            app,
            name: text.name.clone().unwrap_or_default(),
            head: head.to_owned(),
            status: "queued".to_owned(),
            conclusion: None,
            details: None,
            external: None,
            started: Some(self.now().to_string()),
            completed: None,
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
        };
        self.repo_mut(repo).checks.insert(id, run);
        self.put_check(repo, id, text);
        self.tell_check(repo, id, "created");
        self.told_if_ended(repo, id);
        id
    }

    pub(in super::super) fn edit_check(&mut self, repo: u64, id: u64, text: CheckText) {
        let was = self.repo(repo).checks.get(&id).map(|run| run.status.clone());
        self.put_check(repo, id, text);
        if was.as_deref() != Some("completed") {
            self.told_if_ended(repo, id);
        }
    }

    /// A conclusion completes a run. <https://docs.github.com/en/rest/checks/runs#create-a-check-run>
    fn put_check(&mut self, repo: u64, id: u64, text: CheckText) {
        let now = self.now();
        let held = self.repo_mut(repo);
        let Some(run) = held.checks.get_mut(&id) else { return };
        run.name = text.name.unwrap_or_else(|| run.name.clone());
        let status = text.conclusion.as_ref().map(|_| "completed".to_owned()).or(text.status);
        if let Some(status) = status {
            if status != "completed" {
                (run.conclusion, run.completed) = (None, None);
            }
            run.status = status;
        }
        if let Some(conclusion) = text.conclusion {
            run.conclusion = Some(conclusion);
            run.completed = Some(text.completed.unwrap_or_else(|| now.to_string()));
        }
        for (field, new) in [
            (&mut run.details, text.details),
            (&mut run.external, text.external),
            (&mut run.started, text.started),
            (&mut run.title, text.title),
            (&mut run.summary, text.summary),
            (&mut run.text, text.text),
        ] {
            if new.is_some() {
                *field = new;
            }
        }
        // Annotations are added to those that are there.
        run.annotations.extend(text.annotations);
        let suite = run.suite;
        if let Some(suite) = held.suites.get_mut(&suite) {
            suite.updated = now;
        }
    }

    fn told_if_ended(&mut self, repo: u64, id: u64) {
        let held = self.repo(repo);
        let Some(run) = held.checks.get(&id).filter(|run| run.status == "completed") else { return };
        let (suite, by) = (run.suite, Actor::App(run.app));
        self.tell_check(repo, id, "completed");
        if self.repo(repo).suite_state(suite).0 == "completed" {
            self.tell_suite(repo, suite, "completed", &by);
        }
        self.advance_queue(repo, &by);
    }

    pub(in super::super) fn tell_check(&mut self, repo: u64, id: u64, action: &str) {
        let held = self.repo(repo);
        let Some(run) = held.checks.get(&id) else { return };
        let mut shape = self.check_run(held, run);
        if let Some(suite) = held.suites.get(&run.suite) {
            shape["check_suite"] = self.suite(held, suite);
        }
        let by = Actor::App(run.app);
        self.emit(repo, "check_run", action, &by, json!({"check_run": shape}));
    }

    pub(in super::super) fn tell_suite(&mut self, repo: u64, id: u64, action: &str, by: &Actor) {
        let held = self.repo(repo);
        let Some(suite) = held.suites.get(&id) else { return };
        let shape = self.suite(held, suite);
        self.emit(repo, "check_suite", action, by, json!({"check_suite": shape}));
    }

    pub(in super::super) fn add_status(
        &mut self,
        repo: u64,
        by: &Actor,
        sha: &str,
        words: (&str, &str, Option<String>, Option<String>),
    ) -> u64 {
        let (id, at) = (self.id(), self.now());
        let (context, state, description, target) = words;
        let status = Status {
            id,
            sha: sha.to_owned(),
            context: context.to_owned(),
            state: state.to_owned(),
            description: description.clone(),
            target: target.clone(),
            creator: by.clone(),
            at,
        };
        self.repo_mut(repo).statuses.push(status);
        let held = self.repo(repo);
        let commit = held.git.commit(sha).map_or(Value::Null, |commit| self.commit(held, &commit));
        let branches = held.refs.iter().filter(|(_, known)| *known == sha);
        let branches: Vec<Value> = branches
            .filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)))
            .map(|(name, sha)| {
                json!({"name": name, "commit": {"sha": sha,
                    "url": self.at(held, &format!("/commits/{sha}"))}, "protected": false})
            })
            .collect();
        let fields = json!({
            "id": id, "sha": sha, "name": held.full_name(), "context": context, "state": state,
            "description": description, "target_url": target, "avatar_url": null, "commit": commit,
            "branches": branches, "created_at": at, "updated_at": at,
        });
        self.emit(repo, "status", "", by, fields);
        id
    }

    /// A run of GitHub Actions begins: one job of each name.
    pub(in super::super) fn begin_run(
        &mut self,
        repo: u64,
        by: &Actor,
        branch: &str,
        sha: &str,
        jobs: &[&str],
    ) -> u64 {
        let (id, workflow, now) = (self.id(), self.id(), self.now());
        let suite = self.suite_for(repo, ACTIONS, sha, Some(branch));
        let held = self.repo_mut(repo);
        let number = held.runs.len() as u64 + 1;
        let run = WorkflowRun {
            id,
            workflow,
            name: "CI".to_owned(),
            number,
            attempt: 1,
            suite,
            head: sha.to_owned(),
            branch: branch.to_owned(),
            actor: by.clone(),
            status: "queued".to_owned(),
            conclusion: None,
            created: now,
            updated: now,
        };
        held.runs.insert(id, run);
        self.tell_suite(repo, suite, "requested", by);
        self.tell_run(repo, id, "requested");
        for name in jobs {
            self.begin_job(repo, id, name, sha);
        }
        self.set_run(repo, id, "in_progress", None);
        self.tell_run(repo, id, "in_progress");
        id
    }

    fn begin_job(&mut self, repo: u64, run: u64, name: &str, sha: &str) {
        let text = CheckText {
            name: Some(name.to_owned()),
            status: Some("in_progress".to_owned()),
            ..CheckText::default()
        };
        let check = self.add_check(repo, ACTIONS, sha, text);
        let now = self.now();
        // The id of a job is that of its check run.
        let held = self.repo_mut(repo);
        let attempt = held.runs.get(&run).map_or(1, |run| run.attempt);
        let job = Job {
            id: check,
            run,
            attempt,
            name: name.to_owned(),
            check,
            status: "in_progress".to_owned(),
            conclusion: None,
            log: String::new(),
            started: now,
            completed: None,
        };
        held.jobs.insert(check, job);
        self.tell_job(repo, check, "queued");
        self.tell_job(repo, check, "in_progress");
    }

    /// A job ends; with the last one the run.
    pub(in super::super) fn end_job(&mut self, repo: u64, id: u64, conclusion: &str, log: &str) {
        let now = self.now();
        let Some(job) = self.repo_mut(repo).jobs.get_mut(&id) else { return };
        job.status = "completed".to_owned();
        job.conclusion = Some(conclusion.to_owned());
        job.completed = Some(now);
        job.log = log.to_owned();
        let (check, run, attempt) = (job.check, job.run, job.attempt);
        let text = CheckText { conclusion: Some(conclusion.to_owned()), ..CheckText::default() };
        self.edit_check(repo, check, text);
        self.tell_job(repo, id, "completed");
        let held = self.repo(repo);
        let jobs: Vec<&Job> =
            held.jobs.values().filter(|job| job.run == run && job.attempt == attempt).collect();
        if jobs.iter().all(|job| job.status == "completed") {
            let red = jobs.iter().any(|job| job.conclusion.as_deref() != Some("success"));
            self.set_run(repo, run, "completed", Some(if red { "failure" } else { "success" }));
            self.tell_run(repo, run, "completed");
        }
    }

    /// The failed jobs of a run begin again, as new ones of another attempt.
    pub(in super::super) fn rerun_failed(&mut self, repo: u64, id: u64) {
        let held = self.repo_mut(repo);
        let Some(run) = held.runs.get_mut(&id) else { return };
        let (old, sha) = (run.attempt, run.head.clone());
        run.attempt += 1;
        let failed = held.jobs.values().filter(|job| job.run == id && job.attempt == old);
        let failed = failed.filter(|job| job.conclusion.as_deref() != Some("success"));
        let names: Vec<String> = failed.map(|job| job.name.clone()).collect();
        self.set_run(repo, id, "queued", None);
        for name in names {
            self.begin_job(repo, id, &name, &sha);
        }
        self.set_run(repo, id, "in_progress", None);
        self.tell_run(repo, id, "in_progress");
    }

    fn set_run(&mut self, repo: u64, id: u64, status: &str, conclusion: Option<&str>) {
        let now = self.now();
        if let Some(run) = self.repo_mut(repo).runs.get_mut(&id) {
            (run.status, run.updated) = (status.to_owned(), now);
            run.conclusion = conclusion.map(str::to_owned);
        }
    }

    fn tell_run(&mut self, repo: u64, id: u64, action: &str) {
        let held = self.repo(repo);
        let Some(run) = held.runs.get(&id) else { return };
        let workflow = json!({"id": run.workflow, "node_id": super::super::shapes::node("W", run.workflow),
            "name": run.name, "path": ".github/workflows/ci.yml", "state": "active",
            "created_at": run.created, "updated_at": run.updated, "badge_url": self.page(held, "/workflows/CI/badge.svg"), "html_url": self.page(held, "/blob/main/.github/workflows/ci.yml"),
            "url": self.at(held, &format!("/actions/workflows/{}", run.workflow))});
        let fields = json!({"workflow_run": self.workflow_run(held, run), "workflow": workflow});
        let by = run.actor.clone();
        self.emit(repo, "workflow_run", action, &by, fields);
    }

    fn tell_job(&mut self, repo: u64, id: u64, action: &str) {
        let held = self.repo(repo);
        let Some(job) = held.jobs.get(&id) else { return };
        let by = held.runs.get(&job.run).map_or(Actor::App(ACTIONS), |run| run.actor.clone());
        let fields = json!({"workflow_job": self.job(held, job)});
        self.emit(repo, "workflow_job", action, &by, fields);
    }
}
