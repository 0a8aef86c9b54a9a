//! The scheduler's choice, as a pure function: which features start now, in which order, and what each of the others
//! waits for. The same answer starts runs and explains itself in `feature why`. Not when to look: the team does that.

mod hold;
mod rank;

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use qd_types::{FeatureId, InstanceName, PersonId, RepositoryName};
use serde::{Deserialize, Serialize};

pub use hold::{Hold, own};
pub use rank::{AGE_DAYS, DUE_SOON_DAYS, Rank};

use crate::{Assignment, Dependency, Feature, Rules, project::Capacity};

/// A feature in `ready`, and what bears on it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The feature.
    pub feature: Feature,
    /// Dependencies that are not satisfied yet.
    pub unmet: Vec<Dependency>,
    /// Features that wait for this one, directly or through others, and are not done.
    pub unblocks: u32,
    /// The epic above it that is paused, and by whom.
    pub paused_epic: Option<(FeatureId, String)>,
    /// Minutes that agents have worked on it so far.
    pub minutes_spent: u32,
}

/// A feature whose branch is not merged yet.
#[derive(Debug, Clone)]
pub struct Open {
    /// The feature.
    pub id: FeatureId,
    /// Where.
    pub repository: RepositoryName,
    /// Who works.
    pub agent: String,
    /// The project that it belongs to.
    pub project: Option<String>,
    /// Declared and touched paths.
    pub paths: Vec<String>,
    /// Whether it takes a slot; otherwise it is in review.
    pub running: bool,
}

/// How much at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Runs of the instance.
    pub slots: u32,
    /// Runs of one agent; an agent without an entry is limited by the slots alone.
    pub per_agent: BTreeMap<String, u32>,
    /// Runs in one repository.
    pub per_repository: BTreeMap<RepositoryName, u32>,
    /// Features in review, from which on nothing new starts; what is finished still goes there.
    pub reviews: Option<u32>,
    /// What a person lowered of it.
    pub lowered: Lowered,
}

/// What a person lets a team do at once at most, until they take it back. More than the configuration has is never done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lowered {
    /// Runs at once.
    pub slots: Option<Lower>,
    /// Features in review, from which on nothing new starts.
    pub reviews: Option<Lower>,
}

/// A limit that a person set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lower {
    /// How much at most.
    pub most: u32,
    /// Who says so.
    pub by: PersonId,
}

impl Limits {
    /// Runs at once, and who lowered that, if somebody did.
    pub fn slots(&self) -> (u32, Option<&PersonId>) {
        match &self.lowered.slots {
            Some(lower) if lower.most < self.slots => (lower.most, Some(&lower.by)),
            _ => (self.slots, None),
        }
    }

    /// Features in review from which on nothing new starts, and who lowered that, if somebody did.
    pub fn reviews(&self) -> Option<(u32, Option<&PersonId>)> {
        match (&self.lowered.reviews, self.reviews) {
            (Some(lower), configured) if configured.is_none_or(|most| lower.most < most) => {
                Some((lower.most, Some(&lower.by)))
            }
            (_, configured) => configured.map(|most| (most, None)),
        }
    }

    /// Whether one more run of this agent in this repository fits, beside what takes a slot already.
    pub fn have_room(&self, open: &[Open], agent: &str, repository: &RepositoryName) -> bool {
        let running = || open.iter().filter(|open| open.running);
        let below = |limit: Option<&u32>, taken: u32| limit.is_none_or(|limit| taken < *limit);
        below(Some(&self.slots().0), count(running()))
            && below(self.per_agent.get(agent), count(running().filter(|open| open.agent == agent)))
            && below(
                self.per_repository.get(repository),
                count(running().filter(|open| open.repository == *repository)),
            )
    }
}

