//! Runs and jobs of GitHub Actions, deployments. <https://docs.github.com/en/rest/actions>,
//! <https://docs.github.com/en/rest/deployments>

use serde_json::json;

use super::{
    super::{access::Needs, repo::Deployment, world::Level},
    Answer, Ask, Refusal, Reply, Route, code, creating, route,
};

const READ: Needs = Needs::Repo(&[("actions", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("actions", Level::Write)]);
const READ_DEPLOYMENTS: Needs = Needs::Repo(&[("deployments", Level::Read)]);
const WRITE_DEPLOYMENTS: Needs = Needs::Repo(&[("deployments", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/actions/runs", READ, runs),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}", READ, run),
    route("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}/jobs", READ, jobs),
    route("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs", WRITE, rerun),
    route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}", READ, job),
    route("GET", "/repos/{owner}/{repo}/actions/jobs/{job_id}/logs", READ, logs),
    route("GET", "/repos/{owner}/{repo}/deployments", READ_DEPLOYMENTS, deployments),
    creating("/repos/{owner}/{repo}/deployments", WRITE_DEPLOYMENTS, deploy),
    route("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}", READ_DEPLOYMENTS, deployment),
    route("GET", "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", READ_DEPLOYMENTS, statuses),
    creating("/repos/{owner}/{repo}/deployments/{deployment_id}/statuses", WRITE_DEPLOYMENTS, set_status),
];

fn runs(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let (head, branch, status) = (ask.asked("head_sha"), ask.asked("branch"), ask.asked("status"));
    let suite = ask.asked("check_suite_id");
    let fit = repo.runs.values().rev().filter(|run| {
        head.is_none_or(|head| run.head == head)
            && branch.is_none_or(|branch| run.branch == branch)
            && suite.is_none_or(|suite| run.suite.to_string() == suite)
            && status.is_none_or(|it| run.status == it || run.conclusion.as_deref() == Some(it))
    });
    Ok(Reply::List(Some("workflow_runs"), fit.map(|run| ask.world.workflow_run(repo, run)).collect()))
}

fn run(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("run_id")?;
    let repo = ask.repo();
    let run = repo.runs.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.workflow_run(repo, run)))
}

/// Of the newest attempt, unless all are asked for.
/// <https://docs.github.com/en/rest/actions/workflow-jobs#list-jobs-for-a-workflow-run>
fn jobs(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("run_id")?;
    let repo = ask.repo();
    let attempt = repo.runs.get(&id).map(|run| run.attempt).ok_or_else(Refusal::not_found)?;
    let all = ask.asked("filter") == Some("all");
    let of = repo.jobs.values().filter(|job| job.run == id && (all || job.attempt == attempt));
    Ok(Reply::List(Some("jobs"), of.map(|job| ask.world.job(repo, job)).collect()))
}

fn rerun(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("run_id")?;
    let run = ask.repo().runs.get(&id).ok_or_else(Refusal::not_found)?;
    if run.status != "completed" {
        return Err(Refusal::said(403, "The workflow run is already running"));
    }
    if run.conclusion.as_deref() == Some("success") {
        return Err(Refusal::said(403, "This workflow run has no failed jobs"));
    }
    let repo = ask.repo;
    ask.world.rerun_failed(repo, id);
    Ok(Reply::Json(201, json!({})))
}

fn job(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("job_id")?;
    let repo = ask.repo();
    let job = repo.jobs.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.job(repo, job)))
}

/// The log lies elsewhere, for a minute. <https://docs.github.com/en/rest/actions/workflow-jobs#download-job-logs-for-a-workflow-run>
fn logs(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("job_id")?;
    let job = ask.repo().jobs.get(&id).ok_or_else(Refusal::not_found)?;
    if job.status != "completed" {
        return Err(Refusal::not_found());
    }
    let until = ask.world.now().as_second() + 60;
    Ok(Reply::Found(ask.world.api(&format!("/_logs/{}/{id}/{until}", ask.repo))))
}

fn deployments(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let (environment, sha) = (ask.asked("environment"), ask.asked("sha"));
    let fit = repo.deployments.values().rev().filter(|it| {
        environment.is_none_or(|wanted| it.environment == wanted) && sha.is_none_or(|sha| it.sha == sha)
    });
    Ok(Reply::List(None, fit.map(|it| ask.world.deployment(repo, it)).collect()))
}

fn deploy(ask: &mut Ask<'_>) -> Answer {
    let name = ask.needed("Deployment", "ref")?;
    let missing = || Refusal::said(422, &format!("No ref found for: {name}"));
    let sha = code::resolved(ask, &name).ok_or_else(missing)?;
    let (id, at) = (ask.world.id(), ask.world.now());
    let it = Deployment {
        id,
        reference: name.clone(),
        sha,
        environment: ask.text("environment").unwrap_or_else(|| "production".to_owned()),
        task: ask.text("task").unwrap_or_else(|| "deploy".to_owned()),
        description: ask.text("description"),
        creator: ask.actor.clone(),
        at,
        statuses: Vec::new(),
    };
    ask.repo_mut().deployments.insert(id, it);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let shape = ask.world.deployment(ask.repo(), &ask.repo().deployments[&id]);
    ask.world.emit(
        repo,
        "deployment",
        "created",
        &actor,
        json!({"deployment": shape, "workflow": null,
        "workflow_run": null}),
    );
    Ok(Reply::Json(201, shape))
}

fn deployment(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("deployment_id")?;
    let repo = ask.repo();
    let it = repo.deployments.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.deployment(repo, it)))
}

fn statuses(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("deployment_id")?;
    let repo = ask.repo();
    let it = repo.deployments.get(&id).ok_or_else(Refusal::not_found)?;
    let newest = (0..it.statuses.len()).rev();
    Ok(Reply::List(None, newest.map(|index| ask.world.deployment_status(repo, it, index)).collect()))
}

fn set_status(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("deployment_id")?;
    let state = ask.needed("DeploymentStatus", "state")?;
    let description = ask.text("description").unwrap_or_default();
    let (status, at) = (ask.world.id(), ask.world.now());
    let it = ask.repo_mut().deployments.get_mut(&id).ok_or_else(Refusal::not_found)?;
    it.statuses.push((status, state, description, at));
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let held = ask.repo();
    let it = &held.deployments[&id];
    let shape = ask.world.deployment_status(held, it, it.statuses.len() - 1);
    let deployment = ask.world.deployment(held, it);
    ask.world.emit(
        repo,
        "deployment_status",
        "created",
        &actor,
        json!({"deployment_status": shape,
        "deployment": deployment, "check_run": null, "workflow": null, "workflow_run": null}),
    );
    Ok(Reply::Json(201, shape))
}
