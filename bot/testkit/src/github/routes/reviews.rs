//! Reviews, and comments on lines. <https://docs.github.com/en/rest/pulls/reviews>, <https://docs.github.com/en/rest/pulls/comments>

use serde_json::Value;

use super::{
    super::{access::Needs, acts::NewRemark, repo::Actor, world::Level},
    Answer, Ask, Refusal, Reply, Route, creating, route,
};

const READ: Needs = Needs::Repo(&[("pull_requests", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("pull_requests", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews", READ, list),
    creating("/repos/{owner}/{repo}/pulls/{pull_number}/reviews", WRITE, create),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}", READ, one),
    route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals", WRITE, dismiss),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/comments", READ, remarks),
    creating("/repos/{owner}/{repo}/pulls/{pull_number}/comments", WRITE, remark),
    creating("/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies", WRITE, answer),
    route("GET", "/repos/{owner}/{repo}/pulls/comments", READ, all_remarks),
    route("GET", "/repos/{owner}/{repo}/pulls/comments/{comment_id}", READ, one_remark),
    route("PATCH", "/repos/{owner}/{repo}/pulls/comments/{comment_id}", WRITE, edit_remark),
];

fn list(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let repo = ask.repo();
    let of = repo.reviews.values().filter(|it| it.number == number);
    Ok(Reply::List(None, of.map(|it| ask.world.review(repo, it)).collect()))
}

fn create(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let event = ask.text("event");
    let state = match event.as_deref() {
        Some("APPROVE") => "APPROVED",
        Some("REQUEST_CHANGES") => "CHANGES_REQUESTED",
        Some("COMMENT") => "COMMENTED",
        None => "PENDING",
        Some(_) => return Err(Refusal::said(422, "Unprocessable Entity")),
    };
    let author = ask.repo().issues.get(&number).map(|issue| issue.author.clone());
    let judges = matches!(state, "APPROVED" | "CHANGES_REQUESTED");
    if judges && author.as_ref() == Some(&ask.actor) {
        let what = if state == "APPROVED" { "approve" } else { "request changes on" };
        return Err(Refusal::said(422, &format!("Can not {what} your own pull request")));
    }
    let body = ask.text("body").unwrap_or_default();
    if body.is_empty() && matches!(state, "CHANGES_REQUESTED" | "COMMENTED") && ask.body["comments"].is_null()
    {
        return Err(Refusal::said(422, "Body is required for this review"));
    }
    let comments = ask.body["comments"].as_array().cloned().unwrap_or_default();
    let commit = ask.text("commit_id");
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let id = ask.world.add_review(repo, &actor, number, state, &body, commit);
    for it in comments {
        let new = NewRemark {
            path: it["path"].as_str().unwrap_or_default().to_owned(),
            line: it["line"].as_u64().or(it["position"].as_u64()),
            body: it["body"].as_str().unwrap_or_default().to_owned(),
            review: Some(id),
            answers: None,
        };
        ask.world.add_remark(repo, &actor, number, new);
    }
    shown(ask, id)
}

fn shown(ask: &Ask<'_>, id: u64) -> Answer {
    let repo = ask.repo();
    let review = repo.reviews.get(&id).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.review(repo, review)))
}

fn one(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("review_id")?;
    shown(ask, id)
}

fn dismiss(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("review_id")?;
    let review = ask.repo_mut().reviews.get_mut(&id).ok_or_else(Refusal::not_found)?;
    if !matches!(review.state.as_str(), "APPROVED" | "CHANGES_REQUESTED") {
        return Err(Refusal::said(422, "Can not dismiss a commented pull request review"));
    }
    review.state = "DISMISSED".to_owned();
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.tell_review(repo, id, "dismissed", &actor);
    shown(ask, id)
}

fn remarks(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let repo = ask.repo();
    let of = repo.remarks.values().filter(|it| it.number == number);
    Ok(Reply::List(None, of.map(|it| ask.world.remark(repo, it)).collect()))
}

fn all_remarks(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    Ok(Reply::List(None, repo.remarks.values().map(|it| ask.world.remark(repo, it)).collect()))
}

fn remark_shape(ask: &Ask<'_>, id: u64) -> Result<Value, Refusal> {
    let repo = ask.repo();
    repo.remarks.get(&id).map(|it| ask.world.remark(repo, it)).ok_or_else(Refusal::not_found)
}

fn remark(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let new = NewRemark {
        path: ask.needed("PullRequestReviewComment", "path")?,
        line: ask.body["line"].as_u64(),
        body: ask.needed("PullRequestReviewComment", "body")?,
        review: None,
        answers: None,
    };
    let head = ask.repo().pulls.get(&number).map(|pull| pull.head_sha.clone()).unwrap_or_default();
    let within = ask.text("commit_id").is_some_and(|sha| ask.repo().git.is_ancestor(&sha, &head));
    if !within {
        return Err(Refusal::custom("PullRequestReviewComment", "commit_id is not part of the pull request"));
    }
    add(ask, number, new)
}

/// An answer goes to the first comment of a thread; an answer cannot be answered.
fn answer(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let first = ask.number("comment_id")?;
    let known = ask.repo().remarks.get(&first).filter(|it| it.number == number && it.answers.is_none());
    let (path, line) = known.map(|it| (it.path.clone(), it.line)).ok_or_else(Refusal::not_found)?;
    let body = ask.needed("PullRequestReviewComment", "body")?;
    add(ask, number, NewRemark { path, line, body, review: None, answers: Some(first) })
}

/// Every comment on a line belongs to a review; one that stands alone gets one of its own.
fn add(ask: &mut Ask<'_>, number: u64, mut new: NewRemark) -> Answer {
    let (repo, actor): (u64, Actor) = (ask.repo, ask.actor.clone());
    new.review = Some(ask.world.add_review(repo, &actor, number, "COMMENTED", "", None));
    let id = ask.world.add_remark(repo, &actor, number, new);
    Ok(Reply::Json(201, remark_shape(ask, id)?))
}

fn one_remark(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    Ok(Reply::Json(200, remark_shape(ask, id)?))
}

fn edit_remark(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("comment_id")?;
    let (body, now) = (ask.needed("PullRequestReviewComment", "body")?, ask.world.now());
    let remark = ask.repo_mut().remarks.get_mut(&id).ok_or_else(Refusal::not_found)?;
    (remark.body, remark.updated) = (body, now);
    one_remark(ask)
}
