//! Issues, comments, reactions. <https://docs.github.com/en/rest/issues>

use serde_json::{Value, json};

use super::{
    super::{
        access::Needs,
        acts::NewIssue,
        repo::{Comment, Issue, IssueEvent, Reaction},
        shapes,
        world::{Level, World},
    },
    Answer, Ask, Refusal, Reply, Route, creating, route,
};

const READ: Needs = Needs::Repo(&[("issues", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("issues", Level::Write)]);
/// A pull request is an issue, too.
const READ_ANY: Needs = Needs::Repo(&[("issues", Level::Read), ("pull_requests", Level::Read)]);
const WRITE_ANY: Needs = Needs::Repo(&[("issues", Level::Write), ("pull_requests", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/issues", READ, list),
    creating("/repos/{owner}/{repo}/issues", WRITE, create),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}", READ_ANY, one),
    route("PATCH", "/repos/{owner}/{repo}/issues/{issue_number}", WRITE_ANY, update),
    route("GET", "/repos/{owner}/{repo}/issues/events", READ_ANY, events),
    route("GET", "/repos/{owner}/{repo}/issues/comments", READ_ANY, all_comments),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments", READ_ANY, comments),
    creating("/repos/{owner}/{repo}/issues/{issue_number}/comments", WRITE_ANY, comment),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}", READ_ANY, one_comment),
    route("PATCH", "/repos/{owner}/{repo}/issues/comments/{comment_id}", WRITE_ANY, edit_comment),
    route("DELETE", "/repos/{owner}/{repo}/issues/comments/{comment_id}", WRITE_ANY, delete_comment),
    route("GET", "/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", READ_ANY, comment_reactions),
    creating("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions", WRITE_ANY, react_to_comment),
    route("GET", "/repos/{owner}/{repo}/issues/{issue_number}/reactions", READ_ANY, issue_reactions),
    creating("/repos/{owner}/{repo}/issues/{issue_number}/reactions", WRITE_ANY, react_to_issue),
    creating("/repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions", WRITE_ANY, react_to_remark),
    creating("/repos/{owner}/{repo}/issues/{issue_number}/assignees", WRITE_ANY, assign),
    route("DELETE", "/repos/{owner}/{repo}/issues/{issue_number}/assignees", WRITE_ANY, unassign),
];

/// <https://docs.github.com/en/rest/issues/issues#list-repository-issues>: pull requests are among them.
fn list(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let state = ask.asked("state").unwrap_or("open");
    let wanted: Vec<&str> = ask.asked("labels").map(|text| text.split(',').collect()).unwrap_or_default();
    let since = ask.asked("since").and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let milestone = ask.asked("milestone");
    let creator = ask.asked("creator");
    let fits = |issue: &&Issue| {
        (state == "all" || (state == "open") == issue.open)
            && !issue.deleted
            && wanted.iter().all(|name| issue.labels.iter().any(|known| known.eq_ignore_ascii_case(name)))
            && since.is_none_or(|since| issue.updated >= since)
            && creator.is_none_or(|login| ask.world.login(&issue.author).eq_ignore_ascii_case(login))
            && match milestone {
                None => true,
                Some("none") => issue.milestone.is_none(),
                Some("*") => issue.milestone.is_some(),
                Some(number) => issue.milestone.map(|it| it.to_string()).as_deref() == Some(number),
            }
    };
    let mut found: Vec<&Issue> = repo.issues.values().filter(fits).collect();
    if ask.asked("sort") == Some("updated") {
        found.sort_by_key(|issue| issue.updated);
    }
    if ask.asked("direction") != Some("asc") {
        found.reverse();
    }
    Ok(Reply::List(None, found.iter().map(|issue| ask.world.issue(repo, issue.number)).collect()))
}

fn milestone(ask: &Ask<'_>, value: &Value) -> Result<Option<u64>, Refusal> {
    match value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok())) {
        None => Ok(None),
        Some(number) if ask.repo().milestones.contains_key(&number) => Ok(Some(number)),
        Some(_) => Err(Refusal::invalid("Issue", "milestone", "invalid")),
    }
}

