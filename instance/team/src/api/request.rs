//! What every request is read by: a path, a query, a body. What can't be read is a problem with the way out, and the
//! document says what can.

use std::{collections::HashMap, str::FromStr};

use aide::{
    OperationInput,
    generate::GenContext,
    openapi::Operation,
    operation::{ParamLocation, add_parameters, parameters_from_schema},
};
use axum::{
    Json,
    body::Bytes,
    extract::{self, FromRequest, FromRequestParts, Request},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
};
use qd_types::IdError;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{
    attachments::MAX_ATTACHMENT,
    problem::{ProblemResponse, invalid, too_large, unreadable, wrong_type},
};

/// Largest JSON body, in bytes: what axum reads unless told otherwise.
const MAX_BODY: usize = 2 * 1024 * 1024;
/// Largest body that holds a board, in bytes.
const MAX_LARGE: usize = 32 * 1024 * 1024;

/// `{id}` in the path, parsed; a bad one is a problem that says what a good one looks like.
pub(super) struct Id<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr<Err = IdError>,
    S: Send + Sync,
{
    type Rejection = ProblemResponse;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(words) = Path::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let text = words.get("id").map_or("", String::as_str);
        Ok(Self(text.parse().map_err(|error: IdError| invalid(format!("{error}.")))?))
    }
}

/// The path's one word that is an id.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct ById<T> {
    id: T,
}

impl<T: JsonSchema> OperationInput for Id<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        parameters::<ById<T>>(context, operation, ParamLocation::Path);
    }
}

/// The words of the path, by the names of `T`'s fields.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ProblemResponse;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(words)) => Ok(Self(words)),
            Err(error) => Err(unreadable(error.body_text()).into()),
        }
    }
}

impl<T: JsonSchema> OperationInput for Path<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        parameters::<T>(context, operation, ParamLocation::Path);
    }
}

/// The query, by the names of `T`'s fields.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ProblemResponse;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Self(query)),
            Err(error) => Err(unreadable(error.body_text()).into()),
        }
    }
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        parameters::<T>(context, operation, ParamLocation::Query);
    }
}

/// Notes a parameter for each field of `T`.
pub(super) fn parameters<T: JsonSchema>(
    context: &mut GenContext,
    operation: &mut Operation,
    location: ParamLocation,
) {
    // In place: nothing else refers to it.
    let schema = T::json_schema(&mut context.schema);
    let parameters = parameters_from_schema(context, schema, location);
    add_parameters(context, operation, parameters);
}

/// A JSON body, parsed; what is wrong with it is named.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ProblemResponse;
    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(error) => Err(match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large("body", MAX_BODY),
                StatusCode::UNSUPPORTED_MEDIA_TYPE => wrong_type(),
                _ => unreadable(error.body_text()),
            }
            .into()),
        }
    }
}

impl<T: JsonSchema> OperationInput for Body<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(context, operation);
    }
}

/// A body that may hold a whole board.
pub(super) struct Large<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Large<T> {
    type Rejection = ProblemResponse;
    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(wrong_type().into());
        }
        let read = axum::body::to_bytes(request.into_body(), MAX_LARGE).await;
        let bytes = read.map_err(|_| too_large("body", MAX_LARGE))?;
        let Json(body) = Json::from_bytes(&bytes).map_err(|error| unreadable(error.body_text()))?;
        Ok(Self(body))
    }
}

impl<T: JsonSchema> OperationInput for Large<T> {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Json::<T>::operation_input(context, operation);
    }
}

/// A body that is a file, whatever its type.
pub(super) struct File(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = ProblemResponse;
    async fn from_request(request: Request, _: &S) -> Result<Self, ProblemResponse> {
        let read = axum::body::to_bytes(request.into_body(), MAX_ATTACHMENT).await;
        Ok(Self(read.map_err(|_| too_large("file", MAX_ATTACHMENT))?))
    }
}

impl OperationInput for File {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Bytes::operation_input(context, operation);
    }
}
