//! What an instance says holds now, after one of the two lost rows: what the bot knows of it beside that is over.

use qd_text::say;
use qd_types::{ApprovalState, FeatureId, InstanceName, Stage};
use qd_wire::v1::{Alert, Snapshot};

use crate::{
    effect::{Effect, Save},
    event::Moment,
    foreign,
    handle::alert,
    state::FleetState,
};

/// Causes that the bot itself finds: no instance ends them.
const OWN: [&str; 3] = ["silent", "approvals", "audit"];

/// Lets go of what does not hold any more.
pub(crate) fn holds(
    state: &mut FleetState,
    team: &InstanceName,
    holds: &Snapshot,
    moment: Moment,
) -> Vec<Effect> {
    let mut effects = Vec::new();
    let open = |stage: Stage| !matches!(stage, Stage::Done | Stage::Cancelled);
    let gone: Vec<FeatureId> = state
        .features
        .iter()
        .filter(|((of, id), report)| of == team && open(report.stage) && !holds.features.contains(id))
        .map(|((_, id), _)| id.clone())
        .collect();
    for id in gone {
        state.features.remove(&(team.clone(), id.clone()));
        effects.extend(state.facts.forget_feature(team, &id).map(|key| Effect::Save(Save::Forget(key))));
        effects.push(Effect::Save(Save::NoFeature(team.clone(), id)));
    }
    let over: Vec<String> = state
        .alerts
        .iter()
        .filter(|((of, key), alert)| of == team && !alert.over && !OWN.contains(&key.as_str()))
        .filter(|((_, key), _)| !holds.alerts.contains(key))
        .map(|((_, key), _)| key.clone())
        .collect();
    for key in over {
        effects.extend(alert(state, team, Alert { key, text: String::new(), over: true }, moment));
    }
    let lost: Vec<_> = state
        .foreign
        .iter()
        .filter(|(key, found)| {
            let approval = found.approval();
            approval.subject.instance == *team && approval.state.is_open() && !holds.approvals.contains(key)
        })
        .map(|(_, found)| found.card.clone())
        .collect();
    for mut card in lost {
        card.approval.state = ApprovalState::Withdrawn;
        card.ended = Some(say!("not-known-there"));
        // What was taken as its own before is taken so again.
        effects.extend(foreign::stands(state, team, card, moment).unwrap_or_default());
    }
    effects
}
