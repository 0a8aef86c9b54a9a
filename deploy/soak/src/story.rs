//! A feature's way as a team goes it: pull request, approval, merge. Where it stands is read from the team's own rows, so
//! that a team that was restored goes on from there.

use std::collections::BTreeMap;

use qd_types::{CommitId, FeatureId, InstanceName, Merge, RepositoryName, RunId};
use qd_wire::v1::{ForgeAct, ForgeOutcome, ForgeRequest};
use rusqlite::{Connection, OptionalExtension as _};

use crate::{Broken, forge};

/// How often a run asks anew, before it is given up.
const ASKS: u32 = 4;
/// How often a merge is tried on another base.
const MERGES: u32 = 6;

/// Where a story stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is not filed: it begins.
    File,
    /// The bot is asked for this.
    Ask(Box<ForgeRequest>),
    /// The bot has been asked, and its answer is waited for.
    Wait,
    /// It has ended.
    Ended,
}

/// What story `number` of a team does next. `base` is where its target branch stands.
///
/// # Errors
/// If the rows can't be read.
pub fn next(
    c: &Connection,
    team: (&InstanceName, usize),
    number: u64,
    base: &CommitId,
) -> Result<Next, Broken> {
    let sql =
        "SELECT runs.id FROM runs JOIN features ON features.id = runs.feature WHERE features.title = ?1";
    let run: Option<String> = c.query_row(sql, [title(number)], |row| row.get(0)).optional()?;
    let Some(run) = run else { return Ok(Next::File) };
    let outcomes = outcomes(c, &run)?;
    let run: RunId = run.parse().map_err(|error| Broken(format!("run {run}: {error}")))?;
    let story = Story { team: team.0, run: &run, outcomes: &outcomes, head: head(team.1, number)?, base };
    story.next()
}

/// The title of a story's feature.
pub fn title(number: u64) -> String {
    format!("Story {number}")
}

/// The repository of a team.
///
/// # Errors
/// Never for a team's name.
pub fn repository(team: &InstanceName) -> Result<RepositoryName, Broken> {
    format!("repo-{team}").parse().map_err(|error| Broken(format!("repository of {team}: {error}")))
}

struct Story<'a> {
    team: &'a InstanceName,
    run: &'a RunId,
    outcomes: &'a BTreeMap<String, Option<ForgeOutcome>>,
    head: CommitId,
    base: &'a CommitId,
}

impl Story<'_> {
    fn next(&self) -> Result<Next, Broken> {
        let open = format!("{}/open", self.run);
        let number = match self.outcomes.get(&open) {
            None => return self.ask(open, self.pull_request()?),
            Some(None) => return Ok(Next::Wait),
            Some(Some(ForgeOutcome::Opened { number })) => *number,
            Some(Some(_)) => return Ok(Next::Ended),
        };
        for attempt in 1..=ASKS {
            let ask = format!("{}/ask/{attempt}", self.run);
            let approval = match self.outcomes.get(&ask) {
                None => {
                    let merge = self.merge(number)?;
                    let (requesters, facts) = (vec![person("theo")?], "1 file.".to_owned());
                    return self.ask(
                        ask,
                        ForgeAct::AskMerge { merge, requesters, words: None, facts, findings: Vec::new() },
                    );
                }
                Some(None | Some(ForgeOutcome::Asked { .. })) => return Ok(Next::Wait),
                Some(Some(ForgeOutcome::Approved { approval, .. })) => approval.clone(),
                Some(Some(_)) => return Ok(Next::Ended),
            };
            let mut base = self.base.clone();
            for retry in 1..=MERGES {
                let request = format!("{}/merge/{attempt}/{retry}", self.run);
                match self.outcomes.get(&request) {
                    None => {
                        let merge = self.merge(number)?;
                        let tested = tested(&self.head, &base)?;
                        let act = ForgeAct::Merge { approval, merge, tested, base, checks: Vec::new() };
                        return self.ask(request, act);
                    }
                    Some(None) => return Ok(Next::Wait),
                    Some(Some(ForgeOutcome::BaseMoved { base: moved })) => base = moved.clone(),
                    Some(Some(ForgeOutcome::NotApproved { .. } | ForgeOutcome::Refused { .. })) => break,
                    Some(Some(_)) => return Ok(Next::Ended),
                }
            }
        }
        Ok(Next::Ended)
    }

    fn pull_request(&self) -> Result<ForgeAct, Broken> {
        Ok(ForgeAct::OpenPullRequest {
            repository: repository(self.team)?,
            branch: format!("qd/{}/{}", self.team, self.run),
            target: "main".to_owned(),
            head: self.head.clone(),
            title: "A story".to_owned(),
            body: String::new(),
            checks: Vec::new(),
            labels: Vec::new(),
            milestone: None,
        })
    }

    fn merge(&self, pull_request: u64) -> Result<Merge, Broken> {
        let brought = forge::brought(&self.head);
        Ok(Merge {
            repository: repository(self.team)?,
            pull_request,
            target: "main".to_owned(),
            head: self.head.clone(),
            diff: brought.diff,
            paths: Some(brought.paths),
        })
    }

    fn ask(&self, id: String, act: ForgeAct) -> Result<Next, Broken> {
        let feature: FeatureId = self.run.feature().clone();
        Ok(Next::Ask(Box::new(ForgeRequest { id, feature, run: self.run.clone(), act })))
    }
}

fn outcomes(c: &Connection, run: &str) -> Result<BTreeMap<String, Option<ForgeOutcome>>, Broken> {
    let mut statement = c.prepare_cached("SELECT id, outcome FROM forge_requests WHERE run = ?1")?;
    let mut rows = statement.query([run])?;
    let mut outcomes = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let outcome: Option<String> = row.get(1)?;
        outcomes.insert(row.get(0)?, outcome.map(|text| serde_json::from_str(&text)).transpose()?);
    }
    Ok(outcomes)
}

/// The reviewed head of a story.
fn head(team: usize, number: u64) -> Result<CommitId, Broken> {
    forge::commit(1_000_000_000 + team as u64 * 1_000_000 + number)
}

/// The tested merge of a head onto a base: another base, another commit.
fn tested(head: &CommitId, base: &CommitId) -> Result<CommitId, Broken> {
    let low =
        |commit: &CommitId| u64::from_str_radix(commit.to_string().get(24..).unwrap_or("0"), 16).unwrap_or(0);
    forge::commit(2_000_000_000_000 + low(head) * 1_000 + low(base) % 1_000)
}

fn person(name: &str) -> Result<qd_types::PersonId, Broken> {
    name.parse().map_err(|error| Broken(format!("person {name}: {error}")))
}
