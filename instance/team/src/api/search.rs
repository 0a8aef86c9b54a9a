//! The search.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::get,
};
use qd_board::{Hit, HitKind};
use serde::Deserialize;

use super::Answer;
use crate::team::Team;

pub(super) fn router() -> Router<Team> {
    Router::new().route("/search", get(search))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    q: String,
    kind: Option<HitKind>,
}

async fn search(State(team): State<Team>, Query(asked): Query<Asked>) -> Answer<Vec<Hit>> {
    Ok(Json(team.search(&asked.q, asked.kind).await?))
}
