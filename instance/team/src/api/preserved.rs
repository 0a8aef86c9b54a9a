//! Preserved work.

use axum::{Extension, Json, extract::State};
use qd_api::{DiffView, PreservedView, PrunePreserved, RestorePreserved, RestoredView};
use qd_types::RunId;

use super::{
    Answer,
    request::{Body, Id},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new()
        .get("/preserved", "Lists preserved work.", preserved)
        .post("/preserved/prune", "Lets go of old preserved work; answers with what went.", prune)
        .get("/preserved/{id}/diff", "Shows preserved work as a diff.", diff)
        .post("/preserved/{id}/restore", "Brings preserved work back, as a branch or as a clone.", restore)
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
