//! What goes over the wire where the crate's own types are too strict: one word that it does not know would cost the
//! whole message. Everything else uses the crate's types.

use std::sync::atomic::{AtomicU64, Ordering};

use agent_client_protocol::{
    JsonRpcRequest, JsonRpcResponse, Responder, V1,
    v1::schema::{
        ContentBlock, Cost, ReadTextFileRequest, ReadTextFileResponse, RequestPermissionResponse, SessionId,
        ToolCallUpdate, Usage as WireUsage, WriteTextFileRequest, WriteTextFileResponse,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::text::RawLine;

/// `session/prompt`
#[derive(Debug, Clone, Serialize, Deserialize, JsonRpcRequest)]
#[request(method = "session/prompt", response = PromptAnswer)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prompt {
    pub(super) session_id: SessionId,
    pub(super) prompt: Vec<ContentBlock>,
}

/// Its answer. The stop reason is a word that may be unknown; the usage may be anything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonRpcResponse)]
#[serde(rename_all = "camelCase")]
pub(super) struct PromptAnswer {
    #[serde(default)]
    pub(super) stop_reason: Value,
    #[serde(default)]
    pub(super) usage: Value,
}

impl PromptAnswer {
    pub(super) fn usage(&self) -> Option<WireUsage> {
        WireUsage::deserialize(&self.usage).ok()
    }
}

/// `session/request_permission`, with options and a tool call that may hold anything.
#[derive(Debug, Clone, Serialize, Deserialize, JsonRpcRequest)]
#[request(method = "session/request_permission", response = RequestPermissionResponse)]
#[serde(rename_all = "camelCase")]
pub(super) struct PermissionAsked {
    #[serde(default)]
    tool_call: Value,
    #[serde(default)]
    options: Value,
}

impl PermissionAsked {
    pub(super) fn call(&self) -> Option<ToolCallUpdate> {
        ToolCallUpdate::deserialize(&self.tool_call).ok()
    }

    /// The options as (id, kind). What is no option is left out.
    pub(super) fn options(&self) -> Vec<(String, String)> {
        let word = |option: &Value, key| option.get(key).and_then(Value::as_str).map(str::to_owned);
        let options = self.options.as_array().map(Vec::as_slice).unwrap_or_default();
        options.iter().filter_map(|option| Some((word(option, "optionId")?, word(option, "kind")?))).collect()
    }
}

/// What an agent does besides answering.
pub(super) enum Event {
    /// The parameters of a `session/update`.
    Update(Value),
    /// It asks for permission.
    Permission(PermissionAsked, Responder<RequestPermissionResponse, V1>),
    /// It wants to read a file through us.
    Read(ReadTextFileRequest, Responder<ReadTextFileResponse, V1>),
    /// It wants to write a file through us.
    Write(WriteTextFileRequest, Responder<WriteTextFileResponse, V1>),
    /// A line on its standard error.
    Complaint(RawLine),
}

/// A `session/update`, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Update {
    /// It says something to people.
    Says(String),
    /// It thinks.
    Thinks(String),
    /// It announces or updates a tool call.
    Call(Box<ToolCallUpdate>),
    /// Its plan: each entry, and whether it is done.
    Plan(Vec<(String, bool)>),
    /// What it has cost so far, by its own count.
    Cost(Cost),
    /// Nothing of interest: commands, modes, echoes of the prompt.
    Nothing,
}

impl Update {
    /// Reads one. None if it is unknown or malformed.
    pub(super) fn read(params: &Value) -> Option<Self> {
        let update = params.get("update")?;
        match update.get("sessionUpdate")?.as_str()? {
            "agent_message_chunk" => chunk(update).map(Self::Says),
            "agent_thought_chunk" => chunk(update).map(Self::Thinks),
            "tool_call" | "tool_call_update" => {
                ToolCallUpdate::deserialize(update).ok().map(|call| Self::Call(Box::new(call)))
            }
            "plan" => {
                let entry = |entry: &Value| {
                    let done = entry.get("status").and_then(Value::as_str) == Some("completed");
                    Some((entry.get("content")?.as_str()?.to_owned(), done))
                };
                Some(Self::Plan(update.get("entries")?.as_array()?.iter().filter_map(entry).collect()))
            }
            "usage_update" => Some(match update.get("cost").map(Cost::deserialize) {
                Some(Ok(cost)) => Self::Cost(cost),
                _ => Self::Nothing,
            }),
            "user_message_chunk"
            | "available_commands_update"
            | "current_mode_update"
            | "config_option_update"
            | "session_info_update" => Some(Self::Nothing),
            _ => None,
        }
    }
}

/// The text of a chunk. An image or a sound has none, and is no error.
fn chunk(update: &Value) -> Option<String> {
    let content = update.get("content")?;
    match content.get("type")?.as_str()? {
        "text" => content.get("text")?.as_str().map(str::to_owned),
        other => Some(format!("[{other}]")),
    }
}

/// What was dropped because nothing could be made of it.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Lines on standard output that are no messages, or too long.
    pub(super) lines: AtomicU64,
    /// Updates and notifications that are unknown or malformed.
    pub(super) updates: AtomicU64,
}

impl Dropped {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// (lines, updates)
    pub(super) fn read(&self) -> (u64, u64) {
        (self.lines.load(Ordering::Relaxed), self.updates.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(update: Value, expect: Option<Update>) {
        assert_eq!(Update::read(&json!({"sessionId": "s", "update": update})), expect, "{update}");
    }

    #[test]
    fn updates_are_read_leniently() {
        let says = |text: &str| Some(Update::Says(text.to_owned()));
        check(
            json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "a"}}),
            says("a"),
        );
        check(
            json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "image", "data": ""}}),
            says("[image]"),
        );
        check(json!({"sessionUpdate": "agent_message_chunk", "content": []}), None);
        check(json!({"sessionUpdate": "no_such_update"}), None);
        check(json!({"sessionUpdate": 7}), None);
        check(json!({"sessionUpdate": "tool_call", "title": "no id"}), None);
        check(json!({"sessionUpdate": "usage_update", "used": 1}), Some(Update::Nothing));
        check(
            json!({"sessionUpdate": "plan", "entries": [{"content": "a", "status": "completed", "priority": "x"}, 7]}),
            Some(Update::Plan(vec![("a".to_owned(), true)])),
        );
    }

    #[test]
    fn a_request_for_permission_may_hold_anything() {
        let asked: PermissionAsked = serde_json::from_value(json!({"sessionId": "s", "toolCall": 7,
            "options": [{"optionId": "a", "kind": "for_this_session"}, {"kind": "allow_once"}, 7]}))
        .unwrap();
        assert_eq!(asked.options(), [("a".to_owned(), "for_this_session".to_owned())]);
        assert_eq!(asked.call(), None);
    }

    fn json_values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z_]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(
                    prop::sample::select(vec![
                        "update",
                        "sessionUpdate",
                        "content",
                        "type",
                        "text",
                        "toolCallId",
                        "kind",
                        "entries"
                    ])
                    .prop_map(str::to_owned),
                    inner,
                    0..5
                )
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_update_breaks_the_reader(params in json_values(), word in prop::sample::select(vec![
            "agent_message_chunk", "tool_call", "tool_call_update", "plan", "usage_update", "other"])) {
            let _ = Update::read(&params);
            let mut params = json!({"update": params});
            if let Some(update) = params["update"].as_object_mut() {
                update.insert("sessionUpdate".to_owned(), word.into());
            }
            let _ = Update::read(&params);
        }
    }
}
