//! Recurring features.

use axum::{Extension, Json, extract::State};
use qd_api::{FeatureView, NewRecurring, RecurringView};
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
        .get("/recurring", "Lists the recurring features, by name.", all)
        .post("/recurring", "Adds a recurring feature.", add)
        .post("/recurring/{name}/run", "Files the feature of a recurring one right now.", run)
        .post("/recurring/{name}/suspend", "Lets a recurring feature stand still.", suspend)
        .post("/recurring/{name}/resume", "Lets a recurring feature go on with its next occurrence.", resume)
        .post("/recurring/{name}/remove", "Removes a recurring feature; answers with what is left.", remove)
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// What the recurring feature is called.
    name: String,
}

async fn all(State(team): State<Team>) -> Answer<Vec<RecurringView>> {
    Ok(Json(team.recurring().await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<NewRecurring>,
) -> Answer<RecurringView> {
    Ok(Json(team.add_recurring(&caller, new).await?))
}

async fn run(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
) -> Answer<FeatureView> {
    Ok(Json(team.run_recurring(&caller, &name).await?))
}

async fn suspend(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
) -> Answer<RecurringView> {
    Ok(Json(team.suspend_recurring(&caller, &name).await?))
}

async fn resume(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
) -> Answer<RecurringView> {
    Ok(Json(team.resume_recurring(&caller, &name).await?))
}

async fn remove(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
) -> Answer<Vec<RecurringView>> {
    Ok(Json(team.remove_recurring(&caller, &name).await?))
}
