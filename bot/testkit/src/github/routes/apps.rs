//! The App, its installations, its webhook. <https://docs.github.com/en/rest/apps>

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    super::{
        access::{Caller, Needs},
        keys::AppKey,
        world::{Hook, Installation, Level, Permissions, World},
    },
    Answer, Ask, Refusal, Reply, Route, route,
};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/app", Needs::App, app),
    route("GET", "/app/installations", Needs::App, installations),
    route("GET", "/app/installations/{installation_id}", Needs::App, one_installation),
    route("POST", "/app/installations/{installation_id}/access_tokens", Needs::App, access_token),
    route("GET", "/app/hook/config", Needs::App, hook),
    route("PATCH", "/app/hook/config", Needs::App, set_hook),
    route("GET", "/app/hook/deliveries", Needs::App, deliveries),
    route("GET", "/app/hook/deliveries/{delivery_id}", Needs::App, delivery),
    route("POST", "/app/hook/deliveries/{delivery_id}/attempts", Needs::App, redeliver),
    route("POST", "/app-manifests/{code}/conversions", Needs::Nobody, convert),
    route("GET", "/repos/{owner}/{repo}/installation", Needs::App, of_repository),
    route("GET", "/installation/repositories", Needs::Installation, repositories),
    route("DELETE", "/installation/token", Needs::Installation, revoke),
    route("GET", "/rate_limit", Needs::Anyone, rate_limit),
    route("GET", "/user", Needs::Anyone, me),
    route("GET", "/users/{username}", Needs::Anyone, user),
    route("GET", "/meta", Needs::Nobody, meta),
];

fn app_id(ask: &Ask<'_>) -> u64 {
    match ask.caller {
        Caller::App(id) => id,
        _ => 0,
    }
}

fn app(ask: &mut Ask<'_>) -> Answer {
    let id = app_id(ask);
    let mut shape = ask.world.app_by_id(id);
    shape["installations_count"] = json!(ask.world.installations.values().filter(|it| it.app == id).count());
    Ok(Reply::Json(200, shape))
}

fn installations(ask: &mut Ask<'_>) -> Answer {
    let id = app_id(ask);
    let own = ask.world.installations.values().filter(|it| it.app == id);
    Ok(Reply::List(None, own.map(|it| ask.world.installation(it)).collect()))
}

fn own(ask: &Ask<'_>) -> Result<Installation, Refusal> {
    let (id, app) = (ask.number("installation_id")?, app_id(ask));
    let known = ask.world.installations.get(&id).filter(|it| it.app == app);
    known.cloned().ok_or_else(Refusal::not_found)
}

fn one_installation(ask: &mut Ask<'_>) -> Answer {
    own(ask).map(|it| Reply::Json(200, ask.world.installation(&it)))
}

fn of_repository(ask: &mut Ask<'_>) -> Answer {
    let (app, owner, name) = (app_id(ask), ask.param("owner").to_owned(), ask.param("repo").to_owned());
    let repo = ask.world.find(&owner, &name).filter(|id| ask.world.repos.contains_key(id));
    let it = repo.and_then(|repo| ask.world.installation_of(app, repo)).ok_or_else(Refusal::not_found)?;
    Ok(Reply::Json(200, ask.world.installation(it)))
}

