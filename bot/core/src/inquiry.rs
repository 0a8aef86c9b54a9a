//! What people ask of the fleet and its teams, answered from what was reported. Nothing is guessed: what no team has said is not
//! here.

use qd_engine::{Principal, Request, Resource};
use qd_text::say;
use qd_types::{Approval, InstanceName, Person, Spent, Stage, Target, Verb};
use qd_wire::v1::FeatureReport;

use crate::{
    chat::Given,
    state::{Desk, FleetState, Foreign},
    text::{self, inert},
};

/// Features in one list.
const LISTED: usize = 10;
/// Longest title in a list, in characters.
const TITLE: usize = 60;

/// Features of a team, or of all.
fn features<'a>(
    state: &'a FleetState,
    team: Option<&'a InstanceName>,
) -> impl Iterator<Item = (&'a InstanceName, &'a FeatureReport)> {
    let all = state.features.iter().map(|((name, _), report)| (name, report));
    all.filter(move |(name, _)| team.is_none_or(|team| team == *name))
}

fn open(state: &FleetState) -> impl Iterator<Item = &Approval> {
    let own = state.approvals.values().map(Desk::approval);
    own.chain(state.foreign.values().map(Foreign::approval)).filter(|approval| approval.state.is_open())
}

/// How many there are of what matters, as one line.
fn counts(state: &FleetState, team: &InstanceName) -> String {
    let mut parts = Vec::new();
    let of = |wanted: &dyn Fn(&FeatureReport) -> bool| {
        features(state, Some(team)).filter(|(_, report)| wanted(report)).count()
    };
    let running = of(&|report| report.stage == Stage::Running);
    let asks = open(state).filter(|approval| approval.subject.instance == *team).count();
    let (ready, blocked) = (of(&|report| report.stage == Stage::Ready), of(&is_stuck));
    let merged = of(&|report| report.merged.is_some());
    for (word, count) in
        [("running", running), ("asks", asks), ("ready", ready), ("blocked", blocked), ("merged", merged)]
    {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    let said = if parts.is_empty() { say!("nothing-reported") } else { parts.join(", ") };
    format!("{team}: {said}")
}

fn is_stuck(report: &FeatureReport) -> bool {
    report.needs_person && report.merged.is_none() && report.stage != Stage::Review
}

fn row(team: &InstanceName, report: &FeatureReport) -> String {
    format!("{} {} · {team}: {}", report.feature, inert(&report.title, TITLE), report.sentence)
}

fn lines(all: impl Iterator<Item = String>, none: &str) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() {
        return none.to_owned();
    }
    let more = all.len().saturating_sub(LISTED);
    let mut shown: Vec<String> = all.into_iter().take(LISTED).collect();
    if more > 0 {
        shown.push(say!("and-more-features", more = more));
    }
    shown.join("\n")
}

fn spent<'a>(reports: impl Iterator<Item = &'a FeatureReport>) -> Option<Spent> {
    reports.filter_map(|report| report.spent.clone()).reduce(|all, each| all.plus(each))
}

/// The teams, a line each.
pub(crate) fn teams(state: &FleetState) -> String {
    lines(state.rules.teams.iter().map(|team| counts(state, team)), &say!("no-team"))
}

/// What models have cost, by team.
pub(crate) fn cost(state: &FleetState) -> String {
    let rows = state.rules.teams.iter().map(|team| {
        let said = spent(features(state, Some(team)).map(|(_, report)| report));
        format!("{team}: {}", said.map_or_else(|| say!("nothing-metered"), |spent| spent.said()))
    });
    lines(rows, &say!("no-team"))
}

/// Features whose titles have all of these words, newest first.
pub(crate) fn search(state: &FleetState, words: &str) -> String {
    let wanted: Vec<String> = words.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let mut found: Vec<_> = features(state, None)
        .filter(|(_, report)| {
            let title = format!("{} {}", report.feature, report.title).to_lowercase();
            wanted.iter().all(|word| title.contains(word))
        })
        .collect();
    found.reverse();
    lines(found.into_iter().map(|(team, report)| row(team, report)), &say!("no-such-words"))
}

/// What a search finds of a question to a team that no agent answers: it is said to be found, and no more.
pub(crate) fn found(state: &FleetState, team: &InstanceName, question: &str) -> String {
    let wanted: Vec<String> = question
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric() && letter != '-')
        .filter(|word| word.chars().count() > 3 || word.contains('-'))
        .map(str::to_owned)
        .collect();
    let mut found: Vec<(usize, String)> = features(state, Some(team))
        .filter(|(_, report)| report.question.is_none())
        .filter_map(|(name, report)| {
            let known = format!("{} {} {}", report.feature, report.title, report.sentence).to_lowercase();
            let hits = wanted.iter().filter(|word| known.contains(word.as_str())).count();
            (hits > 0).then(|| (hits, row(name, report)))
        })
        .collect();
    found.sort_by_key(|(hits, _)| std::cmp::Reverse(*hits));
    if found.is_empty() {
        return say!("search-nothing", team = team);
    }
    let found = lines(found.into_iter().map(|(_, row)| row), "");
    say!("search-found", team = team, found = found)
}

/// Who somebody is here.
pub(crate) fn person(state: &FleetState, person: &Person, given: &Given) -> String {
    let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
    let roles = if roles.is_empty() { say!("no-role") } else { roles.join(", ") };
    let account =
        given.account.as_ref().map_or_else(String::new, |account| format!(", {}:{account}", given.surface));
    let waits = open(state).filter(|approval| {
        let subject = &approval.subject;
        subject.requirement.refuses(person, &subject.requesters).is_none()
    });
    say!("you-are", person = person.id, account = account, roles = roles, count = waits.count())
}

/// Whether somebody may do something to a team, and why.
pub(crate) fn explain(state: &FleetState, person: &Person, action: Verb, team: &InstanceName) -> String {
    let resource = match action.target() {
        Target::Team => None,
        Target::Fleet => Some(Resource::Fleet),
        _ => {
            return say!("policy-explain", action = action);
        }
    };
    let allowed = match resource {
        None => state.rules.permit(person, action, team),
        Some(resource) => {
            let request = Request::new(Principal::Person(person.clone()), action, resource);
            state.rules.policies.permit(&request)
        }
    };
    match allowed {
        Ok(()) => say!("you-may", what = text::lower(action.title())),
        Err(refusal) => format!("{} {}", refusal.reason, refusal.help),
    }
}
