//! What somebody may have meant who named what there is not: the nearest right thing, and what there is.

use qd_command::{Which, nearest};
use qd_text::say;
use qd_types::{FeatureId, InstanceName, PersonId};

use crate::{
    state::FleetState,
    text::{self, inert},
    waits,
};

/// Names that are said of what there is.
const NAMED: usize = 10;

/// Longest name that somebody typed, as it is said again, in characters.
const TYPED: usize = 64;

/// The first names, and how many there are besides.
pub(crate) fn names(all: &[&str]) -> String {
    let first: Vec<&str> = all.iter().take(NAMED).copied().collect();
    match all.len().saturating_sub(NAMED) {
        0 => first.join(", "),
        more => say!("some-and-more", first = first.join(", "), more = more),
    }
}

/// A team is named that there is not.
pub(crate) fn no_team(teams: &[InstanceName], team: &InstanceName) -> String {
    no_team_called(teams, team.as_str())
}

/// The same, of a word that need not be a team's name.
pub(crate) fn no_team_called(teams: &[InstanceName], team: &str) -> String {
    let known: Vec<&str> = teams.iter().map(InstanceName::as_str).collect();
    if known.is_empty() {
        return say!("no-team");
    }
    let near = nearest(team, &known);
    say!("no-such-team-but", team = inert(team, TYPED), near = near, teams = names(&known))
}

/// A feature is named that no team has reported.
pub(crate) fn no_feature(state: &FleetState, id: &FeatureId) -> String {
    let known: Vec<String> = state.features.keys().map(|(_, id)| id.to_string()).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    say!("no-such-feature", id = id, near = nearest(&id.to_string(), &known))
}

/// An approval is named that there is not: what is open and nearest to it.
pub(crate) fn no_approval(state: &FleetState, which: &Which) -> String {
    let typed = which.to_string();
    let open = waits::open(state).map(|approval| match which {
        Which::Feature(_) => approval.subject.feature.to_string(),
        // The beginning of an id is enough: that is what is compared.
        Which::Key(key) => approval.id.key().chars().take(key.chars().count()).collect(),
    });
    let known: Vec<String> = open.collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    say!("no-such-approval", which = typed, near = nearest(&typed, &known))
}

/// A person is named who is not one of the fleet.
pub(crate) fn no_person(state: &FleetState, name: &PersonId) -> String {
    let known: Vec<&str> = state.rules.people.iter().map(|person| person.id.as_str()).collect();
    say!("nobody-called", person = name, near = nearest(name.as_str(), &known))
}

/// A project is named that no team has reported.
pub(crate) fn no_project(known: &[&str], name: &str) -> String {
    let shown: Vec<String> = known.iter().map(|known| inert(known, TYPED)).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let near = nearest(name, known);
    say!("no-such-project", name = text::inert(name, TYPED), near = near, projects = names(&shown))
}
