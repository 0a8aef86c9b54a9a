//! What reports of features, costs and milestones leave behind: facts, and what is shown of them.

use jiff::Timestamp;
use qd_types::{InstanceName, Stage};
use qd_wire::v1::{Blocked, Cost, FeatureReport, MilestoneProgress};

use super::{Fact, Form, Noted, digest};
use crate::{
    chat::{About, Message, MessageKey},
    desk,
    effect::{Effect, Save},
    event::Moment,
    state::FleetState,
    text,
};

/// A feature is so now: its facts, and its living message.
pub(crate) fn feature(
    state: &mut FleetState,
    team: &InstanceName,
    report: FeatureReport,
    moment: Moment,
) -> Vec<Effect> {
    let key = (team.clone(), report.feature.clone());
    let before = state.features.insert(key, report.clone());
    let mut effects = Vec::with_capacity(3);
    effects.push(Effect::Save(Save::Feature(team.clone(), Box::new(report.clone()))));
    if before.as_ref() == Some(&report) {
        return effects;
    }
    effects.push(note(state, team, before.as_ref(), &report, moment.at));
    stale(state, team);
    // What rests in the backlog is not news; a message is begun with the first run and then only edited.
    let route = state.rules.distil.routes.feature;
    if report.agent.is_some() && route.form == Form::Living {
        let key = MessageKey::of_feature(team, &report.feature);
        let about = About::feature(team, &report.feature);
        let put = desk::put(route.channel, key, text::feature(team, &report)).about(about);
        effects.push(if turned(before.as_ref(), &report) { put } else { calm(put) });
    }
    effects
}

/// Whether people should see at once what became of it.
fn turned(before: Option<&FeatureReport>, report: &FeatureReport) -> bool {
    let Some(before) = before.filter(|before| before.agent.is_some()) else { return true };
    before.stage != report.stage
        || before.needs_person != report.needs_person
        || before.pull_request != report.pull_request
}

/// Said when there is time for it.
pub(crate) fn calm(put: Effect) -> Effect {
    match put {
        Effect::Put(message) => Effect::Refresh(message),
        other => other,
    }
}

fn note(
    state: &mut FleetState,
    team: &InstanceName,
    before: Option<&FeatureReport>,
    report: &FeatureReport,
    now: Timestamp,
) -> Effect {
    let known = state.facts.features.get(team).and_then(|features| features.get(&report.feature));
    let was = before.map(|before| (before.stage, before.line, before.sentence.as_str()));
    let progressed = was != Some((report.stage, report.line, report.sentence.as_str()));
    let ended = matches!(report.stage, Stage::Done | Stage::Cancelled);
    let noted = Noted {
        progressed: known.filter(|_| !progressed).map_or(now, |known| known.progressed),
        blocked: report.needs_person.then(|| known.and_then(|known| known.blocked).unwrap_or(now)),
        ended: ended.then(|| known.and_then(|known| known.ended).unwrap_or(now)),
    };
    fact(state, Fact::Feature { team: team.clone(), feature: report.feature.clone(), noted })
}

/// Notes a fact, here and in its row.
pub(crate) fn fact(state: &mut FleetState, fact: Fact) -> Effect {
    state.facts.put(fact.clone());
    Effect::Save(Save::Fact(Box::new(fact)))
}

/// The team's own message has something to say.
pub(crate) fn stale(state: &mut FleetState, team: &InstanceName) {
    if !state.facts.stale.contains(team) {
        state.facts.stale.insert(team.clone());
    }
}

/// An instance says since when a feature stands still: it knows better than when that was heard.
pub(crate) fn blocked(state: &mut FleetState, team: &InstanceName, blocked: &Blocked) -> Vec<Effect> {
    let known = state.facts.features.get(team).and_then(|features| features.get(&blocked.feature));
    let Some(known) = known else { return Vec::new() };
    let noted = Noted { blocked: blocked.why.as_ref().map(|_| blocked.since), ..known.clone() };
    if noted == *known {
        return Vec::new();
    }
    stale(state, team);
    vec![fact(state, Fact::Feature { team: team.clone(), feature: blocked.feature.clone(), noted })]
}

/// What a day has cost a team so far.
pub(crate) fn cost(state: &mut FleetState, team: &InstanceName, cost: Cost) -> Vec<Effect> {
    let Cost { day, spent } = cost;
    if state.facts.costs.get(&(team.clone(), day)) == Some(&spent) {
        return Vec::new();
    }
    stale(state, team);
    vec![fact(state, Fact::Cost { team: team.clone(), day, spent })]
}

/// A milestone came closer.
pub(crate) fn milestone(
    state: &mut FleetState,
    team: &InstanceName,
    progress: MilestoneProgress,
    moment: Moment,
) -> Vec<Effect> {
    let key = (team.clone(), format!("{}/{}", progress.project, progress.milestone));
    if state.facts.milestones.get(&key).is_some_and(|(known, _)| *known == progress) {
        return Vec::new();
    }
    let route = state.rules.distil.routes.milestone;
    let line = text::milestone(team, &progress);
    let message = MessageKey(format!("milestone:{team}:{}", key.1));
    let mut effects = vec![fact(state, Fact::Milestone { team: team.clone(), progress, at: moment.at })];
    match route.form {
        Form::Living => effects.push(calm(desk::put(route.channel, message, line).about(About::team(team)))),
        // Its digests have the milestones as they stand.
        Form::Alert | Form::Digest | Form::Nothing => {}
    }
    effects
}

/// The messages of teams of which something changed.
pub(crate) fn teams(state: &mut FleetState, now: Timestamp) -> Vec<Effect> {
    let route = state.rules.distil.routes.instance;
    let stale = std::mem::take(&mut state.facts.stale);
    if route.form != Form::Living {
        return Vec::new();
    }
    let mut effects = Vec::new();
    for team in stale.into_iter().filter(|team| state.rules.teams.contains(team)) {
        // What endangers its work is said in digests, and to whoever asks.
        let stands = digest::stands(state, &team, &[], now);
        if stands.is_begun() {
            let text = text::team(&stands, &state.rules.distil.zone, now);
            effects.push(Effect::Refresh(Message {
                channel: route.channel,
                about: Some(About::team(&team)),
                key: MessageKey(format!("team:{team}")),
                text,
                buttons: Vec::new(),
                reactions: Vec::new(),
                mentions: Vec::new(),
            }));
        }
    }
    effects
}
