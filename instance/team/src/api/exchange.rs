//! Boards out and in.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, Response as Described, SchemaObject, StatusCode},
};
use axum::{
    Extension, Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use qd_api::{ExportFilter, ImportFile};
use qd_board::exchange::{Document, Format, Imported, write_markdown};

use super::{
    Answer,
    answer::listed,
    request::{Large, Query},
    routes::Routes,
};
use crate::{
    problem::ProblemResponse,
    team::{Caller, Team},
};

/// The type of task lists.
const MARKDOWN: &str = "text/markdown; charset=utf-8";

pub(super) fn router() -> Routes {
    Routes::new().get("/export", "Writes the board, as JSON or as Markdown task lists.", export).post(
        "/import",
        "Files what a file holds and the board does not have yet: all of it, or nothing.",
        import,
    )
}

/// A board, written.
enum Written {
    Json(Box<Document>),
    Markdown(String),
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        match self {
            Self::Json(document) => Json(document).into_response(),
            Self::Markdown(text) => ([(header::CONTENT_TYPE, MARKDOWN)], text).into_response(),
        }
    }
}

impl OperationOutput for Written {
    type Inner = Document;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        let mut described = Json::<Document>::operation_response(context, operation)?;
        let json_schema = context.schema.subschema_for::<String>();
        let schema = Some(SchemaObject { json_schema, example: None, external_docs: None });
        described.content.insert(MARKDOWN.to_owned(), MediaType { schema, ..MediaType::default() });
        Some(described)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<StatusCode>, Described)> {
        listed(Some(200), Self::operation_response(context, operation))
    }
}

async fn export(
    State(team): State<Team>,
    Query(filter): Query<ExportFilter>,
) -> Result<Written, ProblemResponse> {
    let document = team.export(filter.stage).await?;
    Ok(match filter.format {
        Format::Json => Written::Json(Box::new(document)),
        Format::Markdown => Written::Markdown(write_markdown(&document)),
    })
}

async fn import(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Large(file): Large<ImportFile>,
) -> Answer<Imported> {
    Ok(Json(team.import(&caller, file).await?))
}
