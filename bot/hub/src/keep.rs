//! Effects to rows, in the transaction of their event; and the state back from rows, at start.

use jiff::Timestamp;
use qd_approvals::Approvals;
use qd_core::{
    Desk, Effect, FleetState, ForgeCall, Rules, Save,
    budget::Class,
    chat::{Channel, Message, MessageKey},
    presence::Listens,
};
use qd_sqlite::outbox;
use qd_types::ApprovalId;
use rusqlite::{Connection, params};

use crate::{
    HubError,
    forge::CALM,
    json::{from_json, to_json},
    keeper::{self, Keeper},
};

/// Writes an effect.
pub(crate) fn keep(c: &Connection, effect: &Effect, now: Timestamp) -> Result<(), HubError> {
    let millis = now.as_millisecond();
    match effect {
        Effect::Save(Save::Feature(team, report)) => {
            c.prepare_cached(
                "INSERT INTO features VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET report = excluded.report",
            )?
            .execute(params![
                team.as_str(),
                report.feature.to_string(),
                to_json("features", report)?
            ])?;
        }
        Effect::Save(Save::Filed(id, filed)) => {
            c.prepare_cached(
                "INSERT INTO desks VALUES (?1, ?2) ON CONFLICT DO UPDATE SET filed = excluded.filed",
            )?
            .execute(params![id.to_string(), to_json("desks", filed)?])?;
        }
        Effect::Save(Save::Alert(team, cause, alert)) => {
            c.prepare_cached(
                "INSERT INTO alerts VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET alert = excluded.alert",
            )?
            .execute(params![team.as_str(), cause, to_json("alerts", alert)?])?;
        }
        Effect::Save(Save::Foreign(key, Some(foreign))) => {
            c.prepare_cached(
                "INSERT INTO foreign_approvals VALUES (?1, ?2) ON CONFLICT DO UPDATE SET foreign_approval = excluded.foreign_approval",
            )?
            .execute(params![key, to_json("foreign_approvals", foreign)?])?;
        }
        Effect::Save(Save::Foreign(key, None)) => {
            c.prepare_cached("DELETE FROM foreign_approvals WHERE key = ?1")?.execute([key])?;
        }
        Effect::Save(Save::NoFeature(team, feature)) => {
            c.prepare_cached("DELETE FROM features WHERE team = ?1 AND id = ?2")?
                .execute([team.as_str(), &feature.to_string()])?;
        }
        Effect::Save(Save::Presence(team, seen)) => {
            c.prepare_cached(
                "INSERT INTO presence VALUES (?1, ?2) ON CONFLICT DO UPDATE SET seen = excluded.seen",
            )?
            .execute([team.as_str(), &to_json("presence", seen)?])?;
        }
        Effect::Save(Save::Untold(person, lines)) if lines.is_empty() => {
            c.prepare_cached("DELETE FROM untold WHERE person = ?1")?.execute([person.as_str()])?;
        }
        Effect::Save(Save::Untold(person, lines)) => {
            c.prepare_cached(
                "INSERT INTO untold VALUES (?1, ?2) ON CONFLICT DO UPDATE SET lines = excluded.lines",
            )?
            .execute([person.as_str(), &to_json("untold", lines)?])?;
        }
        Effect::Save(Save::Issue(spot, Some(issue))) => {
            c.prepare_cached(
                "INSERT INTO issues VALUES (?1, ?2) ON CONFLICT DO UPDATE SET issue = excluded.issue",
            )?
            .execute([spot.to_string(), to_json("issues", issue)?])?;
        }
        Effect::Save(Save::Issue(spot, None)) => {
            c.prepare_cached("DELETE FROM issues WHERE spot = ?1")?.execute([spot.to_string()])?;
        }
        Effect::Save(Save::Threads(spot, threads)) if threads.open.is_empty() => {
            c.prepare_cached("DELETE FROM threads WHERE spot = ?1")?.execute([spot.to_string()])?;
        }
        Effect::Save(Save::Threads(spot, threads)) => {
            c.prepare_cached(
                "INSERT INTO threads VALUES (?1, ?2) ON CONFLICT DO UPDATE SET threads = excluded.threads",
            )?
            .execute([spot.to_string(), to_json("threads", threads)?])?;
        }
        Effect::Save(Save::Fact(fact)) => {
            c.prepare_cached(
                "INSERT INTO facts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET fact = excluded.fact",
            )?
            .execute(params![fact.key(), to_json("facts", fact)?])?;
        }
        Effect::Save(Save::Link(hash, Some(code))) => {
            c.prepare_cached(
                "INSERT INTO link_codes VALUES (?1, ?2) ON CONFLICT DO UPDATE SET code = excluded.code",
            )?
            .execute([hash, &to_json("link_codes", code)?])?;
        }
        Effect::Save(Save::Link(hash, None)) => {
            c.prepare_cached("DELETE FROM link_codes WHERE hash = ?1")?.execute([hash])?;
        }
        Effect::Save(Save::Forget(key)) => {
            c.prepare_cached("DELETE FROM facts WHERE key = ?1")?.execute([key])?;
        }
        Effect::Put(message) => say(c, message, false, millis)?,
        Effect::Refresh(message) => say(c, message, true, millis)?,
        Effect::Tell { to, living, order } => {
            outbox::push(c, to.as_str(), living.as_deref(), millis, &to_json("outbox", order)?)?;
        }
        Effect::Forge { key, call } => act(c, key, call, millis)?,
        // Taken by the keeper, which the turn asks.
        Effect::Step(_) => {}
    }
    Ok(())
}

