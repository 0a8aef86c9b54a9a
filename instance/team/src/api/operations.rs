//! The team as a whole, and its operations.

use axum::{Extension, Json, extract::State};
use qd_api::{Because, TeamView};
use qd_board::Operation;
use qd_store::Which;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Answer,
    request::{Body, Path, Query},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new()
        .post("/pause", "Pauses the team: what runs goes on, nothing starts.", pause)
        .post("/resume", "Lets the team go on.", resume)
        .get("/operations", "Lists the operations, newest first.", operations)
        .get("/operations/{id}", "Shows an operation.", operation)
        .post("/operations/{id}/retry", "Tries an operation again that gave up.", retry)
        .post("/operations/{id}/drop", "Takes an operation off the list that gave up.", drop_one)
        .post("/operations/{id}/stop", "Stops an operation that is under way, with its run.", stop)
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

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Filter {
    /// Those under way.
    Running,
    /// Those that gave up.
    Dead,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OperationFilter {
    /// Only these.
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

#[derive(Deserialize, JsonSchema)]
struct Numbered {
    /// The operation's number.
    id: u64,
}

async fn operation(State(team): State<Team>, Path(Numbered { id }): Path<Numbered>) -> Answer<Operation> {
    Ok(Json(team.operation(id).await?))
}

async fn retry(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Numbered { id }): Path<Numbered>,
) -> Answer<Operation> {
    Ok(Json(team.retry_operation(&caller, id).await?))
}

async fn drop_one(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Numbered { id }): Path<Numbered>,
) -> Answer<Operation> {
    Ok(Json(team.drop_operation(&caller, id).await?))
}

async fn stop(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Numbered { id }): Path<Numbered>,
) -> Answer<Operation> {
    Ok(Json(team.stop_operation(&caller, id).await?))
}
