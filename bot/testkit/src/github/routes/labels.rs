//! Labels and milestones. <https://docs.github.com/en/rest/issues/labels>, <https://docs.github.com/en/rest/issues/milestones>

use super::{
    super::{access::Needs, world::Level},
    Answer, Ask, Refusal, Reply, Route, creating, route,
};

const READ: Needs = Needs::Repo(&[("issues", Level::Read), ("pull_requests", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("issues", Level::Write), ("pull_requests", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/labels", READ, list),
    creating("/repos/{owner}/{repo}/labels", WRITE, create),
    route("GET", "/repos/{owner}/{repo}/labels/{name}", READ, one),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/labels", READ, of_issue),
    route("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels", WRITE, add),
    route("PUT", "/repos/{owner}/{repo}/issues/{issue_number}/labels", WRITE, set),
    route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels", WRITE, remove_all),
    route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}", WRITE, remove),
    route("GET", "/repos/{owner}/{repo}/milestones", READ, milestones),
    creating("/repos/{owner}/{repo}/milestones", WRITE, create_milestone),
    route("GET", "/repos/{owner}/{repo}/milestones/{milestone_number}", READ, one_milestone),
    route("PATCH", "/repos/{owner}/{repo}/milestones/{milestone_number}", WRITE, edit_milestone),
];

fn list(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    Ok(Reply::List(None, repo.labels.iter().map(|label| ask.world.label(repo, label)).collect()))
}

fn create(ask: &mut Ask<'_>) -> Answer {
    let name = ask.needed("Label", "name")?;
    if ask.repo().label(&name).is_some() {
        return Err(Refusal::invalid("Label", "name", "already_exists"));
    }
    let color = ask.text("color").unwrap_or_else(|| "ededed".to_owned());
    if color.len() != 6 || !color.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Refusal::invalid("Label", "color", "invalid"));
    }
    let description = ask.text("description");
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.add_label(repo, &actor, &name, &color, description);
    label(ask, &name, 201)
}

fn label(ask: &Ask<'_>, name: &str, status: u16) -> Answer {
    let repo = ask.repo();
    let known = repo.label(name).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(status, ask.world.label(repo, known)))
}

fn one(ask: &mut Ask<'_>) -> Answer {
    let name = ask.param("name").to_owned();
    label(ask, &name, 200)
}

fn of_issue(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let shape = ask.world.issue(ask.repo(), number);
    Ok(Reply::List(None, shape["labels"].as_array().cloned().unwrap_or_default()))
}

/// The body is a list of names, a list of objects, or an object with either.
fn names(ask: &Ask<'_>) -> Vec<String> {
    let list = ask.body.as_array().or_else(|| ask.body["labels"].as_array());
    let list = list.into_iter().flatten();
    list.filter_map(|item| item.as_str().or(item["name"].as_str()).map(str::to_owned)).collect()
}

fn current(ask: &Ask<'_>, number: u64) -> Vec<String> {
    ask.repo().issues.get(&number).map(|issue| issue.labels.iter().cloned().collect()).unwrap_or_default()
}

fn put(ask: &mut Ask<'_>, number: u64, names: &[String]) -> Answer {
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.set_labels(repo, &actor, number, names);
    of_issue(ask)
}

fn add(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let all: Vec<String> = current(ask, number).into_iter().chain(names(ask)).collect();
    put(ask, number, &all)
}

fn set(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let all = names(ask);
    put(ask, number, &all)
}

fn remove_all(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    put(ask, number, &[])?;
    Ok(Reply::Empty)
}

fn remove(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let (had, name) = (current(ask, number), ask.param("name").to_owned());
    let kept: Vec<String> = had.iter().filter(|known| !known.eq_ignore_ascii_case(&name)).cloned().collect();
    if kept.len() == had.len() {
        return Err(Refusal::said(404, "Label does not exist"));
    }
    put(ask, number, &kept)
}

fn milestones(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let state = ask.asked("state").unwrap_or("open");
    let fit = repo.milestones.values().filter(|it| state == "all" || (state == "open") == it.open);
    Ok(Reply::List(None, fit.map(|it| ask.world.milestone(repo, it.number)).collect()))
}

fn create_milestone(ask: &mut Ask<'_>) -> Answer {
    let title = ask.needed("Milestone", "title")?;
    if ask.repo().milestones.values().any(|known| known.title == title) {
        return Err(Refusal::invalid("Milestone", "title", "already_exists"));
    }
    let (description, due) = (ask.text("description"), ask.text("due_on"));
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let number = ask.world.add_milestone(repo, &actor, &title, description, due);
    Ok(Reply::Json(201, ask.world.milestone(ask.repo(), number)))
}

fn one_milestone(ask: &mut Ask<'_>) -> Answer {
    let number = ask.number("milestone_number")?;
    if !ask.repo().milestones.contains_key(&number) {
        return Err(Refusal::not_found());
    }
    Ok(Reply::Json(200, ask.world.milestone(ask.repo(), number)))
}

fn edit_milestone(ask: &mut Ask<'_>) -> Answer {
    let number = ask.number("milestone_number")?;
    let (title, description, state) = (ask.text("title"), ask.text("description"), ask.text("state"));
    let (due, now) = (ask.text("due_on"), ask.world.now());
    let it = ask.repo_mut().milestones.get_mut(&number).ok_or_else(Refusal::not_found)?;
    let was = it.open;
    it.title = title.unwrap_or_else(|| it.title.clone());
    it.description = description.or_else(|| it.description.clone());
    it.due = due.or_else(|| it.due.clone());
    it.open = state.map_or(it.open, |state| state == "open");
    it.closed = (!it.open).then_some(now);
    it.updated = now;
    let action = match (was, it.open) {
        (true, false) => "closed",
        (false, true) => "opened",
        _ => "edited",
    };
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.tell_milestone(repo, number, action, &actor);
    one_milestone(ask)
}
