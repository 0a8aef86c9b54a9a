//! The local HTTP API, under `/teams/<team>/api/v1`. Who calls is on the request already. One module per kind of thing;
//! `openapi.json` describes them all.

mod answer;
mod approvals;
mod costs;
mod events;
mod exchange;
mod features;
mod fleet;
mod lessons;
mod needs;
mod operations;
mod preserved;
mod projects;
mod questions;
mod recurring;
mod request;
mod routes;
mod runs;
mod search;

use std::sync::LazyLock;

use axum::{
    Extension, Json, Router,
    extract::{OriginalUri, State},
    http::Method,
};
use qd_api::TeamView;
use serde_json::Value;

pub(crate) use self::answer::Answer;
use self::routes::Routes;
use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

/// The API of one team, to be nested at `/teams/<team>/api/v1`. Routes come from [`routes`] alone: each is described.
pub fn router(team: Team) -> Router {
    let (router, _) = Routes::finish(routes);
    router.fallback(no_such_path).method_not_allowed_fallback(no_such_method).with_state(team)
}

/// The document that describes the API, OpenAPI 3.1: the same for every team.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let (_, document) = Routes::finish(routes);
        let mut document = serde_json::to_value(document).unwrap_or_default();
        // One order, whether or not something else in the program has objects keep theirs.
        document.sort_all_objects();
        document
    });
    &DOCUMENT
}

fn routes() -> Routes {
    Routes::new()
        .get("/", "Shows the team.", view)
        .get("/openapi.json", "Shows this document.", described)
        .merge(features::router())
        .merge(runs::router())
        .merge(approvals::router())
        .merge(needs::router())
        .merge(questions::router())
        .merge(lessons::router())
        .merge(operations::router())
        .merge(costs::router())
        .merge(fleet::router())
        .merge(preserved::router())
        .merge(projects::router())
        .merge(recurring::router())
        .merge(search::router())
        .merge(events::router())
        .merge(exchange::router())
}

async fn view(State(team): State<Team>, Extension(caller): Extension<Caller>) -> Answer<TeamView> {
    Ok(Json(team.view(&caller).await?))
}

async fn described() -> Answer<&'static Value> {
    Ok(Json(document()))
}

async fn no_such_path(OriginalUri(uri): OriginalUri) -> ProblemResponse {
    ProblemResponse::no_such_path(uri.path())
}

async fn no_such_method(method: Method, OriginalUri(uri): OriginalUri) -> ProblemResponse {
    ProblemResponse::no_such_method(method.as_str(), uri.path())
}
