//! The inbox, and votes.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use qd_api::{ApprovalView, CastVote};

use super::{Answer, request::Body};
use crate::team::{Caller, Team};

pub(super) fn router() -> Router<Team> {
    Router::new().route("/approvals", get(approvals)).route("/approvals/{key}/vote", post(vote))
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
