//! What people read of the trail. Text that an agent or an outsider wrote is cut, and its control characters are shown, so
//! that it can't pretend to be another line.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use serde_json::Value;

use crate::{Damage, Fault, Kind, Report, Row, Story, Told};

/// Longest text of a row in a timeline, in characters.
const LONGEST: usize = 120;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seq = self.seq;
        let rows =
            |to: u64| if to == seq { format!("row {seq} is") } else { format!("rows {seq} to {to} are") };
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.damage {
            Damage::Changed(None) => write!(f, "row {seq} was changed: its content does not give its hash"),
            Damage::Changed(Some(problem)) => write!(f, "row {seq} was changed: {}", shown(problem)),
            Damage::Replaced => {
                write!(f, "row {seq} was replaced: the row after it was written after another one")
            }
            Damage::Removed { to } => write!(f, "{} missing: removed", rows(*to)),
            Damage::Inserted => write!(f, "row {seq} was inserted: the row that belongs here comes later"),
            Damage::Reordered => {
                write!(
                    f,
                    "row {seq} was moved: what stands here was written later, and the row that belongs here comes later"
                )
            }
            Damage::Truncated { to, signed: Some((signed, by)) } => {
                write!(
                    f,
                    "{} missing at the end, and {} signed row {signed}: truncated",
                    rows(*to),
                    shown(by)
                )
            }
            Damage::Truncated { to, signed: None } => {
                write!(f, "{} missing at the end: truncated", rows(*to))
            }
            Damage::Rewritten { by } => write!(
                f,
                "row {seq} is not the one that {} signed: the chain was rewritten, at this row or before it",
                shown(by)
            ),
            Damage::Head => {
                write!(f, "row {seq} is the last, and the note of the chain's end says something else")
            }
            Damage::Signature { by, problem } => {
                write!(f, "the signature of {} on row {seq} is refused: {}", shown(by), shown(problem))
            }
            Damage::File(problem) if seq == 0 => f.write_str(problem),
            Damage::File(problem) => write!(f, "at row {seq}: {problem}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, rows, dropped, proven, unchecked, fault } = self;
        let (chain, read) = (shown(&to.chain), count(*rows, "row"));
        match fault {
            None => writeln!(f, "The chain of {chain} is whole: {read} read, up to {to}.")?,
            Some(fault) if chain.is_empty() => return writeln!(f, "This can't be verified: {fault}."),
            Some(fault) => {
                writeln!(f, "The chain of {chain} is broken: {fault}.")?;
                writeln!(f, "Up to {to} it is whole; {read} read.")?;
            }
        }
        if from.seq > 0 {
            writeln!(f, "Rows up to {} are not here; what follows hangs on the hash of {from}.", from.seq)?;
        }
        if *dropped > 0 {
            writeln!(
                f,
                "The first {} dropped by retention; what follows hangs on the hash that is left.",
                count(*dropped, "row")
            )?;
        }
        match proven {
            Some(signed) => {
                let head = &signed.head;
                let (by, at) = (shown(&signed.by), time(signed.at));
                writeln!(f, "Proven up to row {}: {by} signed it on {at}.", head.seq)?;
                let open = to.seq.saturating_sub(head.seq);
                if open > 0 {
                    let rows = count(open, "row");
                    writeln!(
                        f,
                        "After it: {rows} that nobody else has signed yet, consistent in themselves."
                    )?;
                }
            }
            None => {
                writeln!(f, "Nothing is proven by others: no head up to there has a signature that counts.")?;
            }
        }
        if *unchecked > 0 {
            writeln!(
                f,
                "Not looked at, for want of the signer's key: {}.",
                count(*unchecked as u64, "signature")
            )?;
        }
        Ok(())
    }
}

/// "1 row", "2 rows".
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A timeline; `people` are the actors as people know them, row by row.
pub(crate) fn timeline(rows: &[Row], people: &[String]) -> String {
    let mut out = String::new();
    type Field = fn(&Row) -> &Option<String>;
    let joined: [(&str, Field); 5] = [
        ("issue", |row| &row.issue),
        ("feature", |row| &row.feature),
        ("run", |row| &row.run),
        ("tool call", |row| &row.call),
        ("approval", |row| &row.approval),
    ];
    for (name, field) in joined {
        let mut values: Vec<&str> = rows.iter().filter_map(|row| field(row).as_deref()).collect();
        values.sort_unstable();
        values.dedup();
        if !values.is_empty() {
            line(&mut out, &format!("{name:<11}{}", shown(&values.join(", "))));
        }
    }
    let mut deciders: Vec<&str> = Vec::new();
    for (row, who) in rows.iter().zip(people) {
        if row.kind == Kind::Vote.as_str() && !deciders.contains(&who.as_str()) {
            deciders.push(who);
        }
    }
    if !deciders.is_empty() {
        line(&mut out, &format!("{:<11}{}", "people", deciders.join(", ")));
    }
    for row in rows.iter().filter(|row| row.kind == Kind::Outcome.as_str()) {
        line(&mut out, &format!("{:<11}{}", "effect", told(row)));
    }
    line(&mut out, "");
    let widest = people.iter().map(|who| who.chars().count()).max().unwrap_or(0);
    for (row, who) in rows.iter().zip(people) {
        let (at, kind) = (time(row.at), shown(&row.kind));
        line(&mut out, &format!("{:>6}  {at}  {kind:<9}  {who:<widest$}  {}", row.seq, told(row)));
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(out, "{}", text.trim_end());
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        let joined = [
            ("issue", &self.issues),
            ("feature", &self.features),
            ("run", &self.runs),
            ("tool call", &self.calls),
            ("approval", &self.approvals),
            ("people", &self.people),
        ];
        for (name, values) in joined.into_iter().filter(|(_, values)| !values.is_empty()) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            line(&mut out, &format!("{name:<11}{}", shown(&values.join(", "))));
        }
        for effect in &self.effects {
            line(&mut out, &format!("{:<11}{effect}", "effect"));
        }
        line(&mut out, "");
        let widest = |of: fn(&Told) -> &str| self.rows.iter().map(|told| of(told).chars().count()).max();
        let (chain, who) = (widest(|told| &told.chain), widest(|told| &told.who));
        let (chain, who) = (chain.unwrap_or(0), who.unwrap_or(0));
        for told in &self.rows {
            let (at, kind) = (time(told.row.at), shown(&told.row.kind));
            line(
                &mut out,
                &format!(
                    "{:<chain$} {:>5}  {at}  {kind:<9}  {:<who$}  {}",
                    told.chain, told.row.seq, told.who, told.text
                ),
            );
        }
        f.write_str(&out)
    }
}

/// The payload's `text`, or all of it.
pub(crate) fn told(row: &Row) -> String {
    let payload: Value = serde_json::from_str(&row.payload).unwrap_or(Value::Null);
    match payload.get("text") {
        Some(Value::String(text)) => shown(text),
        _ => shown(&row.payload),
    }
}

/// One line, at most [`LONGEST`] characters, nothing that steers a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            shown.push('…');
            break;
        }
        // Marks that turn the direction of writing are as good as control characters.
        let steers = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// "2026-11-21 07:29:50Z".
pub(crate) fn time(at: i64) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(at) => at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        Err(_) => at.to_string(),
    }
}
