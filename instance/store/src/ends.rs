//! What follows from a run's end: for its feature, and for its operation.

use jiff::Timestamp;
use qd_board::{FailureClass, Feature, Follow, Happened, Observed, PlanMode, RunEnd, failure};
use qd_types::RunId;
use rusqlite::{Connection, params};

use crate::{StoreError, features::Then, rows, store::Lens};

/// What a run's end means for its feature and its operation.
pub(crate) struct Ends {
    pub(crate) happened: Happened,
    pub(crate) then: Then,
    pub(crate) observed: Observed,
    pub(crate) class: Option<FailureClass>,
    pub(crate) text: String,
}

/// Looks at how a run ended.
pub(crate) fn of(
    c: &Connection,
    lens: &Lens,
    run: &RunId,
    end: &RunEnd,
    now: Timestamp,
) -> Result<Ends, StoreError> {
    let (reason, class) = match end {
        RunEnd::Merged { commit } => {
            let text = format!("Merged as {}.", commit.short());
            let (happened, then) = (Happened::Merged, Then::default());
            return Ok(Ends { happened, then, observed: Observed::Done, class: None, text });
        }
        RunEnd::Planned { features } => {
            let text = format!("Planned: {features} features. Done when they are.");
            let (happened, then) = (Happened::Planned(text.clone()), Then::default());
            return Ok(Ends { happened, then, observed: Observed::Done, class: None, text });
        }
        RunEnd::Answered { known, .. } => {
            let text = if *known { "Answered." } else { "Its agent doesn't know." }.to_owned();
            let (happened, then) = (Happened::Answered, Then::default());
            return Ok(Ends { happened, then, observed: Observed::Done, class: None, text });
        }
        RunEnd::Stopped { reason } => {
            let then = Then::default();
            let happened = given_up(&rows::feature_by_id(c, run.feature())?, reason);
            return Ok(Ends {
                happened,
                then,
                observed: Observed::Stopped,
                class: None,
                text: reason.clone(),
            });
        }
        RunEnd::Failed { reason, class } => (reason.clone(), *class),
    };
    let feature = rows::feature_by_id(c, run.feature())?;
    let before = failed_before(c, run, class)?;
    let left = lens.settings.rungs.saturating_sub(feature.rung as usize);
    let (happened, then, observed) = match failure::follow(class, before, left, lens.settings.retry_pause) {
        Follow::Retry { after } => {
            let after = jiff::SignedDuration::try_from(after).unwrap_or(jiff::SignedDuration::from_mins(15));
            let then = Then { not_before: now.checked_add(after).ok(), ..Then::default() };
            (Happened::RunRetries(reason.clone()), then, Observed::Failed)
        }
        Follow::Climb => {
            let then = Then { rung: Some(feature.rung + 1), ..Then::default() };
            (Happened::RunRetries(reason.clone()), then, Observed::Failed)
        }
        Follow::Person if feature.wanted.plan == PlanMode::Answer => {
            (given_up(&feature, &reason), Then::default(), Observed::Failed)
        }
        Follow::Person => (given_up(&feature, &reason), Then::default(), Observed::Dead),
    };
    Ok(Ends { happened, then, observed, class: Some(class), text: reason })
}

/// Nothing more is tried by itself: a feature waits for a person, and a question is over, for somebody waits for its answer.
fn given_up(feature: &Feature, why: &str) -> Happened {
    match feature.wanted.plan {
        PlanMode::Answer => Happened::Unanswered(why.to_owned()),
        _ => Happened::RunEnded(why.to_owned()),
    }
}

/// How many runs in a row before this one failed by the same class, since a person last moved the feature.
fn failed_before(c: &Connection, run: &RunId, class: FailureClass) -> Result<u32, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT ending FROM runs WHERE feature = ?1 AND attempt < ?2
         AND attempt > (SELECT retry_from FROM features WHERE id = ?1) ORDER BY attempt DESC",
    )?;
    let mut rows = statement.query(params![run.feature().to_string(), run.attempt()])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let Some(text) = row.get::<_, Option<String>>(0)? else { break };
        match rows::json::<RunEnd>("runs", &text)? {
            RunEnd::Failed { class: earlier, .. } if earlier == class => count += 1,
            _ => break,
        }
    }
    Ok(count)
}
