//! Projects: a goal above features. What people say of one is kept; how far it is, when it ends and what endangers it is
//! derived from the facts of its features whenever it is read.

use std::collections::BTreeMap;

use jiff::{ToSpan as _, civil::Date};
use qd_types::{FeatureId, InstanceName, PersonId, Stage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Budget, FieldError, Size, patch};

/// Longest name of a project or a milestone, in characters.
const MAX_NAME: usize = 64;
/// Longest goal, in bytes.
const MAX_GOAL: usize = 16 * 1024;
/// Most milestones of a project.
const MAX_MILESTONES: usize = 32;
/// Days that the pace is measured over.
const PACE_DAYS: i32 = 28;
/// Fewest days that the pace is measured over, so that one good morning is no forecast.
const FEWEST_DAYS: i32 = 3;
/// Merged features from which on there is a forecast.
const FEWEST_DONE: usize = 3;
/// Days without a merge from which on an open project is said to stand still.
const STILL_DAYS: i32 = 14;
/// The share of a budget from which on it is a risk, in percent.
const BUDGET_PERCENT: u64 = 80;
/// What a feature counts as of which nobody said the size.
const UNSIZED: Size = Size::M;

/// A project, as people describe it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// What features name it by.
    pub name: String,
    /// What is to be reached, Markdown.
    #[serde(default)]
    pub goal: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<PersonId>,
    /// In their order.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
    /// Teams that work on it; none named: all.
    #[serde(default)]
    pub teams: Vec<InstanceName>,
    /// How many of its features run at once; none: as many as the team can.
    #[serde(default)]
    pub slots: Option<u32>,
    /// What it may cost at most.
    #[serde(default)]
    pub budget: Budget,
}

/// A stretch of a project. Features belong to it by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Milestone {
    /// What features name it by.
    pub name: String,
    /// The day it is due.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub due: Option<Date>,
}

fn bad(field: &'static str, problem: impl Into<String>) -> FieldError {
    FieldError { field, problem: problem.into() }
}

fn name(field: &'static str, text: &str) -> Result<String, FieldError> {
    let text = text.trim();
    if !(1..=MAX_NAME).contains(&text.chars().count()) || text.contains(['/', '\n']) {
        return Err(bad(
            field,
            format!("{text:?} is not a name: 1 to {MAX_NAME} characters without a slash"),
        ));
    }
    Ok(text.to_owned())
}

impl Project {
    /// Tidies and checks the fields.
    pub fn checked(mut self) -> Result<Self, FieldError> {
        self.name = name("name", &self.name)?;
        self.goal = self.goal.trim().to_owned();
        if self.goal.len() > MAX_GOAL {
            return Err(bad("goal", format!("has {} bytes, {MAX_GOAL} fit", self.goal.len())));
        }
        if self.milestones.len() > MAX_MILESTONES {
            let problem = format!("has {} milestones, {MAX_MILESTONES} fit", self.milestones.len());
            return Err(bad("milestones", problem));
        }
        let mut seen = BTreeMap::new();
        for milestone in &mut self.milestones {
            milestone.name = name("milestones", &milestone.name)?;
            if seen.insert(milestone.name.clone(), ()).is_some() {
                return Err(bad("milestones", format!("names {:?} twice", milestone.name)));
            }
        }
        if self.slots == Some(0) {
            return Err(bad("slots", "is 0: take at least 1, or pause its features"));
        }
        self.teams.sort();
        self.teams.dedup();
        Ok(self)
    }

    /// The project after a merge patch (RFC 7396): what is left out stays, `null` clears. Its name stays.
    pub fn patched(&self, patch: Map<String, Value>) -> Result<Self, FieldError> {
        let Ok(Value::Object(mut whole)) = serde_json::to_value(self) else {
            return Err(bad("project", "has no JSON"));
        };
        if patch.get("name").is_some_and(|name| name.as_str() != Some(&self.name)) {
            return Err(bad("name", "stays: features name the project by it"));
        }
        patch::merge(&mut whole, patch);
        let patched: Self = serde_json::from_value(Value::Object(whole))
            .map_err(|error| bad("project", error.to_string()))?;
        patched.checked()
    }
}

/// What bears on a project's features when the scheduler chooses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// How many of its features run at once.
    pub slots: Option<u32>,
    /// Teams that work on it; none named: all.
    pub teams: Vec<InstanceName>,
    /// Minutes of agents' work that it may take.
    pub minutes: Option<u32>,
    /// Minutes that it took.
    pub minutes_spent: u32,
}

