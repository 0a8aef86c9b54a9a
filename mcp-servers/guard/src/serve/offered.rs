//! Resources and prompts as the protocol has them. Reading one is a call like any other; what goes wrong has to be an error
//! of the protocol here, because there is no other.

use rmcp::{
    ErrorData,
    model::{
        CacheScope, GetPromptResult, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
        ListResourcesResult, Prompt, PromptArgument, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate, ResultType,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Answer, Caller, Guard, Incoming, Outcome, Page, offers::Face, say};

/// The resources of this caller: the server's own, and results that were too long.
pub(super) fn resources(guard: &Guard, caller: &Caller) -> ListResourcesResult {
    let mut listed: Vec<Resource> = Vec::new();
    for entry in guard.visible(caller, &Face::resource()) {
        if let Face::Resource(address) = &entry.face
            && address.variables().next().is_none()
        {
            let resource = Resource::new(address.template.clone(), entry.spec.name.clone())
                .with_title(entry.spec.title.clone())
                .with_description(entry.spec.description.clone());
            listed.push(resource);
        }
    }
    listed.extend(guard.0.outputs.of(&caller.key()).into_iter().map(|link| {
        let resource = Resource::new(link.uri, "the whole result").with_mime_type("application/json");
        resource.with_size(link.size as u64)
    }));
    let mut list = ListResourcesResult::with_all_items(listed);
    (list.ttl_ms, list.cache_scope) = (Some(0), Some(CacheScope::Private));
    list
}

/// The addresses with variables.
pub(super) fn templates(guard: &Guard, caller: &Caller) -> ListResourceTemplatesResult {
    let mut listed = Vec::new();
    for entry in guard.visible(caller, &Face::resource()) {
        if let Face::Resource(address) = &entry.face
            && address.variables().next().is_some()
        {
            let template = ResourceTemplate::new(address.template.clone(), entry.spec.name.clone())
                .with_title(entry.spec.title.clone())
                .with_description(entry.spec.description.clone());
            listed.push(template);
        }
    }
    let mut list = ListResourceTemplatesResult::with_all_items(listed);
    (list.ttl_ms, list.cache_scope) = (Some(0), Some(CacheScope::Private));
    list
}

/// Reads a resource.
pub(super) async fn read(
    guard: &Guard,
    caller: &Caller,
    uri: String,
    cancel: CancellationToken,
) -> Result<ReadResourceResult, ErrorData> {
    let contents = if let Some(whole) = guard.whole(caller, &uri).await {
        let text = whole.map_err(|refusal| ErrorData::invalid_params(say::refused(&refusal), None))?;
        ResourceContents::text(text, uri).with_mime_type("application/json")
    } else {
        let found =
            guard.visible(caller, &Face::resource()).into_iter().find_map(|entry| match &entry.face {
                Face::Resource(address) => Some((entry.spec.name.to_string(), address.read(&uri)?)),
                _ => None,
            });
        let Some((name, arguments)) = found else {
            let text = "There is no such resource for you here. Long results are kept for a while only: call the tool again.";
            return Err(ErrorData::resource_not_found(text, Some(json!({ "uri": uri }))));
        };
        let incoming = Incoming { name, arguments, cancel, face: Face::resource(), ..Incoming::default() };
        let page: Page = answered(guard, caller, incoming).await?;
        let mut contents = match (page.text, page.blob) {
            (Some(text), _) => ResourceContents::text(text, uri),
            (None, blob) => ResourceContents::blob(blob.unwrap_or_default(), uri),
        };
        contents = contents.with_mime_type(page.mime_type);
        contents
    };
    let mut result = ReadResourceResult::new(vec![contents]);
    (result.ttl_ms, result.cache_scope) = (Some(0), Some(CacheScope::Private));
    Ok(result)
}

/// The prompts of this caller.
pub(super) fn prompts(guard: &Guard, caller: &Caller) -> ListPromptsResult {
    let prompt = |entry: &std::sync::Arc<crate::entry::Entry>| {
        let argument = |name: &str| {
            let (about, required) = entry.input.about(name);
            let argument = PromptArgument::new(name).with_required(required);
            match about {
                Some(about) => argument.with_description(about),
                None => argument,
            }
        };
        let arguments: Vec<PromptArgument> = entry.input.names().map(argument).collect();
        let arguments = (!arguments.is_empty()).then_some(arguments);
        let spec = &entry.spec;
        Prompt::new(spec.name.clone(), Some(spec.description.clone()), arguments)
            .with_title(spec.title.clone())
    };
    let mut list =
        ListPromptsResult::with_all_items(guard.visible(caller, &Face::Prompt).iter().map(prompt).collect());
    (list.ttl_ms, list.cache_scope) = (Some(0), Some(CacheScope::Private));
    list
}

/// Puts a prompt together.
pub(super) async fn prompt(
    guard: &Guard,
    caller: &Caller,
    name: String,
    arguments: JsonObject,
    cancel: CancellationToken,
) -> Result<GetPromptResult, ErrorData> {
    let incoming = Incoming { name, arguments, cancel, face: Face::Prompt, ..Incoming::default() };
    let mut result: GetPromptResult = answered(guard, caller, incoming).await?;
    result.result_type = Some(ResultType::COMPLETE);
    Ok(result)
}

/// A call's result, the whole of it.
async fn answered<T: DeserializeOwned>(
    guard: &Guard,
    caller: &Caller,
    incoming: Incoming,
) -> Result<T, ErrorData> {
    let answer = guard.call(caller, incoming).await;
    let value: Value = match answer {
        Answer::Done { result: Outcome::Whole(value), .. } => value,
        Answer::Done { result: Outcome::Cut { size, whole, .. }, .. } => {
            let text = whole.and_then(|link| guard.0.outputs.take(&caller.key(), &link.uri));
            let text = text.ok_or_else(|| {
                ErrorData::internal_error(
                    format!("It takes {size} bytes, and that is too long to be read."),
                    None,
                )
            })?;
            serde_json::from_str(&text).map_err(|error| ErrorData::internal_error(error.to_string(), None))?
        }
        Answer::Pending(pending) => return Err(ErrorData::invalid_request(say::waiting(&pending), None)),
        Answer::Refused(refusal) => return Err(ErrorData::invalid_params(say::refused(&refusal), None)),
        Answer::Preview(_) => return Err(ErrorData::internal_error("It only reads.", None)),
    };
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("It can't be told: {error}."), None))
}
