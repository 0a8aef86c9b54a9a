//! Pictures, sounds and whole resources in a result: they stand in its list `content`, and go out as blocks of the protocol, once. In
//! the result's JSON, which clients read as text, only what kind they are stays.

use rmcp::model::ContentBlock;
use serde_json::Value;

/// Bytes of blocks that go out beside a result's own limit: a few pictures, and no film.
const MOST: usize = 4 * 1024 * 1024;

/// A result's JSON, and the blocks that stood in it. What is no sound block stays where it is.
pub(crate) fn apart(mut result: Value) -> (Value, Vec<ContentBlock>) {
    let mut blocks = Vec::new();
    let list = result.get_mut("content").and_then(Value::as_array_mut);
    for item in list.into_iter().flatten() {
        if let Some(block) = block(item) {
            *item = remains(item);
            blocks.push(block);
        }
    }
    (result, blocks)
}

/// Bytes that a result takes as JSON, without its blocks; with them, if they are too many.
pub(crate) fn size(result: &Value, whole: usize) -> usize {
    let list = result.get("content").and_then(Value::as_array);
    let blocks: usize = list.into_iter().flatten().filter(|item| block(item).is_some()).map(held).sum();
    if blocks > MOST { whole } else { whole.saturating_sub(blocks) }
}

/// Bytes of what a block holds.
fn held(item: &Value) -> usize {
    let of = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map_or(0, str::len);
    let resource = item.get("resource").unwrap_or(&Value::Null);
    of(item, "data") + of(resource, "text") + of(resource, "blob")
}

fn block(item: &Value) -> Option<ContentBlock> {
    let text = |key: &str| item.get(key).and_then(Value::as_str);
    let family = match text("type")? {
        "image" => "image/",
        "audio" => "audio/",
        "resource" => return serde_json::from_value(item.clone()).ok(),
        _ => return None,
    };
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let sound = text("mimeType")?.starts_with(family) && text("data")?.bytes().all(is_base64);
    sound.then(|| serde_json::from_value(item.clone()).ok()).flatten()
}

/// What stays of a block in the JSON.
fn remains(item: &Value) -> Value {
    let kept = ["/type", "/mimeType", "/resource/mimeType", "/resource/uri"];
    let field = |at: &str| Some((at.rsplit('/').next()?.to_owned(), item.pointer(at)?.clone()));
    Value::Object(kept.into_iter().filter_map(field).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_go_out_once_and_what_is_none_stays() {
        let result = json!({ "content": [
            { "type": "text", "text": "a" },
            { "type": "image", "data": "aGVsbG8=", "mimeType": "image/png" },
            { "type": "image", "data": "<script>", "mimeType": "image/svg+xml" },
            { "type": "image", "data": "aGVsbG8=", "mimeType": "text/html" },
            { "type": "resource", "resource": { "uri": "a://b", "mimeType": "text/plain", "text": "c" } },
        ] });
        let (json, blocks) = apart(result.clone());
        let left = json!({ "content": [
            { "type": "text", "text": "a" },
            { "type": "image", "mimeType": "image/png" },
            { "type": "image", "data": "<script>", "mimeType": "image/svg+xml" },
            { "type": "image", "data": "aGVsbG8=", "mimeType": "text/html" },
            { "type": "resource", "mimeType": "text/plain", "uri": "a://b" },
        ] });
        assert_eq!(json, left);
        let out = json!([result["content"][1], result["content"][4]]);
        assert_eq!(serde_json::to_value(&blocks).unwrap(), out);
        let whole = result.to_string().len();
        assert_eq!(size(&result, whole), whole - "aGVsbG8=".len() - "c".len());
        assert_eq!(apart(json!({ "rows": 1 })), (json!({ "rows": 1 }), vec![]));
        let film = json!({ "content": [
            { "type": "audio", "data": "a".repeat(MOST + 1), "mimeType": "audio/wav" }] });
        let whole = film.to_string().len();
        assert_eq!(size(&film, whole), whole, "a film is cut like any other result");
    }
}