/// What is known of one feature of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFacts {
    /// Which.
    pub id: FeatureId,
    /// Where it stands.
    pub stage: Stage,
    /// Its size, if anybody said.
    pub size: Option<Size>,
    /// Its milestone.
    pub milestone: Option<String>,
    /// The day it is due.
    pub due: Option<Date>,
    /// Whether a person has to do something before it goes on.
    pub held: bool,
    /// The day it was merged, in the fleet's time zone.
    pub merged_on: Option<Date>,
}

/// How a project stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    /// All of it.
    pub progress: Progress,
    /// By milestone, in their order; then those that only features name.
    pub milestones: Vec<MilestoneStanding>,
    /// Tenths of points that are merged in a week, over the last 28 days; none before the third merge.
    pub pace: Option<u64>,
    /// The day it would be done at that pace.
    #[schemars(with = "Option<String>")]
    pub forecast: Option<Date>,
    /// What endangers it, in sentences, the worst first.
    pub risks: Vec<String>,
    /// Minutes that agents worked on it.
    pub minutes_spent: u32,
}

/// How much of something is done. Cancelled features do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Features that are merged.
    pub done: u32,
    /// Features in all.
    pub features: u32,
    /// Points that are merged, by size: xs 1, s 2, m 4, l 8, xl 16.
    pub points_done: u32,
    /// Points in all.
    pub points: u32,
}

impl Progress {
    fn of<'a>(parts: impl Iterator<Item = &'a PartFacts>) -> Self {
        parts.filter(|part| part.stage != Stage::Cancelled).fold(Self::default(), |mut sum, part| {
            let (points, done) = (part.points(), part.stage == Stage::Done);
            sum.features += 1;
            sum.points += points;
            sum.done += u32::from(done);
            sum.points_done += if done { points } else { 0 };
            sum
        })
    }

    /// 0 to 100, by points.
    pub fn percent(&self) -> u32 {
        (self.points_done * 100).checked_div(self.points).unwrap_or(0)
    }

    /// Points that are not merged yet.
    pub fn left(&self) -> u32 {
        self.points - self.points_done
    }
}

/// How a milestone stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MilestoneStanding {
    /// Its name.
    pub name: String,
    /// The day it is due.
    #[schemars(with = "Option<String>")]
    pub due: Option<Date>,
    /// How much of it is done.
    pub progress: Progress,
    /// The day it would be done, with those before it, at the project's pace.
    #[schemars(with = "Option<String>")]
    pub forecast: Option<Date>,
}

impl PartFacts {
    fn points(&self) -> u32 {
        self.size.unwrap_or(UNSIZED).points()
    }

    fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Done | Stage::Cancelled)
    }
}

/// How a project stands today, derived from its features alone.
pub fn standing(project: &Project, parts: &[PartFacts], minutes_spent: u32, today: Date) -> Standing {
    let progress = Progress::of(parts.iter());
    let pace = pace(parts, today);
    let forecast = pace.and_then(|pace| ends(progress.left(), pace, today));
    let milestones = milestones(project, parts, pace, today);
    let risks = risks(project, parts, &milestones, forecast, minutes_spent, today);
    Standing { progress, milestones, pace, forecast, risks, minutes_spent }
}

/// Tenths of points a week.
fn pace(parts: &[PartFacts], today: Date) -> Option<u64> {
    let merged = |part: &&PartFacts| part.stage == Stage::Done && part.merged_on.is_some();
    let since = |day: Date| (today - day).get_days();
    let recent: Vec<(i32, u32)> = parts
        .iter()
        .filter(merged)
        .filter_map(|part| part.merged_on.map(|day| (since(day), part.points())))
        .filter(|(days, _)| (0..PACE_DAYS).contains(days))
        .collect();
    if recent.len() < FEWEST_DONE {
        return None;
    }
    // From the first merge of all, or over the whole stretch where that is longer ago.
    let first = parts.iter().filter(merged).filter_map(|part| part.merged_on).min()?;
    let days = u64::try_from((since(first) + 1).clamp(FEWEST_DAYS, PACE_DAYS)).ok()?;
    let points: u64 = recent.iter().map(|(_, points)| u64::from(*points)).sum();
    Some(points * 70 / days).filter(|pace| *pace > 0)
}

