//! The inbox, and votes.

use axum::{Extension, Json, extract::State};
use qd_api::{ApprovalView, CastVote, Snooze};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Answer,
    request::{Body, Path},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new()
        .get("/approvals", "Lists the inbox: open approvals first, newest first.", approvals)
        .get("/approvals/{key}", "Shows an approval with everything that it binds.", approval)
        .post("/approvals/{key}/reopen", "Opens an expired approval again, as one of its own.", reopen)
        .post("/approvals/{key}/vote", "Votes on what one approval asks.", vote)
        .post("/approvals/{key}/snooze", "Puts an approval off for the caller, or brings it back.", snooze)
}

async fn approvals(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
) -> Answer<Vec<ApprovalView>> {
    Ok(Json(team.approvals(&caller).await?))
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Keyed {
    /// The unique part of the approval's id.
    pub(super) key: String,
}

async fn approval(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Keyed { key }): Path<Keyed>,
) -> Answer<ApprovalView> {
    Ok(Json(team.approval(&caller, &key).await?))
}

async fn reopen(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Keyed { key }): Path<Keyed>,
) -> Answer<ApprovalView> {
    Ok(Json(team.reopen(&caller, &key).await?))
}

async fn vote(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Keyed { key }): Path<Keyed>,
    Body(vote): Body<CastVote>,
) -> Answer<ApprovalView> {
    Ok(Json(team.vote(&caller, &key, vote).await?))
}

async fn snooze(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Keyed { key }): Path<Keyed>,
    Body(snooze): Body<Snooze>,
) -> Answer<ApprovalView> {
    Ok(Json(team.snooze(&caller, &key, snooze).await?))
}
