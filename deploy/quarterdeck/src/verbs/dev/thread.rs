//! Threads of the try-out: what people write there, with files, and replies to what a team asks.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Form, Query, State},
    http::{HeaderMap, header},
    response::Response,
};
use maud::{Markup, html};
use qd_testkit::discord::FakeDiscord;
use serde::Deserialize;
use serde_json::Value;

use super::page::{done, list, message, text, wrong};

/// The largest file that is taken, in bytes: as much as Discord takes of people who pay nothing.
/// <https://support.discord.com/hc/articles/25444343291031>
pub(super) const LARGEST: usize = 10 << 20;
/// Characters of a question, where one chooses what to reply to.
const QUESTION: usize = 60;

/// The thread that hangs on a message, if one does.
pub(super) fn hung(fake: &FakeDiscord, me: u64, channel: u64, on: &str) -> Option<Markup> {
    let (thread, name) = fake.threads(channel).into_iter().find(|(id, _)| id.to_string() == on)?;
    let messages = fake.messages(thread);
    let asked: Vec<&Value> = messages.iter().filter(|message| is_asked(message)).collect();
    let said = messages.len();
    Some(html! {
        details.thread data-key=(thread) {
            summary { "Thread: " (name) " " span.faint { (said) @if said == 1 { " message" } @else { " messages" } } }
            @for each in &messages { (message(fake, me, thread, each)) }
            form.talk.stack method="post" action="/try/write" data-keep=(thread) {
                input type="hidden" name="as" value=(me);
                input type="hidden" name="channel" value=(thread);
                @if !asked.is_empty() {
                    label { "To" select name="to" {
                        option value="" { "the thread" }
                        @for question in &asked {
                            option value=(text(question, "id")) { "Reply: " (begin(question)) }
                        }
                    } }
                }
                label { "Write" textarea name="text" rows="2" placeholder="What its agent should know, or review: and what is wrong" {} }
                label { "File" input type="file" name="file"; }
                div.acts { button.btn.go { "Write" } }
            }
        }
    })
}

/// Whether it is a card of the bot that waits: a reply to it is an answer.
fn is_asked(message: &Value) -> bool {
    let waits = list(message, "components").next().is_some();
    waits && list(message, "embeds").next().is_some()
}

fn begin(question: &Value) -> String {
    let words = list(question, "embeds").map(|embed| text(embed, "description")).collect::<String>();
    let plain: String = words.chars().filter(|letter| !matches!(letter, '*' | '\\' | '`')).collect();
    plain.lines().next().unwrap_or_default().chars().take(QUESTION).collect()
}

#[derive(Deserialize)]
pub(super) struct Written {
    #[serde(rename = "as")]
    user: u64,
    channel: u64,
    text: String,
    /// The message that it is a reply to.
    #[serde(default)]
    to: String,
}

pub(super) async fn write(
    State(fake): State<Arc<FakeDiscord>>,
    headers: HeaderMap,
    Form(written): Form<Written>,
) -> Response {
    if written.text.trim().is_empty() {
        return wrong("Write something, or choose a file.");
    }
    let Written { user, channel, text, to } = written;
    match to.parse() {
        Ok(to) if stands(&fake, channel, to) => fake.reply(user, channel, to, &text, true),
        Ok(_) => return wrong("The message that this replies to is not there any more."),
        Err(_) => fake.write(user, channel, &text),
    };
    done(&headers, user)
}

fn stands(fake: &FakeDiscord, channel: u64, message: u64) -> bool {
    fake.messages(channel).iter().any(|each| text(each, "id") == message.to_string())
}

#[derive(Deserialize)]
pub(super) struct Attached {
    #[serde(rename = "as")]
    user: u64,
    channel: u64,
    text: String,
    name: String,
}

/// A file, as it is, with what is written beside it.
pub(super) async fn attach(
    State(fake): State<Arc<FakeDiscord>>,
    headers: HeaderMap,
    Query(with): Query<Attached>,
    file: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A page of somebody's own would be run here as one of the try-out's.
    let kind = match kind.split(';').next().unwrap_or_default().trim() {
        "text/html" | "text/xml" | "application/xhtml+xml" | "image/svg+xml" => "text/plain",
        "" => "application/octet-stream",
        other => other,
    };
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    let name: String = with.name.chars().map(letter).take(100).collect();
    fake.write_with(with.user, with.channel, &with.text, false, &[(name.as_str(), kind, file.as_ref())]);
    done(&headers, with.user)
}
