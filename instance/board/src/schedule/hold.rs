//! What a ready feature waits for, and the one sentence that says so.

use jiff::{Timestamp, tz::TimeZone};
use qd_types::{FeatureId, InstanceName, PersonId, RepositoryName};
use serde::{Deserialize, Serialize};

use super::{Candidate, Surroundings, Taken, count, overlap, paths_of};
use crate::{Assignment, Dependency, Until, Waits};

/// Why a feature does not start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// It needs a person; this is why.
    Held(String),
    /// A person does it.
    Assigned(PersonId),
    /// Somebody paused it.
    Paused(String),
    /// Somebody paused the epic above it.
    EpicPaused(FeatureId, String),
    /// Features that have to come first.
    Needs(Vec<Dependency>),
    /// Its budget of minutes is used up.
    Budget {
        /// Minutes that it may take.
        minutes: u32,
        /// Minutes that it took.
        spent: u32,
    },
    /// Nobody works here.
    NoAgent,
    /// A failed run is tried again then.
    Until(Timestamp),
    /// Somebody paused the team.
    TeamPaused(String),
    /// The machine takes nothing new: why, as a sentence.
    Refused(String),
    /// It is quiet.
    Quiet(Timestamp),
    /// Something that it needs failed too often.
    Broken(String, Timestamp),
    /// Its project is for other teams.
    ProjectElsewhere(String, Vec<InstanceName>),
    /// The minutes of its project are used up.
    ProjectBudget {
        /// The project.
        project: String,
        /// Minutes that it may take.
        minutes: u32,
        /// Minutes that it took.
        spent: u32,
    },
    /// The project has as many runs as it may.
    ProjectBusy(String, u32),
    /// Too many features are in review.
    Reviews {
        /// So many are.
        open: u32,
        /// So many may be.
        limit: u32,
        /// Who lowered that, if somebody did.
        by: Option<PersonId>,
    },
    /// Another feature works on the same paths.
    Overlaps(FeatureId, String),
    /// The agent has as many runs as it may.
    AgentBusy(String, u32),
    /// The repository has as many runs as it may.
    RepositoryBusy(RepositoryName, u32),
    /// All slots are taken.
    Slots {
        /// So many there are.
        limit: u32,
        /// Who lowered that, if somebody did.
        by: Option<PersonId>,
    },
}

/// What keeps a feature back whatever else goes on; none if only the surroundings decide.
pub fn own(candidate: &Candidate) -> Option<Hold> {
    let feature = &candidate.feature;
    if let Some(held) = &feature.held {
        return Some(Hold::Held(held.clone()));
    }
    if let Some(person) = &feature.wanted.assignee {
        return Some(Hold::Assigned(person.clone()));
    }
    if let Some(paused) = &feature.paused {
        return Some(Hold::Paused(paused.clone()));
    }
    if let Some((epic, paused)) = &candidate.paused_epic {
        return Some(Hold::EpicPaused(epic.clone(), paused.clone()));
    }
    if !candidate.unmet.is_empty() {
        return Some(Hold::Needs(candidate.unmet.clone()));
    }
    let minutes = feature.wanted.budget.minutes?;
    (candidate.minutes_spent >= minutes).then_some(Hold::Budget { minutes, spent: candidate.minutes_spent })
}

/// The first thing that keeps it from starting, or who starts.
pub(super) fn first(
    candidate: &Candidate,
    around: &Surroundings<'_>,
    taken: &Taken<'_>,
) -> Result<Assignment, Hold> {
    if let Some(hold) = own(candidate) {
        return Err(hold);
    }
    let feature = &candidate.feature;
    let assignment = around.rules.assign(feature).ok_or(Hold::NoAgent)?;
    if let Some(paused) = around.paused {
        return Err(Hold::TeamPaused(paused.to_owned()));
    }
    if let Some(why) = around.refuses {
        return Err(Hold::Refused(why.to_owned()));
    }
    if let Some(until) = around.quiet_until.filter(|until| *until > around.now) {
        return Err(Hold::Quiet(until));
    }
    for cause in [format!("agent {}", assignment.agent), format!("repository {}", feature.repository)] {
        if let Some(until) = around.broken.get(&cause).filter(|until| **until > around.now) {
            return Err(Hold::Broken(cause, *until));
        }
    }
    if let Some(at) = feature.not_before.filter(|at| *at > around.now) {
        return Err(Hold::Until(at));
    }
    if let Some(project) = &feature.wanted.project {
        in_project(project, around, taken)?;
    }
    if let Some((limit, by)) = around.limits.reviews() {
        let open = count(taken.all().filter(|open| !open.running));
        if open >= limit {
            return Err(Hold::Reviews { open, limit, by: by.cloned() });
        }
    }
    let own = paths_of(feature);
    for other in taken.running().filter(|open| open.repository == feature.repository) {
        let shared = own.iter().find(|path| other.paths.iter().any(|theirs| overlap(path, theirs)));
        if let Some(path) = shared {
            return Err(Hold::Overlaps(other.id.clone(), path.clone()));
        }
    }
    let limits = around.limits;
    if let Some(limit) = limits.per_agent.get(&assignment.agent)
        && count(taken.running().filter(|open| open.agent == assignment.agent)) >= *limit
    {
        return Err(Hold::AgentBusy(assignment.agent, *limit));
    }
    if let Some(limit) = limits.per_repository.get(&feature.repository)
        && count(taken.running().filter(|open| open.repository == feature.repository)) >= *limit
    {
        return Err(Hold::RepositoryBusy(feature.repository.clone(), *limit));
    }
    let (limit, by) = limits.slots();
    if count(taken.running()) >= limit {
        return Err(Hold::Slots { limit, by: by.cloned() });
    }
    Ok(assignment)
}

