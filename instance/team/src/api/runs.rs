//! Runs: what they do, say and change, and stopping them.

use axum::{Extension, Json, extract::State};
use qd_api::{AcceptPlan, DiffView, RunSummary, RunView, TranscriptPage};
use qd_types::{FeatureId, RunId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Answer,
    request::{Body, Id, Query},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new()
        .get("/runs", "Lists the runs, newest first.", runs)
        .get("/runs/{id}", "Shows a run.", run)
        .get("/runs/{id}/transcript", "Reads a piece of a transcript, from a byte offset.", transcript)
        .get("/runs/{id}/diff", "Shows what a run has changed.", diff)
        .post("/runs/{id}/stop", "Stops a run truly: its processes end, its work is kept.", stop)
        .post("/runs/{id}/plan", "Accepts the plan of a run.", accept_plan)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunFilter {
    /// Only those of this feature.
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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct From {
    #[serde(default)]
    /// Where to begin, in bytes: the `next_offset` of the page before.
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
