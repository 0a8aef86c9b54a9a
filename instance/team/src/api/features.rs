//! Features: filing, editing, moving, pausing, asking why.

use aide::{
    OperationInput, OperationOutput,
    generate::GenContext,
    openapi::{Operation, Response as Described, SchemaObject, StatusCode},
};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{FromRequest, Request, State},
    http::header,
    response::{IntoResponse, Response},
};
use qd_api::{Because, EventView, FeatureView, MoveFeature, NewComment, WhyView};
use qd_board::{Comment, EditFeature, NewFeature};
use qd_types::{FeatureId, Stage};
use schemars::{JsonSchema, json_schema};
use serde::Deserialize;

use super::{
    Answer,
    answer::{Created, listed},
    request::{Body, File, Id, Path, Query},
    routes::Routes,
};
use crate::{
    problem::{ProblemResponse, invalid},
    team::{Caller, Team},
};

pub(super) fn router() -> Routes {
    Routes::new()
        .get("/features", "Lists the features, newest first.", features)
        .post("/features", "Files a feature.", add)
        .get("/features/{id}", "Shows a feature.", feature)
        .patch("/features/{id}", "Edits a feature by a merge patch.", edit)
        .get("/features/{id}/history", "Lists what happened to a feature, oldest first.", history)
        .get("/features/{id}/why", "Says why a feature runs now, or what exactly it waits for.", why)
        .get("/features/{id}/parts", "Lists the parts of an epic, by number.", parts)
        .get("/features/{id}/comments", "Lists the comments on a feature, oldest first.", comments)
        .post("/features/{id}/comments", "Writes a comment; answers with all of them.", comment)
        .post("/features/{id}/move", "Moves a feature to another column.", move_to)
        .post("/features/{id}/cancel", "Gives a feature up.", cancel)
        .post("/features/{id}/pause", "Pauses a feature: its runs go on, none starts.", pause)
        .post("/features/{id}/resume", "Lets a paused feature go on.", resume)
        .post("/features/{id}/revert", "Files a feature that takes a merged one back.", revert)
        .post(
            "/features/{id}/attachments",
            "Keeps a file with a feature; one of the same name is replaced.",
            attach,
        )
        .get("/features/{id}/attachments/{name}", "Gives a file that belongs to a feature.", attachment)
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FeatureFilter {
    /// Only those in this column.
    stage: Option<Stage>,
}

async fn features(State(team): State<Team>, Query(filter): Query<FeatureFilter>) -> Answer<Vec<FeatureView>> {
    Ok(Json(team.features(filter.stage).await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Filed(new): Filed,
) -> Result<Created<FeatureView>, ProblemResponse> {
    Ok(Created(team.add(&caller, new).await?))
}

/// A feature to be filed. A field that is not known is refused by its name.
struct Filed(NewFeature);

impl<S: Send + Sync> FromRequest<S> for Filed {
    type Rejection = ProblemResponse;
    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemResponse> {
        let Body(value) = Body::from_request(request, state).await?;
        Ok(Self(NewFeature::from_json(value).map_err(|error| invalid(format!("{error}.")))?))
    }
}

impl OperationInput for Filed {
    fn operation_input(context: &mut GenContext, operation: &mut Operation) {
        Body::<NewFeature>::operation_input(context, operation);
    }
}

async fn feature(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<FeatureView> {
    Ok(Json(team.feature(&id).await?))
}

async fn history(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<Vec<EventView>> {
    Ok(Json(team.history(&id).await?))
}

async fn edit(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(because): Query<Because>,
    Body(edit): Body<EditFeature>,
) -> Answer<FeatureView> {
    Ok(Json(team.edit(&caller, &id, edit, because.reason).await?))
}

async fn move_to(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Body(to): Body<MoveFeature>,
) -> Answer<FeatureView> {
    Ok(Json(team.move_to(&caller, &id, to).await?))
}

async fn cancel(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(because): Query<Because>,
) -> Answer<FeatureView> {
    Ok(Json(team.cancel(&caller, &id, because.reason).await?))
}

async fn why(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<WhyView> {
    Ok(Json(team.why(&id).await?))
}

async fn parts(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<Vec<FeatureView>> {
    Ok(Json(team.parts(&id).await?))
}

async fn comments(State(team): State<Team>, Id(id): Id<FeatureId>) -> Answer<Vec<Comment>> {
    Ok(Json(team.comments(&id).await?))
}

async fn comment(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Body(comment): Body<NewComment>,
) -> Answer<Vec<Comment>> {
    Ok(Json(team.comment(&caller, &id, &comment.text).await?))
}

async fn pause(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Body(because): Body<Because>,
) -> Answer<FeatureView> {
    Ok(Json(team.pause_feature(&caller, &id, because.reason).await?))
}

async fn resume(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
) -> Answer<FeatureView> {
    Ok(Json(team.resume_feature(&caller, &id).await?))
}

async fn revert(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Body(because): Body<Because>,
) -> Answer<FeatureView> {
    Ok(Json(team.revert(&caller, &id, because.reason).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    /// What the file is called.
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Kept {
    /// The feature.
    id: FeatureId,
    /// What the file is called.
    name: String,
}

/// A file, to be kept and never to be shown: who wrote it may be an outsider.
struct Download(String, Vec<u8>);

impl IntoResponse for Download {
    fn into_response(self) -> Response {
        // Names have no quotes: see where they are taken.
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", self.0)),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        ];
        (headers, self.1).into_response()
    }
}

impl OperationOutput for Download {
    type Inner = Bytes;

    fn operation_response(context: &mut GenContext, operation: &mut Operation) -> Option<Described> {
        let mut described = Bytes::operation_response(context, operation)?;
        let json_schema = json_schema!({ "type": "string", "format": "binary" });
        let schema = Some(SchemaObject { json_schema, example: None, external_docs: None });
        described.content.values_mut().for_each(|body| body.schema = schema.clone());
        Some(described)
    }

    fn inferred_responses(
        context: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<StatusCode>, Described)> {
        listed(Some(200), Self::operation_response(context, operation))
    }
}

async fn attachment(
    State(team): State<Team>,
    Path(Kept { id, name }): Path<Kept>,
) -> Result<Download, ProblemResponse> {
    let bytes = team.attachment(&id, &name).await?;
    Ok(Download(name, bytes))
}

/// The body is the file.
async fn attach(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(named): Query<Named>,
    File(body): File,
) -> Answer<FeatureView> {
    Ok(Json(team.attach(&caller, &id, &named.name, body.to_vec()).await?))
}
