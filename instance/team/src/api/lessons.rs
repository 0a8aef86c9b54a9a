//! Lessons of earlier work.

use axum::{Extension, Json, extract::State};
use qd_api::{LessonView, ProposeLesson};

use super::{
    Answer,
    approvals::Keyed,
    request::{Body, Path},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new()
        .get(
            "/lessons",
            "Lists the lessons that agents are told, and those that people are asked about.",
            all,
        )
        .post("/lessons", "Proposes a lesson; people are asked before agents are told.", propose)
        .post("/lessons/{key}/remove", "Removes a lesson; answers with what is left.", remove)
}

async fn all(State(team): State<Team>) -> Answer<Vec<LessonView>> {
    Ok(Json(team.lessons().await?))
}

async fn propose(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(lesson): Body<ProposeLesson>,
) -> Answer<LessonView> {
    Ok(Json(team.propose_lesson(&caller, lesson).await?))
}

async fn remove(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Path(Keyed { key }): Path<Keyed>,
) -> Answer<Vec<LessonView>> {
    Ok(Json(team.remove_lesson(&caller, &key).await?))
}
