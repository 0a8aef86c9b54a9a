//! Looks at the board and opens runs. It takes no hints: it looks after every change, and every few seconds.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use qd_board::{
    Rules,
    schedule::{self, Limits, Said, Surroundings, Verdict},
};
use qd_store::{NewRun, StoreError};

use crate::{circuits, recurring, saga, team::Team};

/// Features looked at in one go; more wait until these have moved.
const LOOKED_AT: usize = 1024;
/// A look even if nothing changed: a missed hint costs no more than this.
const PULSE: Duration = Duration::from_secs(5);
/// Changes that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(20);

/// Opens runs until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut commits = team.store().commits();
    if let Err(error) = team.load_circuits().await {
        tracing::error!(%error, "what an older process knew of broken things can't be read");
    }
    loop {
        commits.borrow_and_update();
        if let Err(error) = recurring::file_due(&team).await {
            tracing::error!(%error, "recurring features could not be looked at");
        }
        if let Err(error) = look(&team).await {
            tracing::error!(%error, "the scheduler could not look at the board");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        match tokio::time::timeout(PULSE, commits.changed()).await {
            Ok(Err(_)) => return,
            Ok(Ok(())) | Err(_) => tokio::time::sleep(SETTLE).await,
        }
    }
}

async fn look(team: &Team) -> Result<(), StoreError> {
    let options = team.options();
    let _alone = team.slots().await;
    let (_, said) = explain(team).await?;
    let mut holds = HashMap::new();
    for Said { id, verdict, .. } in said {
        let assignment = match verdict {
            Verdict::Waits(hold) => {
                holds.insert(id, hold);
                continue;
            }
            Verdict::Start(assignment) => assignment,
        };
        let snapshot = team.store().snapshot(&id, Timestamp::now()).await?;
        let new = NewRun {
            branch: snapshot.feature.branch(&options.id),
            feature: id.clone(),
            agent: assignment.agent,
            model: assignment.model,
            assigned_by: assignment.by,
        };
        match team.store().open_run(new, Timestamp::now()).await {
            Ok(run) => {
                team.attempt(&run.agent, &snapshot.feature.repository).await?;
                saga::start(team, run.id);
            }
            // A person moved it meanwhile: the next look sees that.
            Err(StoreError::Refused(refused)) => {
                tracing::info!(feature = %id, %refused, "not started");
            }
            Err(error) => return Err(error),
        }
    }
    team.store().set_holds(holds, Timestamp::now()).await
}

/// The choice as it would be made now, and how many features are ready.
pub(crate) async fn explain(team: &Team) -> Result<(usize, Vec<Said>), StoreError> {
    let options = team.options();
    let scene = team.store().scene(LOOKED_AT).await?;
    let ready = scene.candidates.len();
    if ready == 0 {
        return Ok((0, Vec::new()));
    }
    let paused = team.store().paused().await?.map(|pause| pause.sentence());
    let refuses = team.refuses();
    let now = Timestamp::now();
    let broken = team.circuits(|breaker| circuits::paused(breaker, now));
    let none = Rules::default();
    let rules = if options.agents.is_empty() { &none } else { options.rules.as_ref() };
    let limits = Limits { lowered: scene.lowered, ..options.limits.clone() };
    let around = Surroundings {
        now,
        today: now.to_zoned(options.zone.clone()).date(),
        called: &[options.id.clone(), options.name.clone()],
        projects: &scene.projects,
        paused: paused.as_deref(),
        refuses: refuses.as_deref(),
        quiet_until: options.quiet.quiet(now, &options.zone),
        broken: &broken,
        open: &scene.open,
        rules,
        limits: &limits,
    };
    Ok((ready, schedule::decide(&scene.candidates, &around)))
}
