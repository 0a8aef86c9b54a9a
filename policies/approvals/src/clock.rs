//! Time that only goes forward. Deadlines are compared with it, never with the wall clock.
//!
//! It counts by how much the wall clock moved forward between two looks, and each look is kept. A wall clock that jumps
//! ahead uses up deadlines, which is the safe side. One that jumps back adds nothing: what is over stays over, and what is
//! left of a deadline stays what it was at the last look. Neither leaves a trace once the wall clock is right again, so a
//! deadline that was set while it was a century ahead is not a century long.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::ApprovalError;

/// How far the wall clock may seem to go back without having jumped, in milliseconds: callers read it before they wait for
/// their turn to write, and come in another order. Counted as jumps, such steps would make this clock fast.
const REORDERED: i64 = 60_000;

/// Milliseconds of this clock. Only differences mean something.
pub(crate) type Elapsed = i64;

/// Looks: moves the clock by what passed since the last look, and says where it stands.
pub(crate) fn look(c: &Connection, wall: Timestamp) -> Result<Elapsed, ApprovalError> {
    let wall = wall.as_millisecond();
    let elapsed = c
        .prepare_cached(
            "INSERT INTO approval_clock VALUES (1, ?1, 0) ON CONFLICT DO UPDATE
             SET elapsed = elapsed + max(0, ?1 - wall),
                 wall = CASE WHEN ?1 < wall - ?2 THEN ?1 ELSE max(?1, wall) END
             RETURNING elapsed",
        )?
        .query_row(params![wall, REORDERED], |row| row.get(0))?;
    Ok(elapsed)
}

/// Where it would stand if it were looked at now. Nothing is kept.
pub(crate) fn peek(c: &Connection, wall: Timestamp) -> Result<Elapsed, ApprovalError> {
    let sql = "SELECT elapsed + max(0, ?1 - wall) FROM approval_clock";
    Ok(crate::rows::one(c, sql, params![wall.as_millisecond()])?.unwrap_or(0))
}
