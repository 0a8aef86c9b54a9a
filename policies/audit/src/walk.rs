//! Following a chain row by row, and telling what is wrong with the first row that does not follow. Knows nothing of where
//! the rows come from: a database, a segment or an export.

use std::{collections::VecDeque, path::PathBuf};

use crate::{AuditError, Countersignature, Head, Row, RowHash, rows::Found};

/// How far rows may have moved up to be recognised, when some before them were removed and the rest numbered anew.
const MOST_SHIFTED: u64 = 10_000;

/// The first row that is not as it was written, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row's number in the chain; for what is removed or missing, the first of those rows.
    pub seq: u64,
    /// What is wrong.
    pub damage: Damage,
    /// Where, if it is a file.
    pub file: Option<PathBuf>,
}

/// What is wrong with a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The row's content does not give its hash, or it can't be read.
    Changed(Option<String>),
    /// The row gives its own hash, and yet the next row was written after another one.
    Replaced,
    /// Rows up to this one are gone.
    Removed {
        /// The last of them.
        to: u64,
    },
    /// It was put between two rows that follow each other.
    Inserted,
    /// It stands where another row belongs, which comes later.
    Reordered,
    /// Rows at the end are gone.
    Truncated {
        /// The last row that there was.
        to: u64,
        /// Which of them the other side signed, and who did; `None` if only the chain's own note tells of them.
        signed: Option<(u64, String)>,
    },
    /// The chain is whole, but it is not the one that the other side signed.
    Rewritten {
        /// Who signed another row here.
        by: String,
    },
    /// The chain's note of its end does not fit its last row.
    Head,
    /// A signature that proves nothing.
    Signature {
        /// Who should have signed.
        by: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file is missing, is not the one that was archived, or is not whole.
    File(String),
}

/// A place in the chain, and what has been proven on the way there.
pub(crate) struct Walk {
    /// The last row that followed.
    pub(crate) at: Head,
    /// Where it began.
    start: Head,
    /// Rows read.
    pub(crate) rows: u64,
    /// Rows skipped.
    pub(crate) dropped: u64,
    /// The last signature that a row was found for.
    pub(crate) proven: Option<Countersignature>,
    /// Signatures by rows still to come.
    signatures: VecDeque<Countersignature>,
}

impl Walk {
    /// Starts after `at`. `signatures` are valid ones.
    pub(crate) fn new(at: Head, mut signatures: Vec<Countersignature>) -> Self {
        signatures.sort_by_key(|signed| signed.head.seq);
        signatures.retain(|signed| signed.head.seq > at.seq);
        Self { start: at.clone(), at, rows: 0, dropped: 0, proven: None, signatures: signatures.into() }
    }

    /// Follows everything that `next` yields. The first that does not follow is the fault.
    pub(crate) fn follow(
        &mut self,
        next: &mut dyn FnMut() -> Result<Option<Found>, AuditError>,
    ) -> Result<Result<(), Fault>, AuditError> {
        while let Some(found) = next()? {
            let row = match found {
                Found::Row(row) => row,
                Found::Unreadable { problem } => {
                    return Ok(Err(fault(self.at.seq + 1, Damage::Changed(Some(problem)))));
                }
            };
            if row.seq != self.at.seq + 1 || row.previous != self.at.hash || row.computed() != row.hash {
                return self.diagnose(&row, next).map(Err);
            }
            self.at.seq = row.seq;
            self.at.hash = row.hash;
            self.rows += 1;
            if let Err(rewritten) = self.compare() {
                return Ok(Err(rewritten));
            }
        }
        Ok(Ok(()))
    }

    /// Goes to the end of rows that are not at hand any more, whose last hash was kept.
    pub(crate) fn skip(&mut self, seq: u64, hash: RowHash) -> Result<(), Fault> {
        while self.signatures.front().is_some_and(|signed| signed.head.seq < seq) {
            self.signatures.pop_front();
        }
        self.dropped += seq.saturating_sub(self.at.seq);
        self.at.seq = seq;
        self.at.hash = hash;
        self.compare()
    }

