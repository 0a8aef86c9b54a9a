//! The policies of a running fleet: in force from its start, read again when their files or the configuration change.
//! What does not hold changes nothing, and people are told.

use std::{sync::Arc, time::Duration};

use qd_engine::{Engine, EngineError, Reloaded, Watch};
use qd_team::Team;

use super::live::Live;

/// How often the files are looked at. A change counts once two looks see the same.
const LOOK: Duration = Duration::from_secs(1);

/// Follows the policies' files until the task is dropped.
pub(super) async fn follow(live: Arc<Live>) {
    let mut watch = Watch::default();
    let mut broken = false;
    let mut people = None;
    loop {
        let engine = Arc::clone(live.policies());
        let looked = tokio::task::spawn_blocking(move || {
            let told = watch.look(&engine);
            (watch, told)
        });
        let told;
        (watch, told) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, "the policies could not be looked at");
                (Watch::default(), None)
            }
        };
        match told {
            None => {}
            Some(Err(error)) => {
                broken = true;
                let text = refused(&error);
                tracing::error!("{text}");
                for team in live.teams() {
                    kept(team.policies_broken(&text).await);
                }
            }
            Some(Ok(reloaded)) => {
                if std::mem::take(&mut broken) {
                    tracing::info!("the policies hold again");
                    for team in live.teams() {
                        kept(team.policies_hold().await);
                    }
                }
                changed(&live.teams(), &reloaded).await;
                if let Err(error) = live.share_policies().await {
                    tracing::error!(%error, "the bot can't be told of the policies");
                }
            }
        }
        // Where no bot runs, nothing else tells when people come and go.
        if live.bot().is_none() {
            match live.guard().roster().active().await {
                Ok(now) if people.as_ref() == Some(&now) => {}
                Ok(now) => match live.share_policies().await {
                    Ok(()) => people = Some(now),
                    Err(error) => tracing::error!(%error, "the policies can't be told who there is"),
                },
                Err(error) => tracing::error!(%error, "who there is can't be looked up"),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Puts in force what the configuration says now. After an error nothing has changed.
pub(super) async fn adopt(
    engine: &Engine,
    plan: &crate::policies::PolicyPlan,
    teams: &[Team],
) -> Result<(), EngineError> {
    match engine.adopt(plan.source.clone(), &plan.facts, &plan.rules) {
        Ok(reloaded) => {
            changed(teams, &reloaded).await;
            Ok(())
        }
        Err(error) => {
            let text = refused(&error);
            tracing::error!("{text}");
            for team in teams {
                kept(team.policies_said(text.clone()).await);
            }
            Err(error)
        }
    }
}

async fn changed(teams: &[Team], reloaded: &Reloaded) {
    let Reloaded::Changed { from, to } = reloaded else { return };
    let text = format!("Other policies are in force: {}, before {}.", to.short(), from.short());
    tracing::info!("{text}");
    for team in teams {
        kept(team.policies_said(text.clone()).await);
    }
}

fn refused(error: &EngineError) -> String {
    format!("The new policies do not hold, those before stay in force. {error}")
}

/// What can't be written on a board stands in the log all the same.
fn kept(written: Result<(), qd_api::Problem>) {
    if let Err(problem) = written {
        tracing::error!(detail = problem.detail, "a board could not be told about the policies");
    }
}
