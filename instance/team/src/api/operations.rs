//! The team as a whole, and its operations.

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use qd_api::{Because, TeamView};
use qd_board::Operation;
use qd_store::Which;
use serde::Deserialize;

use super::{Answer, request::Body};
use crate::team::{Caller, Team};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/operations", get(operations))
        .route("/operations/{id}", get(operation))
        .route("/operations/{id}/retry", post(retry))
        .route("/operations/{id}/drop", post(drop_one))
        .route("/operations/{id}/stop", post(stop))
}

async fn pause(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(because): Body<Because>,
) -> Answer<TeamView> {
    team.pause(&caller, because.reason).await?;
    Ok(Json(team.view(&caller).await?))
}

async fn resume(State(team): State<Team>, Extension(caller): Extension<Caller>) -> Answer<TeamView> {
    team.resume(&caller).await?;
    Ok(Json(team.view(&caller).await?))
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Filter {
    Running,
    Dead,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperationFilter {
    only: Option<Filter>,
}

async fn operations(
    State(team): State<Team>,
    Query(filter): Query<OperationFilter>,
) -> Answer<Vec<Operation>> {
    let which = match filter.only {
        None => Which::All,
        Some(Filter::Running) => Which::Running,
        Some(Filter::Dead) => Which::Dead,
    };
    Ok(Json(team.operations(which).await?))
}

async fn operation(State(team): State<Team>, Path(id): Path<u64>) -> Answer<Operation> {
    Ok(Json(team.operation(id).await?))
}

async fn retry(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Answer<Operation> {
    Ok(Json(team.retry_operation(&caller, id).await?))
}

async fn drop_one(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Answer<Operation> {
    Ok(Json(team.drop_operation(&caller, id).await?))
}

async fn stop(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<u64>,
) -> Answer<Operation> {
    Ok(Json(team.stop_operation(&caller, id).await?))
}
