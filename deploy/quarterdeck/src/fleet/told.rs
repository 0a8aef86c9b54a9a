//! What other processes of this state folder tell a running fleet, so that it looks at once.

use std::sync::{Arc, OnceLock, Weak};

use axum::{Json, Router, extract::State, routing::post};
use qd_api::Problem;
use qd_team::ProblemResponse;

use super::Live;

/// Where it is told that a person trusted tools.
pub const TRUSTED: &str = "/fleet/tools/trusted";

type Told = Arc<OnceLock<Weak<Live>>>;

/// Behind the door.
pub(super) fn routes(live: Told) -> Router {
    Router::new().route(TRUSTED, post(trusted)).with_state(live)
}

/// The policies know the tools that people trusted up to now. What is looked at lies in the state folder: whoever tells, no
/// more is trusted than there.
async fn trusted(State(live): State<Told>) -> Result<Json<()>, ProblemResponse> {
    let unavailable = |detail: String| {
        let hint = Some("The fleet looks again by itself, within seconds.".into());
        ProblemResponse(Problem { kind: "unavailable".into(), status: 503, detail, hint })
    };
    let live = live.get().and_then(Weak::upgrade);
    let live = live.ok_or_else(|| unavailable("The fleet is starting, or ending.".into()))?;
    live.share_policies().await.map_err(|error| {
        tracing::error!(%error, "the tools that people trusted can't be put in force");
        unavailable("What people trusted can't be read.".into())
    })?;
    Ok(Json(()))
}
