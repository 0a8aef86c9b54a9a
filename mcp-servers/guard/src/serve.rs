//! One client's session: the protocol's requests, answered by the guard. The caller is the session's, and nothing that the
//! client says changes it.

mod offered;

use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, GetPromptRequestParams,
        GetPromptResponse, GetTaskParams, GetTaskResult, Implementation, JsonObject,
        ListPromptsRequestMethod, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProgressToken, PromptsCapability,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
        SubscriptionFilter, TASKS_EXTENSION_ID, Tool, ToolAnnotations, UpdateTaskParams,
    },
    service::{
        NotificationContext, Peer, RequestContext, ServiceError, SubscriptionContext, SubscriptionSendError,
    },
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Answer, Caller, DRY_RUN, Guard, Hints, Incoming, Progress, Step, entry::Entry, offers::Face,
    pipeline::OUTCOME, say, schema, screen::REFUSED,
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
        let entries = self.guard.visible(&self.caller, &Face::Tool);
        let mut tools: Vec<Tool> = entries.iter().map(|entry| tool(entry)).collect();
        let mutating: Vec<&Hints> =
            entries.iter().filter(|entry| entry.changes()).map(|entry| &entry.spec.hints).collect();
        if !mutating.is_empty() {
            tools.push(outcome_tool(&mutating));
        }
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

