//! What the bot notes of what happened, so that digests and risks are built from facts. Each fact is a row; the newest of a
//! key is what holds.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::Date};
use qd_types::{CommitId, FeatureId, InstanceName, RepositoryName, Spent};
use qd_wire::v1::MilestoneProgress;
use serde::{Deserialize, Serialize};

use super::TeamHour;

/// Days of which costs and counts are kept.
const KEPT_DAYS: i64 = 31;
/// Hours for which a feature that has ended is remembered: a week, and a day for a digest that comes late.
pub(crate) const ENDED_HOURS: i64 = 8 * 24;

/// A fact, with its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// What is known of a feature beside its last report.
    Feature {
        /// Whose.
        team: InstanceName,
        /// Which.
        feature: FeatureId,
        /// What.
        noted: Noted,
    },
    /// Up to where a digest tells.
    Told {
        /// Which digest.
        digest: Digest,
        /// Where it stands.
        told: Told,
    },
    /// How a workflow or a deployment on a default branch stands.
    Pipeline {
        /// Which.
        pipeline: Pipeline,
        /// How.
        stands: Stands,
    },
    /// What a day has cost a team.
    Cost {
        /// Whose.
        team: InstanceName,
        /// The day, in the fleet's time zone.
        day: Date,
        /// How much.
        spent: Spent,
    },
    /// How many features a team had at the end of a day.
    Day {
        /// Whose.
        team: InstanceName,
        /// The day, in the fleet's time zone.
        day: Date,
        /// How many.
        counts: Day,
    },
    /// When a team's stand-up comes, in place of the configured hour.
    Hour {
        /// Whose.
        team: InstanceName,
        /// When.
        hour: TeamHour,
    },
    /// How far a milestone is.
    Milestone {
        /// Whose.
        team: InstanceName,
        /// How far.
        progress: MilestoneProgress,
        /// When it came so far.
        at: Timestamp,
    },
}

/// What is known of a feature beside its last report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When it last changed: its stage, its steps, or what is said of it.
    pub progressed: Timestamp,
    /// Since when it stands still until a person does something.
    pub blocked: Option<Timestamp>,
    /// When it was merged or given up.
    pub ended: Option<Timestamp>,
}

/// How many features a team had at the end of a day, and what came to its end on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    /// Filed and not given up.
    pub wanted: u64,
    /// Of these, merged.
    pub merged: u64,
    /// Seconds that each feature took that was merged on that day.
    #[serde(default)]
    pub took: Vec<u64>,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Digest {
    /// The stand-up of a team.
    Standup(InstanceName),
    /// The week of the fleet.
    Weekly,
}

/// Up to where a digest tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The hour for which it was made last. It is made once for each.
    pub slot: Timestamp,
    /// When it was made: the next one tells what came since.
    pub until: Timestamp,
    /// What that day had cost by then.
    #[serde(default)]
    pub spent: Spent,
    /// Lines for the next one.
    #[serde(default)]
    pub lines: Vec<String>,
}

/// What runs on a default branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pipeline {
    /// Where.
    pub repository: RepositoryName,
    /// Whether it deploys.
    pub kind: PipelineKind,
    /// The workflow's or the environment's name.
    pub name: String,
}

/// Kinds of what runs on a default branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineKind {
    /// Checks of a commit.
    Workflow,
    /// A deployment.
    Environment,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// The newest commit that it ran on.
    pub commit: CommitId,
    /// Whether it passed there.
    pub passed: bool,
    /// Since when it is red, or was before it passed again.
    pub red_since: Timestamp,
    /// On how many commits in a row it was red.
    pub reds: u32,
    /// Where to look.
    pub url: Option<String>,
}

/// All facts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Of features that have not ended, or not long ago.
    pub features: BTreeMap<InstanceName, BTreeMap<FeatureId, Noted>>,
    /// Up to where each digest tells.
    pub told: BTreeMap<Digest, Told>,
    /// What runs on default branches and was red once.
    pub pipelines: BTreeMap<Pipeline, Stands>,
    /// What each day has cost.
    pub costs: BTreeMap<(InstanceName, Date), Spent>,
    /// How many features there were at the end of each day on which that changed.
    pub days: BTreeMap<(InstanceName, Date), Day>,
    /// Milestones: how far, and when they came so far.
    pub milestones: BTreeMap<(InstanceName, String), (MilestoneProgress, Timestamp)>,
    /// When stand-ups come, of teams that have an hour of their own.
    pub hours: BTreeMap<InstanceName, TeamHour>,
    /// Teams of which something changed that their own message does not say yet.
    pub stale: BTreeSet<InstanceName>,
}

