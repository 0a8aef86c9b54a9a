//! Features: filing, editing, moving, pausing, asking why.

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use qd_api::{Because, EventView, FeatureView, MoveFeature, NewComment, WhyView};
use qd_board::{Comment, EditFeature, NewFeature};
use qd_types::{FeatureId, Stage};
use serde::Deserialize;

use super::{
    Answer,
    request::{Body, Id},
};
use crate::{
    attachments::MAX_ATTACHMENT,
    problem::{ProblemResponse, invalid},
    team::{Caller, Team},
};

pub(super) fn router() -> Router<Team> {
    Router::new()
        .route("/features", get(features).post(add))
        .route("/features/{id}", get(feature).patch(edit))
        .route("/features/{id}/history", get(history))
        .route("/features/{id}/why", get(why))
        .route("/features/{id}/parts", get(parts))
        .route("/features/{id}/comments", get(comments).post(comment))
        .route("/features/{id}/move", post(move_to))
        .route("/features/{id}/cancel", post(cancel))
        .route("/features/{id}/pause", post(pause))
        .route("/features/{id}/resume", post(resume))
        .route("/features/{id}/revert", post(revert))
        .route(
            "/features/{id}/attachments",
            post(attach).layer(axum::extract::DefaultBodyLimit::max(MAX_ATTACHMENT)),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeatureFilter {
    stage: Option<Stage>,
}

async fn features(State(team): State<Team>, Query(filter): Query<FeatureFilter>) -> Answer<Vec<FeatureView>> {
    Ok(Json(team.features(filter.stage).await?))
}

async fn add(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<serde_json::Value>,
) -> Result<Response, ProblemResponse> {
    let new = NewFeature::from_json(new).map_err(|error| invalid(format!("{error}.")))?;
    Ok((StatusCode::CREATED, Json(team.add(&caller, new).await?)).into_response())
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

/// The body is the file.
async fn attach(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Id(id): Id<FeatureId>,
    Query(named): Query<Named>,
    body: Result<Bytes, BytesRejection>,
) -> Answer<FeatureView> {
    let body = body.map_err(|_| invalid(format!("The file is larger than {} MiB.", MAX_ATTACHMENT >> 20)))?;
    Ok(Json(team.attach(&caller, &id, &named.name, body.to_vec()).await?))
}
