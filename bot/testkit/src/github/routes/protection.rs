//! Protection of branches, classic and by ruleset, as it is read. <https://docs.github.com/en/rest/repos/rules>,
//! <https://docs.github.com/en/rest/branches/branch-protection>

use serde_json::{Value, json};

use super::{
    super::{
        access::Needs,
        repo::{Repo, Rules, Ruleset},
        world::{Level, World},
    },
    Answer, Ask, Refusal, Reply, Route, route,
};

const METADATA: Needs = Needs::Repo(&[("metadata", Level::Read)]);
const ADMINISTRATION: Needs = Needs::Repo(&[("administration", Level::Read)]);

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/repos/{owner}/{repo}/branches/{branch}/protection", ADMINISTRATION, protection),
    route("GET", "/repos/{owner}/{repo}/rules/branches/{branch}", METADATA, rules),
    route("GET", "/repos/{owner}/{repo}/rulesets", METADATA, rulesets),
    route("GET", "/repos/{owner}/{repo}/rulesets/{ruleset_id}", METADATA, ruleset),
];

fn protection(ask: &mut Ask<'_>) -> Answer {
    let (repo, name) = (ask.repo(), ask.param("branch"));
    if repo.branch(name).is_none() {
        return Err(Refusal::said(404, "Branch not found"));
    }
    let rules = repo.protected.get(name).ok_or_else(|| Refusal::said(404, "Branch not protected"))?;
    let url = ask.world.at(repo, &format!("/branches/{name}/protection"));
    let mut shape = json!({
        "url": url, "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": rules.bypass.is_empty()},
        "required_linear_history": {"enabled": false}, "allow_force_pushes": {"enabled": false},
        "allow_deletions": {"enabled": false}, "block_creations": {"enabled": false},
        "required_conversation_resolution": {"enabled": rules.resolved_threads},
        "lock_branch": {"enabled": false}, "allow_fork_syncing": {"enabled": false},
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": false},
    });
    if let Some(approvals) = rules.pull_request {
        let apps: Vec<Value> = bypassing(ask.world, rules).map(|app| ask.world.app_by_id(app)).collect();
        let people = rules.bypass.iter().filter(|name| ask.world.accounts.contains_key(&name.to_lowercase()));
        let people: Vec<Value> = people.map(|name| ask.world.user(name)).collect();
        shape["required_pull_request_reviews"] = json!({
            "url": format!("{url}/required_pull_request_reviews"), "require_code_owner_reviews": false,
            "dismiss_stale_reviews": rules.dismiss_stale_reviews, "require_last_push_approval": false,
            "required_approving_review_count": approvals,
            "bypass_pull_request_allowances": {"users": people, "teams": [], "apps": apps},
        });
    }
    if !rules.checks.is_empty() {
        let checks = rules.checks.iter().map(|(name, app)| json!({"context": name, "app_id": app}));
        shape["required_status_checks"] = json!({
            "url": format!("{url}/required_status_checks"), "strict": rules.up_to_date,
            "contexts_url": format!("{url}/required_status_checks/contexts"),
            "contexts": rules.checks.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "checks": checks.collect::<Vec<_>>(),
        });
    }
    Ok(Reply::Json(200, shape))
}

/// The Apps on a list of those who may pass.
fn bypassing<'a>(world: &'a World, rules: &'a Rules) -> impl Iterator<Item = u64> + 'a {
    world.apps.values().filter(|app| rules.lets(&app.slug)).map(|app| app.id)
}

/// The rules of one ruleset, as both routes write them.
fn written(rules: &Rules) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(approvals) = rules.pull_request {
        all.push(json!({"type": "pull_request", "parameters": {
            "required_approving_review_count": approvals, "require_code_owner_review": false,
            "dismiss_stale_reviews_on_push": rules.dismiss_stale_reviews, "require_last_push_approval": false,
            "required_review_thread_resolution": rules.resolved_threads,
            "allowed_merge_methods": ["merge", "squash"]}}));
    }
    if !rules.checks.is_empty() {
        let checks = rules.checks.iter().map(|(name, app)| match app {
            Some(app) => json!({"context": name, "integration_id": app}),
            None => json!({"context": name}),
        });
        all.push(json!({"type": "required_status_checks", "parameters": {
            "strict_required_status_checks_policy": rules.up_to_date, "do_not_enforce_on_create": false,
            "required_status_checks": checks.collect::<Vec<_>>()}}));
    }
    if rules.merge_queue {
        all.push(json!({"type": "merge_queue", "parameters": {"check_response_timeout_minutes": 60,
            "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5, "max_entries_to_merge": 5,
            "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5}}));
    }
    all
}

fn rules(ask: &mut Ask<'_>) -> Answer {
    let (repo, name) = (ask.repo(), ask.param("branch"));
    let of = repo.rulesets_of(name).flat_map(|(id, set)| {
        written(&set.rules).into_iter().map(move |mut rule| {
            super::super::shapes::extend(
                &mut rule,
                json!({"ruleset_source_type": "Repository",
                "ruleset_source": repo.full_name(), "ruleset_id": id}),
            );
            rule
        })
    });
    Ok(Reply::List(None, of.collect()))
}

fn shape(world: &World, repo: &Repo, id: u64, set: &Ruleset) -> Value {
    json!({"id": id, "name": set.name, "target": "branch", "source_type": "Repository",
        "source": repo.full_name(), "enforcement": set.enforcement, "node_id": format!("RRS_{id}"),
        "created_at": set.created, "updated_at": set.created,
        "_links": {"self": {"href": world.at(repo, &format!("/rulesets/{id}"))},
            "html": {"href": world.page(repo, &format!("/rules/{id}"))}}})
}

fn rulesets(ask: &mut Ask<'_>) -> Answer {
    let repo = ask.repo();
    Ok(Reply::List(None, repo.rulesets.iter().map(|(id, set)| shape(ask.world, repo, *id, set)).collect()))
}

/// Who may bypass is told to those alone who may write the ruleset.
/// <https://docs.github.com/en/rest/repos/rules#get-a-repository-ruleset>
fn ruleset(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("ruleset_id")?;
    let repo = ask.repo();
    let set = repo.rulesets.get(&id).ok_or_else(Refusal::not_found)?;
    let mut shape = shape(ask.world, repo, id, set);
    let writes = ask.world.may(&ask.caller, ask.repo, "administration", Level::Write).is_ok();
    let actors = bypassing(ask.world, &set.rules)
        .map(|app| json!({"actor_id": app, "actor_type": "Integration", "bypass_mode": "always"}));
    let who = ask.world.bypass_name(&ask.actor);
    let bypass = if set.rules.lets(&who) { "always" } else { "never" };
    super::super::shapes::extend(
        &mut shape,
        json!({"rules": written(&set.rules),
        "conditions": {"ref_name": {"include": set.include, "exclude": []}}, "current_user_can_bypass": bypass}),
    );
    if writes {
        shape["bypass_actors"] = actors.collect();
    }
    Ok(Reply::Json(200, shape))
}
