//! The whole fleet, as the bot knows it.

use axum::{Extension, Json, extract::State};
use qd_api::{FleetQuestion, FleetView};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, request::Query, routes::Routes};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new().get("/fleet", "Asks the bot about the whole fleet.", fleet)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// What is asked. Default: `status`.
    #[serde(default)]
    ask: FleetQuestion,
}

async fn fleet(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Query(Asked { ask }): Query<Asked>,
) -> Answer<FleetView> {
    Ok(Json(team.ask_fleet(&caller, ask).await?))
}
