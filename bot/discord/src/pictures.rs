//! Pictures as attachments. They are drawn on a thread that may block; one that can't be drawn is left out, and said in the log.

use qd_core::picture::Picture;
use serde_json::{Value, json};
use serenity::all::CreateAttachment;
use sha2::{Digest as _, Sha256};

/// Longest alt text, in characters. <https://docs.discord.com/developers/resources/message#attachment-object>
const DESCRIPTION: usize = 1024;

/// A picture that was drawn.
pub(crate) struct Drawn {
    name: String,
    alt: String,
    png: Vec<u8>,
}

impl Drawn {
    /// The body, with the picture in place of all that hung there.
    pub(crate) fn named(&self, body: &Value) -> Value {
        let Self { name, alt, .. } = self;
        attached(body, &json!([{"id": "0", "filename": name, "description": alt}]))
    }

    pub(crate) fn file(&self) -> CreateAttachment {
        CreateAttachment::bytes(self.png.clone(), self.name.clone())
    }
}

/// The body, with nothing attached any more.
pub(crate) fn none(body: &Value) -> Value {
    attached(body, &json!([]))
}

fn attached(body: &Value, files: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.insert("attachments".to_owned(), files.clone());
    }
    body
}

/// Tells one picture from another. None where it can't be told: then it is as if there was none.
pub(crate) fn digest(picture: &Picture) -> Option<[u8; 32]> {
    serde_json::to_vec(picture).ok().map(|data| Sha256::digest(data).into())
}

/// Draws it.
pub(crate) async fn drawn(picture: &Picture) -> Option<Drawn> {
    let (name, alt) = (format!("{}.png", picture.name()), crate::render::cut(&picture.alt(), DESCRIPTION));
    let picture = picture.clone();
    let drawn = tokio::task::spawn_blocking(move || qd_pictures::render(&picture)).await;
    match drawn {
        Ok(Ok(png)) => Some(Drawn { name, alt, png }),
        Ok(Err(problem)) => {
            tracing::warn!(%problem, "a picture is left out");
            None
        }
        Err(problem) => {
            tracing::warn!(%problem, "a picture is left out");
            None
        }
    }
}