/// Only those who may be assigned. <https://docs.github.com/en/rest/issues/assignees#check-if-a-user-can-be-assigned>
fn assignees(ask: &Ask<'_>) -> Vec<String> {
    let all = ask.texts("assignees").unwrap_or_default();
    all.into_iter().filter(|login| ask.repo().role(login).is_some()).collect()
}

fn create(ask: &mut Ask<'_>) -> Answer {
    let new = NewIssue {
        title: ask.needed("Issue", "title")?,
        body: ask.text("body"),
        labels: ask.texts("labels").unwrap_or_default(),
        assignees: assignees(ask),
        milestone: milestone(ask, &ask.body["milestone"])?,
    };
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let number = ask.world.open_issue(repo, &actor, new);
    Ok(Reply::Json(201, ask.world.issue(ask.repo(), number)))
}

fn one(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    Ok(Reply::Json(200, ask.world.issue(ask.repo(), number)))
}

fn update(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let body = ask.body.get("body").map(|body| body.as_str().map(str::to_owned));
    let title = ask.text("title");
    let to = ask.body.get("milestone").map(|value| milestone(ask, value)).transpose()?;
    let chosen = ask.body.get("assignees").map(|_| assignees(ask));
    let state = ask.text("state");
    if ask.repo().pulls.get(&number).is_some_and(|pull| pull.merged.is_some())
        && state.as_deref() == Some("open")
    {
        return Err(Refusal::custom("Issue", "state cannot be changed. The pull request has been merged."));
    }
    ask.world.edit_issue(repo, &actor, number, title, body);
    if let Some(names) = ask.texts("labels") {
        ask.world.set_labels(repo, &actor, number, &names);
    }
    if let Some(to) = to {
        ask.world.set_milestone(repo, &actor, number, to);
    }
    if let Some(chosen) = chosen {
        ask.world.set_assignees(repo, &actor, number, &chosen);
    }
    if let Some(state) = state {
        let reason = ask.text("state_reason");
        ask.world.set_open(repo, &actor, number, state == "open", reason);
    }
    one(ask)
}

fn since(ask: &Ask<'_>) -> Option<jiff::Timestamp> {
    ask.asked("since").and_then(|text| text.parse().ok())
}

/// Newest first. <https://docs.github.com/en/rest/issues/events#list-issue-events-for-a-repository>
fn events(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let shape = |it: &IssueEvent| {
        let mut shape = json!({"id": it.id, "node_id": shapes::node("LE", it.id), "event": it.event,
            "url": ask.world.at(repo, &format!("/issues/events/{}", it.id)), "actor": ask.world.actor(&it.by),
            "commit_id": null, "commit_url": null, "created_at": it.at, "performed_via_github_app": null,
            "issue": ask.world.issue(repo, it.number)});
        if let Some(label) = &it.label {
            shape["label"] = label.clone();
        }
        if let Some(title) = &it.milestone {
            shape["milestone"] = json!({"title": title});
        }
        shape
    };
    Ok(Reply::List(None, repo.events.iter().rev().map(shape).collect()))
}

fn all_comments(ask: &mut Ask<'_>) -> Answer {
    let (repo, since) = (ask.repo(), since(ask));
    let mut all: Vec<&Comment> =
        repo.comments.values().filter(|it| since.is_none_or(|since| it.updated >= since)).collect();
    if ask.asked("direction") == Some("desc") {
        all.reverse();
    }
    Ok(Reply::List(None, all.into_iter().map(|it| ask.world.comment(repo, it)).collect()))
}

fn comments(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let (repo, since) = (ask.repo(), since(ask));
    let of = repo.comments.values().filter(|it| it.number == number);
    let of = of.filter(|it| since.is_none_or(|since| it.updated >= since));
    Ok(Reply::List(None, of.map(|it| ask.world.comment(repo, it)).collect()))
}

/// The longest body that GitHub keeps, in characters. <https://github.com/orgs/community/discussions/27190>
const LONGEST: usize = 65_536;

