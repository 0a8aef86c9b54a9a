//! Recurring features.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use qd_api::{FeatureView, NewRecurring, RecurringView};

use super::{Answer, request::Body};
use crate::team::{Caller, Team};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/recurring", get(all).post(add))
        .route("/recurring/{name}/run", post(run))
        .route("/recurring/{name}/suspend", post(suspend))
        .route("/recurring/{name}/resume", post(resume))
        .route("/recurring/{name}/remove", post(remove))
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
    Path(name): Path<String>,
) -> Answer<FeatureView> {
    Ok(Json(team.run_recurring(&caller, &name).await?))
}

async fn suspend(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<RecurringView> {
    Ok(Json(team.suspend_recurring(&caller, &name).await?))
}

async fn resume(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<RecurringView> {
    Ok(Json(team.resume_recurring(&caller, &name).await?))
}

async fn remove(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<Vec<RecurringView>> {
    Ok(Json(team.remove_recurring(&caller, &name).await?))
}