/// The tool that every server has whose tools may have to wait for people. It carries out any of those, so that it does what
/// the most dangerous of them does.
fn outcome_tool(carries_out: &[&Hints]) -> Tool {
    let dry_run = "Say how it stands and what would happen now, and do nothing.";
    let schema = object(json!({
        "type": "object",
        "properties": {
            "approval": { "type": "string", "description": "The id that the answer of a tool gave." },
            DRY_RUN: { "type": "boolean", "default": false, "description": dry_run }
        },
        "required": ["approval"],
        "additionalProperties": false
    }));
    let text = "Ask what became of a call that people had to agree to. Once they agreed, this carries it out, once, and gives \
                its result; asked again it gives the same result.";
    let title = "Outcome of a call";
    let annotations = ToolAnnotations::with_title(title)
        .read_only(false)
        .destructive(carries_out.iter().any(|hints| hints.destructive))
        .idempotent(true)
        .open_world(carries_out.iter().any(|hints| hints.open_world));
    let output = schema::outcome(object(json!({ "type": "object" })));
    Tool::new(OUTCOME, text, schema)
        .with_title(title)
        .with_raw_output_schema(std::sync::Arc::new(output))
        .with_annotations(annotations)
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(fields) => fields,
        _ => JsonObject::new(),
    }
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .enable_resources()
            .enable_resources_list_changed()
            .build();
        if self.guard.offers(&Face::Prompt) {
            let mut prompts = PromptsCapability::default();
            prompts.list_changed = Some(true);
            capabilities.prompts = Some(prompts);
        }
        if self.guard.asks() {
            let tasks = capabilities.extensions.get_or_insert_default();
            tasks.insert(TASKS_EXTENSION_ID.to_owned(), JsonObject::new());
        }
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

    /// Asked twice for each call over HTTP, to hold headers against arguments: only where a tool has any such.
    fn get_tool(&self, name: &str) -> Option<Tool> {
        let in_headers = self.guard.entry(name).is_some_and(|entry| entry.input.in_headers);
        in_headers.then(|| self.guard.listed(&self.caller, name).map(|entry| tool(&entry)))?
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let refused =
            context.meta.get(REFUSED).map(|why| why.as_str().unwrap_or("it was refused").to_owned());
        let tasks =
            self.guard.asks() && context.client_capabilities().is_some_and(|can| can.supports_tasks());
        let (progress, mut steps) = match context.meta.get_progress_token() {
            Some(token) => {
                let (sender, steps) = mpsc::channel(STEPS);
                (Progress::to(sender, !tasks), Some((token, steps)))
            }
            None => (Progress::default(), None),
        };
        let incoming = Incoming {
            name: request.name.into_owned(),
            arguments: request.arguments.unwrap_or_default(),
            refused,
            cancel: context.ct.clone(),
            progress,
            face: Face::Tool,
        };
        let answer = match &mut steps {
            Some((token, steps)) => {
                let call = self.guard.call(&self.caller, incoming);
                Box::pin(told(&self.guard, &context.peer, token, steps, call)).await
            }
            None => self.guard.call(&self.caller, incoming).await,
        };
        Ok(match answer {
            Answer::Pending(pending) if tasks => CallToolResponse::Task(self.guard.task(&pending)),
            answer => say::result(answer).into(),
        })
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.guard.get_task(&self.caller, &request.task_id).await
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.guard.update_task(&self.caller, &request.task_id).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.guard.cancel_task(&self.caller, &request.task_id).await
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(offered::resources(&self.guard, &self.caller))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(offered::templates(&self.guard, &self.caller))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(offered::read(&self.guard, &self.caller, request.uri, context.ct).await?.into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        if !self.guard.offers(&Face::Prompt) {
            return Err(ErrorData::method_not_found::<ListPromptsRequestMethod>());
        }
        Ok(offered::prompts(&self.guard, &self.caller))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(offered::prompt(&self.guard, &self.caller, request.name, arguments, context.ct).await?.into())
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let (mut news, ended) = (News::of(self), self.ended.clone());
        tokio::spawn(async move {
            loop {
                let [tools, resources, prompts] = tokio::select! {
                    changed = news.next() => changed,
                    () = ended.cancelled() => return,
                };
                let peer = &context.peer;
                let told = async {
                    if tools {
                        peer.notify_tool_list_changed().await?;
                    }
                    if resources {
                        peer.notify_resource_list_changed().await?;
                    }
                    if prompts {
                        peer.notify_prompt_list_changed().await?;
                    }
                    Ok::<_, ServiceError>(())
                };
                if told.await.is_err() {
                    return;
                }
            }
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut all = SubscriptionFilter::builder().tools_list_changed().resources_list_changed();
        if self.guard.offers(&Face::Prompt) {
            all = all.prompts_list_changed();
        }
        Some(requested.intersection(&all.build()))
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let mut news = News::of(self);
        loop {
            let [tools, resources, prompts] = tokio::select! {
                changed = news.next() => changed,
                () = subscription.cancelled() => return Ok(()),
            };
            let sink = subscription.sink();
            let told = async {
                if tools {
                    heard(sink.notify_tool_list_changed().await)?;
                }
                if resources {
                    heard(sink.notify_resource_list_changed().await)?;
                }
                if prompts {
                    heard(sink.notify_prompt_list_changed().await)?;
                }
                Ok::<_, SubscriptionSendError>(())
            };
            if told.await.is_err() {
                return Ok(());
            }
        }
    }
}

/// What this client did not subscribe to is left out.
fn heard(told: Result<(), SubscriptionSendError>) -> Result<(), SubscriptionSendError> {
    match told {
        Err(SubscriptionSendError::NotificationNotAccepted(_)) => Ok(()),
        told => told,
    }
}

/// When another list holds for a caller: tools, resources, prompts.
struct News {
    guard: Guard,
    caller: Caller,
    changes: watch::Receiver<u64>,
    served: watch::Receiver<u64>,
    listed: [Vec<String>; 3],
}

impl News {
    fn of(session: &Session) -> Self {
        let (guard, caller) = (session.guard.clone(), session.caller.clone());
        let (changes, served) = (guard.changes(), guard.served());
        let listed = names(&guard, &caller);
        Self { guard, caller, changes, served, listed }
    }

    /// Returns once any does, with which.
    async fn next(&mut self) -> [bool; 3] {
        loop {
            let ticked = tokio::select! {
                ticked = self.changes.changed() => ticked,
                ticked = self.served.changed() => ticked,
            };
            if ticked.is_err() {
                // The law is gone: nothing will change any more.
                std::future::pending::<()>().await;
            }
            let before = std::mem::replace(&mut self.listed, names(&self.guard, &self.caller));
            let [was_tools, was_resources, was_prompts] = before;
            let [tools, resources, prompts] = &self.listed;
            let changed = [was_tools != *tools, was_resources != *resources, was_prompts != *prompts];
            if changed.contains(&true) {
                return changed;
            }
        }
    }
}

fn names(guard: &Guard, caller: &Caller) -> [Vec<String>; 3] {
    [Face::Tool, Face::resource(), Face::Prompt]
        .map(|face| guard.visible(caller, &face).iter().map(|entry| entry.spec.name.to_string()).collect())
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
