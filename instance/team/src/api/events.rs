//! The log as server-sent events: first what holds, with its number, then what happens, each with its own. Whoever comes
//! back with the last number it saw gets everything after it.

use std::{convert::Infallible, time::Duration};

use aide::{
    OperationInput, OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, Response as Described, SchemaObject, StatusCode},
    operation::ParamLocation,
};
use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::request::Parts,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, stream};
use qd_api::{BoardSnapshot, EventView};
use schemars::{JsonSchema, json_schema};
use serde::Deserialize;

use super::{
    request::{Query, parameters},
    routes::Routes,
};
use crate::{
    problem::{ProblemResponse, from_store},
    team::{Caller, Team},
};

/// Events in one read of the log.
const EVENTS: usize = 256;

pub(super) fn router() -> Routes {
    Routes::new().get("/events", "Follows the log as server-sent events.", events)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct After {
    /// The number of the last event that was seen. `Last-Event-ID` counts before it.
    after: Option<u64>,
}

/// The log from `Last-Event-ID` or `?after=` on. Without either, or from a number that this log has not reached, as
/// after a backup was restored, a snapshot first: whoever follows never waits for what can't come.
async fn events(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<After>,
    last: LastEventId,
) -> Result<Events<impl Stream<Item = Event>>, ProblemResponse> {
    let seen = match last {
        LastEventId::None => query.after,
        LastEventId::Number(number) => Some(number),
        LastEventId::Unknown => None,
    };
    // The number is read before the board: what happens in between comes again, and nothing is missed.
    let newest = team.store().last_event().await.map_err(from_store)?;
    let (after, first) = match seen.filter(|seen| *seen <= newest) {
        Some(after) => (after, None),
        None => {
            let board = BoardSnapshot {
                seq: newest,
                team: team.view(&caller).await?,
                features: team.features(None).await?,
            };
            let event = sse::Event::default().event("snapshot").id(newest.to_string());
            (newest, Some(Ok(event.json_data(board).unwrap_or_default())))
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
    Ok(Events(stream::iter(first).chain(events)))
}

type Event = Result<sse::Event, Infallible>;

fn as_sse(event: EventView) -> Event {
    let id = event.seq.to_string();
    Ok(sse::Event::default().event("event").id(id).json_data(event).unwrap_or_default())
}

/// What a client says that it saw last.
enum LastEventId {
    None,
    Number(u64),
    /// Not a number of ours.
    Unknown,
}

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let Some(value) = parts.headers.get("last-event-id") else { return Ok(Self::None) };
        let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
        Ok(number.map_or(Self::Unknown, Self::Number))
    }
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct Headers {
    /// The number of the last event that was seen: what came after it is sent first.
    #[schemars(rename = "Last-Event-ID", extend("type" = "integer"))]
    last_event_id: Option<u64>,
}

impl OperationInput for LastEventId {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        parameters::<Headers>(context, operation, ParamLocation::Header);
    }
}

/// A stream of events, kept alive.
struct Events<S>(S);

impl<S: Stream<Item = Event> + Send + 'static> IntoResponse for Events<S> {
    fn into_response(self) -> Response {
        Sse::new(self.0).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
    }
}

impl<S> OperationOutput for Events<S> {
    type Inner = String;

    fn operation_response(context: &mut GenContext, _: &mut Operation) -> Option<Described> {
        // OpenAPI 3.1 has no word for the data of an event: each kind has its schema beside the stream's.
        let data = serde_json::json!({
            "snapshot": context.schema.subschema_for::<BoardSnapshot>(),
            "event": context.schema.subschema_for::<EventView>(),
        });
        let json_schema = json_schema!({ "type": "string" });
        let stream = MediaType {
            schema: Some(SchemaObject { json_schema, example: None, external_docs: None }),
            extensions: [("x-events".to_owned(), data)].into_iter().collect(),
            ..MediaType::default()
        };
        Some(Described {
            description:
                "A `snapshot` of what holds, unless the client knows where it was, and then an `event` for \
                          each entry of the log. The id of each is its number in the log."
                    .into(),
            content: [("text/event-stream".to_owned(), stream)].into_iter().collect(),
            ..Described::default()
        })
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<StatusCode>, Described)> {
        let response = Self::operation_response(context, operation);
        response.map(|response| (Some(StatusCode::Code(200)), response)).into_iter().collect()
    }
}
