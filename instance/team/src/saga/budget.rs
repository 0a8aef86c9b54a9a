//! A run whose minutes, money or tokens are used up asks for as many again. Granted, the limit is raised once and the run
//! goes on where it was; otherwise it ends, as one that may not ask does.

use std::time::Duration;

use jiff::Timestamp;
use qd_approvals::{Asked, Authorised, EffectState, Probe, Record, WHOLE};
use qd_board::{FailureClass, Feature};
use qd_engine::Principal;
use qd_store::{Store, StoreError};
use qd_types::{Action, ApprovalState, Budget, RunId, Verb};
use serde_json::json;

use super::{Here, StepError, answer, rest};
use crate::{metering::Over, own::About, spending, team::Team};

/// How often a waiting run looks whether it may go on by itself: a new day begins, a price is set.
const LOOK: Duration = Duration::from_secs(5);

/// What became of a grant.
enum Raised {
    /// The limit is raised, or what was approved is not so any more: look again.
    Look,
    /// There is nothing to spend, and why.
    No(String),
}

/// What a run would ask for, if what it may spend is used up: as much again.
pub(crate) async fn more(team: &Team, run: &RunId, feature: &Feature) -> Result<Option<About>, StoreError> {
    if let Some(minutes) = more_minutes(team, run, feature).await? {
        return Ok(Some(minutes));
    }
    let Some(over) = team.metering().and_then(|metering| metering.over(run, feature)) else {
        return Ok(None);
    };
    let Over { of, whose, unit, from, to, unpriced } = over;
    let what = if unit == "cents" { "money" } else { unit };
    let (fingerprint, arguments) = match unpriced {
        None => (format!("limit {from}"), json!({ "more": to - from })),
        Some(priced) => {
            let model = format!("{}/{}", priced.list, priced.model);
            (format!("{model} has no price"), json!({ "more": to - from, "unpriced": model }))
        }
    };
    Ok(Some(About {
        action: Action::Budget(Budget { unit: unit.to_owned(), of, from, to }),
        target: format!("{what} of {whose}"),
        fingerprint,
        arguments,
        feature: feature.id.clone(),
        run: run.clone(),
        requesters: feature.requesters(),
        askers: Vec::new(),
    }))
}

async fn more_minutes(team: &Team, run: &RunId, feature: &Feature) -> Result<Option<About>, StoreError> {
    let Some(minutes) = feature.wanted.budget.minutes else { return Ok(None) };
    let worked = team.store().worked(&feature.id).await?;
    if worked < Duration::from_secs(u64::from(minutes) * 60) {
        return Ok(None);
    }
    let (from, more) = (u64::from(minutes), u64::from(minutes));
    Ok(Some(About {
        action: Action::Budget(Budget { unit: "min".into(), of: None, from, to: from + more }),
        target: format!("minutes of {}", feature.id),
        fingerprint: format!("{} ms used", worked.as_millis()),
        arguments: json!({ "more": more }),
        feature: feature.id.clone(),
        run: run.clone(),
        requesters: feature.requesters(),
        askers: Vec::new(),
    }))
}