fn access_token(ask: &mut Ask<'_>) -> Answer {
    let it = own(ask)?;
    if it.suspended.is_some() {
        return Err(Refusal::said(403, "This installation has been suspended"));
    }
    let known = |id: &u64| {
        let of = ask.world.repos.get(id).is_some_and(|repo| repo.owner.eq_ignore_ascii_case(&it.account));
        of && it.repositories.as_ref().is_none_or(|known| known.contains(id))
    };
    let mut chosen: Option<BTreeSet<u64>> = None;
    for wanted in ask.body["repositories"].as_array().into_iter().flatten() {
        let name = wanted.as_str().unwrap_or_default();
        let id = ask.world.find(&it.account, name).filter(known);
        chosen.get_or_insert_default().insert(id.ok_or_else(unreachable_repository)?);
    }
    for wanted in ask.body["repository_ids"].as_array().into_iter().flatten() {
        let id = wanted.as_u64().filter(known);
        chosen.get_or_insert_default().insert(id.ok_or_else(unreachable_repository)?);
    }
    let mut permissions = it.permissions.clone();
    if let Some(wanted) = ask.body["permissions"].as_object() {
        permissions = Permissions::from([("metadata".to_owned(), Level::Read)]);
        for (name, level) in wanted {
            let level = level.as_str().and_then(Level::parse);
            let level = level.ok_or_else(|| Refusal::said(422, "The level of permissions is not valid."))?;
            if !World::holds(&it.permissions, name, level) {
                return Err(Refusal::said(
                    422,
                    "The permissions requested are not granted to this installation.",
                ));
            }
            permissions.insert(name.clone(), level);
        }
    }
    let selected = chosen.is_some() || it.repositories.is_some();
    let (token, expires) = ask.world.installation_token(it.id, chosen.clone(), permissions.clone());
    let mut shape = json!({"token": token, "expires_at": expires,
        "permissions": World::permissions(&permissions),
        "repository_selection": if selected { "selected" } else { "all" }});
    if let Some(chosen) = chosen {
        let shapes = chosen.iter().map(|id| ask.world.minimal_repository(ask.world.repo(*id)));
        shape["repositories"] = shapes.collect();
    }
    Ok(Reply::Json(201, shape))
}

fn unreachable_repository() -> Refusal {
    Refusal::said(
        422,
        "There is at least one repository that does not exist or is not accessible to the parent installation.",
    )
}

fn hook(ask: &mut Ask<'_>) -> Answer {
    let app = ask.world.apps.get(&app_id(ask)).and_then(|app| app.hook.clone());
    let app = app.ok_or_else(Refusal::not_found)?;
    let mut shape = json!({"url": app.url, "content_type": "json", "insecure_ssl": "0"});
    if app.secret.is_some() {
        shape["secret"] = json!("********");
    }
    Ok(Reply::Json(200, shape))
}

fn set_hook(ask: &mut Ask<'_>) -> Answer {
    let (url, secret, id) = (ask.text("url"), ask.text("secret"), app_id(ask));
    let app = ask.world.apps.get_mut(&id).ok_or_else(Refusal::not_found)?;
    let hook = app.hook.get_or_insert_with(|| Hook { url: String::new(), secret: None });
    hook.url = url.unwrap_or_else(|| hook.url.clone());
    hook.secret = secret.or_else(|| hook.secret.clone());
    self::hook(ask)
}

/// <https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook>: newest first.
fn deliveries(ask: &mut Ask<'_>) -> Answer {
    let id = app_id(ask);
    let own = ask.world.hooks.deliveries.iter().rev().filter(|it| it.app == id && it.ended.is_some());
    let mut items: Vec<_> = own.map(super::super::hooks::Delivery::item).collect();
    match ask.asked("status") {
        Some("success") => items.retain(|it| it["status"] == "OK"),
        Some("failure") => items.retain(|it| it["status"] != "OK"),
        _ => {}
    }
    Ok(Reply::List(None, items))
}

fn delivery(ask: &mut Ask<'_>) -> Answer {
    let (id, app) = (ask.number("delivery_id")?, app_id(ask));
    let known = ask.world.hooks.deliveries.iter().find(|it| it.id == id && it.app == app);
    known.map(|it| Reply::Json(200, it.full())).ok_or_else(Refusal::not_found)
}

fn redeliver(ask: &mut Ask<'_>) -> Answer {
    let id = ask.number("delivery_id")?;
    if ask.world.redeliver(id) { Ok(Reply::Json(202, json!({}))) } else { Err(Refusal::not_found()) }
}

