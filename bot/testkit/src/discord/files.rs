//! Attachments: what goes up with a message, what of it stays with an edit, and what comes back from the address that the message
//! names.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Shared, rest::Asked, world::World};

/// Bytes of all files of a message, without a boost.
/// <https://docs.discord.com/developers/reference#uploading-files>
const LARGEST: usize = 10 << 20;
/// <https://docs.discord.com/developers/resources/message#attachment-object>
const DESCRIPTION: usize = 1024;
const FILES: usize = 10;
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A file that came with a request.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    /// Its number: the `n` of `files[n]`.
    pub(super) part: u64,
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

fn list(body: &Value) -> &[Value] {
    body["attachments"].as_array().map_or(&[], Vec::as_slice)
}

/// Attachments are named by the number of their file, or, in an edit, by their id.
fn number(entry: &Value) -> Option<u64> {
    entry["id"].as_u64().or_else(|| entry["id"].as_str()?.parse().ok())
}

/// What is wrong with the files of a request.
pub(super) fn wrong(asked: &Asked, body: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let size: usize = asked.uploads.iter().map(|file| file.bytes.len()).sum();
    if size > LARGEST {
        wrong.push(format!("files of {size} bytes, at most {LARGEST}"));
    }
    if list(body).len() > FILES {
        wrong.push(format!("{} attachments, at most {FILES}", list(body).len()));
    }
    for entry in list(body) {
        let described = entry["description"].as_str().map_or(0, |text| text.chars().count());
        if described > DESCRIPTION {
            wrong.push(format!("a description of {described} characters, at most {DESCRIPTION}"));
        }
    }
    for file in &asked.uploads {
        // Stricter than Discord: what goes up is named, so that it can be described.
        if !list(body).iter().any(|entry| number(entry) == Some(file.part)) {
            wrong.push(format!("files[{}] is in no attachment", file.part));
        }
        if file.name.ends_with(".png") && !file.bytes.starts_with(PNG) {
            wrong.push(format!("{} is no PNG", file.name));
        }
        if file.name.ends_with(".png") && file.bytes.starts_with(PNG) {
            let entry = list(body).iter().find(|entry| number(entry) == Some(file.part));
            // Stricter than Discord: a picture says what it shows to those who can't see it.
            if entry.is_some_and(|entry| entry["description"].as_str().is_none_or(str::is_empty)) {
                wrong.push(format!("{} has no alt text", file.name));
            }
        }
    }
    wrong
}

/// The attachments that a message has after a request, of those that it had: all of them where the request names none.
pub(super) fn attach(world: &mut World, before: &Value, asked: &Asked, body: &Value) -> Value {
    if !body["attachments"].is_array() {
        return before.clone();
    }
    let mut attached = Vec::new();
    for entry in list(body) {
        let stays = before.as_array().into_iter().flatten().find(|known| number(known) == number(entry));
        let file = asked.uploads.iter().find(|file| Some(file.part) == number(entry));
        match (file, stays) {
            (Some(file), _) => attached.push(stored(world, file, entry)),
            (None, Some(known)) => attached.push(known.clone()),
            (None, None) => world.complain(format!("an attachment that is nowhere: {entry}")),
        }
    }
    Value::Array(attached)
}

fn stored(world: &mut World, file: &Upload, entry: &Value) -> Value {
    let id = world.snowflake();
    let name = entry["filename"].as_str().unwrap_or(&file.name).to_owned();
    let url = format!("http://{}/attachments/{id}/{name}", world.address);
    let side = |at: usize| {
        let bytes = file.bytes.get(at..at + 4).filter(|_| file.bytes.starts_with(PNG))?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let kind = if name.ends_with(".png") { "image/png" } else { "application/octet-stream" };
    let attachment = json!({"id": id.to_string(), "filename": name, "description": entry["description"],
        "content_type": kind, "size": file.bytes.len(), "url": url, "proxy_url": url, "width": side(16), "height": side(20),
        "flags": 0});
    world.files.insert(id, file.bytes.clone());
    attachment
}

/// A file, at the address that its message names.
pub(super) async fn serve(
    State(shared): State<Arc<Shared>>,
    Path((id, name)): Path<(u64, String)>,
) -> Response {
    let Some(bytes) = shared.world().files.get(&id).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = if name.ends_with(".png") { "image/png" } else { "application/octet-stream" };
    ([(header::CONTENT_TYPE, kind), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], bytes).into_response()
}
