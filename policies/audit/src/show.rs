//! All rows about one approval, run or feature, joined: issue, feature, run, tool call, card, people, effect.

use std::{collections::BTreeSet, path::Path, str::FromStr};

use qd_types::{ApprovalId, FeatureId, IdError, RunId};
use rusqlite::Connection;
use serde::Serialize;

use crate::{Actor, AuditError, Kind, Pseudonym, Row, archive, file, name_of, names::LENGTH, text};

/// What to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// One approval, with how its feature, its run and its tool call began.
    Approval(ApprovalId),
    /// One run with all its approvals.
    Run(RunId),
    /// One feature with all its runs.
    Feature(FeatureId),
}

impl FromStr for Of {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.contains('/') {
            text.parse().map(Self::Approval)
        } else if text.contains('.') {
            text.parse().map(Self::Run)
        } else {
            text.parse().map(Self::Feature)
        }
    }
}

/// The rows about `of`, oldest first, from the segment files in `segments` and from the database.
pub fn select(connection: &Connection, segments: &Path, of: &Of) -> Result<Vec<Row>, AuditError> {
    chosen(of, &|each| archive::each_row(connection, segments, each))
}

/// What the rows that are still in the database say about `of`: a line each, with its time in UTC, oldest first, at most the
/// `most` newest of them. Whether any were left out stands in the first.
pub fn outline(connection: &Connection, of: &Of, most: usize) -> Result<Vec<String>, AuditError> {
    let mut rows = chosen(of, &|each| file::stored_rows(connection, each))?;
    let more = rows.len().saturating_sub(most);
    rows.drain(..more);
    let mut lines: Vec<String> = (more > 0).then(|| format!("{more} rows before")).into_iter().collect();
    for told in told(connection, "", rows)? {
        let Told { who, text, row, .. } = told;
        lines.push(format!("{} {who} {}: {text}", text::time(row.at), text::shown(&row.kind)));
    }
    Ok(lines)
}

/// Rows, one after the other.
type Rows<'a> = &'a dyn Fn(&mut dyn FnMut(Row) -> Result<(), AuditError>) -> Result<(), AuditError>;

/// Those that are about `of`, oldest first.
fn chosen(of: &Of, each_row: Rows<'_>) -> Result<Vec<Row>, AuditError> {
    let mut rows = Vec::new();
    let (approval, run, feature) = match of {
        Of::Approval(id) => {
            let id = id.to_string();
            each_row(&mut |row| {
                if row.approval.as_ref() == Some(&id) {
                    rows.push(row);
                }
                Ok(())
            })?;
            (Some(id), None, None)
        }
        Of::Run(id) => (None, Some(id.to_string()), Some(id.feature().to_string())),
        Of::Feature(id) => (None, None, Some(id.to_string())),
    };
    // Where an approval came from: rows before there was an approval, by what its own rows name.
    let named = |field: fn(&Row) -> &Option<String>| -> BTreeSet<String> {
        rows.iter().filter_map(|row| field(row).clone()).collect()
    };
    let (features, runs, calls) = (named(|row| &row.feature), named(|row| &row.run), named(|row| &row.call));
    let is = |field: &Option<String>, wanted: &BTreeSet<String>| {
        field.as_ref().is_some_and(|field| wanted.contains(field))
    };
    each_row(&mut |row| {
        let filed = row.kind == Kind::Feature.as_str();
        let wanted = match (&approval, &run) {
            (Some(_), _) if row.approval.is_some() => false,
            (Some(_), _) => {
                (filed && is(&row.feature, &features))
                    || (row.kind == Kind::Run.as_str() && is(&row.run, &runs))
                    || is(&row.call, &calls)
            }
            (None, Some(_)) => row.run == run || (filed && row.feature == feature),
            (None, None) => row.feature == feature,
        };
        if wanted {
            rows.push(row);
        }
        Ok(())
    })?;
    rows.sort_by_key(|row| row.seq);
    Ok(rows)
}

