//! Spending. The one place that makes a `SpentGrant`: from rows that are committed, and from nothing else.

use qd_core::Desk;
use qd_types::{ApprovalId, Digest, Grant, SpentGrant};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{HubError, json};

/// The approval has one item: the merge.
const ITEM: &str = "merge";

/// Spends the grant, in the transaction that writes the act's row. Spending it again for the same act is that act
/// resumed; for any other it is an error, and the transaction goes.
pub(crate) fn spend(
    c: &Connection,
    approval: &ApprovalId,
    digest: &Digest,
    act: &str,
    millis: i64,
) -> Result<(), HubError> {
    c.prepare_cached("INSERT INTO grants VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
        .execute(params![approval.key(), ITEM, act, digest.as_str(), millis])?;
    let spent: (String, String) = c
        .prepare_cached("SELECT act, digest FROM grants WHERE approval = ?1 AND item = ?2")?
        .query_row(params![approval.key(), ITEM], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if spent != (act.to_owned(), digest.as_str().to_owned()) {
        return Err(HubError::corrupt("grants", format!("the grant of {approval} was spent on {}", spent.0)));
    }
    Ok(())
}

/// The spent grant of an act, if its row is there and the approval's own votes still bear it.
pub(crate) fn spent(
    c: &Connection,
    approval: &ApprovalId,
    digest: &Digest,
    act: &str,
) -> Result<Option<SpentGrant>, HubError> {
    let row: Option<(String, String)> = c
        .prepare_cached("SELECT act, digest FROM grants WHERE approval = ?1 AND item = ?2")?
        .query_row(params![approval.key(), ITEM], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if row != Some((act.to_owned(), digest.as_str().to_owned())) {
        return Ok(None);
    }
    let desk: Option<String> = c
        .prepare_cached("SELECT desk FROM approvals WHERE key = ?1")?
        .query_row([approval.key()], |row| row.get(0))
        .optional()?;
    let Some(desk) = desk else { return Ok(None) };
    let desk: Desk = json::from_json("approvals", &desk)?;
    Ok(Grant::of(&desk.card.approval, digest).map(SpentGrant::committed))
}
