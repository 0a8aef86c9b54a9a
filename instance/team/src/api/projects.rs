//! Projects.

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use qd_api::{EditProject, ProjectView};
use qd_board::Project;

use super::{Answer, request::Body};
use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/projects", get(all).post(add))
        .route("/projects/{name}", get(one).patch(edit))
        .route("/projects/{name}/remove", post(remove))
}

async fn all(State(team): State<Team>) -> Answer<Vec<ProjectView>> {
    Ok(Json(team.projects().await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<Project>,
) -> Result<Response, ProblemResponse> {
    Ok((StatusCode::CREATED, Json(team.add_project(&caller, new).await?)).into_response())
}

async fn one(State(team): State<Team>, Path(name): Path<String>) -> Answer<ProjectView> {
    Ok(Json(team.project(&name).await?))
}

async fn edit(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    Body(edit): Body<EditProject>,
) -> Answer<ProjectView> {
    Ok(Json(team.edit_project(&caller, &name, edit).await?))
}

async fn remove(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Answer<Vec<ProjectView>> {
    Ok(Json(team.remove_project(&caller, &name).await?))
}
