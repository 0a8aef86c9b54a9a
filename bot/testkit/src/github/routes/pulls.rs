//! Pull requests and merging them. <https://docs.github.com/en/rest/pulls/pulls>

use serde_json::{Value, json};

use super::{
    super::{access::Needs, acts::NewIssue, repo::Pull, world::Level},
    Answer, Ask, Refusal, Reply, Route, creating, route,
};

const READ: Needs = Needs::Repo(&[("pull_requests", Level::Read)]);
const WRITE: Needs = Needs::Repo(&[("pull_requests", Level::Write)]);
const MERGE: Needs = Needs::Repo(&[("contents", Level::Write)]);
const CODE: Needs = Needs::Repo(&[("contents", Level::Read)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/pulls", READ, list),
    creating("/repos/{owner}/{repo}/pulls", WRITE, create),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}", READ, one),
    route("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}", WRITE, update),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/files", READ, files),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/commits", READ, commits),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", CODE, is_merged),
    route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/merge", MERGE, merge),
    route("PUT", "/repos/{owner}/{repo}/pulls/{pull_number}/update-branch", WRITE, update_branch),
    route("GET", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", READ, reviewers),
    route("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", WRITE, request),
    route("DELETE", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers", WRITE, unrequest),
    route("GET", "/repos/{owner}/{repo}/commits/{commit_sha}/pulls", READ, of_commit),
];

fn list(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let state = ask.asked("state").unwrap_or("open");
    let (head, base) = (ask.asked("head"), ask.asked("base"));
    let owner = |pull: &Pull| ask.world.repo(pull.from).owner.clone();
    let fits = |number: &u64| {
        let (Some(issue), Some(pull)) = (repo.issues.get(number), repo.pulls.get(number)) else {
            return false;
        };
        (state == "all" || (state == "open") == issue.open)
            && head.is_none_or(|head| head.eq_ignore_ascii_case(&format!("{}:{}", owner(pull), pull.head)))
            && base.is_none_or(|base| base == pull.base)
    };
    let mut numbers: Vec<u64> = repo.pulls.keys().copied().filter(fits).collect();
    if ask.asked("sort") == Some("updated") {
        numbers.sort_by_key(|number| repo.issues.get(number).map(|issue| issue.updated));
    }
    // Newest first, unless they are sorted otherwise.
    let ascending = ask
        .asked("direction")
        .map_or(ask.asked("sort").is_some_and(|sort| sort != "created"), |it| it == "asc");
    if !ascending {
        numbers.reverse();
    }
    Ok(Reply::List(None, numbers.into_iter().map(|number| ask.world.pull(repo, number)).collect()))
}

fn create(ask: &mut Ask<'_>) -> Answer {
    let (head, base) = (ask.needed("PullRequest", "head")?, ask.needed("PullRequest", "base")?);
    let title = ask.needed("PullRequest", "title")?;
    let new = NewIssue { title, body: ask.text("body"), ..NewIssue::default() };
    let draft = ask.body["draft"].as_bool().unwrap_or(false);
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let number = ask.world.open_pull(repo, &actor, &head, &base, new, draft)?;
    // Whether it can be merged is worked out later.
    // <https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request>
    Ok(Reply::Json(201, ask.world.full_pull(ask.repo(), number, None, "unknown")))
}

fn one(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let open = ask.repo().issues.get(&number).is_some_and(|issue| issue.open);
    let can = if open { ask.world.test_merge(ask.repo, number) } else { None };
    let who = ask.world.bypass_name(&ask.actor);
    let state = ask.world.merge_state(ask.repo, number, can, &who);
    Ok(Reply::Json(200, ask.world.full_pull(ask.repo(), number, can, state)))
}

fn update(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let body = ask.body.get("body").map(|body| body.as_str().map(str::to_owned));
    let state = ask.text("state");
    let (merged, head) = {
        let pull = ask.repo().pulls.get(&number).ok_or_else(Refusal::not_found)?;
        (pull.merged.is_some(), pull.head.clone())
    };
    if state.as_deref() == Some("open") && merged {
        return Err(Refusal::custom(
            "PullRequest",
            "state cannot be changed. The pull request has been merged.",
        ));
    }
    if state.as_deref() == Some("open") && ask.repo().branch(&head).is_none() {
        let text = format!("state cannot be changed. The {head} branch has been deleted.");
        return Err(Refusal::custom("PullRequest", &text));
    }
    if let Some(base) = ask.text("base") {
        let sha = ask.repo().branch(&base).cloned();
        let sha = sha.ok_or_else(|| Refusal::invalid("PullRequest", "base", "invalid"))?;
        if let Some(pull) = ask.repo_mut().pulls.get_mut(&number) {
            (pull.base, pull.base_sha) = (base, sha);
        }
    }
    let title = ask.text("title");
    ask.world.edit_issue(repo, &actor, number, title, body);
    if let Some(state) = state {
        ask.world.set_open(repo, &actor, number, state == "open", None);
    }
    one(ask)
}

fn ends(ask: &Ask<'_>) -> Result<(u64, String, String), Refusal> {
    let number = ask.pull_number()?;
    let pull = ask.repo().pulls.get(&number).ok_or_else(Refusal::not_found)?;
    let base = ask.repo().git.merge_base(&pull.base_sha, &pull.head_sha).unwrap_or_default();
    Ok((number, base, pull.head_sha.clone()))
}

fn files(ask: &mut Ask<'_>) -> Answer {
    let (_, base, head) = ends(ask)?;
    let repo = ask.repo();
    let all = repo.git.diff(&base, &head);
    Ok(Reply::List(None, all.iter().map(|file| ask.world.changed(repo, &head, file)).collect()))
}

fn commits(ask: &mut Ask<'_>) -> Answer {
    let (_, base, head) = ends(ask)?;
    let repo = ask.repo();
    let all = repo.git.log(&format!("{base}..{head}"));
    let shapes = all.iter().rev().filter_map(|sha| repo.git.commit(sha));
    Ok(Reply::List(None, shapes.map(|it| ask.world.commit(repo, &it)).collect()))
}

fn is_merged(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let merged = ask.repo().pulls.get(&number).is_some_and(|pull| pull.merged.is_some());
    if merged { Ok(Reply::Empty) } else { Err(Refusal::not_found()) }
}

fn merge(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let method = ask.text("merge_method").unwrap_or_else(|| "merge".to_owned());
    let (sha, words) = (ask.text("sha"), (ask.text("commit_title"), ask.text("commit_message")));
    let (repo, actor) = (ask.repo, ask.actor.clone());
    let commit = ask.world.merge(repo, &actor, number, &method, sha.as_deref(), words)?;
    Ok(Reply::Json(
        200,
        json!({"sha": commit, "merged": true, "message": "Pull Request successfully merged"}),
    ))
}

/// <https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request-branch>
fn update_branch(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let repo = ask.repo();
    let pull = repo.pulls.get(&number).ok_or_else(Refusal::not_found)?;
    if ask.text("expected_head_sha").is_some_and(|sha| sha != pull.head_sha) {
        return Err(Refusal::said(422, "expected head sha didn't match current head ref."));
    }
    if !repo.is_behind(number) {
        return Err(Refusal::said(422, "There are no new commits on the base branch."));
    }
    let tree = repo.git.merge_tree(&pull.head_sha, &pull.base_sha);
    let tree = tree.ok_or_else(|| Refusal::said(422, "merge conflict between base and head"))?;
    let login = ask.world.login(&ask.actor);
    let email = format!("{login}@users.noreply.github.com");
    let message = format!("Merge branch '{}' into {}", pull.base, pull.head);
    let commit = repo.git.commit_tree(&tree, &[&pull.head_sha, &pull.base_sha], &message, (&login, &email));
    let reference = format!("refs/heads/{}", pull.head);
    let old = pull.head_sha.clone();
    repo.git.update_ref(&reference, &commit);
    let url = ask.world.at(repo, &format!("/pulls/{number}"));
    let (id, actor) = (ask.repo, ask.actor.clone());
    ask.world.moved(id, &actor, &reference, Some(&old), Some(&commit));
    Ok(Reply::Json(202, json!({"message": "Updating pull request branch.", "url": url})))
}

fn reviewers(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let logins = ask.repo().pulls.get(&number).map(|pull| pull.reviewers.clone()).unwrap_or_default();
    let users: Vec<Value> = logins.iter().map(|login| ask.world.user(login)).collect();
    Ok(Reply::Json(200, json!({"users": users, "teams": []})))
}

/// <https://docs.github.com/en/rest/pulls/review-requests#request-reviewers-for-a-pull-request>
fn request(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let logins = ask.texts("reviewers").unwrap_or_default();
    let author = ask.repo().issues.get(&number).map(|issue| ask.world.login(&issue.author));
    for login in &logins {
        if author.as_deref() == Some(login) {
            return Err(Refusal::said(422, "Review cannot be requested from pull request author."));
        }
        if ask.repo().role(login).is_none() {
            return Err(Refusal::said(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you \
                 specified is not a collaborator of the repository.",
            ));
        }
    }
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.request_review(repo, &actor, number, &logins);
    Ok(Reply::Json(201, ask.world.pull(ask.repo(), number)))
}

fn unrequest(ask: &mut Ask<'_>) -> Answer {
    let number = ask.pull_number()?;
    let logins = ask.texts("reviewers").unwrap_or_default();
    let (repo, actor) = (ask.repo, ask.actor.clone());
    ask.world.unrequest_review(repo, &actor, number, &logins);
    Ok(Reply::Json(200, ask.world.pull(ask.repo(), number)))
}

fn of_commit(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let sha = repo.git.resolve(ask.param("commit_sha"));
    let sha = sha.ok_or_else(|| Refusal::said(422, "No commit found for SHA"))?;
    let with = repo.pulls.iter().filter(|(_, pull)| {
        pull.head_sha == sha || pull.merged.as_ref().is_some_and(|merged| merged.sha == sha)
    });
    Ok(Reply::List(None, with.map(|(number, _)| ask.world.pull(repo, *number)).collect()))
}
