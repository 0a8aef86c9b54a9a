//! A plan that waits: people are asked for it as the policies say. Granted, it is accepted once, in the transaction that
//! spends the grant; denied, it goes back to its agent with the reason. Whoever may accept it at once still does.

use jiff::Timestamp;
use qd_approvals::{Asked, Record};
use qd_board::{Feature, PlanMode, Run, exchange};
use qd_engine::Principal;
use qd_store::{Accepted, Import, Proposal, Store, StoreError};
use qd_types::{Action, ApprovalState, Ballot, Call, Plan, PlanItem, RunId, Subject, Tier, Verb};
use serde_json::{Value, json};

use super::{Here, StepError};
use crate::{
    own::{About, Quorum, sha256},
    team::Team,
};

/// Longest line of a plan that stands for it, in characters.
const TITLE: usize = 120;

/// A plan as people are asked about it.
pub(crate) struct Proposed {
    /// What is bound.
    pub(crate) subject: Subject,
    /// The subject of each item.
    pub(crate) items: Vec<(String, Subject)>,
    /// What it was built from.
    pub(crate) proposal: Proposal,
}

/// What a plan asks for, as it is now; an error says why it can't be asked about.
pub(crate) fn proposal(
    team: &Team,
    run: &Run,
    feature: &Feature,
    quorum: &Quorum,
) -> Result<Proposed, String> {
    let text = run.plan.clone().unwrap_or_default();
    let about = |action, target: String, arguments: Value| About {
        action,
        target,
        fingerprint: fingerprint(feature, &text),
        arguments,
        feature: feature.id.clone(),
        run: run.id.clone(),
        requesters: feature.requesters(),
        askers: Vec::new(),
    };
    let item = |verb: Verb, name: String, title: &str, arguments: Value| {
        let action = Action::Operation(Call { does: verb.as_str().to_owned(), tier: Tier::Operate });
        (name, team.subject(about(action, title.to_owned(), arguments), quorum))
    };
    let (items, goal) = if feature.wanted.plan == PlanMode::Goal {
        let tree = team.tree(feature, &text).map_err(|problem| problem.detail)?;
        let items = tree.items.iter().enumerate().map(|(index, planned)| {
            item(Verb::FeatureAdd, (index + 1).to_string(), &planned.wanted.title, filed(planned))
        });
        let how = Import {
            author: feature.author.clone(),
            repository: Some(feature.repository.clone()),
            ready: true,
            dry_run: false,
        };
        (items.collect(), Some((tree, how)))
    } else {
        (
            vec![item(Verb::PlanAccept, "plan".to_owned(), &feature.wanted.title, json!({ "plan": text }))],
            None,
        )
    };
    let listed = items.iter().map(|(name, subject): &(String, Subject)| {
        let digest =
            subject.digest().map_err(|error| format!("{}.", crate::problem::capital(&error.to_string())))?;
        Ok(PlanItem { item: name.clone(), tier: subject.action.tier(), digest })
    });
    let listed = listed.collect::<Result<Vec<_>, String>>()?;
    let titles: Vec<&str> = items
        .iter()
        .filter_map(|(_, subject)| subject.binding.as_ref().map(|binding| binding.target.as_str()))
        .collect();
    let arguments = if goal.is_some() { json!({ "features": titles }) } else { Value::Null };
    let action = Action::Plan(Plan { title: title(&text), items: listed });
    let subject = team.subject(about(action, target(&run.id, &text), arguments), quorum);
    let proposal = Proposal { text, version: feature.version, goal };
    Ok(Proposed { subject, items, proposal })
}

/// Why people said no to exactly this plan in this run, if they did.
pub(super) async fn denied(here: &Here<'_>, text: &str) -> Result<Option<String>, StoreError> {
    let last = newest(here.team, &here.run.id, &target(&here.run.id, text)).await?;
    Ok(last.filter(|last| last.state() == ApprovalState::Denied).map(|last| no(&last)))
}

/// Waits until the plan is accepted, by whoever may or by those who are asked, or until it goes back to its agent.
pub(super) async fn accepted(here: &Here<'_>) -> Result<(), StepError> {
    let mut commits = here.store().commits();
    let mut stop = here.stop.clone();
    loop {
        commits.borrow_and_update();
        let run = here.store().run(&here.run.id).await?;
        let Some(text) = run.plan.as_ref().filter(|_| run.plan_accepted.is_none() && run.end.is_none())
        else {
            return called_off(here).await;
        };
        let last = newest(here.team, &run.id, &target(&run.id, text)).await?;
        match (last.as_ref().map(Record::state), last) {
            // A person who may opens it again, or accepts it at once.
            (Some(ApprovalState::Requested | ApprovalState::Expired), _) => {}
            (Some(ApprovalState::Granted), Some(granted)) => {
                if carried_out(here, &run, &granted).await? {
                    continue;
                }
            }
            (Some(ApprovalState::Denied), Some(last)) => {
                return Ok(here.store().plan_denied(&run.id, no(&last), Timestamp::now()).await?);
            }
            _ => {
                if let Err(reason) = ask(here, &run).await? {
                    tracing::info!(run = %run.id, reason, "nobody is asked for the plan, whoever may accepts it");
                }
            }
        }
        tokio::select! {
            changed = Store::changed(&mut commits) => changed?,
            _ = stop.wanted() => return Err(StepError::Stopped),
        }
    }
}

