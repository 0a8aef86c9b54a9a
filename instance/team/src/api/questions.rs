//! Questions that runs ask people, and their answers.

use axum::{Extension, Json, extract::State};
use qd_api::{AskQuestion, QuestionView};

use super::{
    Answer,
    approvals::Keyed,
    request::{Body, Path},
    routes::Routes,
};
use crate::team::{Caller, Team};

pub(super) fn router() -> Routes {
    Routes::new().post("/questions", "Asks people on behalf of a run.", ask).get(
        "/questions/{key}",
        "Shows a question, and what became of it.",
        question,
    )
}

async fn ask(
    State(team): State<Team>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<AskQuestion>,
) -> Answer<QuestionView> {
    Ok(Json(team.ask(&caller, asked).await?))
}

async fn question(State(team): State<Team>, Path(Keyed { key }): Path<Keyed>) -> Answer<QuestionView> {
    Ok(Json(team.question(&key).await?))
}
