//! The policies of a running fleet: in force from its start, read again when their files or the configuration change.
//! What does not hold changes nothing, and people are told.

use std::{sync::Arc, time::Duration};

use qd_engine::{Engine, EngineError, Reloaded, Watch};
use qd_team::{PolicyStanding, Team};
use qd_types::PolicyChange;

use super::live::Live;
use crate::in_force::{self, InForce};

/// How often the files are looked at. A change counts once two looks see the same.
const LOOK: Duration = Duration::from_secs(1);

/// What waits for people.
struct Waiting {
    change: PolicyChange,
    diff: String,
    /// What people were told of it last.
    told: Option<String>,
}

/// Follows the policies' files until the task is dropped.
pub(super) async fn follow(live: Arc<Live>) {
    let mut watch = Watch::default();
    let mut broken = false;
    let mut people = None;
    let mut waiting: Option<Waiting> = None;
    let mut kept_last = None;
    // Two looks, and it is known what waits.
    let mut looks = 0;
    let mut trusted = live.trusted_servers();
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
                if waiting.take().is_some() {
                    no_longer(&live.teams()).await;
                }
                match reloaded {
                    Reloaded::Held { from, to, change: diff } => {
                        let change = PolicyChange { from: from.to_string(), to: to.to_string() };
                        withdraw(&live.teams(), Some(&change)).await;
                        waiting = Some(Waiting { change, diff, told: None });
                    }
                    Reloaded::Same | Reloaded::Changed { .. } => {
                        changed(&live.teams(), &reloaded).await;
                        share(&live).await;
                    }
                }
            }
        }
        if let Some(held) = waiting.take() {
            waiting = settle(&live, &mut watch, held).await;
        }
        looks += u32::from(looks < 3);
        if looks == 2 && waiting.is_none() {
            withdraw(&live.teams(), None).await;
        }
        let waits = waiting.as_ref().and_then(|held| held.told.clone());
        let now = (live.policies().current().hash().clone(), waits);
        if kept_last.as_ref() != Some(&now) && keep(&live, now.1.clone()) {
            kept_last = Some(now);
        }
        // Tools that a person trusted just now are known from here on.
        let now = live.trusted_servers();
        if now != trusted {
            share(&live).await;
            trusted = now;
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

/// Asks the people of the first team that runs here, and puts in force what they approved. None if nothing waits any more.
async fn settle(live: &Live, watch: &mut Watch, mut held: Waiting) -> Option<Waiting> {
    let teams = live.teams();
    let team = teams.first()?;
    let standing = match team.policy_change(&held.change, &held.diff).await {
        Ok(standing) => standing,
        Err(problem) => PolicyStanding::Unaskable(problem.detail),
    };
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    let stays = format!(
        "The policies' files are {}, and may widen rights; {} stays in force",
        short(&held.change.to),
        short(&held.change.from)
    );
    let text = match standing {
        PolicyStanding::Waits => format!("{stays} until people approve it: quarterdeck approvals."),
        PolicyStanding::Denied => {
            format!("{stays}: a person said no to it. Put the files back, or write others.")
        }
        PolicyStanding::Unaskable(reason) => format!("{stays}, and nobody can be asked. {reason}"),
        PolicyStanding::Approved => {
            let reloaded = watch.approved(live.policies(), &held.change.to);
            // On disk before the approval says that it is done.
            let stored = keep(live, None);
            let failed = match &reloaded {
                Ok(Reloaded::Changed { .. }) if stored => None,
                Ok(_) if stored => Some("The files are others by now.".to_owned()),
                Ok(_) => Some("What is in force can't be kept on disk.".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            tracing::info!(?failed, "people approved other policies");
            kept(team.policies_changed(&held.change, failed).await);
            if let Ok(reloaded) = &reloaded {
                changed(&teams, reloaded).await;
            }
            no_longer(&teams).await;
            share(live).await;
            return None;
        }
    };
    if held.told.as_ref() != Some(&text) {
        tracing::warn!("{text}");
        for team in &teams {
            kept(team.policies_wait(Some(&text)).await);
        }
        held.told = Some(text);
    }
    Some(held)
}

async fn no_longer(teams: &[Team]) {
    for team in teams {
        kept(team.policies_wait(None).await);
    }
    withdraw(teams, None).await;
}

async fn withdraw(teams: &[Team], change: Option<&PolicyChange>) {
    for team in teams {
        kept(team.withdraw_policy_changes(change).await);
    }
}

async fn share(live: &Live) {
    if let Err(error) = live.share_policies().await {
        tracing::error!(%error, "the bot can't be told of the policies");
    }
}

/// Keeps what is in force for the next start, where teams run. `false` if it can't be.
fn keep(live: &Live, waits: Option<String>) -> bool {
    if live.teams().is_empty() {
        return true;
    }
    let files = live.policies().current().bundle().files().clone();
    let kept = in_force::keep(&live.state(), &InForce { files, waits });
    if let Err(error) = &kept {
        tracing::error!(%error, "what is in force can't be kept");
    }
    kept.is_ok()
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
