//! What reports of features, costs and milestones leave behind: facts, and what is shown of them.

use jiff::{Timestamp, civil::Date};
use qd_types::{FeatureId, InstanceName, Stage};
use qd_wire::v1::{Blocked, Cost, FeatureReport, MilestoneProgress};

use super::{Fact, Form, Noted, Route, digest, facts::Day, pictures};
use crate::{
    ask,
    chat::{About, Message, MessageKey},
    desk,
    effect::{Effect, Save},
    event::Moment,
    page,
    picture::Picture,
    state::FleetState,
    text,
};

/// Merges of a day of which it is kept how long they took.
const DAY_MOST: usize = 200;

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
    if report.question.is_some() {
        // It is no work that is told of or counted, and its message is the question's.
        stale(state, team);
        effects.extend(ask::stands(state, team, &report));
        return effects;
    }
    effects.push(note(state, team, before.as_ref(), &report, moment.at));
    effects.extend(count(state, team, before.as_ref(), &report, moment.at));
    stale(state, team);
    effects.extend(page::of_feature(state, team, &report.feature));
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

/// The day counts the feature.
fn count(
    state: &mut FleetState,
    team: &InstanceName,
    before: Option<&FeatureReport>,
    report: &FeatureReport,
    now: Timestamp,
) -> Option<Effect> {
    let is = |stage: Stage| (u64::from(stage != Stage::Cancelled), u64::from(stage == Stage::Done));
    let (was, is) = (before.map_or((0, 0), |before| is(before.stage)), is(report.stage));
    if was == is {
        return None;
    }
    let day = now.to_zoned(state.rules.distil.zone.as_ref().clone()).date();
    let until = (team.clone(), Date::MIN)..=(team.clone(), day);
    let newest = state.facts.days.range(until).next_back();
    let mut counts = match newest {
        Some(((_, of), counts)) if *of == day => counts.clone(),
        Some((_, counts)) => Day { took: Vec::new(), ..counts.clone() },
        // Nothing was counted yet: all that is known counts, this one as it was.
        None => known(state, team, &report.feature, was),
    };
    counts.wanted = (counts.wanted + is.0).saturating_sub(was.0);
    counts.merged = (counts.merged + is.1).saturating_sub(was.1);
    if is.1 > was.1 && counts.took.len() < DAY_MOST {
        counts.took.extend(report.seconds);
    }
    Some(fact(state, Fact::Day { team: team.clone(), day, counts }))
}

/// How many features a team has, one of them as it was.
fn known(state: &FleetState, team: &InstanceName, one: &FeatureId, was: (u64, u64)) -> Day {
    let others = state.features.iter().filter(|((of, id), _)| of == team && id != one);
    let mut counts = Day { wanted: was.0, merged: was.1, took: Vec::new() };
    for (_, report) in others {
        counts.wanted += u64::from(report.stage != Stage::Cancelled);
        counts.merged += u64::from(report.stage == Stage::Done);
    }
    counts
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
    let roll_up = page::of_milestone(state, team, &progress);
    let mut effects = vec![fact(state, Fact::Milestone { team: team.clone(), progress, at: moment.at })];
    effects.extend(roll_up);
    match route.form {
        Form::Living => effects.push(calm(desk::put(route.channel, message, line).about(About::team(team)))),
        // Its digests have the milestones as they stand.
        Form::Alert | Form::Digest | Form::Nothing => {}
    }
    effects
}

/// The messages of teams of which something changed.
pub(crate) fn teams(state: &mut FleetState, now: Timestamp) -> Vec<Effect> {
    let (route, charts) = (state.rules.distil.routes.instance, state.rules.distil.routes.charts);
    let stale = std::mem::take(&mut state.facts.stale);
    let mut effects = Vec::new();
    for team in stale.into_iter().filter(|team| state.rules.teams.contains(team)) {
        // What endangers its work is said in digests, and to whoever asks.
        let stands = digest::stands(state, &team, &[], now);
        if route.form == Form::Living && stands.is_begun() {
            let text = text::team(&stands, &state.rules.distil.zone, now);
            let board = pictures::board(state, &stands);
            effects.push(Effect::Refresh(pictured(route, &team, "team", text, board)));
        }
        if charts.form == Form::Living
            && let Some(picture) = pictures::charts(state, &team, now)
        {
            let text = text::charted(&picture);
            effects.push(Effect::Refresh(pictured(charts, &team, "charts", text, picture)));
        }
    }
    effects
}

fn pictured(route: Route, team: &InstanceName, what: &str, text: String, picture: Picture) -> Message {
    Message {
        about: Some(About::team(team)),
        picture: Some(Box::new(picture)),
        ..Message::new(route.channel, MessageKey(format!("{what}:{team}")), text)
    }
}
