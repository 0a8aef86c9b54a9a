//! How far milestones and projects are, and how much teams do at once: from what teams reported.

use qd_text::say;
use std::collections::BTreeMap;

use qd_types::InstanceName;
use qd_wire::v1::{MilestoneProgress, TeamLimits};

use crate::{
    near,
    state::FleetState,
    text::{self, inert},
};

/// Milestones in one answer.
const LISTED: usize = 10;
/// Longest name, in characters.
const NAME: usize = 60;

fn milestones<'a>(
    state: &'a FleetState,
    team: Option<&'a InstanceName>,
) -> impl Iterator<Item = (&'a InstanceName, &'a MilestoneProgress)> {
    let all = state.facts.milestones.iter().map(|((of, _), (progress, _))| (of, progress));
    all.filter(move |(of, _)| state.rules.teams.contains(of) && team.is_none_or(|team| team == *of))
}

/// How far the milestones are, of a team or of all.
pub(crate) fn of_milestones(state: &FleetState, team: Option<&InstanceName>) -> String {
    if let Some(team) = team.filter(|team| !state.rules.teams.contains(team)) {
        return near::no_team(&state.rules.teams, team);
    }
    // What is due first is first.
    let mut all: Vec<_> = milestones(state, team).collect();
    all.sort_by_key(|(_, progress)| (progress.due.is_none(), progress.due));
    let more = all.len().saturating_sub(LISTED);
    let mut lines: Vec<String> =
        all.into_iter().take(LISTED).map(|(team, progress)| text::roll_up(state, team, progress)).collect();
    if lines.is_empty() {
        return say!("no-milestones");
    }
    lines.extend((more > 0).then(|| say!("and-more-milestones", count = more)));
    lines.join("\n")
}

/// How the projects stand, or all of one.
pub(crate) fn of_projects(state: &FleetState, name: Option<&str>) -> String {
    let mut projects: BTreeMap<&str, Vec<(&InstanceName, &MilestoneProgress)>> = BTreeMap::new();
    for (team, progress) in milestones(state, None) {
        projects.entry(progress.project.as_str()).or_default().push((team, progress));
    }
    let Some(name) = name else {
        if projects.is_empty() {
            return say!("no-projects");
        }
        return projects.into_iter().map(|(name, parts)| line(name, &parts)).collect::<Vec<_>>().join("\n");
    };
    let found = projects.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let Some((name, parts)) = found else {
        let known: Vec<&str> = projects.keys().copied().collect();
        return if known.is_empty() { say!("no-projects") } else { near::no_project(&known, name) };
    };
    let each = parts.iter().map(|(team, progress)| text::roll_up(state, team, progress));
    std::iter::once(line(name, parts)).chain(each).collect::<Vec<_>>().join("\n")
}

/// A project in a line.
fn line(name: &str, parts: &[(&InstanceName, &MilestoneProgress)]) -> String {
    let sum = |count: fn(&MilestoneProgress) -> u32| parts.iter().map(|(_, part)| count(part)).sum::<u32>();
    let mut teams: Vec<&str> = parts.iter().map(|(team, _)| team.as_str()).collect();
    teams.sort_unstable();
    teams.dedup();
    let (done, features) = (sum(|part| part.done), sum(|part| part.features));
    say!(
        "project-line",
        name = inert(name, NAME),
        teams = teams.join(", "),
        done = done,
        features = features,
        count = parts.len()
    )
}

/// How much a team does at once, as its last beat says.
pub(crate) fn limits(state: &FleetState, team: &InstanceName) -> String {
    if !state.rules.teams.contains(team) {
        return near::no_team(&state.rules.teams, team);
    }
    let Some(limits) = state.presence.get(team).and_then(|seen| seen.board.limits.as_ref()) else {
        return say!("no-limits-told", team = team);
    };
    let TeamLimits { slots, configured_slots, taken, reviews, configured_reviews, in_review, lowered } =
        limits;
    let none = || say!("no-limit");
    let word = |most: &Option<u32>| most.map_or_else(none, |most| most.to_string());
    let mut lines = vec![
        say!("limits-slots", team = team, taken = taken, most = slots, configured = configured_slots),
        say!(
            "limits-reviews",
            taken = in_review,
            most = word(reviews),
            configured = word(configured_reviews)
        ),
    ];
    lines.extend(lowered.iter().map(|who| inert(who.as_str(), NAME)));
    lines.join("\n")
}
