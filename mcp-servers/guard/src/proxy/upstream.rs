//! The connection to a third-party server. It may call, report progress and say that its tools changed; whatever it asks of
//! its client (a model's words, a person's input) is declined.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rmcp::{
    ClientHandler, RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig,
        ClientRequest, Implementation, ProgressNotificationParam, ProgressToken, ServerResult,
    },
    service::{
        ClientInitializeError, NotificationContext, PeerRequestOptions, RunningService, ServiceError,
        serve_client,
    },
    transport::IntoTransport,
};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::Described;
use crate::{Call, Progress};

/// Tools that a server may have. More is a mistake, or an attack on whoever reads the list.
const TOOLS: usize = 512;

/// Why a third-party server can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// It has a name that is none.
    #[error("{0:?} is no name for a server: take letters, digits, _ and -")]
    Name(String),
    /// It did not begin.
    #[error("the server {server} did not begin a session: {source}")]
    Begin {
        /// Which.
        server: String,
        /// Why.
        source: Box<ClientInitializeError>,
    },
    /// It did not answer.
    #[error("the server {server} did not answer: {source}")]
    Answer {
        /// Which.
        server: String,
        /// Why.
        source: Box<ServiceError>,
    },
    /// It answered with something else.
    #[error("the server {server} {problem}")]
    Odd {
        /// Which.
        server: String,
        /// What it did.
        problem: String,
    },
}

#[derive(Default)]
struct Heard {
    calls: Mutex<HashMap<ProgressToken, Progress>>,
    changed: Notify,
}

struct Ears(Arc<Heard>);

impl ClientHandler for Ears {
    fn get_info(&self) -> ClientConfig {
        let me = Implementation::new("quarterdeck-guard", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), me)
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        let calls = self.0.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = calls.get(&told.progress_token) {
            progress.report(told.progress, told.total, told.message.unwrap_or_default());
        }
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.0.changed.notify_one();
    }
}

pub(super) struct Upstream {
    name: String,
    running: RunningService<RoleClient, Ears>,
    heard: Arc<Heard>,
}

impl Upstream {
    pub(super) async fn connect<T, E, A>(name: &str, transport: T) -> Result<Self, UpstreamError>
    where
        T: IntoTransport<RoleClient, E, A>,
        E: std::error::Error + Send + Sync + 'static,
    {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')) {
            return Err(UpstreamError::Name(name.to_owned()));
        }
        let heard = Arc::new(Heard::default());
        let running = serve_client(Ears(heard.clone()), transport).await;
        let begin = |source| UpstreamError::Begin { server: name.to_owned(), source: Box::new(source) };
        Ok(Self { name: name.to_owned(), running: running.map_err(begin)?, heard })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// All its tools, as it describes them now.
    pub(super) async fn tools(&self) -> Result<Vec<Described>, UpstreamError> {
        let listed = self.running.list_all_tools().await.map_err(|error| self.failed(error))?;
        if listed.len() > TOOLS {
            return Err(self.odd(format!("has {} tools, and at most {TOOLS} are taken", listed.len())));
        }
        Ok(listed.iter().map(Described::of).collect())
    }

    /// Returns when it says that its tools changed.
    pub(super) async fn changed(&self) {
        self.heard.changed.notified().await;
    }

    /// Calls a tool; tells it when nobody waits any more.
    pub(super) async fn call(
        &self,
        call: &Call,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<CallToolResult, UpstreamError> {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options();
        let mut handle = self
            .running
            .send_request_with_option(request, options)
            .await
            .map_err(|error| self.failed(error))?;
        let token = handle.progress_token.clone();
        self.calls().insert(token.clone(), call.progress.clone());
        let answered = tokio::select! {
            answered = &mut handle.rx => Some(answered),
            () = call.cancel.cancelled() => None,
        };
        self.calls().remove(&token);
        match answered {
            Some(Ok(Ok(ServerResult::CallToolResult(result)))) => Ok(result),
            Some(Ok(Ok(_))) => {
                Err(self.odd("asks for something before it answers, and nothing is given to it".to_owned()))
            }
            Some(Ok(Err(error))) => Err(self.failed(error)),
            Some(Err(_)) => Err(self.odd("went away before it answered".to_owned())),
            None => {
                let _ = handle.cancel(Some("nobody waits for it any more".to_owned())).await;
                Err(self.odd("was told to stop".to_owned()))
            }
        }
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<ProgressToken, Progress>> {
        self.heard.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: ServiceError) -> UpstreamError {
        UpstreamError::Answer { server: self.name.clone(), source: Box::new(error) }
    }

    fn odd(&self, problem: String) -> UpstreamError {
        UpstreamError::Odd { server: self.name.clone(), problem }
    }
}