/// A message, and its copy in the fallback channel, if it has one.
fn say(c: &Connection, message: &Message, calm: bool, millis: i64) -> Result<(), HubError> {
    put(c, &message.key.0, message, calm, millis)?;
    c.prepare_cached(
        "UPDATE messages SET message = ?2, pending = 1, attempts = 0, changed = ?3, class = ?4 WHERE key = ?1",
    )?
    .execute(params![
        copy_key(&message.key),
        to_json("messages", &copy(message))?,
        millis,
        Class::of(message).rank()
    ])?;
    if Class::of(message) == Class::Digest
        && let Some((series, _)) = message.key.0.rsplit_once(':')
    {
        // One that chat did not take in all this time is not caught up on.
        c.prepare_cached(
            "UPDATE messages SET pending = 0 WHERE pending = 1 AND class = ?2 AND key <> ?3
             AND substr(key, 1, length(?1) + 1) = ?1 || ':'",
        )?
        .execute(params![series, Class::Digest.rank(), message.key.0])?;
    }
    Ok(())
}

/// The newest state of a message wins. It keeps its place among those that wait, and where something in it turned, it does
/// not wait for calm; the same again is not said again.
fn put(c: &Connection, row: &str, message: &Message, calm: bool, millis: i64) -> Result<(), HubError> {
    c.prepare_cached(
        "INSERT INTO messages (key, channel, message, pending, changed, class, calm, since)
             VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?4)
             ON CONFLICT DO UPDATE SET channel = excluded.channel, message = excluded.message, pending = 1, attempts = 0,
             changed = excluded.changed, class = excluded.class,
             calm = CASE pending WHEN 1 THEN min(calm, excluded.calm) ELSE excluded.calm END,
             since = CASE pending WHEN 1 THEN since ELSE excluded.since END
             WHERE message <> excluded.message OR delivered IS NULL OR attempts > 0",
    )?
    .execute(params![
        row,
        message.channel.as_str(),
        to_json("messages", message)?,
        millis,
        Class::of(message).rank(),
        calm,
    ])?;
    Ok(())
}

/// The row of a message's copy in the fallback channel.
fn copy_key(key: &MessageKey) -> String {
    format!("{}/{}", Channel::Fallback.as_str(), key.0)
}

fn copy(message: &Message) -> Message {
    Message { channel: Channel::Fallback, ..message.clone() }
}

/// A message that can't be shown where it belongs is shown in the fallback channel, from now on.
pub(crate) fn fall_back(c: &Connection, message: &Message, now: Timestamp) -> Result<(), HubError> {
    put(c, &copy_key(&message.key), &copy(message), false, now.as_millisecond())
}

/// The card of an approval is delivered again wherever it stands: it may be gone, or its channel may be back.
pub(crate) fn again(c: &Connection, id: &ApprovalId, now: Timestamp) -> Result<(), HubError> {
    let key = MessageKey::of_approval(id);
    c.prepare_cached(
        "UPDATE messages SET pending = 1, attempts = 0, changed = ?3, since = ?3 WHERE key IN (?1, ?2)",
    )?
    .execute(params![key.0, copy_key(&key), now.as_millisecond()])?;
    Ok(())
}

/// An act is a row before it is a call. A key that is known is the same act: whoever asks again has not heard what became of
/// it, so that it is taken up again, which the forge answers as before. A merge is taken up with its newest tested commit,
/// which the same spent grant pays for. A push that the instance made itself is noted once.
pub(crate) fn act(c: &Connection, key: &str, call: &ForgeCall, millis: i64) -> Result<(), HubError> {
    let json = to_json("acts", call)?;
    let sql = match call {
        // The newest wins; the same again is not said again, and it keeps its place. What stands there already is edited a
        // little later: what changes together is edited once.
        ForgeCall::Show { .. }
        | ForgeCall::Draft { .. }
        | ForgeCall::Card { .. }
        | ForgeCall::Check { .. }
        | ForgeCall::RollUp { .. } => {
            "INSERT INTO acts (key, call, state, changed, living) VALUES (?1, ?2, 'pending', ?3, 1)
             ON CONFLICT DO UPDATE SET call = excluded.call, state = 'pending', attempts = 0, changed = excluded.changed,
             due = CASE state WHEN 'done' THEN max(due, excluded.changed + ?4) ELSE due END
             WHERE call <> excluded.call"
        }
        ForgeCall::Merge { .. }
        | ForgeCall::Open { .. }
        | ForgeCall::OpenIssue { .. }
        | ForgeCall::Rebuild { .. }
        | ForgeCall::Settle { .. }
        | ForgeCall::Close { .. } => {
            "INSERT INTO acts (key, call, state, changed) VALUES (?1, ?2, 'pending', ?3)
             ON CONFLICT DO UPDATE SET call = excluded.call, state = 'pending', changed = excluded.changed"
        }
        // The same words stand there already.
        ForgeCall::Answer { .. } => {
            "INSERT INTO acts (key, call, state, changed) VALUES (?1, ?2, 'pending', ?3)
             ON CONFLICT DO UPDATE SET call = excluded.call, state = 'pending', changed = excluded.changed
             WHERE call <> excluded.call"
        }
        ForgeCall::Pushed { .. } => {
            "INSERT INTO acts (key, call, state, changed) VALUES (?1, ?2, 'pending', ?3) ON CONFLICT DO NOTHING"
        }
    };
    let mut statement = c.prepare_cached(sql)?;
    if call.is_living() {
        let calm = i64::try_from(CALM.as_millis()).unwrap_or(i64::MAX);
        statement.execute(params![key, json, millis, calm])?;
    } else {
        statement.execute(params![key, json, millis])?;
    }
    Ok(())
}

