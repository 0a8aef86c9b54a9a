//! Check runs and suites, statuses. <https://docs.github.com/en/rest/checks>, <https://docs.github.com/en/rest/commits/statuses>

use serde_json::{Value, json};

use super::{
    super::{
        access::{Caller, Needs},
        acts::CheckText,
        repo::{CheckRun, Status},
        world::Level,
    },
    Answer, Ask, Refusal, Reply, Route, code, creating, route,
};

const READ: Needs = Needs::Repo(&[("checks", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("checks", Level::Write)]);
const READ_STATUS: Needs = Needs::Repo(&[("statuses", Level::Read)]);
const WRITE_STATUS: Needs = Needs::Repo(&[("statuses", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    creating("/repos/{owner}/{repo}/check-runs", WRITE, create),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}", READ, one),
    route("PATCH", "/repos/{owner}/{repo}/check-runs/{check_run_id}", WRITE, update),
    route("GET", "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations", READ, annotations),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs", READ, of_commit),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/check-suites", READ, suites),
    route("GET", "/repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs", READ, of_suite),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/status", READ_STATUS, combined),
    route("GET", "/repos/{owner}/{repo}/commits/{ref}/statuses", READ_STATUS, statuses),
    creating("/repos/{owner}/{repo}/statuses/{sha}", WRITE_STATUS, set_status),
];

/// At most so many annotations in one request. <https://docs.github.com/en/rest/checks/runs#create-a-check-run>
const ANNOTATIONS: usize = 50;

fn text(ask: &Ask<'_>) -> Result<CheckText, Refusal> {
    let (status, conclusion) = (ask.text("status"), ask.text("conclusion"));
    if status.as_deref() == Some("completed") && conclusion.is_none() {
        return Err(Refusal::said(422, "Invalid request.\n\nMissing conclusion for a completed check run."));
    }
    let output = &ask.body["output"];
    let said = |name: &str| output[name].as_str().map(str::to_owned);
    if !output.is_null()
        && (output["summary"].is_null()
            || (ask.param("check_run_id").is_empty() && output["title"].is_null()))
    {
        return Err(Refusal::said(422, "Invalid request.\n\n\"title\", \"summary\" weren't supplied."));
    }
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > ANNOTATIONS {
        return Err(Refusal::said(422, "Invalid request.\n\nNo more than 50 items are allowed; annotations"));
    }
    Ok(CheckText {
        name: ask.text("name"),
        status,
        conclusion,
        details: ask.text("details_url"),
        external: ask.text("external_id"),
        started: ask.text("started_at"),
        completed: ask.text("completed_at"),
        title: said("title"),
        summary: said("summary"),
        text: said("text"),
        annotations,
    })
}

fn own_app(ask: &Ask<'_>) -> Result<u64, Refusal> {
    match ask.caller {
        Caller::Installation { app, .. } => Ok(app),
        // <https://docs.github.com/en/rest/checks/runs#create-a-check-run>: only Apps write checks.
        _ => Err(Refusal::said(403, "You must authenticate via a GitHub App.")),
    }
}

fn create(ask: &mut Ask<'_>) -> Answer {
    let app = own_app(ask)?;
    ask.needed("CheckRun", "name")?;
    let head = ask.needed("CheckRun", "head_sha")?;
    let sha = ask.repo().git.resolve(&head).filter(|sha| *sha == head);
    let sha = sha.ok_or_else(|| Refusal::said(422, &format!("No commit found for SHA: {head}")))?;
    let text = text(ask)?;
    let repo = ask.repo;
    let id = ask.world.add_check(repo, app, &sha, text);
    shown(ask, id, 201)
}

fn shown(ask: &Ask<'_>, id: u64, status: u16) -> Answer {
    let repo = ask.repo();
    let run = repo.checks.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(status, ask.world.check_run(repo, run)))
}

fn one(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("check_run_id")?;
    shown(ask, id, 200)
}

fn update(ask: &mut Ask<'_>) -> Answer {
    let (app, id) = (own_app(ask)?, ask.number("check_run_id")?);
    let of = ask.repo().checks.get(&id).map(|run| run.app).ok_or_else(Refusal::not_found)?;
    if of != app {
        let text = format!(
            "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it."
        );
        return Err(Refusal::said(403, &text));
    }
    let text = text(ask)?;
    let repo = ask.repo;
    ask.world.edit_check(repo, id, text);
    shown(ask, id, 200)
}

fn annotations(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("check_run_id")?;
    let run = ask.repo().checks.get(&id).ok_or_else(Refusal::not_found)?;
    let page = ask.world.page(ask.repo(), &format!("/blob/{}", run.head));
    let shapes = run.annotations.iter().map(|it| {
        let path = it["path"].as_str().unwrap_or_default();
        json!({"path": path, "blob_href": format!("{page}/{path}"), "start_line": it["start_line"],
            "end_line": it["end_line"], "start_column": it["start_column"], "end_column": it["end_column"],
            "annotation_level": it["annotation_level"], "title": it["title"], "message": it["message"],
            "raw_details": it["raw_details"]})
    });
    Ok(Reply::List(None, shapes.collect()))
}

