//! Runs: what they do, say and change, and stopping them.

use axum::{
    Extension, Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use qd_api::{AcceptPlan, DiffView, RunSummary, RunView, TranscriptPage};
use qd_types::{FeatureId, RunId};
use serde::Deserialize;

use super::{
    Answer,
    request::{Body, Id},
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/transcript", get(transcript))
        .route("/runs/{id}/diff", get(diff))
        .route("/runs/{id}/stop", post(stop))
        .route("/runs/{id}/plan", post(accept_plan))
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

async fn accept_plan(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<RunId>,
    Body(plan): Body<AcceptPlan>,
) -> Answer<RunView> {
    Ok(Json(team.accept_plan(&caller, &id, plan).await?))
}
