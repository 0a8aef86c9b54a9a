//! Repositories, branches, collaborators. <https://docs.github.com/en/rest/repos>

use serde_json::{Value, json};

use super::{
    super::{access::Needs, world::Level},
    Answer, Ask, Refusal, Reply, Route, route,
};

const METADATA: Needs = Needs::Repo(&[("metadata", Level::Read)]);
const READ: Needs = Needs::Repo(&[("contents", Level::Read)]);
const ADMIN: Needs = Needs::Repo(&[("administration", Level::Write)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}", METADATA, repository),
    route("PATCH", "/repos/{owner}/{repo}", ADMIN, edit),
    route("GET", "/repos/{owner}/{repo}/branches", READ, branches),
    route("GET", "/repos/{owner}/{repo}/branches/{branch}", READ, branch),
    route("GET", "/repos/{owner}/{repo}/collaborators/{username}/permission", METADATA, permission),
    route("GET", "/repos/{owner}/{repo}/collaborators", METADATA, collaborators),
    route("GET", "/repos/{owner}/{repo}/assignees/{assignee}", METADATA, assignee),
];

fn repository(ask: &mut Ask<'_>) -> Answer {
    Ok(Reply::Json(200, ask.world.full_repository(ask.repo())))
}

fn edit(ask: &mut Ask<'_>) -> Answer {
    let (delete, branch) = (ask.body["delete_branch_on_merge"].as_bool(), ask.text("default_branch"));
    let repo = ask.repo_mut();
    repo.delete_branch_on_merge = delete.unwrap_or(repo.delete_branch_on_merge);
    if let Some(branch) = branch {
        if repo.branch(&branch).is_none() {
            return Err(Refusal::invalid("Repository", "default_branch", "invalid"));
        }
        repo.default_branch = branch;
    }
    repository(ask)
}

fn branches(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let named = repo.refs.iter().filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)));
    let shapes = named.map(|(name, sha)| {
        json!({"name": name, "commit": {"sha": sha, "url": ask.world.at(repo, &format!("/commits/{sha}"))},
            "protected": !repo.rules(name).is_empty()})
    });
    let mut shapes: Vec<Value> = shapes.collect();
    if let Some(wanted) = ask.asked("protected") {
        shapes.retain(|shape| shape["protected"] == (wanted == "true"));
    }
    Ok(Reply::List(None, shapes))
}

fn branch(ask: &mut Ask<'_>) -> Answer {
    let (repo, name) = (ask.repo(), ask.param("branch"));
    let missing = || Refusal::said(404, "Branch not found");
    let sha = repo.branch(name).ok_or_else(missing)?;
    let commit = repo.git.commit(sha).ok_or_else(missing)?;
    let url = ask.world.at(repo, &format!("/branches/{name}"));
    Ok(Reply::Json(
        200,
        json!({
            "name": name, "commit": ask.world.commit(repo, &commit),
            "_links": {"html": ask.world.page(repo, &format!("/tree/{name}")), "self": url},
            "protected": !repo.rules(name).is_empty(), "protection": {"enabled": repo.protected.contains_key(name)},
            "protection_url": format!("{url}/protection"),
        }),
    ))
}

/// <https://docs.github.com/en/rest/collaborators/collaborators#get-repository-permissions-for-a-user>
fn permission(ask: &mut Ask<'_>) -> Answer {
    let login = ask.param("username").to_owned();
    let known = ask.world.accounts.contains_key(&login.to_lowercase());
    if !known {
        return Err(Refusal::said(404, &format!("{login} is not a user")));
    }
    let repo = ask.repo();
    let role = repo.role(&login);
    // Whoever is no collaborator reads what is public, and nothing else.
    let none = if repo.private { "none" } else { "read" };
    let (permission, role_name) = role.map_or((none, none), |role| (role.legacy(), role.name()));
    let mut user = ask.world.user(&login);
    user["role_name"] = json!(role_name);
    let at_least = |wanted| role.is_some_and(|role| role >= wanted);
    user["permissions"] = json!({
        "pull": permission != "none", "triage": at_least(super::super::Role::Triage),
        "push": at_least(super::super::Role::Write), "maintain": at_least(super::super::Role::Maintain),
        "admin": at_least(super::super::Role::Admin),
    });
    Ok(Reply::Json(200, json!({"permission": permission, "role_name": role_name, "user": user})))
}

fn collaborators(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    let shapes = repo.collaborators.iter().map(|(login, role)| {
        let mut user = ask.world.user(login);
        user["role_name"] = json!(role.name());
        user
    });
    Ok(Reply::List(None, shapes.collect()))
}

fn assignee(ask: &mut Ask<'_>) -> Answer {
    if ask.repo().role(ask.param("assignee")).is_some() {
        Ok(Reply::Empty)
    } else {
        Err(Refusal::not_found())
    }
}
