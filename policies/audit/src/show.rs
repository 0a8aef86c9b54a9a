//! All rows about one approval, run or feature, joined: issue, feature, run, tool call, card, people, effect.

use std::{collections::BTreeSet, path::Path, str::FromStr};

use qd_types::{ApprovalId, FeatureId, IdError, RunId};
use rusqlite::Connection;

use crate::{Actor, AuditError, Kind, Pseudonym, Row, archive, name_of, names::LENGTH, text};

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
    let mut rows = Vec::new();
    let (approval, run, feature) = match of {
        Of::Approval(id) => {
            let id = id.to_string();
            archive::each_row(connection, segments, &mut |row| {
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
    archive::each_row(connection, segments, &mut |row| {
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
