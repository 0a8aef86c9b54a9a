//! One client's session: the protocol's requests, answered by the guard. The caller is the session's, and nothing that the
//! client says changes it.

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, Implementation, JsonObject, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProgressToken,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ServerCapabilities, ServerConfig, SubscriptionFilter, Tool, ToolAnnotations,
    },
    service::{NotificationContext, Peer, RequestContext, SubscriptionContext},
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Answer, Caller, Guard, Incoming, Progress, Step, entry::Entry, pipeline::OUTCOME, say, screen::REFUSED,
};

/// Steps of progress that may wait for a slow client; what is more is left out.
const STEPS: usize = 16;

/// A client's session.
pub struct Session {
    guard: Guard,
    caller: Caller,
    /// What runs beside the session ends with it.
    ended: CancellationToken,
    _end: DropGuard,
}

impl Session {
    /// A session of this caller.
    pub fn new(guard: Guard, caller: Caller) -> Self {
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        Self { guard, caller, ended, _end: end }
    }

    fn tools(&self) -> Vec<Tool> {
        let entries = self.guard.visible(&self.caller);
        let waits = entries.iter().any(|entry| entry.changes());
        let mut tools: Vec<Tool> = entries.iter().map(|entry| tool(entry)).collect();
        tools.extend(waits.then(outcome_tool));
        tools
    }
}

fn tool(entry: &Entry) -> Tool {
    let spec = &entry.spec;
    let hints = spec.hints;
    let annotations = ToolAnnotations::with_title(spec.title.clone())
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world);
    Tool::new(spec.name.clone(), spec.description.clone(), entry.input.schema.clone())
        .with_title(spec.title.clone())
        .with_raw_output_schema(std::sync::Arc::new(entry.output.clone()))
        .with_annotations(annotations)
}

/// The tool that every server has whose tools may have to wait for people.
fn outcome_tool() -> Tool {
    let schema = object(json!({
        "type": "object",
        "properties": { "approval": { "type": "string", "description": "The id that the answer of a tool gave." } },
        "required": ["approval"],
        "additionalProperties": false
    }));
    let text = "Ask what became of a call that people had to agree to. Once they agreed, this carries it out, once, and gives \
                its result; asked again it gives the same result.";
    let title = "Outcome of a call";
    let annotations = ToolAnnotations::with_title(title).read_only(false).idempotent(true).open_world(false);
    Tool::new(OUTCOME, text, schema).with_title(title).with_annotations(annotations)
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .build();
        let mut config = ServerConfig::new(capabilities);
        config.server_info =
            Implementation::new(format!("quarterdeck-{}", self.guard.name()), env!("CARGO_PKG_VERSION"));
        let waits = if self.guard.asks() {
            " Some calls need people to agree first: the answer then says pending, and what to ask again with. Nothing that \
             you say counts as their agreement."
        } else {
            ""
        };
        config.with_instructions(format!("{}{waits}", self.guard.about()))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = ListToolsResult::with_all_items(self.tools());
        // Another caller sees other tools, and a changed policy counts at once.
        (list.ttl_ms, list.cache_scope) = (Some(0), Some(CacheScope::Private));
        Ok(list)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.guard.listed(&self.caller, name).map(|entry| tool(&entry))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let refused =
            context.meta.get(REFUSED).map(|why| why.as_str().unwrap_or("it was refused").to_owned());
        let (progress, mut steps) = match context.meta.get_progress_token() {
            Some(token) => {
                let (sender, steps) = mpsc::channel(STEPS);
                (Progress(Some(sender)), Some((token, steps)))
            }
            None => (Progress(None), None),
        };
        let incoming = Incoming {
            name: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            refused,
            cancel: context.ct.clone(),
            progress,
        };
        let answer = match &mut steps {
            Some((token, steps)) => {
                let call = self.guard.call(&self.caller, incoming);
                told(&self.guard, &context.peer, token, steps, call).await
            }
            None => self.guard.call(&self.caller, incoming).await,
        };
        Ok(say::result(answer).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let kept = self.guard.0.outputs.of(&self.caller.key());
        let resources = kept.into_iter().map(|link| {
            let resource = Resource::new(link.uri, "the whole result").with_mime_type("application/json");
            resource.with_size(link.size as u64)
        });
        let mut list = ListResourcesResult::with_all_items(resources.collect());
        (list.ttl_ms, list.cache_scope) = (Some(0), Some(CacheScope::Private));
        Ok(list)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let Some(text) = self.guard.0.outputs.read(&self.caller.key(), &request.uri) else {
            let text = "There is no such result for you here; results are kept for a while only. Call the tool again.";
            return Err(ErrorData::resource_not_found(text, Some(json!({ "uri": request.uri }))));
        };
        let contents = ResourceContents::text(text, request.uri).with_mime_type("application/json");
        let mut result = ReadResourceResult::new(vec![contents]);
        (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Private));
        Ok(result.into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut news, ended) = (News::of(self), self.ended.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = news.next() => {}
                    () = ended.cancelled() => return,
                }
                if context.peer.notify_tool_list_changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.intersection(&SubscriptionFilter::builder().tools_list_changed().build()))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut news = News::of(self);
        loop {
            tokio::select! {
                () = news.next() => {}
                () = subscription.cancelled() => return Ok(()),
            }
            if subscription.sink().notify_tool_list_changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// When another list of tools holds for a caller.
struct News {
    guard: Guard,
    caller: Caller,
    changes: watch::Receiver<u64>,
    served: watch::Receiver<u64>,
    listed: Vec<String>,
}

impl News {
    fn of(session: &Session) -> Self {
        let (guard, caller) = (session.guard.clone(), session.caller.clone());
        let (changes, served) = (guard.changes(), guard.served());
        let listed = names(&guard, &caller);
        Self { guard, caller, changes, served, listed }
    }

    /// Returns once it does.
    async fn next(&mut self) {
        loop {
            let ticked = tokio::select! {
                ticked = self.changes.changed() => ticked,
                ticked = self.served.changed() => ticked,
            };
            if ticked.is_err() {
                // The law is gone: nothing will change any more.
                std::future::pending::<()>().await;
            }
            let now = names(&self.guard, &self.caller);
            if now != self.listed {
                self.listed = now;
                return;
            }
        }
    }
}

fn names(guard: &Guard, caller: &Caller) -> Vec<String> {
    guard.visible(caller).iter().map(|entry| entry.spec.name.to_string()).collect()
}

/// Lets a call go on, and tells the client of its progress. What is told only grows, whoever counts.
async fn told(
    guard: &Guard,
    peer: &Peer<RoleServer>,
    token: &ProgressToken,
    steps: &mut mpsc::Receiver<Step>,
    call: impl Future<Output = Answer>,
) -> Answer {
    let mut last = -1.0_f64;
    let mut call = std::pin::pin!(call);
    loop {
        let step = tokio::select! {
            biased;
            Some(step) = steps.recv() => step,
            answer = &mut call => return answer,
        };
        last = step.done.max(last + 0.01);
        let mut told = ProgressNotificationParam::new(token.clone(), last);
        told.total = step.total;
        let _ = peer.notify_progress(told.with_message(guard.0.redact.text(&step.text))).await;
    }
}
