//! The policies of a running fleet, and what the configuration says about rights: in force from its start, read again when
//! the files or the configuration change. What does not hold changes nothing, what may widen rights waits for people, and
//! they are told.

use std::{sync::Arc, time::Duration};

use qd_engine::{Bundle, Engine, EngineError, Reloaded, Watch};
use qd_team::{PolicyStanding, Team};
use qd_types::{PolicyChange, PolicyHash, PolicyRule};

use super::live::{Law, Live};
use crate::{
    in_force::{self, InForce},
    people::rights,
};

/// How often the files are looked at. A change counts once two looks see the same.
const LOOK: Duration = Duration::from_secs(1);

/// A bundle that waits for people, and what it changes.
struct Held {
    to: PolicyHash,
    diff: String,
}

/// All that waits for people, as one change.
struct Waiting {
    change: PolicyChange,
    diff: String,
    /// What people were told of it last.
    told: Option<String>,
}

/// Follows the policies' files and what the configuration says, until the task is dropped.
pub(super) async fn follow(live: Arc<Live>) {
    let mut watch = Watch::default();
    let mut broken = false;
    let mut people = None;
    let mut held: Option<Held> = None;
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
                (broken, held) = (true, None);
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
                held = None;
                match reloaded {
                    Reloaded::Held { to, change, .. } => held = Some(Held { to, diff: change }),
                    Reloaded::Same | Reloaded::Changed { .. } => {
                        changed(&live.teams(), &reloaded).await;
                        share(&live).await;
                    }
                }
            }
        }
        looks += u32::from(looks < 3);
        if looks >= 2 {
            let next = all_that_waits(&live, held.as_ref());
            if looks == 2 || next.as_ref().map(|next| &next.change) != waiting.as_ref().map(|was| &was.change)
            {
                if waiting.is_some() && next.is_none() {
                    no_longer(&live).await;
                }
                withdraw(&live, next.as_ref().map(|next| &next.change)).await;
                waiting = next;
            }
        }
        if let Some(open) = waiting.take() {
            waiting = settle(&live, &mut watch, &mut held, open).await;
        }
        for team in live.teams() {
            rights::carry_out(live.guard().desk(), &team).await;
        }
        let waits = waiting.as_ref().and_then(|held| held.told.clone());
        let now = (live.policies().current().hash().clone(), live.law().in_force, waits);
        if looks >= 2 && kept_last.as_ref() != Some(&now) && keep(&live, now.2.clone()) {
            kept_last = Some(now);
        }
        if live.teams().is_empty() {
            follow_others(&live).await;
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

/// The bundle that is held and what of the configuration is, as one change; none if nothing is.
fn all_that_waits(live: &Live, held: Option<&Held>) -> Option<Waiting> {
    let Law { in_force, wanted } = live.law();
    let widens = in_force.toward(&wanted).widens;
    if held.is_none() && widens.is_empty() {
        return None;
    }
    let before = live.policies().current().bundle().hash().clone();
    let after = held.map_or(&before, |held| &held.to);
    let (from, to) = (in_force.hash(&before).to_string(), wanted.hash(after).to_string());
    let mut diff: Vec<String> = widens.into_iter().map(|text| format!("{text}.")).collect();
    diff.extend(held.map(|held| held.diff.clone()));
    Some(Waiting { change: PolicyChange { from, to, person: None }, diff: diff.join("\n"), told: None })
}

/// Where no team runs, nobody is asked: what teams of this state folder, in other processes, were allowed counts here too.
async fn follow_others(live: &Live) {
    let theirs = match in_force::read(&live.state()) {
        Ok(Some(InForce { files, governed: Some(governed), .. })) => (files, governed),
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "what is in force can't be read"),
    };
    let (files, governed) = theirs;
    let current = live.policies().current();
    if governed == live.law().in_force && files == *current.bundle().files() {
        return;
    }
    let put = Bundle::load(&files).map_err(EngineError::from).and_then(|bundle| {
        live.policies().put_in_force(bundle, &governed.rules)?;
        live.enforce(governed)
    });
    let put = match put {
        Ok(()) => live.follow_law().await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = put {
        tracing::error!(%error, "what is in force elsewhere can't be put in force here");
    }
}

/// Asks the people of the first team that runs here, and puts in force what they approved. None if nothing waits any more.
async fn settle(
    live: &Live,
    watch: &mut Watch,
    held: &mut Option<Held>,
    mut open: Waiting,
) -> Option<Waiting> {
    let teams = live.teams();
    let team = teams.first()?;
    let standing = match team.policy_change(&open.change, &open.diff).await {
        Ok(standing) => standing,
        Err(problem) => PolicyStanding::Unaskable(problem.detail),
    };
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    let stays = format!(
        "What is written now is {}, and may widen rights; {} stays in force",
        short(&open.change.to),
        short(&open.change.from)
    );
    let what = open.diff.lines().next().unwrap_or_default();
    let text = match standing {
        PolicyStanding::Waits => {
            format!("{stays} until people approve it: quarterdeck approvals. It says: {what}")
        }
        PolicyStanding::Denied => {
            format!(
                "{stays}: a person said no to it. Put back what was written, or write something else. It says: {what}"
            )
        }
        PolicyStanding::Unaskable(reason) => {
            format!("{stays}, and nobody can be asked. {reason} It says: {what}")
        }
        PolicyStanding::Approved => {
            let done = put_in_force(live, watch, held.as_ref(), &open.change).await;
            tracing::info!(?done, "people approved other policies");
            let failed = done.err();
            let failed_too = failed.is_some();
            kept(team.policies_changed(&open.change, failed).await);
            if !failed_too {
                *held = None;
            }
            no_longer(live).await;
            withdraw(live, None).await;
            share(live).await;
            return None;
        }
    };
    if open.told.as_ref() != Some(&text) {
        tracing::warn!("{text}");
        for team in &teams {
            kept(team.policies_wait(Some(&text)).await);
        }
        open.told = Some(text);
    }
    Some(open)
}

/// Puts all that waited in force, and on disk as one. An error says what failed, as a sentence.
async fn put_in_force(
    live: &Live,
    watch: &mut Watch,
    held: Option<&Held>,
    change: &PolicyChange,
) -> Result<(), String> {
    let Law { wanted, .. } = live.law();
    let bundle = match held {
        Some(held) => held.to.clone(),
        None => live.policies().current().bundle().hash().clone(),
    };
    if wanted.hash(&bundle).as_str() != change.to {
        return Err("What is written is something else by now.".to_owned());
    }
    if let Some(held) = held {
        match watch.approved(live.policies(), held.to.as_str()) {
            Ok(reloaded @ Reloaded::Changed { .. }) => changed(&live.teams(), &reloaded).await,
            Ok(_) => return Err("The files are others by now.".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    live.enforce(wanted).map_err(|error| error.to_string())?;
    // On disk before the approval says that it is done.
    if !keep(live, None) {
        return Err("What is in force can't be kept on disk.".to_owned());
    }
    live.follow_law().await.map_err(|error| error.to_string())
}

async fn no_longer(live: &Live) {
    for team in live.teams() {
        kept(team.policies_wait(None).await);
    }
}

async fn withdraw(live: &Live, change: Option<&PolicyChange>) {
    let in_force = live.law().in_force.hash(live.policies().current().bundle().hash());
    for team in live.teams() {
        kept(team.withdraw_policy_changes(change, in_force.as_str()).await);
    }
}

async fn share(live: &Live) {
    if let Err(error) = live.share_policies().await {
        tracing::error!(%error, "the bot can't be told of the policies");
    }
}

/// Keeps what is in force for the next start, where teams run. `false` if it can't be.
pub(super) fn keep(live: &Live, waits: Option<String>) -> bool {
    if live.teams().is_empty() {
        return true;
    }
    let current = live.policies().current();
    let files = current.bundle().files().clone();
    let embedded = Bundle::embedded().is_ok_and(|bundle| bundle.hash() == current.bundle().hash());
    let governed = Some(live.law().in_force);
    let kept = in_force::keep(&live.state(), &InForce { files, waits, embedded, governed });
    if let Err(error) = &kept {
        tracing::error!(%error, "what is in force can't be kept");
    }
    kept.is_ok()
}

/// Puts in force what the configuration says now, as far as that needs nobody. After an error nothing has changed: `wanted`,
/// its rules, have to hold as a whole.
pub(super) async fn adopt(
    engine: &Engine,
    plan: &crate::policies::PolicyPlan,
    wanted: &[PolicyRule],
    teams: &[Team],
) -> Result<(), EngineError> {
    let adopted = plan.would_hold(wanted);
    match adopted.and_then(|()| engine.adopt(plan.source.clone(), &plan.facts, &plan.rules)) {
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
