//! Effects to rows, in the transaction of their event; and the state back from rows, at start.

use jiff::Timestamp;
use qd_core::{Effect, FleetState, ForgeCall, Rules, Save};
use qd_sqlite::outbox;
use rusqlite::{Connection, params};

use crate::{
    HubError, approvals,
    json::{from_json, to_json},
};

/// Writes all effects of one event.
pub(crate) fn keep(c: &Connection, effects: &[Effect], now: Timestamp) -> Result<(), HubError> {
    let millis = now.as_millisecond();
    for effect in effects {
        match effect {
            Effect::Save(Save::Feature(team, report)) => {
                c.prepare_cached(
                    "INSERT INTO features VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET report = excluded.report",
                )?
                .execute(params![team.as_str(), report.feature.to_string(), to_json("features", report)?])?;
            }
            Effect::Save(Save::Approval(desk)) => {
                c.prepare_cached(
                    "INSERT INTO approvals VALUES (?1, ?2) ON CONFLICT DO UPDATE SET desk = excluded.desk",
                )?
                .execute(params![desk.card.approval.id.key(), to_json("approvals", desk)?])?;
            }
            Effect::Save(Save::Alert(team, cause, alert)) => {
                c.prepare_cached(
                    "INSERT INTO alerts VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET alert = excluded.alert",
                )?
                .execute(params![team.as_str(), cause, to_json("alerts", alert)?])?;
            }
            Effect::Put(message) => {
                c.prepare_cached(
                    "INSERT INTO messages (key, channel, message, pending, changed) VALUES (?1, ?2, ?3, 1, ?4)
                     ON CONFLICT DO UPDATE SET message = excluded.message, pending = 1, attempts = 0,
                     changed = excluded.changed",
                )?
                .execute(params![
                    message.key.0,
                    message.channel.as_str(),
                    to_json("messages", message)?,
                    millis
                ])?;
            }
            Effect::Tell { to, living, order } => {
                outbox::push(c, to.as_str(), living.as_deref(), millis, &to_json("outbox", order)?)?;
            }
            Effect::Forge { key, call } => act(c, key, call, millis)?,
        }
    }
    Ok(())
}

/// An act is a row before it is a call. A key that is known is the same act: it is not done twice. A merge is taken
/// up again with its newest tested commit, which the same spent grant pays for.
fn act(c: &Connection, key: &str, call: &ForgeCall, millis: i64) -> Result<(), HubError> {
    let json = to_json("acts", call)?;
    let sql = match call {
        ForgeCall::Merge { approval, digest, .. } => {
            approvals::spend(c, approval, digest, key, millis)?;
            "INSERT INTO acts (key, call, state, changed) VALUES (?1, ?2, 'pending', ?3)
             ON CONFLICT DO UPDATE SET call = excluded.call, state = 'pending', changed = excluded.changed"
        }
        _ => {
            "INSERT INTO acts (key, call, state, changed) VALUES (?1, ?2, 'pending', ?3) ON CONFLICT DO NOTHING"
        }
    };
    c.prepare_cached(sql)?.execute(params![key, json, millis])?;
    Ok(())
}

/// The state as the rows have it.
pub(crate) fn load(c: &Connection, rules: Rules) -> Result<FleetState, HubError> {
    let mut state = FleetState::new(rules);
    let mut statement = c.prepare("SELECT team, report FROM features")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let team: String = row.get(0)?;
        let team = team.parse().map_err(|error| HubError::corrupt("features", error))?;
        let report: qd_wire::v1::FeatureReport = from_json("features", &row.get::<_, String>(1)?)?;
        state.features.insert((team, report.feature.clone()), report);
    }
    let mut statement = c.prepare("SELECT key, desk FROM approvals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        state.approvals.insert(row.get(0)?, from_json("approvals", &row.get::<_, String>(1)?)?);
    }
    let mut statement = c.prepare("SELECT team, cause, alert FROM alerts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let team: String = row.get(0)?;
        let team = team.parse().map_err(|error| HubError::corrupt("alerts", error))?;
        state.alerts.insert((team, row.get(1)?), from_json("alerts", &row.get::<_, String>(2)?)?);
    }
    Ok(state)
}
