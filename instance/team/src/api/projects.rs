//! Projects.

use axum::{Extension, Json, extract::State};
use qd_api::{EditProject, ProjectView};
use qd_board::Project;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Answer,
    answer::Created,
    request::{Body, Path},
    routes::Routes,
};
use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

pub(super) fn router() -> Routes {
    Routes::new()
        .get("/projects", "Lists the projects, by name, with how they stand.", all)
        .post("/projects", "Adds a project.", add)
        .get("/projects/{name}", "Shows a project with how it stands.", one)
        .patch("/projects/{name}", "Changes a project by a merge patch.", edit)
        .post(
            "/projects/{name}/remove",
            "Removes a project that no feature names; answers with what is left.",
            remove,
        )
}

#[derive(Deserialize, JsonSchema)]
struct Named {
    /// What the project is called.
    name: String,
}

async fn all(State(team): State<Team>) -> Answer<Vec<ProjectView>> {
    Ok(Json(team.projects().await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<Project>,
) -> Result<Created<ProjectView>, ProblemResponse> {
    Ok(Created(team.add_project(&caller, new).await?))
}

async fn one(State(team): State<Team>, Path(Named { name }): Path<Named>) -> Answer<ProjectView> {
    Ok(Json(team.project(&name).await?))
}

async fn edit(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
    Body(edit): Body<EditProject>,
) -> Answer<ProjectView> {
    Ok(Json(team.edit_project(&caller, &name, edit).await?))
}

async fn remove(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Named { name }): Path<Named>,
) -> Answer<Vec<ProjectView>> {
    Ok(Json(team.remove_project(&caller, &name).await?))
}
