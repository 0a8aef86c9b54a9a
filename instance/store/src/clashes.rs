//! What the conflict radar found: open branches that can't be merged with each other, or with the target.

use jiff::Timestamp;
use qd_board::Clash;
use qd_types::{FeatureId, RepositoryName};
use rusqlite::{Connection, params};

use crate::{Store, StoreError, events, events::Draft, report, rows};

/// Two branches that can't be merged, by their features; without a second one, the target branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundClash {
    /// One.
    pub one: FeatureId,
    /// The other; none for the target branch.
    pub other: Option<FeatureId>,
    /// Paths in conflict.
    pub files: Vec<String>,
}

impl Store {
    /// Puts what was found now in the place of what was found before in a repository. Both features of a new clash
    /// are told.
    pub async fn set_clashes(
        &self,
        repository: &RepositoryName,
        found: Vec<FoundClash>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (repository, lens) = (repository.clone(), self.lens());
        self.write(move |c| {
            let before = pairs(c, &repository)?;
            let after: Vec<(String, String)> = found
                .iter()
                .map(|clash| {
                    (clash.one.to_string(), clash.other.as_ref().map(ToString::to_string).unwrap_or_default())
                })
                .collect();
            c.prepare_cached("DELETE FROM clashes WHERE repository = ?1")?.execute([repository.as_str()])?;
            for (clash, (one, other)) in found.iter().zip(&after) {
                c.prepare_cached("INSERT OR REPLACE INTO clashes VALUES (?1, ?2, ?3, ?4)")?.execute(
                    params![repository.as_str(), one, other, rows::to_json("clashes", &clash.files)?],
                )?;
            }
            let changed = after.iter().filter(|pair| !before.contains(pair)).map(|pair| (pair, true));
            let gone = before.iter().filter(|pair| !after.contains(pair)).map(|pair| (pair, false));
            for ((one, other), new) in changed.chain(gone) {
                for (id, with) in [(one, other), (other, one)] {
                    if id.is_empty() {
                        continue;
                    }
                    let id: FeatureId = rows::parse("clashes", id)?;
                    let with = if with.is_empty() { "the target branch" } else { with.as_str() };
                    let text = if new {
                        format!("Its branch conflicts with {with}.")
                    } else {
                        format!("Its branch no longer conflicts with {with}.")
                    };
                    let mut event = Draft::new("team", "clash", text);
                    event.feature = Some(id.clone());
                    events::write(c, &event, now)?;
                    report::feature(c, &lens, &id, now)?;
                }
            }
            Ok(())
        })
        .await
    }
}

fn pairs(c: &Connection, repository: &RepositoryName) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = c.prepare_cached("SELECT one, other FROM clashes WHERE repository = ?1")?;
    let rows = statement.query_map([repository.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What a feature clashes with.
pub(crate) fn of(c: &Connection, id: &FeatureId) -> Result<Vec<Clash>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT other, files FROM clashes WHERE one = ?1 UNION ALL SELECT one, files FROM clashes WHERE other = ?1",
    )?;
    let mut rows = statement.query([id.to_string()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let with: String = row.get(0)?;
        let with = if with.is_empty() { None } else { Some(rows::parse("clashes", &with)?) };
        found.push(Clash { with, files: rows::json("clashes", &row.get::<_, String>(1)?)? });
    }
    Ok(found)
}
