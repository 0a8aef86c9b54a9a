//! The board's way to the team's own API, within this process. Who calls is written on each request here: no token is
//! needed, and none is shown to anybody.

use std::sync::Arc;

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_LENGTH},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use qd_agents::Redactor;
use qd_api::{Client, Target, Within};
use qd_approvals::Proof;
use qd_guard::{Caller, Fault, Who};
use qd_mcp_board::{Desk, Voice};
use qd_types::InstanceName;
use serde_json::Value;

use super::{Turns, locked};

/// Bytes between a tool and the API.
const PIPE: usize = 64 * 1024;

/// Bytes of one request to the board, at most.
const REQUEST: usize = 1024 * 1024;

/// The boards of runs that work now.
pub(super) struct TeamDesk(pub(super) Turns);

impl Desk for TeamDesk {
    fn teams(&self) -> Vec<InstanceName> {
        let mut teams: Vec<_> = locked(&self.0).values().map(|open| open.team.name()).collect();
        teams.sort();
        teams.dedup();
        teams
    }

    fn client(&self, caller: &Caller, team: &InstanceName, voice: Voice) -> Result<Client, Fault> {
        let Who::Agent { agent, run, on_behalf, .. } = &caller.who else {
            return Err(Fault::failed("Only the agent of a run calls here.", "Use quarterdeck mcp board."));
        };
        let open = locked(&self.0).get(run).cloned();
        let open = open.filter(|open| open.team.name() == *team).ok_or_else(|| {
            Fault::failed(
                format!("Run {run} has no board of {team} now."),
                "It can be asked while the run's agent works, about its own team.",
            )
        })?;
        let person = on_behalf.iter().find_map(|person| open.team.known(person)).ok_or_else(|| {
            Fault::failed(
                format!("Nobody is known on whose behalf run {run} works."),
                "A person who is known has to edit its feature.",
            )
        })?;
        let agent = match voice {
            Voice::Caller => Some(agent.clone()),
            Voice::Granted => None,
        };
        let caller =
            qd_team::Caller { person, agent, surface: "mcp".to_owned(), proof: Proof::Socket, granted: None };
        let name = open.team.name();
        let router = Router::new()
            .nest(&format!("/teams/{name}/api/v1"), qd_team::router(open.team.clone()))
            .layer(Extension(caller))
            .layer(from_fn_with_state(open.redactor.clone(), without_secrets));
        let connect = move || {
            let (inside, outside) = tokio::io::duplex(PIPE);
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(outside), service).await;
                if let Err(error) = served {
                    tracing::debug!(%error, "a tool's connection to the board ended badly");
                }
            });
            inside
        };
        Ok(Client::new(Target::Within(Within(Arc::new(connect))), name.as_str(), None))
    }

    fn policies(&self, caller: &Caller) -> Result<String, Fault> {
        let open = match &caller.who {
            Who::Agent { run, .. } => locked(&self.0).get(run).cloned(),
            _ => None,
        };
        let open = open.ok_or_else(|| {
            Fault::failed("Only the agent of a run that works asks here.", "Use quarterdeck policy matrix.")
        })?;
        Ok(open.policies.current().bundle().matrix().table())
    }
}

/// What an agent writes to the board holds none of the secrets that it may see.
async fn without_secrets(State(redactor): State<Redactor>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let Ok(mut said) = serde_json::from_slice::<Value>(&bytes) else {
        return next.run(Request::from_parts(parts, Body::from(bytes))).await;
    };
    redact(&redactor, &mut said);
    parts.headers.remove(CONTENT_LENGTH);
    next.run(Request::from_parts(parts, Body::from(said.to_string()))).await
}

/// Takes secrets out of every text in it.
fn redact(redactor: &Redactor, value: &mut Value) {
    match value {
        Value::String(text) => *text = redactor.redact(std::mem::take(text)),
        Value::Array(all) => all.iter_mut().for_each(|each| redact(redactor, each)),
        Value::Object(all) => all.values_mut().for_each(|each| redact(redactor, each)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
