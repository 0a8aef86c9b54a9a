//! `up`, `instance`, `bot`: running a fleet, or a part of it, until Ctrl-C. `url`: how to reach one that runs.

use std::{sync::Arc, time::Duration};

use axum::{Extension, Router, http::StatusCode, response::IntoResponse, routing::post};
use qd_types::{InstanceName, Person, PersonId};
use tokio::{io::BufReader, sync::Mutex};

use super::Done;
use crate::{
    cli::Common,
    context::{self, UserError},
    fleet::{Fleet, Reloader, Roles},
    http::Tokens,
    log, say,
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
    let roles = roles(&plan);
    let reloader = Arc::new(Mutex::new(Reloader::new(sources, loaded)));
    let extra = Router::new().route("/fleet/reload", post(reload)).layer(Extension(Arc::clone(&reloader)));
    let fleet = Fleet::start(&plan, &roles, extra).await.map_err(|error| UserError::from_error(&error))?;
    reloader.lock().await.attach(&fleet);
    say::line(&format!("Quarterdeck runs at http://{}", fleet.address));
    say::line(&format!("Sign in as {}: {}", plan.me, fleet.sign_in(&plan.me)));
    if !roles.bot {
        say::line("No bot runs here: pull requests and approvals wait until it does (quarterdeck up).");
    }
    for (team, repository) in plan.teams.iter().filter_map(|team| Some((team, team.repositories.first()?))) {
        let no_agent = if team.agent.is_none() { " It has no agent yet." } else { "" };
        say::line(&format!("Team {} works on {repository}.{no_agent}", team.name));
    }
    for repository in &plan.repositories {
        let git_dir = plan.forge_folder().join("repos").join(format!("{}.git", repository.name));
        say::line(&format!("Merged work: git pull {} {}", git_dir.display(), repository.target));
    }
    let terminal = fleet.bot().filter(|_| console).map(|bot| {
        let person = plan.people.iter().find(|person| person.id == plan.me).cloned();
        let (console, hub) = (bot.console.clone(), bot.hub.clone());
        tokio::spawn(async move {
            let Some(person) = person else { return };
            let input = BufReader::new(tokio::io::stdin());
            let ended =
                qd_console::terminal::run(console, Arc::new(hub), person, input, tokio::io::stdout()).await;
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

async fn reload(
    Extension(reloader): Extension<Arc<Mutex<Reloader>>>,
    Extension(person): Extension<Person>,
) -> axum::response::Response {
    let mut reloader = reloader.lock().await;
    if let Err(refusal) = reloader.permit(&person) {
        return (StatusCode::FORBIDDEN, format!("{} {}\n", refusal.reason, refusal.help)).into_response();
    }
    match reloader.reload().await {
        Ok(reload) => axum::Json(serde_json::json!({
            "took_effect": reload.took_effect,
            "needs_restart": reload.needs_restart,
        }))
        .into_response(),
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")).into_response(),
    }
}

pub(super) fn url(common: &Common, person: Option<PersonId>) -> Done {
    let sources = context::sources(common)?;
    let loaded = context::load(&sources)?;
    let person = person.map_or_else(|| context::me(&loaded, &sources.env), Ok)?;
    let token = Tokens::read(&loaded.state_dir, &person).map_err(|error| UserError::from_error(&error))?;
    let address = std::fs::read_to_string(loaded.state_dir.join("address"));
    let (Some(token), Ok(address)) = (token, address) else {
        return Err(UserError::failed("nothing has run here yet. Start it with: quarterdeck up"));
    };
    let url = format!("http://{}/sign-in?token={token}", address.trim());
    if common.json {
        say::json(&serde_json::json!({ "url": url, "person": person }));
    } else {
        say::line(&url);
    }
    Ok(())
}