fn comment(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let body = ask.needed("IssueComment", "body")?;
    if body.chars().count() > LONGEST {
        return Err(Refusal::custom("IssueComment", "body is too long (maximum is 65536 characters)"));
    }
    if ask.repo().issues.get(&number).is_some_and(|issue| issue.locked) {
        return Err(Refusal::said(403, "Unable to create comment because issue is locked."));
    }
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let id = ask.world.add_comment(repo, &actor, number, &body);
    Ok(Reply::Json(201, shown(ask, id)?))
}

fn shown(ask: &Ask<'_>, id: u64) -> Result<Value, Refusal> {
    let repo = ask.repo();
    repo.comments.get(&id).map(|it| ask.world.comment(repo, it)).ok_or_else(Refusal::not_found)
}

fn one_comment(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    Ok(Reply::Json(200, shown(ask, id)?))
}

fn edit_comment(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    shown(ask, id)?;
    let body = ask.needed("IssueComment", "body")?;
    if body.chars().count() > LONGEST {
        return Err(Refusal::custom("IssueComment", "body is too long (maximum is 65536 characters)"));
    }
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.edit_comment(repo, &actor, id, &body);
    one_comment(ask)
}

fn delete_comment(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    shown(ask, id)?;
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.delete_comment(repo, &actor, id);
    Ok(Reply::Empty)
}

fn reactions(ask: &Ask<'_>, all: &[Reaction]) -> Answer {
    let wanted = ask.asked("content");
    let fit = all.iter().filter(|it| wanted.is_none_or(|wanted| wanted == it.content));
    Ok(Reply::List(None, fit.map(|it| ask.world.reaction(it)).collect()))
}

fn comment_reactions(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    let comment = ask.repo().comments.get(&id).ok_or_else(Refusal::not_found)?;
    reactions(ask, &comment.reactions)
}

fn issue_reactions(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let issue = ask.repo().issues.get(&number).ok_or_else(Refusal::not_found)?;
    reactions(ask, &issue.reactions)
}

/// 200 where it was there before. <https://docs.github.com/en/rest/reactions/reactions>
fn react(
    ask: &mut Ask<'_>,
    find: impl FnOnce(&mut super::super::repo::Repo) -> Option<&mut Vec<Reaction>>,
) -> Answer {
    let content = ask.needed("Reaction", "content")?;
    if !shapes::REACTIONS.contains(&content.as_str()) {
        return Err(Refusal::invalid("Reaction", "content", "invalid"));
    }
    let (id, at, actor) = (ask.world.id(), ask.world.now(), ask.actor.clone());
    let all = find(ask.repo_mut()).ok_or_else(Refusal::not_found)?;
    let (reaction, new) = World::reaction_to(id, at, all, &actor, &content);
    Ok(Reply::Json(if new { 201 } else { 200 }, ask.world.reaction(&reaction)))
}

fn react_to_comment(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    react(ask, |repo| repo.comments.get_mut(&id).map(|it| &mut it.reactions))
}

fn react_to_issue(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    react(ask, |repo| repo.issues.get_mut(&number).map(|it| &mut it.reactions))
}

fn react_to_remark(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    react(ask, |repo| repo.remarks.get_mut(&id).map(|it| &mut it.reactions))
}

fn assign(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let mut all: Vec<String> = ask.repo().issues[&number].assignees.iter().cloned().collect();
    all.extend(assignees(ask));
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.set_assignees(repo, &actor, number, &all);
    Ok(Reply::Json(201, ask.world.issue(ask.repo(), number)))
}

fn unassign(ask: &mut Ask<'_>) -> Answer {
    let number = ask.issue_number()?;
    let gone = ask.texts("assignees").unwrap_or_default();
    let kept = ask.repo().issues[&number].assignees.iter().filter(|login| !gone.contains(login));
    let kept: Vec<String> = kept.cloned().collect();
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.set_assignees(repo, &actor, number, &kept);
    Ok(Reply::Json(200, ask.world.issue(ask.repo(), number)))
}
