//! Brings disk and processes in line with the rows. Takes no hints, may run at any time, twice.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use qd_agents::{ProcessGroup, kill_leftover};
use qd_board::{Observed, OperationKind};
use qd_types::RunId;
use qd_worktrees::Effort;

use crate::{saga, team::Team, trail};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How often it looks.
const PULSE: Duration = Duration::from_secs(10);

/// How often it looks for what is old.
const DAILY: Duration = Duration::from_secs(3600);

/// Reconciles until the task is dropped.
pub(crate) async fn run(team: Team) {
    match team.store().end_interrupted(Timestamp::now()).await {
        Ok(0) => {}
        Ok(ended) => tracing::info!(ended, "operations of an older process have ended"),
        Err(error) => tracing::error!(%error, "operations of an older process could not be ended"),
    }
    let mut tidied = None;
    loop {
        if let Err(error) = look(&team).await {
            tracing::error!(%error, "reconciling failed, it is tried again");
        }
        if let Err(error) = clocks(&team).await {
            tracing::error!(%error, "the clocks of approvals can't be looked at, it is tried again");
        }
        if tidied.is_none_or(|at: std::time::Instant| at.elapsed() >= DAILY) {
            tidied = Some(std::time::Instant::now());
            if let Err(error) = let_go(&team).await {
                tracing::error!(%error, "old things could not be let go, it is tried again");
            }
            trail::archive(&team).await;
            if let Err(error) = maintain(&team).await {
                tracing::error!(%error, "repositories could not be maintained, it is tried again");
            }
        }
        tokio::time::sleep(PULSE).await;
    }
}

/// What was repaired is an entry of the log, with the reason.
async fn repaired(team: &Team, text: String) -> Result<(), Failure> {
    tracing::info!(text, "repaired");
    Ok(team.store().say("team", "repaired", text, Timestamp::now()).await?)
}

/// Every run that is active has its task; every worktree has its run.
async fn look(team: &Team) -> Result<(), Failure> {
    // Looked at first: what is made from now on belongs to a run that is active then.
    let contained = team.options().contained().await;
    let mut active = HashMap::new();
    for run in team.store().active_runs().await? {
        saga::start(team, run.id.clone());
        active.insert(run.id.clone(), run);
    }
    for run in contained.iter().filter(|run| !active.contains_key(run)) {
        team.options().reap(run).await;
        repaired(team, format!("A container of {run} was left over, and no run has it. It is removed."))
            .await?;
    }
    for found in team.worktrees().list().await? {
        if active.contains_key(&found.run) {
            continue;
        }
        let Some(repository) = &found.repository else { continue };
        let stamp = saga::stamp(Timestamp::now());
        match team.worktrees().remove(repository, &found.run, &stamp).await {
            Ok(kept) => {
                let kept = kept
                    .map_or_else(String::new, |commit| format!(" Its work is kept as {}.", commit.short()));
                let text = format!(
                    "A worktree of {} was left over, and no run has it. It is removed.{kept}",
                    found.run
                );
                repaired(team, text).await?;
            }
            Err(error) => tracing::warn!(run = %found.run, %error, "an orphan worktree stays for now"),
        }
    }
    Ok(())
}

/// The team's own approvals are in line with the clock, and what was granted after its run ended is carried out.
async fn clocks(team: &Team) -> Result<(), Failure> {
    let (keeper, now) = (team.keeper(), Timestamp::now());
    if !team.store().own_live(&keeper, now).await?.is_empty() {
        for swept in team.store().sweep(&keeper, now).await? {
            tracing::info!(?swept, "the clock of an approval");
        }
    }
    Ok(saga::raise_for_ended(team).await?)
}

/// Each repository is repacked once a day, thoroughly once a week.
async fn maintain(team: &Team) -> Result<(), Failure> {
    let now = Timestamp::now();
    let mut last: BTreeMap<String, (Timestamp, Timestamp)> =
        team.store().switch("maintained").await?.unwrap_or_default();
    let older = |at: Timestamp, hours: i64| now.duration_since(at) > SignedDuration::from_hours(hours);
    for name in team.options().repositories.keys() {
        let known = last.get(name.as_str()).copied();
        // A repository that was never maintained was just fetched: its day begins now.
        let Some((light, thorough)) = known else {
            last.insert(name.to_string(), (now, now));
            continue;
        };
        if !older(light, 24) {
            continue;
        }
        let effort = if older(thorough, 24 * 7) { Effort::Thorough } else { Effort::Light };
        let store = team.store();
        let subject = format!("{name}/{now}");
        store
            .begin_operation(OperationKind::Maintenance, &subject, &format!("Maintenance of {name}"), now)
            .await?;
        let (observed, text) = match team.worktrees().maintain(name, effort).await {
            Ok((before, after)) => (
                Observed::Done,
                format!("{} MiB before, {} MiB after.", before.bytes >> 20, after.bytes >> 20),
            ),
            Err(error) => (Observed::Failed, format!("{error}.")),
        };
        store.end_operation(OperationKind::Maintenance, &subject, observed, &text, Timestamp::now()).await?;
        let thorough = if matches!(effort, Effort::Thorough) { now } else { thorough };
        last.insert(name.to_string(), (now, thorough));
    }
    Ok(team.store().set_switch("maintained", Some(&last), None, now).await?)
}

/// Preserved work goes when its time is over.
async fn let_go(team: &Team) -> Result<(), Failure> {
    for work in team.let_go_of_preserved(None).await? {
        let days = team.options().runs.preserved_days;
        repaired(team, format!("Preserved work of {} was let go after {days} days: {}", work.run, work.note))
            .await?;
    }
    Ok(())
}

/// Ends what an older process left behind for a run, before anything of it goes on.
pub(crate) async fn end_leftover(team: &Team, run: &RunId) -> Result<(), Failure> {
    let Some(text) = team.store().process(run).await? else { return Ok(()) };
    let group: ProcessGroup = serde_json::from_str(&text)?;
    let leftover = kill_leftover(&group).await?;
    tracing::info!(%run, ?leftover, "looked for what an older process left behind");
    team.store().set_process(run, None).await?;
    Ok(())
}
