//! What runs need of other teams.

use axum::{Extension, Json, extract::State};
use qd_api::{NeedTeam, NeedView};

use super::{Answer, request::Body, routes::Routes};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new().post("/needs", "Asks another team for something, by an issue on the forge.", need)
}

async fn need(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(need): Body<NeedTeam>,
) -> Answer<NeedView> {
    Ok(Json(team.need(&caller, need).await?))
}