/// Waits until the run may spend more. `false` if it had to wait: the step is taken anew, with the rows as they are.
///
/// # Errors
/// Fails the run if nobody gives it more.
pub(super) async fn left(here: &Here<'_>) -> Result<bool, StepError> {
    let (mut commits, mut stop) = (here.store().commits(), here.stop.clone());
    let mut waited = false;
    loop {
        commits.borrow_and_update();
        let feature = here.store().snapshot(&here.feature.id, Timestamp::now()).await?.feature;
        let last = newest(here.team, &here.run.id).await?;
        let Some(about) = more(here.team, &here.run.id, &feature).await? else {
            if let Some(open) = last.filter(|last| !last.state().is_final()) {
                withdraw(here, &open).await?;
            }
            rest::slot(here).await?;
            return Ok(!waited);
        };
        waited = true;
        let used_up = match &about.action {
            Action::Budget(budget) => budget.used_up(),
            action => action.title(),
        };
        let over = |why: &str| {
            StepError::failed(FailureClass::Budget, format!("{used_up} {why}").trim_end().to_owned())
        };
        // Nobody is asked for more so that a question can be answered: the answer is that this was not enough.
        if answer::is_question(here) {
            return Err(over(""));
        }
        // One for another amount was about another state of the budget.
        let last = last.filter(|last| last.approval.subject.action == about.action);
        match last.as_ref().map(Record::state) {
            // Others may work meanwhile.
            Some(ApprovalState::Requested) => {
                here.store().rest(&here.run.id).await?;
            }
            Some(ApprovalState::Granted | ApprovalState::Executing) => {
                let Some(granted) = last else { continue };
                match raise(here.team, &granted, &feature).await? {
                    Raised::Look => continue,
                    Raised::No(reason) => return Err(over(&reason)),
                }
            }
            Some(ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Unknown) => {
                let reason = last.and_then(|last| last.reason).unwrap_or_default();
                return Err(over(&reason));
            }
            _ => ask(here, about).await.map_err(|error| match error {
                Asking::Refused(reason) => over(&reason),
                Asking::Store(error) => error.into(),
            })?,
        }
        tokio::select! {
            changed = Store::changed(&mut commits) => changed?,
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// Carries out grants for runs that have ended: whoever opened their request again may start another.
pub(crate) async fn raise_for_ended(team: &Team) -> Result<(), StoreError> {
    for record in team.store().own_live(&team.keeper(), Timestamp::now()).await? {
        let subject = &record.approval.subject;
        let waits = matches!(record.state(), ApprovalState::Granted | ApprovalState::Executing);
        if !waits || !matches!(subject.action, Action::Budget(_)) {
            continue;
        }
        if team.store().run(&subject.run).await?.end.is_some() {
            let feature = team.store().snapshot(&subject.feature, Timestamp::now()).await?.feature;
            raise(team, &record, &feature).await?;
        }
    }
    Ok(())
}

async fn newest(team: &Team, run: &RunId) -> Result<Option<Record>, StoreError> {
    let asked = team.store().own_of(&team.keeper(), run, Timestamp::now()).await?;
    let mut budgets = asked.into_iter();
    Ok(budgets.rfind(|record| matches!(record.approval.subject.action, Action::Budget(_))))
}

async fn withdraw(here: &Here<'_>, open: &Record) -> Result<(), StepError> {
    let (keeper, reason) = (here.team.keeper(), "It may go on as it is.");
    here.store().withdraw(&keeper, open.id(), reason, Timestamp::now()).await?;
    Ok(())
}

/// Why nobody was asked.
enum Asking {
    Refused(String),
    Store(StoreError),
}

async fn ask(here: &Here<'_>, about: About) -> Result<(), Asking> {
    let team = here.team;
    let quorum = team.quorum(Principal::Team(team.name()), Verb::BudgetRaise).map_err(Asking::Refused)?;
    let subject = team.subject(about, &quorum);
    // Nobody waits for a decision that nobody can make.
    if team.unreachable(&subject).is_some() {
        return Err(Asking::Refused(String::new()));
    }
    let (keeper, ask) = team.request(subject, &quorum, None);
    match team.store().ask(&keeper, ask, Timestamp::now()).await.map_err(Asking::Store)? {
        Asked::Refused(refusal) => Err(Asking::Refused(refusal.to_string())),
        Asked::Opened(_) | Asked::Queued(_) | Asked::Already(_) => Ok(()),
    }
}

/// Spends a grant and raises the limit. What a crash cut short goes on here.
async fn raise(team: &Team, granted: &Record, feature: &Feature) -> Result<Raised, StoreError> {
    let (store, keeper, id) = (team.store(), team.keeper(), granted.id());
    let begun = store.interrupted(&keeper, Timestamp::now()).await?.into_iter();
    let mut begun = begun.filter(|effect| effect.approval == *id && effect.state == EffectState::UnderWay);
    if begun.next().is_some() {
        // Raising and saying so are one transaction: what is under way did not happen.
        store.probed(&keeper, (id, WHOLE), Probe::DidNot, Timestamp::now()).await?;
    }
    let quorum = team.quorum(Principal::Team(team.name()), Verb::BudgetRaise);
    let about = more(team, &granted.approval.subject.run, feature).await?;
    let (Ok(quorum), Some(about)) = (quorum, about) else {
        let reason = "What was approved is not asked for any more.";
        store.withdraw(&keeper, id, reason, Timestamp::now()).await?;
        return Ok(Raised::No(reason.to_owned()));
    };
    let (rebuilt, effect) = (team.subject(about, &quorum), format!("budget/{}", id.key()));
    match store.authorise(&keeper, (id, WHOLE), rebuilt, &effect, Timestamp::now()).await? {
        Authorised::Go(grant) => {
            qd_failpoint::reached("budget_spent");
            let default = match &granted.approval.subject.action {
                Action::Budget(budget) => team.metering().and_then(|metering| metering.default_of(budget)),
                _ => None,
            };
            store.raise_budget(&keeper, grant, default, Timestamp::now()).await?;
            spending::raised(team).await?;
            qd_failpoint::reached("budget_raised");
            Ok(Raised::Look)
        }
        Authorised::Lapsed { .. } => Ok(Raised::Look),
        Authorised::Refused(refusal) => Ok(Raised::No(refusal.to_string())),
    }
}