    /// Whether the place is the one that was signed.
    fn compare(&mut self) -> Result<(), Fault> {
        while let Some(signed) = self.signatures.pop_front_if(|signed| signed.head.seq == self.at.seq) {
            if signed.head.hash != self.at.hash {
                // Where between the last proven row and this one it was rewritten can't be told.
                let whole = self.proven.as_ref().map_or(&self.start, |proven| &proven.head).clone();
                self.at = whole;
                return Err(fault(signed.head.seq, Damage::Rewritten { by: signed.by }));
            }
            self.proven = Some(signed);
        }
        Ok(())
    }

    /// Nothing comes any more: holds the end against the signatures and against the chain's own note.
    pub(crate) fn finish(&self, noted: &Head) -> Result<(), Fault> {
        let next = self.at.seq + 1;
        if let Some(signed) = self.signatures.back() {
            let to = signed.head.seq.max(noted.seq);
            let signed = Some((signed.head.seq, signed.by.clone()));
            return Err(fault(next, Damage::Truncated { to, signed }));
        }
        self.ends_at(noted)
    }

    /// Whether this is where it should end.
    pub(crate) fn ends_at(&self, noted: &Head) -> Result<(), Fault> {
        if noted.seq > self.at.seq {
            Err(fault(self.at.seq + 1, Damage::Truncated { to: noted.seq, signed: None }))
        } else if noted == &self.at {
            Ok(())
        } else {
            Err(fault(self.at.seq, Damage::Head))
        }
    }

    /// `row` does not follow. What happened to it shows in where the row that does follow is found, if anywhere.
    fn diagnose(
        &self,
        row: &Row,
        next: &mut dyn FnMut() -> Result<Option<Found>, AuditError>,
    ) -> Result<Fault, AuditError> {
        let (seq, previous) = (self.at.seq + 1, self.at.hash);
        let follows = |row: &Row| row.previous == previous && row.computed_as(seq, previous) == row.hash;
        if follows(row) {
            let renumbered = format!("it carries the number {}", row.seq);
            return Ok(fault(seq, Damage::Changed(Some(renumbered))));
        }
        let mut after = None;
        while let Some(found) = next()? {
            let Found::Row(other) = found else { continue };
            if follows(&other) {
                let swapped = row.seq != seq && row.computed() == row.hash && row.seq > seq;
                let moved = row.computed_as(other.seq, row.previous) == row.hash && other.seq != seq;
                let damage = if swapped || moved { Damage::Reordered } else { Damage::Inserted };
                return Ok(fault(seq, damage));
            }
            after.get_or_insert(other);
        }
        if row.seq < seq {
            return Ok(fault(seq, Damage::Inserted));
        }
        if row.seq > seq {
            return Ok(fault(seq, Damage::Removed { to: row.seq - 1 }));
        }
        if row.previous == previous || row.computed_as(seq, previous) == row.hash {
            return Ok(fault(seq, Damage::Changed(None)));
        }
        if row.computed() == row.hash {
            // It is sound in itself. If the rest follows it, it is the row before that is not the old one.
            let rest_follows = after.is_none_or(|after| after.previous == row.hash);
            let replaced = if rest_follows && self.rows > 0 { seq - 1 } else { seq };
            return Ok(fault(replaced, Damage::Replaced));
        }
        let from =
            (seq + 1..=seq + MOST_SHIFTED).find(|from| row.computed_as(*from, row.previous) == row.hash);
        Ok(match from {
            Some(from) => fault(seq, Damage::Removed { to: from - 1 }),
            None => fault(seq, Damage::Changed(None)),
        })
    }
}

pub(crate) fn fault(seq: u64, damage: Damage) -> Fault {
    Fault { seq, damage, file: None }
}