/// Somebody accepted it at once: nobody is asked any more.
async fn called_off(here: &Here<'_>) -> Result<(), StepError> {
    let (keeper, now) = (here.team.keeper(), Timestamp::now());
    for record in here.store().own_of(&keeper, &here.run.id, now).await? {
        if matches!(record.approval.subject.action, Action::Plan(_)) && !record.state().is_final() {
            here.store().withdraw(&keeper, record.id(), "The plan was accepted.", now).await?;
        }
    }
    Ok(())
}

/// Asks for it, if it can be asked for; the inner error says why it can't.
async fn ask(here: &Here<'_>, run: &Run) -> Result<Result<(), String>, StepError> {
    let team = here.team;
    let feature = team.store().snapshot(&run.feature, Timestamp::now()).await?.feature;
    let quorum = team.quorum(Principal::Team(team.name()), Verb::PlanAccept);
    let proposed = quorum.and_then(|quorum| Ok((proposal(team, run, &feature, &quorum)?, quorum)));
    let (proposed, quorum) = match proposed {
        Ok(proposed) => proposed,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Some(reason) = team.unreachable(&proposed.subject) {
        return Ok(Err(reason));
    }
    let (keeper, mut ask) = team.request(proposed.subject, &quorum, None);
    ask.items = proposed.items;
    ask.words = Some(proposed.proposal.text);
    Ok(match team.store().ask(&keeper, ask, Timestamp::now()).await? {
        Asked::Refused(refusal) => Err(refusal.to_string()),
        Asked::Opened(_) | Asked::Queued(_) | Asked::Already(_) => Ok(()),
    })
}

/// Carries a grant out, or ends it. `true` if the rows are to be looked at anew at once.
async fn carried_out(here: &Here<'_>, run: &Run, granted: &Record) -> Result<bool, StepError> {
    let (team, now) = (here.team, Timestamp::now());
    let (store, keeper, id) = (team.store(), team.keeper(), granted.id());
    let feature = store.snapshot(&run.feature, now).await?.feature;
    let quorum = team.quorum(Principal::Team(team.name()), Verb::PlanAccept);
    let proposed = match quorum.and_then(|quorum| proposal(team, run, &feature, &quorum)) {
        Ok(proposed) => proposed,
        Err(reason) => {
            store.withdraw(&keeper, id, &reason, now).await?;
            return Ok(true);
        }
    };
    let goal = proposed.proposal.goal.is_some();
    qd_failpoint::reached("plan_granted");
    let accepted = store.accept_granted(&keeper, id, proposed.subject, proposed.proposal, now).await;
    match accepted {
        Ok(Accepted::Done) => {
            qd_failpoint::reached("plan_accepted");
            if goal {
                team.no_verdict(&run.agent, &feature.repository).await?;
            }
            Ok(true)
        }
        Ok(Accepted::Look) => Ok(true),
        Ok(Accepted::No(reason)) => {
            store.withdraw(&keeper, id, &reason, now).await?;
            Ok(true)
        }
        // What can't be filed was not: the board has changed since it was proposed.
        Err(StoreError::Field(error)) => {
            store.withdraw(&keeper, id, &format!("It can't be filed: {error}."), now).await?;
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// The newest request of the run for this plan.
async fn newest(team: &Team, run: &RunId, target: &str) -> Result<Option<Record>, StoreError> {
    let asked = team.store().own_of(&team.keeper(), run, Timestamp::now()).await?;
    let about = |record: &Record| {
        let subject = &record.approval.subject;
        matches!(subject.action, Action::Plan(_))
            && subject.binding.as_ref().is_some_and(|binding| binding.target == target)
    };
    Ok(asked.into_iter().rfind(about))
}

/// A no, and why, in the words of whoever said it.
fn no(denied: &Record) -> String {
    let votes = denied.approval.votes.iter().rev();
    let why = votes.filter(|vote| vote.ballot == Ballot::Deny).find_map(|vote| vote.reason.as_deref());
    let said = denied.reason.as_deref().unwrap_or("A person said no.");
    why.map_or_else(|| said.to_owned(), |why| format!("{said} {why}"))
}

/// What a no sticks to: exactly this plan. Another one may be asked for.
fn target(run: &RunId, text: &str) -> String {
    format!("plan {} of {run}", sha256(text).get(..8).unwrap_or_default())
}

/// What the plan is, and what it was made for.
fn fingerprint(feature: &Feature, text: &str) -> String {
    sha256(&json!([text, feature.wanted.title, feature.wanted.description]).to_string())
}

fn title(text: &str) -> String {
    let line =
        text.lines().map(|line| line.trim_start_matches(['#', ' ']).trim()).find(|line| !line.is_empty());
    line.unwrap_or("a plan").chars().take(TITLE).collect()
}

/// A feature as it would be filed.
fn filed(planned: &exchange::Planned) -> Value {
    let link = |link: &exchange::Link| match link {
        exchange::Link::Item(index) => format!("item {}", index + 1),
        exchange::Link::Board(id) => id.to_string(),
    };
    let after = planned.depends_on.iter().map(|(needs, until)| format!("{} {}", link(needs), until.as_str()));
    json!({
        "wanted": planned.wanted,
        "known_as": planned.reference,
        "repository": planned.repository,
        "part_of": planned.epic.as_ref().map(link),
        "after": after.collect::<Vec<_>>(),
    })
}