/// The card of an approval on its pull request is put there again.
pub(crate) fn card_again(c: &Connection, id: &ApprovalId, now: Timestamp) -> Result<(), HubError> {
    c.prepare_cached("UPDATE acts SET state = 'pending', attempts = 0, changed = ?2 WHERE key = ?1")?
        .execute(params![format!("card/{id}"), now.as_millisecond()])?;
    Ok(())
}

/// The state as the rows have it.
pub(crate) fn load(
    c: &Connection,
    rules: Rules,
    keeper: &Keeper,
    now: Timestamp,
) -> Result<FleetState, HubError> {
    let mut state = FleetState::new(rules);
    // What was not heard while nobody listened was not missed.
    state.listens = Listens::from(now);
    let mut statement = c.prepare("SELECT team, report FROM features")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let team: String = row.get(0)?;
        let team = team.parse().map_err(|error| HubError::corrupt("features", error))?;
        let report: qd_wire::v1::FeatureReport = from_json("features", &row.get::<_, String>(1)?)?;
        state.features.insert((team, report.feature.clone()), report);
    }
    let approvals = Approvals::reading(c, &keeper.executor, &keeper.people, now)?;
    let mut statement = c.prepare("SELECT approval, filed FROM desks")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let id: ApprovalId = id.parse().map_err(|error| HubError::corrupt("desks", error))?;
        let filed = from_json("desks", &row.get::<_, String>(1)?)?;
        let standing = keeper::shown(approvals.show(&id)?);
        state.approvals.insert(id.key(), Desk { standing, filed });
    }
    let mut statement = c.prepare("SELECT team, cause, alert FROM alerts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let team: String = row.get(0)?;
        let team = team.parse().map_err(|error| HubError::corrupt("alerts", error))?;
        state.alerts.insert((team, row.get(1)?), from_json("alerts", &row.get::<_, String>(2)?)?);
    }
    let mut statement = c.prepare("SELECT team, seen FROM presence")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let team: String = row.get(0)?;
        let team = team.parse().map_err(|error| HubError::corrupt("presence", error))?;
        state.presence.insert(team, from_json("presence", &row.get::<_, String>(1)?)?);
    }
    let mut statement = c.prepare("SELECT person, lines FROM untold")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let person: String = row.get(0)?;
        let person = person.parse().map_err(|error| HubError::corrupt("untold", error))?;
        state.untold.insert(person, from_json("untold", &row.get::<_, String>(1)?)?);
    }
    let mut statement = c.prepare("SELECT spot, issue FROM issues")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let spot: String = row.get(0)?;
        let spot = spot.parse().map_err(|error| HubError::corrupt("issues", error))?;
        state.issues.insert(spot, from_json("issues", &row.get::<_, String>(1)?)?);
    }
    let mut statement = c.prepare("SELECT spot, threads FROM threads")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let spot: String = row.get(0)?;
        let spot = spot.parse().map_err(|error| HubError::corrupt("threads", error))?;
        state.threads.insert(spot, from_json("threads", &row.get::<_, String>(1)?)?);
    }
    let mut statement = c.prepare("SELECT key, foreign_approval FROM foreign_approvals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let foreign = from_json("foreign_approvals", &row.get::<_, String>(1)?)?;
        state.foreign.insert(row.get(0)?, foreign);
    }
    let mut statement = c.prepare("SELECT hash, code FROM link_codes")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let code = from_json("link_codes", &row.get::<_, String>(1)?)?;
        state.links.insert(row.get(0)?, code);
    }
    let mut statement = c.prepare("SELECT fact FROM facts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        state.facts.put(from_json("facts", &row.get::<_, String>(0)?)?);
    }
    // What changed before the process ended and was not said.
    state.facts.stale = state.rules.teams.iter().cloned().collect();
    Ok(state)
}
