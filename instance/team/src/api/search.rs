//! The search.

use axum::{Json, extract::State};
use qd_board::{Hit, HitKind};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, request::Query, routes::Routes};
use crate::team::Team;

pub(super) fn router() -> Routes {
    Routes::new().get("/search", "Finds what holds all of these words.", search)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Only this kind of thing.
    kind: Option<HitKind>,
    /// Words, all of which have to be there.
    q: String,
}

async fn search(State(team): State<Team>, Query(asked): Query<Asked>) -> Answer<Vec<Hit>> {
    Ok(Json(team.search(&asked.q, asked.kind).await?))
}
