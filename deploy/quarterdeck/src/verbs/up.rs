//! `up`, `instance`, `bot`: running a fleet, or a part of it, until Ctrl-C. `url`: how to sign in to one that runs.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, http::StatusCode, response::IntoResponse, routing::post};
use qd_config::BesideAgents;
use qd_people::TokenKind;
use qd_types::{InstanceName, Person, PersonId};
use tokio::{io::BufReader, sync::Mutex};

use super::Done;
use crate::{
    cli::{Common, UrlFlags},
    context::{self, UserError},
    fleet::{Fleet, Reloader, Roles},
    governed, log,
    people::{ballots::WithoutVotes, words::Said},
    say,
};

/// Ctrl-C ends within five seconds; what is not done by then is done after the next start.
const END: Duration = Duration::from_secs(4);

pub(super) async fn up(common: &Common, listen: Option<String>, console: bool) -> Done {
    let mut common = common.clone();
    if let Some(listen) = listen {
        common.set.push(format!("web.listen={listen}"));
    }
    serve(&common, console, |plan| Roles {
        bot: true,
        teams: plan.teams.iter().map(|team| team.name.clone()).collect(),
    })
    .await
}

pub(super) async fn instance(common: &Common, name: InstanceName) -> Done {
    serve(common, false, |_| Roles { bot: false, teams: vec![name] }).await
}

pub(super) async fn bot(common: &Common) -> Done {
    serve(common, false, |_| Roles { bot: true, teams: Vec::new() }).await
}

async fn serve(
    common: &Common,
    console: bool,
    roles: impl FnOnce(&crate::fleet::FleetPlan) -> Roles,
) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let plan = context::plan(&loaded, &sources.env)?;
    log::start(&loaded.config.log.level, loaded.config.log.format);
    crate::walls::prepare(&loaded.state_dir);
    let roles = roles(&plan);
    let reloader = Arc::new(Mutex::new(Reloader::new(sources, loaded)));
    let extra = Router::new().route("/fleet/reload", post(reload)).layer(Extension(Arc::clone(&reloader)));
    let fleet = Fleet::start(&plan, &roles, extra).await.map_err(|error| UserError::from_error(&error))?;
    reloader.lock().await.attach(&fleet);
    crate::memory::settle_when_quiet();
    for team in fleet.live().teams() {
        tokio::spawn(reload_ordered(team.reloads(), Arc::clone(&reloader)));
    }
    say::line(&format!("Quarterdeck runs at http://{}", fleet.address));
    welcome(&fleet, &plan.me).await;
    let links = fleet.live().links();
    if !roles.bot {
        match links.first().and_then(|link| link.url.as_ref()) {
            Some(url) => say::line(&format!("The bot is at {url}.")),
            None => say::line(
                "No bot runs here: pull requests and approvals wait until it does (quarterdeck up), or until this team joins \
                 one (quarterdeck instance join).",
            ),
        }
    }
    for url in fleet.bot().map(crate::fleet::Bot::urls).unwrap_or_default() {
        say::line(&format!("Teams on other computers reach the bot at {url}."));
    }
    for (team, repository) in plan.teams.iter().filter_map(|team| Some((team, team.repositories.first()?))) {
        let no_agent = if team.agent.is_none() { " It has no agent yet." } else { "" };
        say::line(&format!("Team {} works on {repository}.{no_agent}", team.name));
    }
    if let Some(discord) = plan.discord.as_ref().filter(|_| roles.bot) {
        say::line(&format!("People command it in Discord as well, in the guild {}.", discord.guild));
    }
    let strong = |walls: &qd_team::AgentWalls| walls.sandbox.kind() > qd_sandbox::Kind::Landlock;
    let walled = plan.launcher.is_some() || plan.walls.as_ref().is_some_and(strong);
    if !walled && plan.beside_agents != BesideAgents::Allow {
        say::line(
            "Agents have no walls here (sandbox.kind): while one runs, votes that are given on this computer are refused.",
        );
    }
    for repository in &plan.repositories {
        if let Some(github) =
            plan.github.as_ref().and_then(|github| github.repositories.get(&repository.name))
        {
            say::line(&format!("{} is {github} on GitHub.", repository.name));
            continue;
        }
        let git_dir = plan.forge_folder().join("repos").join(format!("{}.git", repository.name));
        say::line(&format!("Merged work: git pull {} {}", git_dir.display(), repository.target));
    }
    let terminal = fleet.bot().filter(|_| console).map(|bot| {
        let people = governed::people(&plan.state, plan.people.clone()).unwrap_or_default();
        let person = people.into_iter().find(|person| person.id == plan.me);
        let console = bot.console.clone();
        let commands = Arc::new(WithoutVotes(Arc::new(bot.hub.clone())));
        tokio::spawn(async move {
            let Some(person) = person else { return };
            let input = BufReader::new(tokio::io::stdin());
            let ended =
                qd_console::terminal::run(console, commands, person, input, tokio::io::stdout()).await;
            if let Err(error) = ended {
                tracing::warn!(%error, "the terminal's console ended");
            }
        })
    });
    wait_for_end().await?;
    say::note("Ends. What is under way goes on after the next start.");
    if let Some(terminal) = terminal {
        terminal.abort();
    }
    if tokio::time::timeout(END, fleet.shut_down()).await.is_err() {
        tracing::warn!("not everything ended in time; the next start cleans up");
    }
    Ok(())
}

