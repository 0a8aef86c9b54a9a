//! Check suites and runs, statuses, runs and jobs of GitHub Actions, deployments.

use serde_json::{Value, json};

use super::{
    super::{
        repo::{CheckRun, Deployment, Job, Repo, Status, Suite, WorkflowRun},
        world::World,
    },
    node,
};

impl Repo {
    /// How the runs of a suite stand: status and conclusion.
    /// <https://docs.github.com/en/rest/guides/using-the-rest-api-to-interact-with-checks#about-check-suites>
    pub(in super::super) fn suite_state(&self, id: u64) -> (&'static str, Option<&'static str>) {
        let runs: Vec<&CheckRun> = self.checks.values().filter(|run| run.suite == id).collect();
        if runs.is_empty() {
            return ("queued", None);
        }
        if runs.iter().any(|run| run.status != "completed") {
            return ("in_progress", None);
        }
        let ended = |what: &str| runs.iter().any(|run| run.conclusion.as_deref() == Some(what));
        let worst = ["failure", "timed_out", "cancelled", "action_required"];
        ("completed", Some(worst.into_iter().find(|what| ended(what)).unwrap_or("success")))
    }
}

impl World {
    pub(in super::super) fn check_run(&self, repo: &Repo, it: &CheckRun) -> Value {
        let url = self.at(repo, &format!("/check-runs/{}", it.id));
        // Where none is given it is the App's own address. <https://docs.github.com/en/rest/checks/runs#create-a-check-run>
        let details = it.details.clone().unwrap_or_else(|| self.api(""));
        json!({
            "id": it.id, "node_id": node("CR", it.id), "head_sha": it.head, "name": it.name, "url": url,
            "html_url": self.page(repo, &format!("/runs/{}", it.id)), "details_url": details,
            "status": it.status, "conclusion": it.conclusion, "started_at": it.started,
            "completed_at": it.completed, "external_id": it.external.clone().unwrap_or_default(),
            "check_suite": {"id": it.suite}, "app": self.app_by_id(it.app),
            "pull_requests": self.pulls_of(repo, &it.head),
            "output": {"title": it.title, "summary": it.summary, "text": it.text,
                "annotations_count": it.annotations.len(), "annotations_url": format!("{url}/annotations")},
        })
    }

    pub(in super::super) fn suite(&self, repo: &Repo, it: &Suite) -> Value {
        let (status, conclusion) = repo.suite_state(it.id);
        let url = self.at(repo, &format!("/check-suites/{}", it.id));
        json!({
            "id": it.id, "node_id": node("CS", it.id), "head_branch": it.branch, "head_sha": it.head,
            "status": status, "conclusion": conclusion, "url": url, "before": null, "after": it.head,
            "created_at": it.created, "updated_at": it.updated, "app": self.app_by_id(it.app),
            "head_commit": self.simple_commit(repo, &it.head), "repository": self.minimal_repository(repo),
            "latest_check_runs_count": repo.checks.values().filter(|run| run.suite == it.id).count(),
            "check_runs_url": format!("{url}/check-runs"), "pull_requests": self.pulls_of(repo, &it.head),
        })
    }

    /// `status`, and with fewer fields `simple-commit-status`.
    pub(in super::super) fn status(&self, repo: &Repo, it: &Status, simple: bool) -> Value {
        let mut shape = json!({
            "id": it.id, "node_id": node("SC", it.id), "state": it.state, "context": it.context,
            "description": it.description, "target_url": it.target, "avatar_url": null,
            "url": self.at(repo, &format!("/statuses/{}", it.sha)), "created_at": it.at, "updated_at": it.at,
        });
        if !simple {
            shape["creator"] = self.actor(&it.creator);
        }
        shape
    }

