//! The log as server-sent events: first what holds, with its number, then what happens, each with its own. Whoever comes
//! back with the last number it saw gets everything after it.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Router,
    extract::{Query, State},
    http::HeaderMap,
    response::sse::{self, KeepAlive, Sse},
    routing::get,
};
use futures_util::{Stream, StreamExt as _, stream};
use qd_api::{BoardSnapshot, EventView};
use serde::Deserialize;

use crate::{
    problem::{ProblemResponse, from_store},
    team::{Caller, Team},
};

/// Events in one read of the log.
const EVENTS: usize = 256;

pub(super) fn router() -> Router<Team> {
    Router::new().route("/events", get(events))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<u64>,
}

/// The log from `?after=` or `Last-Event-ID` on; without either, a snapshot first.
async fn events(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ProblemResponse> {
    let last =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|id| id.parse().ok());
    let (after, first) = match last.or(query.after) {
        Some(after) => (after, None),
        None => {
            // The number is read before the board: what happens in between comes again, and nothing is missed.
            let after = team.store().last_event().await.map_err(from_store)?;
            let board = BoardSnapshot {
                seq: after,
                team: team.view(&caller).await?,
                features: team.features(None).await?,
            };
            let event = sse::Event::default().event("snapshot").id(after.to_string());
            (after, Some(Ok(event.json_data(board).unwrap_or_default())))
        }
    };
    let commits = team.changes();
    let pages = stream::unfold((team, commits, after), |(team, mut commits, after)| async move {
        loop {
            commits.borrow_and_update();
            let page = team.events_after(after, EVENTS).await.ok()?;
            if let Some(last) = page.last().map(|event| event.seq) {
                return Some((page, (team, commits, last)));
            }
            commits.changed().await.ok()?;
        }
    });
    let events = pages.flat_map(|page| stream::iter(page.into_iter().map(as_sse)));
    Ok(Sse::new(stream::iter(first).chain(events))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn as_sse(event: EventView) -> Result<sse::Event, Infallible> {
    let id = event.seq.to_string();
    Ok(sse::Event::default().event("event").id(id).json_data(event).unwrap_or_default())
}
