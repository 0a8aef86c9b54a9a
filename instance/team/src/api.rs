//! The local HTTP API, under `/teams/<team>/api/v1`. Who calls is on the request already.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{FromRequestParts, Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use qd_api::{
    ApprovalView, Because, CastVote, DiffView, EventView, FeatureView, MoveFeature, Problem, RunSummary,
    RunView, TeamView, TranscriptPage,
};
use qd_board::{EditFeature, NewFeature};
use qd_types::{FeatureId, RunId, Stage};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    problem::{ProblemResponse, invalid},
    team::{Caller, Team},
};

type Answer<T> = Result<Json<T>, ProblemResponse>;

/// Events in one read of the log.
const EVENTS: usize = 256;

/// The API of one team, to be nested at `/teams/<team>/api/v1`.
pub fn router(team: Team) -> Router {
    Router::new()
        .route("/", get(view))
        .route("/features", get(features).post(add))
        .route("/features/{id}", get(feature).patch(edit))
        .route("/features/{id}/history", get(history))
        .route("/features/{id}/move", post(move_to))
        .route("/features/{id}/cancel", post(cancel))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/transcript", get(transcript))
        .route("/runs/{id}/diff", get(diff))
        .route("/runs/{id}/stop", post(stop))
        .route("/approvals", get(approvals))
        .route("/approvals/{key}/vote", post(vote))
        .route("/events", get(events))
        .with_state(team)
}

/// An id in the path, parsed; a bad one is a problem that says what a good one looks like.
struct Id<T>(T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: std::str::FromStr<Err = qd_types::IdError>,
    S: Send + Sync,
{
    type Rejection = ProblemResponse;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(text) = Path::<std::collections::HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| invalid(error.body_text()))?;
        let text = text.get("id").map_or("", String::as_str);
        Ok(Self(text.parse().map_err(|error: qd_types::IdError| invalid(format!("{error}.")))?))
    }
}

/// A body, parsed; what is wrong with it is named.
struct Body<T>(T);

impl<T: DeserializeOwned, S: Send + Sync> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = ProblemResponse;
    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ProblemResponse> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::BytesRejection(_)) => Err(invalid("The body is larger than 2 MiB.").into()),
            Err(error) => Err(invalid(error.body_text()).into()),
        }
    }
}

async fn view(State(team): State<Team>, Extension(caller): Extension<Caller>) -> Answer<TeamView> {
    Ok(Json(team.view(&caller).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureFilter {
    stage: Option<Stage>,
}

async fn features(State(team): State<Team>, Query(filter): Query<FeatureFilter>) -> Answer<Vec<FeatureView>> {
    Ok(Json(team.features(filter.stage).await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<serde_json::Value>,
) -> Result<Response, ProblemResponse> {
    let new = NewFeature::from_json(new).map_err(|error| invalid(format!("{error}.")))?;
    Ok((StatusCode::CREATED, Json(team.add(&caller, new).await?)).into_response())
}

async fn feature(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<FeatureView> {
    Ok(Json(team.feature(&id).await?))
}

async fn history(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<Vec<EventView>> {
    Ok(Json(team.history(&id).await?))
}

async fn edit(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(because): Query<Because>,
    Body(edit): Body<EditFeature>,
) -> Answer<FeatureView> {
    Ok(Json(team.edit(&caller, &id, edit, because.reason).await?))
}

async fn move_to(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Body(to): Body<MoveFeature>,
) -> Answer<FeatureView> {
    Ok(Json(team.move_to(&caller, &id, to).await?))
}

async fn cancel(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(because): Query<Because>,
) -> Answer<FeatureView> {
    Ok(Json(team.cancel(&caller, &id, because.reason).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFilter {
    feature: Option<FeatureId>,
}

async fn runs(State(team): State<Team>, Query(filter): Query<RunFilter>) -> Answer<Vec<RunSummary>> {
    Ok(Json(team.runs(filter.feature.as_ref()).await?))
}

async fn run(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<RunId>,
) -> Answer<RunView> {
    Ok(Json(team.run(&id, &caller).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    #[serde(default)]
    offset: u64,
}

async fn transcript(
    State(team): State<Team>,
    Id(id): Id<RunId>,
    Query(from): Query<From>,
) -> Answer<TranscriptPage> {
    Ok(Json(team.transcript(&id, from.offset).await?))
}

async fn diff(State(team): State<Team>, Id(id): Id<RunId>) -> Answer<DiffView> {
    Ok(Json(team.diff(&id).await?))
}

async fn stop(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<RunId>,
) -> Answer<RunView> {
    Ok(Json(team.stop(&caller, &id).await?))
}

async fn approvals(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
) -> Answer<Vec<ApprovalView>> {
    Ok(Json(team.approvals(&caller).await?))
}

async fn vote(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(key): Path<String>,
    Body(vote): Body<CastVote>,
) -> Answer<ApprovalView> {
    Ok(Json(team.vote(&caller, &key, vote).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct After {
    after: Option<u64>,
}

/// The log as server-sent events, from `?after=` or `Last-Event-ID` on, or from now.
async fn events(
    State(team): State<Team>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, ProblemResponse> {
    let last =
        headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|id| id.parse().ok());
    let after = match last.or(query.after) {
        Some(after) => after,
        None => team.store().last_event().await.map_err(crate::problem::from_store)?,
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
    let events = futures_util::StreamExt::flat_map(pages, |page| stream::iter(page.into_iter().map(as_sse)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

fn as_sse(event: EventView) -> Result<sse::Event, Infallible> {
    let id = event.seq.to_string();
    Ok(sse::Event::default().event("event").id(id).json_data(event).unwrap_or_default())
}

/// For routes that do not exist.
impl ProblemResponse {
    /// Nothing is there.
    pub fn not_found(path: &str) -> Self {
        Self(Problem {
            kind: "not-found".into(),
            status: 404,
            detail: format!("There is nothing at {path}."),
            hint: None,
        })
    }
}