    pub(in super::super) fn workflow_run(&self, repo: &Repo, it: &WorkflowRun) -> Value {
        let url = self.at(repo, &format!("/actions/runs/{}", it.id));
        json!({
            "id": it.id, "node_id": node("WFR", it.id), "name": it.name, "head_branch": it.branch,
            "head_sha": it.head, "run_number": it.number, "run_attempt": it.attempt, "event": "push",
            "display_title": it.name, "status": it.status, "conclusion": it.conclusion,
            "path": ".github/workflows/ci.yml", "workflow_id": it.workflow, "check_suite_id": it.suite,
            "check_suite_node_id": node("CS", it.suite), "url": url,
            "html_url": self.page(repo, &format!("/actions/runs/{}", it.id)),
            "created_at": it.created, "updated_at": it.updated, "run_started_at": it.created,
            "actor": self.actor(&it.actor), "triggering_actor": self.actor(&it.actor),
            "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"),
            "check_suite_url": self.at(repo, &format!("/check-suites/{}", it.suite)),
            "cancel_url": format!("{url}/cancel"), "rerun_url": format!("{url}/rerun"),
            "artifacts_url": format!("{url}/artifacts"), "previous_attempt_url": null,
            "workflow_url": self.at(repo, &format!("/actions/workflows/{}", it.workflow)),
            "pull_requests": self.pulls_of(repo, &it.head), "referenced_workflows": [],
            "head_commit": self.simple_commit(repo, &it.head),
            "repository": self.minimal_repository(repo), "head_repository": self.minimal_repository(repo),
        })
    }

    pub(in super::super) fn job(&self, repo: &Repo, it: &Job) -> Value {
        let run = repo.runs.get(&it.run);
        let run_url = self.at(repo, &format!("/actions/runs/{}", it.run));
        json!({
            "id": it.id, "node_id": node("J", it.id), "run_id": it.run, "run_url": run_url,
            "run_attempt": it.attempt, "head_sha": run.map_or("", |run| run.head.as_str()),
            "head_branch": run.map(|run| run.branch.clone()), "workflow_name": run.map(|run| run.name.clone()),
            "name": it.name, "url": self.at(repo, &format!("/actions/jobs/{}", it.id)),
            "html_url": self.page(repo, &format!("/actions/runs/{}/job/{}", it.run, it.id)),
            "status": it.status, "conclusion": it.conclusion, "created_at": it.started,
            "started_at": it.started, "completed_at": it.completed,
            "check_run_url": self.at(repo, &format!("/check-runs/{}", it.check)), "labels": ["ubuntu-latest"],
            "runner_id": 1, "runner_name": "GitHub Actions 1", "runner_group_id": 1,
            "runner_group_name": "GitHub Actions", "steps": [],
        })
    }

    pub(in super::super) fn deployment(&self, repo: &Repo, it: &Deployment) -> Value {
        let url = self.at(repo, &format!("/deployments/{}", it.id));
        json!({
            "id": it.id, "node_id": node("DE", it.id), "url": url, "sha": it.sha, "ref": it.reference,
            "task": it.task, "environment": it.environment, "original_environment": it.environment,
            "payload": {}, "description": it.description, "creator": self.actor(&it.creator),
            "statuses_url": format!("{url}/statuses"), "repository_url": self.at(repo, ""),
            "created_at": it.at, "updated_at": it.statuses.last().map_or(it.at, |last| last.3),
        })
    }

    pub(in super::super) fn deployment_status(&self, repo: &Repo, it: &Deployment, index: usize) -> Value {
        let (id, state, description, at) = &it.statuses[index];
        let deployment = self.at(repo, &format!("/deployments/{}", it.id));
        let page = self.page(repo, &format!("/deployments/{}", it.environment));
        json!({
            "id": id, "node_id": node("DES", *id), "state": state, "description": description,
            "creator": self.actor(&it.creator), "environment": it.environment, "target_url": page,
            "log_url": page, "environment_url": page, "url": format!("{deployment}/statuses/{id}"),
            "deployment_url": deployment, "repository_url": self.at(repo, ""), "created_at": at,
            "updated_at": at,
        })
    }
}