/// What its project says.
fn in_project(project: &str, around: &Surroundings<'_>, taken: &Taken<'_>) -> Result<(), Hold> {
    let Some(capacity) = around.projects.get(project) else { return Ok(()) };
    if !capacity.teams.is_empty() && !around.called.iter().any(|name| capacity.teams.contains(name)) {
        return Err(Hold::ProjectElsewhere(project.to_owned(), capacity.teams.clone()));
    }
    let spent = capacity.minutes_spent;
    if let Some(minutes) = capacity.minutes.filter(|minutes| spent >= *minutes) {
        return Err(Hold::ProjectBudget { project: project.to_owned(), minutes, spent });
    }
    let running = count(taken.running().filter(|open| open.project.as_deref() == Some(project)));
    match capacity.slots.filter(|slots| running >= *slots) {
        Some(slots) => Err(Hold::ProjectBusy(project.to_owned(), slots)),
        None => Ok(()),
    }
}

impl Hold {
    /// What kind of waiting that is.
    pub fn waits(&self) -> Waits {
        match self {
            Self::Held(_) | Self::Assigned(_) | Self::NoAgent | Self::ProjectElsewhere(..) => Waits::Person,
            Self::Paused(_) | Self::EpicPaused(..) | Self::TeamPaused(_) => Waits::Paused,
            Self::Needs(_) => Waits::Dependency,
            Self::Budget { .. } | Self::ProjectBudget { .. } => Waits::Budget,
            Self::Until(_) | Self::Quiet(_) | Self::Broken(..) => Waits::Time,
            Self::Overlaps(..) => Waits::Conflict,
            Self::Refused(_) => Waits::Forge,
            Self::Reviews { .. }
            | Self::ProjectBusy(..)
            | Self::AgentBusy(..)
            | Self::RepositoryBusy(..)
            | Self::Slots { .. } => Waits::Slot,
        }
    }

    /// The sentence, with times in the fleet's zone.
    pub fn sentence(&self, zone: &TimeZone) -> String {
        let at = |time: &Timestamp| time.to_zoned(zone.clone()).strftime("%a %H:%M").to_string();
        match self {
            Self::Held(why) => format!("{} Needs a person.", full_stop(why)),
            Self::Assigned(person) => format!("{person} does it. No agent starts on it."),
            Self::Paused(by) => format!("Paused: {}", full_stop(by)),
            Self::EpicPaused(epic, by) => format!("Its epic {epic} is paused: {}", full_stop(by)),
            Self::Needs(needs) => {
                let names: Vec<String> = needs.iter().map(|need| need.feature.to_string()).collect();
                let far = if needs.iter().all(|need| need.until == Until::Review) {
                    "to be in review"
                } else {
                    "to be merged"
                };
                format!("Waits for {} {far}.", join(&names))
            }
            Self::Budget { minutes, spent } => {
                format!("Its budget of {minutes} min is used up, {spent} min were worked. Needs a person.")
            }
            Self::NoAgent => "No agent is configured for this team. Needs a person.".to_owned(),
            Self::Until(time) => format!("The last run failed. It is tried again at {}.", at(time)),
            Self::Refused(why) => full_stop(why),
            Self::TeamPaused(by) => format!("The team is paused: {}", full_stop(by)),
            Self::Quiet(time) => format!("Quiet hours until {}.", at(time)),
            Self::Broken(cause, time) => {
                format!("{} can't be used before {}.", capital(cause), at(time))
            }
            Self::ProjectElsewhere(project, teams) => {
                let teams: Vec<String> = teams.iter().map(ToString::to_string).collect();
                format!("{project} is for {}. Needs a person.", join(&teams))
            }
            Self::ProjectBudget { project, minutes, spent } => {
                format!("{project} has {minutes} min, {spent} min were worked. Needs a person.")
            }
            Self::ProjectBusy(project, limit) => {
                format!("{project} has {limit} of {limit} runs. Starts when one ends.")
            }
            Self::Reviews { open, limit, by } => {
                let by = by.as_ref().map_or_else(String::new, |by| format!(", as {by} has it"));
                format!("{open} features wait in review, {limit} may{by}. Starts when one is decided.")
            }
            Self::Overlaps(other, path) => format!("{other} works on {path} too. Starts after it."),
            Self::AgentBusy(agent, limit) => {
                format!("{} has {limit} of {limit} runs. Starts when one ends.", capital(agent))
            }
            Self::RepositoryBusy(name, limit) => {
                format!("{name} has {limit} of {limit} runs. Starts when one ends.")
            }
            Self::Slots { by: None, .. } => "Next. Starts when a slot is free.".to_owned(),
            Self::Slots { limit, by: Some(by) } => {
                format!("Next. {by} lowered the slots to {limit}. Starts when one is free.")
            }
        }
    }
}

fn join(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn full_stop(text: &str) -> String {
    if text.ends_with(['.', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
