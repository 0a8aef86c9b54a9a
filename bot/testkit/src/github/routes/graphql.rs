//! The few documents of the GraphQL API that are known, by the name of their operation; anything else is a violation.
//! <https://docs.github.com/en/graphql/reference>

use serde_json::{Value, json};

use super::{
    super::{access::Needs, repo::Actor, shapes::node, world::Level},
    Answer, Ask, Refusal, Reply, Route, route,
};

pub(super) const ROUTES: &[Route] = &[route("POST", "/graphql", Needs::Anyone, graphql)];

/// A known operation: the field that its document must ask for, and its variables.
struct Operation {
    field: &'static str,
    variables: &'static [&'static str],
    run: fn(&mut Ask<'_>, &Value) -> Result<Value, Wrong>,
}

/// A type of error, and words. <https://docs.github.com/en/graphql/guides/using-pagination-in-the-graphql-api>
struct Wrong(&'static str, String);

const OPERATIONS: [Operation; 7] = [
    Operation { field: "lastEditedAt", variables: &["owner", "name", "number"], run: edited },
    Operation { field: "reviewThreads", variables: &["owner", "name", "number"], run: review_threads },
    Operation { field: "resolveReviewThread", variables: &["threadId"], run: resolve },
    Operation { field: "unresolveReviewThread", variables: &["threadId"], run: unresolve },
    Operation { field: "markPullRequestReadyForReview", variables: &["pullRequestId"], run: ready },
    Operation { field: "convertPullRequestToDraft", variables: &["pullRequestId"], run: draft },
    Operation { field: "enqueuePullRequest", variables: &["pullRequestId"], run: enqueue },
];

fn graphql(ask: &mut Ask<'_>) -> Answer {
    let query = ask.needed("Query", "query")?;
    let variables = ask.body["variables"].clone();
    // The longest field that the document names is the one that is meant.
    let has = |field: &str| query.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == field);
    let known = OPERATIONS.iter().find(|known| has(known.field));
    let Some(known) = known else {
        ask.world.complain(format!("POST /graphql: no such document is known: {query}"));
        return Ok(failed("undefinedField", "the fake does not know this document"));
    };
    for (name, _) in variables.as_object().into_iter().flatten() {
        if !known.variables.contains(&name.as_str()) && !["first", "after", "cursor"].contains(&name.as_str())
        {
            ask.world.complain(format!("POST /graphql {}: unknown variable {name}", known.field));
        }
    }
    for name in known.variables {
        if variables[*name].is_null() || !query.contains(&format!("${name}")) {
            ask.world.complain(format!("POST /graphql {}: no variable {name}", known.field));
            return Ok(failed("missingRequiredInputObjectAttribute", name));
        }
    }
    let opened = query.matches('{').count();
    if opened != query.matches('}').count() {
        ask.world.complain(format!("POST /graphql {}: braces that do not close", known.field));
        return Ok(failed("parse", "Expected one of SCHEMA, SCALAR, TYPE"));
    }
    match (known.run)(ask, &variables) {
        Ok(data) => Ok(Reply::Json(200, json!({"data": data}))),
        Err(Wrong(kind, words)) => Ok(Reply::Json(
            200,
            json!({"data": {known.field: null}, "errors": [{"type": kind, "path": [known.field],
                "locations": [{"line": 1, "column": 1}], "message": words}]}),
        )),
    }
}

fn failed(code: &str, words: &str) -> Reply {
    Reply::Json(
        200,
        json!({"errors": [{"extensions": {"code": code}, "message": words,
        "locations": [{"line": 1, "column": 1}]}]}),
    )
}

fn no_node(id: &str) -> Wrong {
    Wrong("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"))
}

fn may_write(ask: &Ask<'_>, repo: u64) -> Result<(), Wrong> {
    let refused = |it: Refusal| Wrong("FORBIDDEN", it.message);
    ask.world.may(&ask.caller, repo, "pull_requests", Level::Write).map_err(refused)
}

/// When an issue was changed last. <https://docs.github.com/en/graphql/reference/objects#issue>
fn edited(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    let (owner, name) = (variables["owner"].as_str().unwrap_or(""), variables["name"].as_str().unwrap_or(""));
    let missing = |what: &str| Wrong("NOT_FOUND", format!("Could not resolve to a {what}."));
    let repo = ask.world.find(owner, name).filter(|id| ask.world.repos.contains_key(id));
    let repo = repo.ok_or_else(|| missing("Repository"))?;
    let seen = ask.world.may(&ask.caller, repo, "issues", Level::Read);
    seen.map_err(|_| missing("Repository"))?;
    let number = variables["number"].as_u64().unwrap_or(0);
    let issue = ask.world.repo(repo).issues.get(&number).ok_or_else(|| missing("Issue"))?;
    let issue = json!({"lastEditedAt": issue.edited, "timelineItems": {"nodes": []}});
    Ok(json!({"repository": {"issue": issue}}))
}