/// The day on which so many points are done at this pace; none where that is too far away to mean anything.
fn ends(left: u32, pace: u64, today: Date) -> Option<Date> {
    let days = (u64::from(left) * 70).div_ceil(pace);
    let days = i32::try_from(days).ok().filter(|days| *days < 3650)?;
    today.checked_add(days.days()).ok()
}

fn milestones(
    project: &Project,
    parts: &[PartFacts],
    pace: Option<u64>,
    today: Date,
) -> Vec<MilestoneStanding> {
    let mut all = project.milestones.clone();
    let named: std::collections::BTreeSet<&String> =
        parts.iter().filter_map(|part| part.milestone.as_ref()).collect();
    for name in named {
        if all.iter().all(|milestone| milestone.name != *name) {
            all.push(Milestone { name: name.clone(), due: None });
        }
    }
    let mut before = 0;
    all.into_iter()
        .map(|Milestone { name, due }| {
            let own = parts.iter().filter(|part| part.milestone.as_ref() == Some(&name));
            let progress = Progress::of(own);
            let left = before + progress.left();
            let forecast = pace.filter(|_| progress.left() > 0).and_then(|pace| ends(left, pace, today));
            before = left;
            MilestoneStanding { name, due, progress, forecast }
        })
        .collect()
}

fn risks(
    project: &Project,
    parts: &[PartFacts],
    milestones: &[MilestoneStanding],
    forecast: Option<Date>,
    minutes_spent: u32,
    today: Date,
) -> Vec<String> {
    let mut risks = Vec::new();
    let open: Vec<&PartFacts> = parts.iter().filter(|part| part.is_open()).collect();
    for milestone in milestones.iter().filter(|milestone| milestone.progress.left() > 0) {
        let (name, left) = (&milestone.name, milestone.progress.features - milestone.progress.done);
        match (milestone.due, milestone.forecast) {
            (Some(due), _) if due < today => {
                risks.push(format!("{name} was due on {due}, and {} open.", are(left)));
            }
            (Some(due), Some(forecast)) if forecast > due => {
                risks.push(format!("{name} is due on {due}, and at this pace it ends on {forecast}."));
            }
            _ => {}
        }
    }
    let late: Vec<&FeatureId> =
        open.iter().filter(|part| part.due.is_some_and(|due| due < today)).map(|part| &part.id).collect();
    if !late.is_empty() {
        let verb = if late.len() == 1 { "is" } else { "are" };
        risks.push(format!("{} {verb} past due.", names(&late)));
    }
    if let Some(minutes) = project.budget.minutes {
        if minutes_spent >= minutes {
            risks.push(format!("Its {minutes} min are used up: nothing starts any more."));
        } else if u64::from(minutes_spent) * 100 >= u64::from(minutes) * BUDGET_PERCENT {
            risks.push(format!("{minutes_spent} of its {minutes} min are used."));
        }
    }
    let held: Vec<&FeatureId> = open.iter().filter(|part| part.held).map(|part| &part.id).collect();
    if !held.is_empty() {
        let verb = if held.len() == 1 { "needs" } else { "need" };
        risks.push(format!("{} {verb} a person.", names(&held)));
    }
    let last = parts.iter().filter_map(|part| part.merged_on).max();
    if let Some(last) = last.filter(|last| !open.is_empty() && (today - *last).get_days() >= STILL_DAYS) {
        risks.push(format!("Nothing was merged since {last}."));
    }
    let unsized_ = open.iter().filter(|part| part.size.is_none()).count();
    if unsized_ > 0 && forecast.is_some() {
        risks.push(match unsized_ {
            1 => format!("1 feature has no size and counts as {UNSIZED}."),
            more => format!("{more} features have no size and count as {UNSIZED}."),
        });
    }
    if project.owner.is_none() && !open.is_empty() {
        risks.push("Nobody answers for it: it has no owner.".to_owned());
    }
    risks
}

/// "1 feature is", "3 features are".
fn are(count: u32) -> String {
    if count == 1 { "1 feature is".to_owned() } else { format!("{count} features are") }
}

/// "A-1", "A-1 and A-2", "A-1, A-2 and 4 more".
fn names(ids: &[&FeatureId]) -> String {
    match ids {
        [] => String::new(),
        [one] => one.to_string(),
        [one, other] => format!("{one} and {other}"),
        [one, other, more @ ..] => format!("{one}, {other} and {} more", more.len()),
    }
}
