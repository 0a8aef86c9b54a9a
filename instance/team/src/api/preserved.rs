//! Preserved work.

use axum::{
    Extension, Json, Router,
    extract::State,
    routing::{get, post},
};
use qd_api::{DiffView, PreservedView, PrunePreserved, RestorePreserved, RestoredView};
use qd_types::RunId;

use super::{
    Answer,
    request::{Body, Id},
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/preserved", get(preserved))
        .route("/preserved/prune", post(prune))
        .route("/preserved/{id}/diff", get(diff))
        .route("/preserved/{id}/restore", post(restore))
}

async fn preserved(State(team): State<Team>) -> Answer<Vec<PreservedView>> {
    Ok(Json(team.preserved().await?))
}

async fn diff(State(team): State<Team>, Id(id): Id<RunId>) -> Answer<DiffView> {
    Ok(Json(team.preserved_diff(&id).await?))
}

async fn restore(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<RunId>,
    Body(to): Body<RestorePreserved>,
) -> Answer<RestoredView> {
    Ok(Json(team.restore_preserved(&caller, &id, to.folder.as_deref()).await?))
}

async fn prune(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(which): Body<PrunePreserved>,
) -> Answer<Vec<PreservedView>> {
    Ok(Json(team.prune_preserved(&caller, which.days).await?))
}