fn review_threads(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    let (owner, name) = (variables["owner"].as_str().unwrap_or(""), variables["name"].as_str().unwrap_or(""));
    let missing = |what: &str| Wrong("NOT_FOUND", format!("Could not resolve to a {what}."));
    let repo = ask.world.find(owner, name).filter(|id| ask.world.repos.contains_key(id));
    let repo = repo.ok_or_else(|| missing("Repository"))?;
    let seen = ask.world.may(&ask.caller, repo, "pull_requests", Level::Read);
    seen.map_err(|_| missing("Repository"))?;
    let number = variables["number"].as_u64().unwrap_or(0);
    let held = ask.world.repo(repo);
    let pull = held.pulls.get(&number).ok_or_else(|| missing("PullRequest"))?;
    let firsts = held.remarks.values().filter(|it| it.number == number && it.answers.is_none());
    let threads: Vec<Value> = firsts
        .map(|first| {
            let of = held.remarks.values().filter(|it| it.id == first.id || it.answers == Some(first.id));
            let comments: Vec<Value> = of
                .map(|it| {
                    json!({"id": node("PRRC", it.id), "databaseId": it.id, "body": it.body,
                        "author": {"login": ask.world.login(&it.author)}, "path": it.path})
                })
                .collect();
            let end = json!({"hasNextPage": false, "endCursor": null});
            json!({"id": node("PRRT", first.id), "isResolved": first.resolved_by.is_some(),
                "isOutdated": first.commit != pull.head_sha, "path": first.path, "line": first.line,
                "comments": {"totalCount": comments.len(), "nodes": comments, "pageInfo": end}})
        })
        .collect();
    let end = json!({"hasNextPage": false, "endCursor": null});
    Ok(json!({"repository": {"pullRequest": {"id": node("PR", pull.id), "number": number,
        "reviewThreads": {"totalCount": threads.len(), "nodes": threads, "pageInfo": end}}}}))
}

fn set_thread(ask: &mut Ask<'_>, variables: &Value, resolved: bool, field: &str) -> Result<Value, Wrong> {
    let wanted = variables["threadId"].as_str().unwrap_or_default().to_owned();
    let id = wanted.strip_prefix("PRRT_").and_then(|id| id.parse::<u64>().ok());
    let id = id.ok_or_else(|| no_node(&wanted))?;
    let repo = ask
        .world
        .repos
        .values()
        .find(|repo| repo.remarks.get(&id).is_some_and(|first| first.answers.is_none()));
    let repo = repo.map(|repo| repo.id).ok_or_else(|| no_node(&wanted))?;
    may_write(ask, repo)?;
    let actor: Actor = ask.actor.clone();
    ask.world.resolve_thread(repo, &actor, id, resolved);
    Ok(json!({field: {"thread": {"id": wanted, "isResolved": resolved}}}))
}

fn resolve(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    set_thread(ask, variables, true, "resolveReviewThread")
}

fn unresolve(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    set_thread(ask, variables, false, "unresolveReviewThread")
}

/// The repository and number of a pull request.
fn pull(ask: &Ask<'_>, variables: &Value) -> Result<(u64, u64, String), Wrong> {
    let wanted = variables["pullRequestId"].as_str().unwrap_or_default().to_owned();
    let id = wanted.strip_prefix("PR_").and_then(|id| id.parse::<u64>().ok());
    let found = ask.world.repos.values().find_map(|repo| {
        let number = repo.pulls.iter().find(|(_, pull)| Some(pull.id) == id).map(|(number, _)| *number);
        number.map(|number| (repo.id, number))
    });
    let (repo, number) = found.ok_or_else(|| no_node(&wanted))?;
    may_write(ask, repo)?;
    Ok((repo, number, wanted))
}

fn set_draft(ask: &mut Ask<'_>, variables: &Value, draft: bool, field: &str) -> Result<Value, Wrong> {
    let (repo, number, id) = pull(ask, variables)?;
    let actor = ask.actor.clone();
    ask.world.set_draft(repo, &actor, number, draft);
    Ok(json!({field: {"pullRequest": {"id": id, "number": number, "isDraft": draft}}}))
}

fn ready(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    set_draft(ask, variables, false, "markPullRequestReadyForReview")
}

fn draft(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    set_draft(ask, variables, true, "convertPullRequestToDraft")
}

/// <https://docs.github.com/en/graphql/reference/mutations#enqueuepullrequest>
fn enqueue(ask: &mut Ask<'_>, variables: &Value) -> Result<Value, Wrong> {
    let (repo, number, id) = pull(ask, variables)?;
    let actor = ask.actor.clone();
    ask.world.enqueue(repo, &actor, number).map_err(|words| Wrong("UNPROCESSABLE", words))?;
    Ok(json!({"enqueuePullRequest": {"mergeQueueEntry": {"id": node("MQE", repo), "state": "QUEUED",
        "position": 1, "pullRequest": {"id": id}}}}))
}
