//! Reports in and orders out, as what one transaction does.

use std::collections::HashMap;

use jiff::Timestamp;
use qd_core::Event;
use qd_sqlite::outbox::{self, Agreement, Receipt};
use qd_types::InstanceName;
use qd_wire::v1::{Ack, Envelope, Order, Report};
use rusqlite::Connection;

use crate::{HubError, json, turn::Turn};

/// Orders handed out at once.
pub(crate) const ORDERS: usize = 64;

/// A report with the place that it has among those of its sender.
pub(crate) type Placed = (Ack, Report);

/// What of a batch comes next after `known`, and up to where it then is known. What was seen is skipped; what comes after a
/// gap is left: the sender starts again from there.
pub(crate) fn next(from: &InstanceName, mut known: Ack, batch: Vec<Envelope<Report>>) -> (Ack, Vec<Placed>) {
    let mut taken = Vec::new();
    for envelope in batch {
        let same = envelope.epoch == known.epoch;
        if envelope.epoch < known.epoch || (same && envelope.seq <= known.seq) {
            continue;
        }
        let expected = if same { known.seq + 1 } else { 1 };
        if envelope.seq != expected {
            tracing::warn!(instance = %from, seq = envelope.seq, expected, "a report is missing");
            break;
        }
        known = Ack { epoch: envelope.epoch, seq: envelope.seq };
        taken.push((known, envelope.body));
    }
    (known, taken)
}

/// Applies reports, each noted as received in the same transaction.
pub(crate) fn apply(turn: &mut Turn<'_>, from: &InstanceName, reports: &[Placed]) -> Result<(), HubError> {
    for (ack, report) in reports {
        match outbox::receive(turn.c, from.as_str(), ack.epoch, ack.seq)? {
            Receipt::New => {
                if let Report::Unread(unread) = report {
                    tracing::warn!(instance = %from, seq = ack.seq, why = unread.why, "a report is skipped and kept");
                    outbox::keep_unread(turn.c, from.as_str(), ack.epoch, ack.seq, &unread.payload)?;
                }
                // The first of an epoch: what was granted in the one before it does not hold in this one.
                if ack.seq == 1 {
                    turn.happens(Event::EpochBegan { instance: from.clone() })?;
                }
                turn.reported(from, report.clone())?;
            }
            Receipt::Seen => {}
            Receipt::Gap => {
                let (_, seq) = outbox::received(turn.c, from.as_str())?;
                let instance = from.to_string();
                return Err(HubError::Gap { instance, seq: ack.seq, expected: seq + 1 });
            }
        }
    }
    Ok(())
}

/// The newest call of each instance that said what it has, in this process.
pub(crate) struct Calls {
    since: Timestamp,
    newest: HashMap<InstanceName, Timestamp>,
}

impl Calls {
    /// None was heard yet. What was said before `now` may have been heard by a process before this one.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { since: now, newest: HashMap::new() }
    }

    /// Whether a call was said after every other that was heard; from now on it was heard, too.
    pub(crate) fn newer(&mut self, by: &InstanceName, said: Timestamp) -> bool {
        if said <= *self.newest.get(by).unwrap_or(&self.since) {
            return false;
        }
        self.newest.insert(by.clone(), said);
        true
    }
}

/// Takes note of what an instance has. One that has lost rows begins a new epoch, if it says so `newly`: an older call that
/// arrives late, or once more, says the same of an instance that has lost nothing.
pub(crate) fn agree(c: &Connection, to: &InstanceName, after: Ack, newly: bool) -> Result<(), HubError> {
    if !newly && !outbox::agrees(c, to.as_str(), after.epoch, after.seq)? {
        return Err(HubError::Late { instance: to.to_string() });
    }
    if outbox::agree(c, to.as_str(), after.epoch, after.seq)? != Agreement::Same {
        tracing::warn!(instance = %to, "it and the bot do not know of the same orders: they are numbered anew");
    }
    Ok(outbox::acknowledge(c, to.as_str(), after.epoch, after.seq)?)
}

/// The oldest orders that an instance has not acknowledged, numbered.
pub(crate) fn shipped(c: &Connection, to: &InstanceName) -> Result<Vec<Envelope<Order>>, HubError> {
    outbox::ship(c, to.as_str(), ORDERS)?
        .into_iter()
        .map(|row| {
            let at =
                Timestamp::from_millisecond(row.at).map_err(|error| HubError::corrupt("outbox", error))?;
            let body = json::from_json("outbox", &row.body)?;
            Ok(Envelope { epoch: row.epoch, seq: row.seq, at, body })
        })
        .collect()
}