/// Everything else that bears on the choice.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Now.
    pub now: Timestamp,
    /// Today, in the fleet's time zone.
    pub today: Date,
    /// What the team that chooses is called: its id, and its name.
    pub called: &'a [InstanceName],
    /// Who paused the team, and why.
    pub paused: Option<&'a str>,
    /// Why the machine takes nothing new, as a sentence.
    pub refuses: Option<&'a str>,
    /// Until when it is quiet.
    pub quiet_until: Option<Timestamp>,
    /// Causes that are paused after failures, with the end of the pause: `git sample`, `agent claude`.
    pub broken: &'a BTreeMap<String, Timestamp>,
    /// Features with open branches.
    pub open: &'a [Open],
    /// What the projects allow, by name.
    pub projects: &'a BTreeMap<String, Capacity>,
    /// Rules, ladder and default agent.
    pub rules: &'a Rules,
    /// How much at once.
    pub limits: &'a Limits,
}

/// What the scheduler says of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It starts now.
    Start(Assignment),
    /// It waits.
    Waits(Hold),
}

/// What is said of one feature, and where it stands in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The feature.
    pub id: FeatureId,
    /// Its place, from 1: who is first takes the next slot.
    pub place: u32,
    /// What the place was made from.
    pub rank: Rank,
    /// What it does.
    pub verdict: Verdict,
}

/// A verdict for every candidate, in the order in which they would start.
pub fn decide(candidates: &[Candidate], around: &Surroundings<'_>) -> Vec<Said> {
    let mut order: Vec<(Rank, &Candidate)> = candidates
        .iter()
        .map(|candidate| (Rank::of(candidate, around.now, around.today), candidate))
        .collect();
    order.sort_by(|one, other| one.0.cmp(&other.0));
    let mut taken = Taken::new(around.open);
    let place = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    order
        .into_iter()
        .enumerate()
        .map(|(index, (rank, candidate))| {
            let verdict = match hold::first(candidate, around, &taken) {
                Ok(assignment) => {
                    taken.start(&candidate.feature, &assignment.agent);
                    Verdict::Start(assignment)
                }
                Err(hold) => Verdict::Waits(hold),
            };
            Said { id: candidate.feature.id.clone(), place: place(index), rank, verdict }
        })
        .collect()
}

/// What is taken already, by what runs and by what was decided before.
pub(crate) struct Taken<'a> {
    open: &'a [Open],
    started: Vec<Open>,
}

impl<'a> Taken<'a> {
    fn new(open: &'a [Open]) -> Self {
        Self { open, started: Vec::new() }
    }

    fn start(&mut self, feature: &Feature, agent: &str) {
        self.started.push(Open {
            id: feature.id.clone(),
            repository: feature.repository.clone(),
            agent: agent.to_owned(),
            project: feature.wanted.project.clone(),
            paths: paths_of(feature),
            running: true,
        });
    }

    fn all(&self) -> impl Iterator<Item = &Open> {
        self.open.iter().chain(&self.started)
    }

    fn running(&self) -> impl Iterator<Item = &Open> {
        self.all().filter(|open| open.running)
    }
}

fn count<'a>(open: impl Iterator<Item = &'a Open>) -> u32 {
    u32::try_from(open.count()).unwrap_or(u32::MAX)
}

/// Declared and touched paths.
pub fn paths_of(feature: &Feature) -> Vec<String> {
    let mut all: Vec<String> = feature.wanted.paths.iter().chain(&feature.touched).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// Whether two paths or patterns may mean the same file: one contains the other, as far as both are plain.
pub fn overlap(one: &str, other: &str) -> bool {
    let plain = |path: &str| -> String {
        let end = path.find(['*', '?', '[', '{']).unwrap_or(path.len());
        let head = path.get(..end).unwrap_or_default();
        // A pattern means everything below the folder that it starts in.
        let folder =
            if end < path.len() { head.rsplit_once('/').map_or("", |(folder, _)| folder) } else { head };
        folder.trim_end_matches('/').to_owned()
    };
    let (one, other) = (plain(one), plain(other));
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner == outer
            || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    within(&one, &other) || within(&other, &one)
}