/// What a manifest's code is worth, once.
/// <https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>
fn convert(ask: &mut Ask<'_>) -> Answer {
    let code = ask.param("code").to_owned();
    let manifest = ask.world.manifests.remove(&code).ok_or_else(Refusal::not_found)?;
    let name = manifest["name"].as_str().unwrap_or("An App").to_owned();
    let slug = name.to_lowercase().replace(' ', "-");
    let owner = manifest["owner"].as_str().unwrap_or("acme").to_owned();
    let id = ask.world.id();
    let key = AppKey::generate();
    let pem = key.pem.clone();
    let secret = manifest["hook_attributes"]["url"].is_string().then(|| format!("fake-webhook-secret-{id}"));
    let app = ask.world.add_app(id, &slug, &name, &owner);
    app.key = Some(key);
    app.hook = manifest["hook_attributes"]["url"]
        .as_str()
        .map(|url| Hook { url: url.to_owned(), secret: secret.clone() });
    for (name, level) in manifest["default_permissions"].as_object().into_iter().flatten() {
        let Some(level) = level.as_str().and_then(Level::parse) else { continue };
        app.permissions.insert(name.clone(), level);
    }
    let events = manifest["default_events"].as_array().into_iter().flatten();
    app.events = events.filter_map(|event| event.as_str().map(str::to_owned)).collect();
    let client_id = app.client_id.clone();
    let mut shape = ask.world.app_by_id(id);
    super::super::shapes::extend(
        &mut shape,
        json!({"client_id": client_id, "pem": pem,
        "client_secret": format!("fake-client-secret-{id}"), "webhook_secret": secret}),
    );
    Ok(Reply::Json(201, shape))
}

fn repositories(ask: &mut Ask<'_>) -> Answer {
    let Caller::Installation { id, token, .. } = &ask.caller else { return Err(Refusal::not_found()) };
    let world = &*ask.world;
    let it = world.installations.get(id).ok_or_else(Refusal::not_found)?;
    let token = world.tokens.get(token).ok_or_else(Refusal::bad_credentials)?;
    let write = World::holds(&token.permissions, "contents", Level::Write);
    let reached = world.repos.values().filter(|repo| {
        repo.owner.eq_ignore_ascii_case(&it.account)
            && it.repositories.as_ref().is_none_or(|known| known.contains(&repo.id))
            && token.repositories.as_ref().is_none_or(|known| known.contains(&repo.id))
    });
    let shapes = reached.map(|repo| {
        let mut shape = world.repository(repo);
        shape["permissions"] = World::shown_rights(write);
        shape
    });
    Ok(Reply::List(Some("repositories"), shapes.collect()))
}

fn revoke(ask: &mut Ask<'_>) -> Answer {
    let Caller::Installation { token, .. } = &ask.caller else { return Err(Refusal::not_found()) };
    let token = token.clone();
    if let Some(token) = ask.world.tokens.get_mut(&token) {
        token.revoked = true;
    }
    Ok(Reply::Empty)
}

/// <https://docs.github.com/en/rest/rate-limit/rate-limit>: asking this does not count.
fn rate_limit(ask: &mut Ask<'_>) -> Answer {
    let who = World::counted(&ask.caller);
    let now = ask.world.now();
    ask.world.limits.give_back(&who);
    let standing = ask.world.limits.standing(&who, now);
    let shape = json!({"limit": standing.limit, "used": standing.used, "remaining": standing.remaining(),
        "reset": standing.reset});
    Ok(Reply::Json(
        200,
        json!({"rate": shape, "resources": {"core": shape, "search": shape, "graphql": shape}}),
    ))
}

fn public_user(ask: &Ask<'_>, login: &str) -> serde_json::Value {
    let mut shape = ask.world.user(login);
    let at = "2020-01-01T00:00:00Z";
    super::super::shapes::extend(
        &mut shape,
        json!({"name": null, "company": null, "blog": "", "location": null,
        "email": null, "hireable": null, "bio": null, "public_repos": 0, "public_gists": 0, "followers": 0,
        "following": 0, "created_at": at, "updated_at": at, "user_view_type": "public"}),
    );
    shape
}

fn me(ask: &mut Ask<'_>) -> Answer {
    let Caller::Person { login, .. } = &ask.caller else {
        return Err(Refusal::said(403, "Resource not accessible by integration"));
    };
    Ok(Reply::Json(200, public_user(ask, login)))
}

fn user(ask: &mut Ask<'_>) -> Answer {
    let login = ask.param("username").to_owned();
    if !ask.world.accounts.contains_key(&login.to_lowercase()) {
        return Err(Refusal::not_found());
    }
    Ok(Reply::Json(200, public_user(ask, &login)))
}

fn meta(_: &mut Ask<'_>) -> Answer {
    Ok(Reply::Json(200, json!({"verifiable_password_authentication": false})))
}
