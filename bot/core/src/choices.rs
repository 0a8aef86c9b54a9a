//! What completes a word while it is typed: out of what is known, as far as the person sees it from there. What fits comes first,
//! and only then it is cut.

use std::collections::BTreeSet;

use qd_command::catalogue::Completes;
use qd_text::say;
use qd_types::{Action, Approval, ApprovalState, InstanceName, Person, Stage, Subject, Verb, visible};
use qd_wire::v1::FeatureReport;

use crate::{
    chat::{Choice, Given, Scope},
    inquiry,
    state::FleetState,
    waits,
};

/// Choices in one list: as many as Discord shows.
pub const MOST: usize = 25;

/// Longest name of a choice, in characters.
const NAME: usize = 100;

/// One that may be chosen; what has the higher rank comes first.
struct Candidate {
    rank: (bool, u64),
    choice: Choice,
}

/// What fits, the best first.
pub fn choices(
    state: &FleetState,
    person: &Person,
    given: &Given,
    what: Completes,
    typed: &str,
) -> Vec<Choice> {
    let all = match what {
        Completes::Nothing | Completes::Field | Completes::Clusters => Vec::new(),
        Completes::Approvals => approvals(state, given, |approval| approval.state.is_open()),
        Completes::Questions => approvals(state, given, |approval| {
            approval.state.is_open() && matches!(approval.subject.action, Action::Question(_))
        }),
        Completes::Expired => approvals(state, given, |approval| approval.state == ApprovalState::Expired),
        Completes::Features => features(state, given),
        Completes::Teams => plain(teams(state, given).map(|team| {
            let name = format!("{team}: {}", inquiry::counts(state, team));
            (team.to_string(), name)
        })),
        Completes::Agents => {
            plain(named(reports(state, given).filter_map(|(_, report)| report.agent.clone())))
        }
        Completes::Projects => {
            plain(named(milestones(state, given).map(|progress| progress.project.as_str().to_owned())))
        }
        Completes::Milestones => {
            plain(named(milestones(state, given).map(|progress| progress.milestone.as_str().to_owned())))
        }
        Completes::People => people(state, person, given),
        Completes::Actions => {
            plain(Verb::ALL.iter().map(|verb| (verb.to_string(), format!("{verb}: {}", verb.title()))))
        }
    };
    pick(all, typed)
}

/// Names that are chosen as they are.
pub fn of_names(names: Vec<String>, typed: &str) -> Vec<Choice> {
    pick(plain(names.into_iter().map(|name| (name.clone(), name))), typed)
}

/// What holds what was typed, the best first: what begins with it, then by rank. Then it is cut.
fn pick(all: Vec<Candidate>, typed: &str) -> Vec<Choice> {
    let wanted = typed.trim().to_lowercase();
    let mut fits: Vec<(bool, Candidate)> = all
        .into_iter()
        .filter(|candidate| {
            let Choice { name, value } = &candidate.choice;
            name.to_lowercase().contains(&wanted) || value.to_lowercase().contains(&wanted)
        })
        .map(|candidate| (candidate.choice.value.to_lowercase().starts_with(&wanted), candidate))
        .collect();
    fits.sort_by_key(|(begins, candidate)| std::cmp::Reverse((*begins, candidate.rank)));
    let cut = |choice: Choice| Choice { name: choice.name.chars().take(NAME).collect(), ..choice };
    fits.into_iter().take(MOST).map(|(_, candidate)| cut(candidate.choice)).collect()
}

/// In the order in which they come.
fn plain(all: impl Iterator<Item = (String, String)>) -> Vec<Candidate> {
    let place = |place: usize| u64::MAX.saturating_sub(u64::try_from(place).unwrap_or(u64::MAX));
    all.enumerate()
        .map(|(at, (value, name))| {
            let name = visible::line(&name);
            Candidate { rank: (true, place(at)), choice: Choice { value, name } }
        })
        .collect()
}

/// Each once, by name. What holds something that can't be seen is no choice: it would be typed without it.
fn named(all: impl Iterator<Item = String>) -> impl Iterator<Item = (String, String)> {
    let all: BTreeSet<String> = all.filter(|name| !name.chars().any(visible::is_hidden)).collect();
    all.into_iter().map(|name| (name.clone(), name))
}

fn teams<'a>(state: &'a FleetState, given: &'a Given) -> impl Iterator<Item = &'a InstanceName> {
    state.rules.teams.iter().filter(|team| given.scope.has(team))
}

fn reports<'a>(
    state: &'a FleetState,
    given: &'a Given,
) -> impl Iterator<Item = (&'a InstanceName, &'a FeatureReport)> {
    let all = state.features.iter().map(|((team, _), report)| (team, report));
    all.filter(|(team, _)| given.scope.has(team))
}

/// What goes on comes first, and of that what is newest.
fn features(state: &FleetState, given: &Given) -> Vec<Candidate> {
    let candidate = |(team, report): (&InstanceName, &FeatureReport)| {
        let open = !matches!(report.stage, Stage::Done | Stage::Cancelled);
        let name = visible::line(&format!("{} {} · {team}", report.feature, report.title));
        let choice = Choice { value: report.feature.to_string(), name };
        Candidate { rank: (open, u64::from(report.feature.number())), choice }
    };
    reports(state, given).map(candidate).collect()
}

/// The newest first.
fn approvals(state: &FleetState, given: &Given, wanted: impl Fn(&Approval) -> bool) -> Vec<Candidate> {
    let seen = |subject: &Subject| match given.scope {
        Scope::Only(_) => given.scope.has(&subject.instance),
        _ => subject.instance.as_str() == crate::foreign::BOT || given.scope.has(&subject.instance),
    };
    waits::all(state)
        .map(|found| found.approval())
        .filter(|approval| seen(&approval.subject) && wanted(approval))
        .map(|approval| {
            let Subject { feature, instance, .. } = &approval.subject;
            let title = approval.subject.title();
            let name = say!("approval-choice", feature = feature, title = title, team = instance);
            let at = u64::try_from(approval.requested_at.as_millisecond()).unwrap_or_default();
            Candidate {
                rank: (true, at),
                choice: Choice { value: approval.id.key(), name: visible::line(&name) },
            }
        })
        .collect()
}

fn milestones<'a>(
    state: &'a FleetState,
    given: &'a Given,
) -> impl Iterator<Item = &'a qd_wire::v1::MilestoneProgress> {
    let all = state.facts.milestones.iter();
    all.filter(|((team, _), _)| given.scope.has(team)).map(|(_, (progress, _))| progress)
}

/// Everybody, for whoever may see the fleet and its people; else oneself.
fn people(state: &FleetState, person: &Person, given: &Given) -> Vec<Candidate> {
    let here = !matches!(given.scope, Scope::Only(_));
    let all = here && state.rules.permit_fleet(person, Verb::FleetView).is_ok();
    let seen = state.rules.people.iter().filter(|known| all || known.id == person.id);
    plain(seen.map(|known| {
        let roles: Vec<&str> = known.roles.iter().map(|role| role.as_str()).collect();
        let name = format!("{}: {}", known.id, roles.join(", "));
        (known.id.to_string(), name.trim_end_matches(": ").to_owned())
    }))
}
