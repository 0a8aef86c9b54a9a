//! What every request is read by: an id in the path, a body.

use axum::{
    Json,
    extract::{FromRequestParts, Path, rejection::JsonRejection},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use crate::problem::{ProblemResponse, invalid};

/// An id in the path, parsed; a bad one is a problem that says what a good one looks like.
pub(super) struct Id<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: std::str::FromStr<Err = qd_types::IdError>,
    S: Send + Sync,
{
    type Rejection = ProblemResponse;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(text) = Path::<std::collections::HashMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| invalid(error.body_text()))?;
        let text = text.get("id").map_or("", String::as_str);
        Ok(Self(text.parse().map_err(|error: qd_types::IdError| invalid(format!("{error}.")))?))
    }
}

/// A body, parsed; what is wrong with it is named.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> axum::extract::FromRequest<S> for Body<T> {
    type Rejection = ProblemResponse;
    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, ProblemResponse> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::BytesRejection(_)) => {
                Err(invalid("The body is too large: 2 MiB fit, 32 MiB for an import.").into())
            }
            Err(error) => Err(invalid(error.body_text()).into()),
        }
    }
}
