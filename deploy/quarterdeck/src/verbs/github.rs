//! `bot github setup`, and what `doctor` says of GitHub. An App is made by a manifest that the person's own browser posts; its key
//! goes into the state folder, for nobody else to read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, html};
use qd_config::{Loaded, Secret};
use qd_github::{
    Client, GitHub, Login, Place,
    app::Bearer,
    config::Addresses,
    setup::{self, Hook, Lacks, Made},
};
use serde::Deserialize;
use tokio::sync::mpsc;
use toml_edit::{DocumentMut, InlineTable, Item, Table, Value, value};

use super::{Done, discord::Found, roster};
use crate::{
    cli::{Common, GithubSetup},
    context::{self, UserError},
    fleet::{GithubPlan, bot_folder},
    say,
};

/// How long somebody has to press the button: GitHub takes the code for an hour.
const PATIENCE: Duration = Duration::from_secs(3600);

fn failed(error: impl std::fmt::Display) -> UserError {
    UserError::failed(format!("GitHub: {error}"))
}

/// `NAME=OWNER/NAME`, as the configuration is to have it.
fn named(flags: &GithubSetup, loaded: &Loaded) -> Result<Vec<(String, Place)>, UserError> {
    let mut all = Vec::new();
    for text in &flags.repositories {
        let (name, place) = text.split_once('=').ok_or_else(|| {
            UserError::usage(format!("{text:?} names no repository: write --repository widget=acme/widget"))
        })?;
        if !loaded.config.repositories.iter().any(|repository| repository.name.as_str() == name) {
            return Err(UserError::usage(format!("there is no repository {name} in the configuration")));
        }
        all.push((name.to_owned(), place.parse().map_err(|error| UserError::usage(format!("{error}")))?));
    }
    Ok(all)
}

pub(super) async fn setup(common: &Common, flags: GithubSetup) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let repositories = named(&flags, &loaded)?;
    let configured = loaded.config.github.as_ref();
    let api = flags.api.clone().or_else(|| configured.map(|github| github.api.clone()));
    let api = api.unwrap_or_else(|| qd_github::config::API.to_owned());
    let git = configured.and_then(|github| github.git.clone());
    let addresses = Addresses::of(&api, git.as_deref()).map_err(|error| UserError::usage(error.to_string()))?;
    let client = Client::at(addresses.clone(), 60).map_err(failed)?;
    let token = if flags.token_env.is_some() || flags.token_file.is_some() {
        Some(with_token(&client, &flags, &sources.env).await?)
    } else {
        let made = by_manifest(&client, &addresses, &flags).await?;
        let key = setup::keep(&bot_folder(&loaded.state_dir), &made).map_err(failed)?;
        say::line(&format!("The App {} is made. Its key is in {}, for you alone.", made.slug, key.display()));
        say::line(&format!("Install it where your repositories are: {}/installations/new", made.html_url));
        None
    };
    write(common, &flags, token, repositories).await?;
    say::line("quarterdeck doctor says what is still missing.");
    Ok(())
}

/// A token is looked at before it is written down where it is.
async fn with_token(
    client: &Client,
    flags: &GithubSetup,
    env: &BTreeMap<String, String>,
) -> Result<InlineTable, UserError> {
    #[derive(Deserialize)]
    struct User {
        login: String,
    }
    if !flags.allow_unprotected {
        return Err(UserError::usage(
            "a personal token can move the target branch, and its check can't be told from another's: leave the token out and \
             make an App, or add --allow-unprotected",
        ));
    }
    let mut source = InlineTable::new();
    let secret = match (&flags.token_env, &flags.token_file) {
        (Some(name), _) => {
            source.insert("env", name.as_str().into());
            Secret::Env { env: name.clone() }
        }
        (None, Some(file)) => {
            let file = std::path::absolute(file).map_err(|error| UserError::from_error(&error))?;
            source.insert("file", file.to_string_lossy().into_owned().into());
            Secret::File { file }
        }
        (None, None) => return Err(UserError::usage("where is the token? Name --token-file FILE")),
    };
    let token = secret.resolve(env).map_err(|error| UserError::failed(format!("github.token: {error}")))?;
    let User { login } = client.get(&Bearer::new(token), "/user").await.map_err(failed)?;
    say::line(&format!("The token is good: it is {login}."));
    Ok(source)
}