impl Fact {
    /// The same key is the same fact, newer.
    pub fn key(&self) -> String {
        match self {
            Self::Feature { team, feature, .. } => feature_key(team, feature),
            Self::Told { digest: Digest::Standup(team), .. } => format!("standup:{team}"),
            Self::Told { digest: Digest::Weekly, .. } => "weekly".to_owned(),
            Self::Pipeline { pipeline, .. } => pipeline.key(),
            Self::Cost { team, day, .. } => format!("cost:{team}:{day}"),
            Self::Day { team, day, .. } => format!("day:{team}:{day}"),
            Self::Hour { team, .. } => hour_key(team),
            Self::Milestone { team, progress, .. } => {
                format!("milestone:{team}:{}", milestone_key(progress))
            }
        }
    }
}

pub(crate) fn feature_key(team: &InstanceName, feature: &FeatureId) -> String {
    format!("feature:{team}:{feature}")
}

pub(crate) fn hour_key(team: &InstanceName) -> String {
    format!("hour:{team}")
}

fn milestone_key(progress: &MilestoneProgress) -> String {
    format!("{}/{}", progress.project, progress.milestone)
}

impl Pipeline {
    /// Of its row, and of its message.
    pub(crate) fn key(&self) -> String {
        let kind = match self.kind {
            PipelineKind::Workflow => "workflow",
            PipelineKind::Environment => "environment",
        };
        format!("pipeline:{}:{kind}:{}", self.repository, self.name)
    }
}

impl Facts {
    /// Notes a fact.
    pub fn put(&mut self, fact: Fact) {
        match fact {
            Fact::Feature { team, feature, noted } => {
                self.features.entry(team).or_default().insert(feature, noted);
            }
            Fact::Told { digest, told } => {
                self.told.insert(digest, told);
            }
            Fact::Pipeline { pipeline, stands } => {
                self.pipelines.insert(pipeline, stands);
            }
            Fact::Cost { team, day, spent } => {
                self.costs.insert((team, day), spent);
            }
            Fact::Day { team, day, counts } => {
                self.days.insert((team, day), counts);
            }
            Fact::Hour { team, hour } => {
                self.hours.insert(team, hour);
            }
            Fact::Milestone { team, progress, at } => {
                self.milestones.insert((team, milestone_key(&progress)), (progress, at));
            }
        }
    }

    /// The features of a team that have not ended, or not long ago.
    pub fn of(&self, team: &InstanceName) -> impl Iterator<Item = (&FeatureId, &Noted)> {
        self.features.get(team).into_iter().flatten()
    }

    /// Lets go of a feature that its team knows nothing of any more; the key, if there was one.
    pub(crate) fn forget_feature(&mut self, team: &InstanceName, feature: &FeatureId) -> Option<String> {
        self.features.get_mut(team)?.remove(feature)?;
        Some(feature_key(team, feature))
    }

    /// Lets go of what no digest tells any more; the keys.
    pub(crate) fn forget(&mut self, now: Timestamp) -> Vec<String> {
        let mut gone = Vec::new();
        let old = |at: Timestamp, hours: i64| now.duration_since(at).as_hours() >= hours;
        for (team, features) in &mut self.features {
            features.retain(|feature, noted| {
                let keep = noted.ended.is_none_or(|ended| !old(ended, ENDED_HOURS));
                if !keep {
                    gone.push(feature_key(team, feature));
                }
                keep
            });
        }
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        let kept = |day: Date| today.duration_since(day).as_hours() <= KEPT_DAYS * 24;
        self.costs.retain(|(team, day), _| {
            let keep = kept(*day);
            if !keep {
                gone.push(format!("cost:{team}:{day}"));
            }
            keep
        });
        // The newest day of a team says how it stands since then, however old it is.
        let newest: BTreeMap<InstanceName, Date> =
            self.days.keys().map(|(team, day)| (team.clone(), *day)).collect();
        self.days.retain(|(team, day), _| {
            let keep = kept(*day) || newest.get(team) == Some(day);
            if !keep {
                gone.push(format!("day:{team}:{day}"));
            }
            keep
        });
        gone
    }
}
