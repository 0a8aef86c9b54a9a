//! What is answered, and how the document says so.

use aide::{
    OperationOutput,
    generate::GenContext,
    openapi::{MediaType, Operation, Response as Described, SchemaObject, StatusCode as Status},
};
use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use qd_api::Problem;
use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::ProblemResponse;

/// JSON, or a problem.
pub(crate) type Answer<T> = Result<Json<T>, ProblemResponse>;

/// The one response of a status, as a document lists it; without a status, all that no other response has.
pub(super) fn listed(status: Option<u16>, response: Option<Described>) -> Vec<(Option<Status>, Described)> {
    response.map(|response| (status.map(Status::Code), response)).into_iter().collect()
}

/// Something new, with status 201.
pub(super) struct Created<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Created<T> {
    type Inner = T;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        Json::<T>::operation_response(context, operation)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        listed(Some(201), Self::operation_response(context, operation))
    }
}

impl OperationOutput for ProblemResponse {
    type Inner = Problem;

    fn operation_response(context: &mut GenContext, _: &mut Operation) -> Option<Described> {
        let json_schema = context.schema.subschema_for::<Problem>();
        let schema = Some(SchemaObject { json_schema, example: None, external_docs: None });
        let body = MediaType { schema, ..MediaType::default() };
        Some(Described {
            description: "What is wrong, and what to do about it.".into(),
            content: [("application/problem+json".to_owned(), body)].into_iter().collect(),
            ..Described::default()
        })
    }

    /// Every status that no other response has.
    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<Status>, Described)> {
        listed(None, Self::operation_response(context, operation))
    }
}
