//! What models cost.

use axum::{Extension, Json, extract::State};
use qd_api::{CostBy, CostView};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, request::Query, routes::Routes};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new().get("/costs", "Adds up what models have cost.", costs)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Costs {
    /// What it is added up by. Default: `day`.
    #[serde(default)]
    by: CostBy,
}

async fn costs(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Query(Costs { by }): Query<Costs>,
) -> Answer<CostView> {
    Ok(Json(team.costs(&caller, by).await?))
}
