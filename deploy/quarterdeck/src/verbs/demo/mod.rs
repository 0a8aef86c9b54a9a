//! `demo`: the main job on a throw-away fleet. Two teams, one small real project, three features: one waits for
//! another, one has a check that goes red and is repaired from its log. At the end, a team on another computer joins, is cut off,
//! and loses nothing; and an agent's call of a tool waits for a person. Nothing here is special to the demo but the agent, which plays a script, the tool server, and the two persons.

pub(super) mod acting;
mod apart;
mod ask;
mod cluster;
mod engine;
mod guild;
mod progress;
mod pulls;
mod scene;
mod summary;
mod tools;
mod trail;

use std::{path::PathBuf, process::ExitCode, time::Duration, time::Instant};

use axum::Router;
use qd_api::FeatureView;
use qd_approvals::Proof;
use qd_people::TokenKind;
use qd_team::Caller;
use qd_types::Stage;

use crate::{
    cli::{Common, Demo},
    context::UserError,
    fleet::{Fleet, Roles},
    log, say,
};

/// How often the demo looks at its boards.
const LOOK: Duration = Duration::from_millis(120);

/// Where the state is: kept, or gone with the demo.
enum Place {
    Kept(PathBuf),
    Gone(tempfile::TempDir),
}

impl Place {
    fn path(&self) -> PathBuf {
        match self {
            Self::Kept(path) => path.clone(),
            Self::Gone(dir) => dir.path().to_owned(),
        }
    }
}

fn failed(error: &dyn std::error::Error) -> UserError {
    UserError::from_error(error)
}

pub(super) async fn demo(common: &Common, demo: Demo) -> Result<ExitCode, UserError> {
    let begun = Instant::now();
    let place = place(&demo)?;
    let root = place.path();
    log::start_in(&root.join("log")).map_err(|error| failed(&error))?;
    let mut scene = scene::lay(&root, &demo).await?;
    let guild = guild::open(&mut scene).await?;
    let here = scene.plan.teams.iter().filter(|team| team.name.as_str() != apart::NAME);
    let roles = Roles { bot: true, teams: here.map(|team| team.name.clone()).collect() };
    let fleet = Fleet::start(&scene.plan, &roles, Router::new()).await.map_err(|error| failed(&error))?;
    let board = fleet.sign_in(&scene.you.id, TokenKind::Session).await.map_err(|error| failed(&error))?;
    introduce(&scene, &board);
    let requester = Caller {
        person: scene.requester.clone(),
        agent: None,
        surface: "cli".into(),
        proof: Proof::Passphrase,
        granted: None,
    };
    let mut features = Vec::new();
    for new in &scene.features {
        let team = fleet.teams().into_iter().find(|team| team.name() == new.team);
        let team = team.ok_or_else(|| UserError::failed(format!("the demo has no team {}", new.team)))?;
        let view = team
            .add(&requester, new.feature.clone())
            .await
            .map_err(|problem| UserError::failed(problem.detail))?;
        features.push((team.clone(), view.feature.id));
    }
    engine::why(&features).await?;
    let outcome = watch(&fleet, &scene, &requester, &features, &demo, &board, begun).await?;
    let graph = scene::graph(&fleet, &scene).await?;
    say::note("");
    say::note(&graph);
    let summary = summary::of(&outcome, begun.elapsed());
    for line in summary::lines(&summary) {
        say::note(&line);
    }
    engine::operations(&fleet.teams()).await?;
    guild::tell(&guild).await?;
    if let (Some((_, first)), Some(repository)) = (features.first(), scene.plan.repositories.first()) {
        pulls::tell(&fleet, &repository.name, first).await?;
    }
    apart::tell(&scene, &fleet, &root).await?;
    fleet.shut_down().await;
    if let Some((_, first)) = features.first() {
        trail::tell(&scene.plan.state, first)?;
    }
    tools::tell(&scene, &root.join(scene::SERVER)).await?;
    cluster::tell(&scene).await?;
    if let Place::Kept(path) = &place {
        say::note(&format!("State is kept in {}.", path.display()));
    }
    let all = summary.merged == features.len();
    if !all && !demo.yes {
        say::note("Not everything was approved in time. To have it approved for you: cargo xtask demo --yes");
    }
    if common.json {
        say::line(&serde_json::to_string(&summary).map_err(|error| failed(&error))?);
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn place(demo: &Demo) -> Result<Place, UserError> {
    match &demo.keep {
        None => Ok(Place::Gone(
            tempfile::Builder::new().prefix("quarterdeck-demo-").tempdir().map_err(|error| failed(&error))?,
        )),
        Some(path) => {
            std::fs::create_dir_all(path).map_err(|error| failed(&error))?;
            let used = std::fs::read_dir(path).map_err(|error| failed(&error))?.next().is_some();
            if used {
                let text = format!(
                    "{} is not empty: name a folder that is, or one that is not there yet",
                    path.display()
                );
                return Err(UserError::usage(text));
            }
            Ok(Place::Kept(path.canonicalize().map_err(|error| failed(&error))?))
        }
    }
}

fn introduce(scene: &scene::Scene, board: &str) {
    let you = &scene.you.id;
    say::note(&format!(
        "You are {you}, an owner. {} filed the features, so {you} decides.",
        scene.requester.id
    ));
    say::note(&format!("Board: {board}"));
    say::note(
        "In the demo that link and this terminal vote without a passphrase; your own fleet asks for one.",
    );
    say::note("");
}

/// Follows the boards until every feature is merged or stands still for a person, asking for approvals on the way.
async fn watch(
    fleet: &Fleet,
    scene: &scene::Scene,
    requester: &Caller,
    features: &[(qd_team::Team, qd_types::FeatureId)],
    demo: &Demo,
    board: &str,
    begun: Instant,
) -> Result<Vec<summary::Ended>, UserError> {
    let you = Caller {
        person: scene.you.clone(),
        agent: None,
        surface: "cli".into(),
        proof: Proof::Passphrase,
        granted: None,
    };
    let mut progress = progress::Progress::start(features.len());
    let mut asking = ask::Asking::new(demo.yes, requester.clone(), fleet.address.port(), board);
    let deadline = begun + Duration::from_secs(demo.wait * 60);
    loop {
        let mut views: Vec<FeatureView> = Vec::new();
        for (team, id) in features {
            views.push(team.feature(id).await.map_err(|problem| UserError::failed(problem.detail))?);
        }
        progress.show(&views);
        asking.look(fleet, &you, &mut progress).await?;
        let settled = |view: &FeatureView| {
            let cleaned = view.run.as_ref().is_none_or(|run| run.ended_at.is_some());
            (view.feature.stage == Stage::Done || view.feature.held.is_some()) && cleaned
        };
        // A feature that waits for one that stands still stands still as well.
        let stuck = views.iter().any(|view| view.feature.held.is_some())
            && views.iter().all(|view| settled(view) || view.feature.stage == Stage::Ready);
        if stuck || views.iter().all(settled) || Instant::now() > deadline {
            progress.finish();
            let mut ended = Vec::new();
            for ((team, _), view) in features.iter().zip(views) {
                let run = match &view.run {
                    Some(run) => Some(
                        team.run(&run.id, &you).await.map_err(|problem| UserError::failed(problem.detail))?,
                    ),
                    None => None,
                };
                ended.push(summary::Ended { view, run });
            }
            return Ok(ended);
        }
        tokio::time::sleep(LOOK).await;
    }
}