/// The rows as a person reads them: what belongs together first, then what happened in its order. Times are UTC.
pub fn timeline(connection: &Connection, rows: &[Row]) -> Result<String, AuditError> {
    let mut people = Vec::with_capacity(rows.len());
    for row in rows {
        people.push(who(connection, &row.actor)?);
    }
    named(connection, &text::timeline(rows, &people))
}

/// A row of a chain as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Whose chain it stands in.
    pub chain: String,
    /// Who did it, by name where the chain's map still has it.
    pub who: String,
    /// What happened, in one line.
    pub text: String,
    /// The row itself.
    pub row: Row,
}

/// Rows of one chain, told with the names of its map.
pub fn told(connection: &Connection, chain: &str, rows: Vec<Row>) -> Result<Vec<Told>, AuditError> {
    let tell = |row: Row| {
        let (who, text) = (who(connection, &row.actor)?, named(connection, &text::told(&row))?);
        Ok(Told { chain: chain.to_owned(), who, text, row })
    };
    rows.into_iter().map(tell).collect()
}

/// What several chains say about one thing: issue, feature, run, tool call, approval, people and effects, and then all rows,
/// in the order in which they happened. Its text is a timeline; times are UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Issues that features came from.
    pub issues: BTreeSet<String>,
    /// Features.
    pub features: BTreeSet<String>,
    /// Runs.
    pub runs: BTreeSet<String>,
    /// Tool calls.
    pub calls: BTreeSet<String>,
    /// Approvals.
    pub approvals: BTreeSet<String>,
    /// Who voted.
    pub people: BTreeSet<String>,
    /// What came of it.
    pub effects: Vec<String>,
    /// The rows.
    pub rows: Vec<Told>,
}

impl Story {
    /// Joins the rows of several chains, each in its own order. A clock that was set back moves no row before another of
    /// its chain.
    pub fn of(chains: Vec<Vec<Told>>) -> Self {
        let mut timed = Vec::new();
        for told in chains {
            let mut latest = i64::MIN;
            for told in told {
                latest = latest.max(told.row.at);
                timed.push((latest, told));
            }
        }
        timed.sort_by_key(|(at, _)| *at);
        let mut story = Self::default();
        for (_, told) in timed {
            story.take(told);
        }
        story
    }

    fn take(&mut self, told: Told) {
        let row = &told.row;
        self.issues.extend(row.issue.clone());
        self.features.extend(row.feature.clone());
        self.runs.extend(row.run.clone());
        self.calls.extend(row.call.clone());
        self.approvals.extend(row.approval.clone());
        if row.kind == Kind::Vote.as_str() {
            self.people.insert(told.who.clone());
        }
        if row.kind == Kind::Outcome.as_str() && !self.effects.contains(&told.text) {
            self.effects.push(told.text.clone());
        }
        self.rows.push(told);
    }
}

/// Puts names where texts hold pseudonyms that still stand for somebody.
fn named(connection: &Connection, text: &str) -> Result<String, AuditError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("p-") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let candidate = from.get(..LENGTH).and_then(|text| text.parse::<Pseudonym>().ok());
        let name = candidate.map(|pseudonym| name_of(connection, &pseudonym)).transpose()?.flatten();
        let (told, taken) = match &name {
            Some(name) => (name.as_str(), LENGTH),
            None => ("p-", 2),
        };
        out.push_str(told);
        rest = from.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// "theo", "alpha", "the agent of A-142.1", "p-… (erased)".
fn who(connection: &Connection, actor: &str) -> Result<String, AuditError> {
    Ok(match actor.parse() {
        Ok(Actor::Person(pseudonym)) => person(connection, &pseudonym)?,
        Ok(Actor::Team(name)) => name.to_string(),
        Ok(Actor::Agent(run)) => format!("agent of {run}"),
        Ok(Actor::Bot) => "bot".to_owned(),
        Err(_) => actor.to_owned(),
    })
}

fn person(connection: &Connection, pseudonym: &Pseudonym) -> Result<String, AuditError> {
    let name = name_of(connection, pseudonym)?;
    Ok(name.map_or_else(|| format!("{pseudonym} (erased)"), |name| name.to_string()))
}
