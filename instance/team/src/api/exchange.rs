//! Boards out and in.

use axum::{
    Extension, Json, Router,
    extract::{DefaultBodyLimit, Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use qd_api::{ExportFilter, ImportFile};
use qd_board::exchange::{Format, Imported, write_markdown};

use super::{Answer, request::Body};
use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

/// Largest file that is imported, in bytes.
const MAX_FILE: usize = 32 * 1024 * 1024;

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/export", get(export))
        .route("/import", post(import).layer(DefaultBodyLimit::max(MAX_FILE)))
}

async fn export(
    State(team): State<Team>,
    Query(filter): Query<ExportFilter>,
) -> Result<Response, ProblemResponse> {
    let document = team.export(filter.stage).await?;
    Ok(match filter.format {
        Format::Json => Json(document).into_response(),
        Format::Markdown => {
            let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (kind, write_markdown(&document)).into_response()
        }
    })
}

async fn import(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(file): Body<ImportFile>,
) -> Answer<Imported> {
    Ok(Json(team.import(&caller, file).await?))
}