/// What the local page needs, and where what came back goes.
struct Page {
    address: String,
    manifest: String,
    state: String,
    came: Mutex<Option<mpsc::Sender<String>>>,
}

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
}

async fn by_manifest(
    client: &Client,
    addresses: &Addresses,
    flags: &GithubSetup,
) -> Result<Made, UserError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(failed)?;
    let state: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let listener = tokio::net::TcpListener::bind(flags.listen)
        .await
        .map_err(|error| UserError::failed(format!("{} can't be served: {error}", flags.listen)))?;
    let here = listener.local_addr().map_err(|error| UserError::from_error(&error))?;
    let manifest = setup::manifest(&flags.name, flags.webhook.as_deref(), &format!("http://{here}/made"));
    let (came, mut codes) = mpsc::channel(1);
    let page = Arc::new(Page {
        address: setup::form_address(&addresses.git, flags.organization.as_deref(), &state),
        manifest: manifest.to_string(),
        state,
        came: Mutex::new(Some(came)),
    });
    let routes = Router::new().route("/", get(form)).route("/made", get(back)).with_state(page);
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    say::line(&format!("Open http://{here}/ in your browser, and press the button there."));
    let code = tokio::time::timeout(PATIENCE, codes.recv()).await.ok().flatten();
    // The browser gets its answer before the page goes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    serving.abort();
    let code = code.ok_or_else(|| UserError::failed("nobody made an App within an hour: run this again"))?;
    setup::convert(client, &code).await.map_err(failed)
}

async fn form(State(page): State<Arc<Page>>) -> Response {
    let text = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Quarterdeck on GitHub" } }
            body {
                h1 { "Make a GitHub App for this fleet" }
                p { "GitHub shows its name and asks whether to make it. The App is yours and private; its key comes to this computer alone." }
                form action=(page.address) method="post" {
                    input type="hidden" name="manifest" value=(page.manifest);
                    button type="submit" { "Make it on GitHub" }
                }
            }
        }
    };
    Html(text.into_string()).into_response()
}

async fn back(State(page): State<Arc<Page>>, Query(back): Query<Back>) -> Response {
    if back.state != page.state || back.code.is_empty() {
        let text = "This is not the answer to the page that was opened last: go back to the terminal, and begin again.";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let came = page.came.lock().unwrap_or_else(PoisonError::into_inner).take();
    match came.map(|came| came.try_send(back.code)) {
        Some(Ok(())) => Html("It is made. The terminal says how it goes on.").into_response(),
        _ => (StatusCode::CONFLICT, "It was made already: look at the terminal.").into_response(),
    }
}

/// What was found goes into the file.
async fn write(
    common: &Common,
    flags: &GithubSetup,
    token: Option<InlineTable>,
    repositories: Vec<(String, Place)>,
) -> Done {
    let (api, allow) = (flags.api.clone(), flags.allow_unprotected);
    let edit = move |file: &mut DocumentMut| {
        let section = table(file.as_table_mut(), "github")?;
        if let Some(api) = api {
            section.insert("api", value(api));
        }
        match token {
            Some(source) => {
                section.insert("token", Item::Value(Value::InlineTable(source)));
            }
            // The App that was just made counts.
            None => ["token", "app", "key"].iter().for_each(|key| drop(section.remove(key))),
        }
        if allow {
            section.insert("allow_unprotected", value(true));
        }
        for (name, place) in repositories {
            table(section, "repositories")?.insert(&name, value(place.to_string()));
        }
        Ok(())
    };
    roster::change(common, "The configuration has it", edit).await
}

fn table<'a>(parent: &'a mut Table, name: &str) -> Result<&'a mut Table, UserError> {
    let item = parent.entry(name).or_insert_with(|| Item::Table(Table::new()));
    item.as_table_mut().ok_or_else(|| {
        UserError::failed(format!(
            "{name} is not written as a section of its own in the file: write it as [{name}]"
        ))
    })
}