async fn wait_for_end() -> Result<(), UserError> {
    use tokio::signal::unix::{SignalKind, signal};
    let failed = |error| UserError::failed(format!("signals can't be heard: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Reads the configuration again whenever an order says so. Whoever ordered it may: the team has asked its policies.
async fn reload_ordered(mut wanted: tokio::sync::watch::Receiver<u64>, reloader: Arc<Mutex<Reloader>>) {
    while wanted.changed().await.is_ok() {
        match reloader.lock().await.reload().await {
            Ok((reload, _)) => {
                tracing::info!(took_effect = ?reload.took_effect, needs_restart = ?reload.needs_restart, "read again, as ordered");
            }
            Err(error) => tracing::error!(%error, "the configuration can't be read again, as was ordered"),
        }
    }
}

async fn reload(
    Extension(reloader): Extension<Arc<Mutex<Reloader>>>,
    Extension(person): Extension<Person>,
) -> axum::response::Response {
    let mut reloader = reloader.lock().await;
    if let Err(refusal) = reloader.permit(&person) {
        return (StatusCode::FORBIDDEN, format!("{} {}\n", refusal.reason, refusal.help)).into_response();
    }
    match reloader.reload().await {
        Ok((reload, waits)) => axum::Json(serde_json::json!({
            "took_effect": reload.took_effect,
            "needs_restart": reload.needs_restart,
            "waits": waits,
        }))
        .into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
    }
}

/// How the person at this computer gets in, and how they come to vote.
async fn welcome(fleet: &Fleet, me: &PersonId) {
    match fleet.sign_in(me, TokenKind::Token).await {
        Ok(link) => say::line(&format!("Sign in as {me}: {link}")),
        // Another process keeps people: it makes the links.
        Err(error) => say::line(&format!("Sign in as {me} with: quarterdeck url ({error})")),
    }
    match fleet.first_passphrase(me).await {
        Ok(None) => {}
        Ok(Some(link)) => {
            say::line(&format!("{me} has no passphrase yet, and votes need one. Set it: {link}"));
        }
        Err(error) => tracing::warn!(%error, "whether there is a passphrase can't be told"),
    }
}

pub(super) async fn url(common: &Common, asked: UrlFlags) -> Done {
    let (mut client, person) = match &asked.person {
        None => {
            let sources = context::sources(common)?;
            let loaded = context::load(&sources)?;
            let me = context::me(&loaded, &sources.env)?;
            (super::fleet_client(&loaded, None).await?, me)
        }
        Some(person) => {
            let proven = super::proof::prove(common, Some(person), asked.passphrase_file.as_deref()).await?;
            (proven.fleet().await?, proven.person)
        }
    };
    let Said { text: url } = super::fleet_post(&mut client, "/fleet/people/link", &()).await?;
    if common.json {
        say::json(&serde_json::json!({ "url": url, "person": person }));
    } else {
        say::line(&url);
    }
    Ok(())
}
