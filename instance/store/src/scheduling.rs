//! What the scheduler looks at: ready features with all that bears on them, and what is open.

use std::collections::{BTreeMap, HashMap, HashSet};

use qd_board::{
    Feature,
    project::Capacity,
    schedule::{Candidate, Lowered, Open, paths_of},
};
use rusqlite::Connection;

use crate::{Store, StoreError, limits, projects, resting, rows};

/// Features that a count of what waits for one goes through at most: past that, more makes no difference.
const UNBLOCKS: usize = 256;

/// Everything that the scheduler chooses from, as of one moment.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    /// Ready features.
    pub candidates: Vec<Candidate>,
    /// Features with open branches.
    pub open: Vec<Open>,
    /// What the projects allow, by name.
    pub projects: BTreeMap<String, Capacity>,
    /// What a person lets the team do at once at most.
    pub lowered: Lowered,
}

impl Store {
    /// What the scheduler may choose from, at most `limit` ready features, the most urgent first.
    pub async fn scene(&self, limit: usize) -> Result<Scene, StoreError> {
        self.read(move |c| {
            let ready = rows::features(
                c,
                "WHERE stage = 'ready' ORDER BY priority, number LIMIT ?1",
                [limit as i64],
            )?;
            let open = open(c)?;
            if ready.is_empty() {
                return Ok(Scene { open, ..Scene::default() });
            }
            let (projects, lowered) = (projects::capacities(c)?, limits::lowered(c)?);
            let dependants = dependants(c)?;
            let candidates = ready
                .into_iter()
                .map(|feature| {
                    let unblocks = unblocks(&dependants, &feature.id.to_string());
                    candidate(c, feature, unblocks)
                })
                .collect::<Result<_, _>>()?;
            Ok(Scene { candidates, open, projects, lowered })
        })
        .await
    }
}

/// A ready feature with what bears on it.
pub(crate) fn candidate(c: &Connection, feature: Feature, unblocks: u32) -> Result<Candidate, StoreError> {
    let unmet = if feature.wanted.depends_on.is_empty() { Vec::new() } else { rows::unmet(c, &feature.id)? };
    let paused_epic = if feature.wanted.epic.is_some() { rows::paused_epic(c, &feature)? } else { None };
    let minutes_spent = if feature.wanted.budget.minutes.is_some() {
        rows::minutes(rows::worked(c, &feature.id)?)
    } else {
        0
    };
    Ok(Candidate { feature, unmet, unblocks, paused_epic, minutes_spent })
}

pub(crate) fn open(c: &Connection) -> Result<Vec<Open>, StoreError> {
    let resting = resting::features(c)?;
    let features = rows::features(c, "WHERE stage IN ('running', 'review') ORDER BY number", [])?;
    features
        .into_iter()
        .map(|feature| {
            let run: Option<(String, bool)> = c
                .prepare_cached(
                    "SELECT agent, plan IS NOT NULL AND plan_accepted IS NULL AND ending IS NULL FROM runs
                     WHERE feature = ?1 ORDER BY attempt DESC LIMIT 1",
                )?
                .query_map([feature.id.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .next()
                .transpose()?;
            let (agent, planned) = run.unwrap_or_default();
            // A run that waits for people does not work: others may.
            let waits = (planned && feature.wanted.plan.asks()) || resting.contains(&feature.id);
            Ok(Open {
                paths: paths_of(&feature),
                running: feature.stage == qd_types::Stage::Running && !waits,
                agent,
                project: feature.wanted.project.clone(),
                repository: feature.repository,
                id: feature.id,
            })
        })
        .collect()
}

/// Who waits for whom, among features that are neither done nor cancelled.
fn dependants(c: &Connection) -> Result<HashMap<String, Vec<String>>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT needs, feature FROM dependencies JOIN features ON features.id = feature
         WHERE stage NOT IN ('done', 'cancelled')",
    )?;
    let mut waits: HashMap<String, Vec<String>> = HashMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        waits.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(waits)
}

fn unblocks(waits: &HashMap<String, Vec<String>>, id: &str) -> u32 {
    let (mut seen, mut open) = (HashSet::new(), vec![id]);
    while let Some(at) = open.pop() {
        for next in waits.get(at).into_iter().flatten() {
            if seen.len() < UNBLOCKS && seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    u32::try_from(seen.len()).unwrap_or(u32::MAX)
}