/// What there is to say; nothing where GitHub is not configured.
pub(super) async fn findings(loaded: &Loaded, env: &BTreeMap<String, String>) -> Vec<Found> {
    let plan = match context::github(loaded, env) {
        Ok(Some(plan)) => plan,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![Found::Wrong(error.to_string())],
    };
    if plan.repositories.is_empty() {
        return vec![Found::Note(
            "no repository is there: name some under [github.repositories], like widget = \"acme/widget\"".to_owned(),
        )];
    }
    let GithubPlan {
        repositories,
        api,
        git,
        login,
        webhook_secret,
        allow_unprotected,
        writes_per_minute,
        listen,
        look,
        ..
    } = plan;
    let Some(login) = login else {
        return vec![Found::Wrong("there is no App: quarterdeck bot github setup makes one".to_owned())];
    };
    let is_app = matches!(login, Login::App(_));
    let mirrors = bot_folder(&loaded.state_dir).join("github").join("mirrors");
    let opened = GitHub::open(qd_github::Config {
        api,
        git,
        login,
        repositories,
        mirrors,
        allow_unprotected,
        writes_per_minute,
    });
    let github = match opened {
        Ok(github) => github,
        Err(error) => return vec![Found::Wrong(error.to_string())],
    };
    let mut found = Vec::new();
    match github.tokens().own().await {
        Ok(own) => found.push(Found::Fine(format!("it is {}", own.login))),
        Err(error) => return vec![Found::Wrong(error.to_string())],
    }
    if !is_app {
        let text = "a personal token is used: what instances push with can do all that it can. An App is the stronger way \
                    (quarterdeck bot github setup)";
        found.push(Found::Note(text.to_owned()));
    }
    let mut owners = Vec::new();
    for (name, place) in github.places() {
        if !owners.contains(&place.owner()) {
            owners.push(place.owner());
            found.extend(permissions(&github, place).await);
        }
        let target = loaded.config.repositories.iter().find(|repository| repository.name == *name);
        let target = target.map_or("main", |repository| repository.target.as_str());
        match github.protection(name, target).await {
            Ok(protection) if protection.gaps.is_empty() => {
                let queue = if protection.merge_queue { ", with a merge queue" } else { "" };
                found.push(Found::Fine(format!("{place}: {target} is protected{queue}")));
            }
            Ok(protection) => found.extend(protection.gaps.iter().map(|gap| {
                let text = format!("{place}: {target}: {gap}");
                if allow_unprotected { Found::Note(text) } else { Found::Wrong(text) }
            })),
            Err(error) => found.push(Found::Wrong(format!("{place}: {error}"))),
        }
    }
    found.push(webhooks(&github, webhook_secret.is_some()).await);
    found.push(match listen {
        Some(listen) => Found::Fine(format!("webhooks arrive at {listen}{}", qd_github::webhook::PATH)),
        None => Found::Note(format!(
            "github.listen is not set: what happens there is looked for every {} s, and not told at once",
            look.as_secs()
        )),
    });
    found
}

async fn permissions(github: &GitHub, place: &Place) -> Vec<Found> {
    let owner = place.owner();
    match github.lacks(place).await {
        Ok(None) => Vec::new(),
        Ok(Some(Lacks { permissions, events })) if permissions.is_empty() && events.is_empty() => {
            vec![Found::Fine(format!("{owner}: the App has every permission and event that it needs"))]
        }
        Ok(Some(Lacks { permissions, events })) => {
            let permissions = permissions.into_iter().map(|permission| {
                Found::Wrong(format!(
                    "{owner}: the App lacks {permission}. Add it in the App's settings, and accept it at {owner}"
                ))
            });
            let events = events.into_iter().map(|event| {
                Found::Wrong(format!("{owner}: the App is not told of {event}. Add the event in its settings"))
            });
            permissions.chain(events).collect()
        }
        Err(error) => vec![Found::Wrong(format!("{owner}: {error}"))],
    }
}

async fn webhooks(github: &GitHub, has_secret: bool) -> Found {
    match github.hook().await {
        Ok(Hook::At(url)) if has_secret => Found::Fine(format!("webhooks go to {url}; what is missed is polled")),
        Ok(Hook::At(url)) => Found::Wrong(format!(
            "webhooks go to {url}, and there is no secret to know them by: set github.webhook_secret to the App's"
        )),
        Ok(Hook::None) => Found::Note(
            "no webhook is set: what happens is polled. Give the App a webhook address for answers within a second".to_owned(),
        ),
        Err(error) => Found::Note(format!("whether webhooks arrive can't be told: {error}")),
    }
}
