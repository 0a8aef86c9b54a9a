//! The demo's look into the team engine: why a feature waits, in the scheduler's own words, and every long operation that
//! there was.

use std::collections::BTreeMap;

use qd_board::{Observed, OperationKind};
use qd_store::Which;
use qd_team::Team;
use qd_types::FeatureId;

use crate::{context::UserError, say};

fn failed(problem: qd_api::Problem) -> UserError {
    UserError::failed(problem.detail)
}

/// Says of the first feature that waits for another why it does not start.
pub(super) async fn why(features: &[(Team, FeatureId)]) -> Result<(), UserError> {
    for (team, id) in features {
        let why = team.why(id).await.map_err(failed)?;
        let Some(place) = why.place.filter(|_| why.waits == Some(qd_board::Waits::Dependency)) else {
            continue;
        };
        say::note(&format!(
            "Why does {id} not start? {} It is {} of {} that are ready: {}.",
            why.sentence, place.place, place.of, place.because
        ));
        say::note("");
        return Ok(());
    }
    Ok(())
}

/// Counts what was done, by kind.
pub(super) async fn operations(teams: &[Team]) -> Result<(), UserError> {
    let mut counts: BTreeMap<OperationKind, (usize, usize)> = BTreeMap::new();
    let mut dead = 0;
    for team in teams {
        let all = team.operations(Which::All).await.map_err(failed)?;
        let work = [OperationKind::Run, OperationKind::Check, OperationKind::Merge];
        for operation in all.into_iter().filter(|operation| work.contains(&operation.kind)) {
            let (all, red) = counts.entry(operation.kind).or_default();
            *all += 1;
            *red += usize::from(operation.observed == Observed::Failed);
            dead += usize::from(operation.observed == Observed::Dead);
        }
    }
    let said: Vec<String> = counts
        .into_iter()
        .map(|(kind, (all, red))| {
            let plural = if all == 1 { "" } else { "s" };
            let red = if red > 0 { format!(" ({red} red)") } else { String::new() };
            format!("{all} {kind}{plural}{red}")
        })
        .collect();
    let gave_up = if dead == 0 { "Nothing gave up.".to_owned() } else { format!("{dead} gave up.") };
    say::note(&format!("Operations: {}. {gave_up}", said.join(", ")));
    Ok(())
}
