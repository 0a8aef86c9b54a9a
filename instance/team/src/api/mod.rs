//! The local HTTP API, under `/teams/<team>/api/v1`. Who calls is on the request already. One module per kind of thing.

mod approvals;
mod events;
mod exchange;
mod features;
mod operations;
mod preserved;
mod projects;
mod recurring;
mod request;
mod runs;
mod search;

use axum::{Extension, Json, Router, extract::State, routing::get};
use qd_api::{Problem, TeamView};

use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

pub(crate) type Answer<T> = Result<Json<T>, ProblemResponse>;

/// The API of one team, to be nested at `/teams/<team>/api/v1`.
pub fn router(team: Team) -> Router {
    Router::new()
        .route("/", get(view))
        .merge(features::router())
        .merge(runs::router())
        .merge(approvals::router())
        .merge(operations::router())
        .merge(preserved::router())
        .merge(projects::router())
        .merge(recurring::router())
        .merge(search::router())
        .merge(events::router())
        .merge(exchange::router())
        .with_state(team)
}

async fn view(State(team): State<Team>, Extension(caller): Extension<Caller>) -> Answer<TeamView> {
    Ok(Json(team.view(&caller).await?))
}

/// For routes that do not exist.
impl ProblemResponse {
    /// Nothing is there.
    pub fn not_found(path: &str) -> Self {
        Self(Problem {
            kind: "not-found".into(),
            status: 404,
            detail: format!("There is nothing at {path}."),
            hint: None,
        })
    }
}