fn head(ask: &Ask<'_>) -> Result<String, Refusal> {
    let name = ask.param("ref").to_owned();
    let missing = || Refusal::said(422, &format!("No commit found for SHA: {name}"));
    code::resolved(ask, &name).ok_or_else(missing)
}

/// Only the newest of a name counts, unless all are asked for.
/// <https://docs.github.com/en/rest/checks/runs#list-check-runs-for-a-git-reference>
fn runs<'a>(ask: &Ask<'_>, all: impl Iterator<Item = &'a CheckRun>) -> Vec<&'a CheckRun> {
    let (name, status, app) = (ask.asked("check_name"), ask.asked("status"), ask.asked("app_id"));
    let fit = all.filter(|run| {
        name.is_none_or(|name| run.name == name)
            && status.is_none_or(|status| run.status == status)
            && app.is_none_or(|app| run.app.to_string() == app)
    });
    let mut fit: Vec<&CheckRun> = fit.collect();
    fit.reverse();
    if ask.asked("filter") != Some("all") {
        let mut seen = std::collections::BTreeSet::new();
        fit.retain(|run| seen.insert((run.suite, run.name.clone())));
    }
    fit
}

fn of_commit(ask: &mut Ask<'_>) -> Answer {
    let sha = head(ask)?;
    let repo = ask.repo();
    let of = runs(ask, repo.checks.values().filter(|run| run.head == sha));
    let shapes = of.into_iter().map(|run| ask.world.check_run(repo, run)).collect();
    Ok(Reply::List(Some("check_runs"), shapes))
}

fn of_suite(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("check_suite_id")?;
    let repo = ask.repo();
    repo.suites.get(&id).ok_or_else(Refusal::not_found)?;
    let of = runs(ask, repo.checks.values().filter(|run| run.suite == id));
    let shapes = of.into_iter().map(|run| ask.world.check_run(repo, run)).collect();
    Ok(Reply::List(Some("check_runs"), shapes))
}

fn suites(ask: &mut Ask<'_>) -> Answer {
    let sha = head(ask)?;
    let (repo, app) = (ask.repo(), ask.asked("app_id"));
    let of = repo.suites.values().filter(|it| it.head == sha);
    let of = of.filter(|it| app.is_none_or(|app| it.app.to_string() == app));
    Ok(Reply::List(Some("check_suites"), of.map(|it| ask.world.suite(repo, it)).collect()))
}

/// Newest first.
fn of<'a>(ask: &'a Ask<'_>, sha: &str) -> Vec<&'a Status> {
    ask.repo().statuses.iter().rev().filter(|it| it.sha == sha).collect()
}

/// The newest of each context counts.
/// <https://docs.github.com/en/rest/commits/statuses#get-the-combined-status-for-a-specific-reference>
fn combined(ask: &mut Ask<'_>) -> Answer {
    let sha = head(ask)?;
    let (world, repo) = (&*ask.world, ask.repo());
    let mut seen = std::collections::BTreeSet::new();
    let mut newest = of(ask, &sha);
    newest.retain(|it| seen.insert(it.context.clone()));
    let any = |states: &[&str]| newest.iter().any(|it| states.contains(&it.state.as_str()));
    let state = if any(&["error", "failure"]) {
        "failure"
    } else if newest.is_empty() || any(&["pending"]) {
        "pending"
    } else {
        "success"
    };
    let shapes: Vec<Value> = newest.iter().map(|it| world.status(repo, it, true)).collect();
    let url = world.at(repo, &format!("/commits/{sha}"));
    Ok(Reply::Json(
        200,
        json!({"state": state, "sha": sha, "total_count": shapes.len(), "statuses": shapes,
        "repository": world.minimal_repository(repo), "commit_url": url, "url": format!("{url}/status")}),
    ))
}

fn statuses(ask: &mut Ask<'_>) -> Answer {
    let sha = head(ask)?;
    let repo = ask.repo();
    Ok(Reply::List(None, of(ask, &sha).into_iter().map(|it| ask.world.status(repo, it, false)).collect()))
}

fn set_status(ask: &mut Ask<'_>) -> Answer {
    let wanted = ask.param("sha").to_owned();
    let missing = || Refusal::said(422, &format!("No commit found for SHA: {wanted}"));
    let sha = ask.repo().git.resolve(&wanted).ok_or_else(missing)?;
    let state = ask.needed("Status", "state")?;
    let context = ask.text("context").unwrap_or_else(|| "default".to_owned());
    let (description, target) = (ask.text("description"), ask.text("target_url"));
    if description.as_ref().is_some_and(|text| text.chars().count() > 140) {
        return Err(Refusal::custom("Status", "description is too long (maximum is 140 characters)"));
    }
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let id = ask.world.add_status(repo, &actor, &sha, (&context, &state, description, target));
    let repo = ask.repo();
    let made = repo.statuses.iter().find(|it| it.id == id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(201, ask.world.status(repo, made, false)))
}
