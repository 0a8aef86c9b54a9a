//! `/console`: the channels side by side, live, and the line where commands are typed.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Form, Router,
    extract::{Query, State},
    http::header,
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::{get, post},
};
use futures_util::{Stream, stream};
use maud::{Markup, html};
use qd_core::chat::{Channel, Commands, Given, Proof, Reaction, Way};
use qd_look::{Nav, Shell, parts};
use qd_types::Person;
use serde::Deserialize;

use crate::{Console, ConsoleError, Posted, text};

/// Messages shown of a channel.
const SHOWN: usize = 60;

#[derive(Clone)]
struct Channels {
    console: Console,
    commands: Arc<dyn Commands>,
    teams: Arc<[String]>,
}

/// The page, its live updates and its commands. `teams` are the boards that are served beside it.
pub fn router(console: Console, commands: Arc<dyn Commands>, teams: Vec<String>) -> Router {
    Router::new()
        .route("/console", get(show))
        .route("/console/fragment", get(fragment))
        .route("/console/events", get(events))
        .route("/console/command", post(command))
        .route("/console/console.js", get(script))
        .with_state(Channels { console, commands, teams: teams.into() })
}

async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../assets/console.js"))
}

#[derive(Deserialize)]
struct Said {
    said: Option<String>,
}

async fn show(
    State(channels): State<Channels>,
    Extension(person): Extension<Person>,
    Query(Said { said }): Query<Said>,
) -> Response {
    let body = match columns(&channels.console).await {
        Ok(columns) => html! {
            div.head { h1 { "Channels" } }
            div #channels .page.three { (columns) }
            div.page.one {
                section.panel {
                    form #command .stack method="post" action="/console/command" {
                        label { "Command, answered to you alone" input #text name="text" autocomplete="off" placeholder="help" data-key="/" required; }
                    }
                    pre #said .said hidden[said.is_none()] aria-live="polite" { (said.unwrap_or_default()) }
                }
            }
        },
        Err(error) => parts::trouble("The channels can't be read", &error.to_string(), None),
    };
    let shell = Shell {
        title: "Channels",
        current: Nav::Channels,
        teams: &channels.teams,
        team: None,
        asks: 0,
        console: true,
        you: Some(person.id.as_str()),
        scripts: &["/console/console.js"],
    };
    shell.page(body)
}

async fn fragment(State(channels): State<Channels>) -> Response {
    match columns(&channels.console).await {
        Ok(columns) => columns.into_response(),
        Err(error) => (axum::http::StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn columns(console: &Console) -> Result<Markup, ConsoleError> {
    let (layout, mut all) = (console.layout(), Vec::new());
    for channel in [Channel::Approvals, Channel::Dev, Channel::Alerts, Channel::Standup, Channel::Fallback] {
        if let Some(name) = layout.name(channel) {
            all.push((channel, name.to_owned(), console.messages(channel, SHOWN).await?));
        }
    }
    Ok(html! {
        @for (channel, name, messages) in all {
            section.panel aria-label=(name) {
                h2 { "#" (name) }
                @if messages.is_empty() { (parts::empty(quiet(channel))) }
                @for message in messages { (self::message(&message)) }
            }
        }
    })
}

fn quiet(channel: Channel) -> &'static str {
    match channel {
        Channel::Dev => "No feature has been started yet.",
        Channel::Alerts => "Nothing is wrong.",
        Channel::Approvals => "Nothing waits for people.",
        Channel::Standup => "No team has begun yet.",
        Channel::Fallback => "Everything is shown where it belongs.",
    }
}

fn message(message: &Posted) -> Markup {
    html! {
        div.message data-message=(message.id) {
            (text::markup(&message.text))
            @if !message.picture.is_empty() { p.soft { (message.picture) } }
            @if !message.buttons.is_empty() {
                div.acts {
                    @for button in &message.buttons {
                        @if button.asks_words() {
                            form method="post" action="/console/command" {
                                input type="hidden" name="text" value=(button.command);
                                input name="words" required autocomplete="off" aria-label=(button.label);
                                button.btn { (button.label) }
                            }
                        } @else {
                            form method="post" action="/console/command" {
                                button.btn name="text" value=(button.command) { (button.label) }
                            }
                        }
                    }
                    @for reaction in &message.reactions {
                        form method="post" action="/console/command" {
                            input type="hidden" name="way" value=(Way::Reaction);
                            button.btn.mark name="text" value=(reaction.command) aria-label=(meaning(reaction)) title=(meaning(reaction)) { (reaction.mark) }
                        }
                    }
                }
            }
            p.faint { @if message.edits > 0 { "edited " } (parts::ago(message.edited_at)) }
        }
    }
}

/// What a reaction does, in words: colours and marks alone say nothing to some.
fn meaning(reaction: &Reaction) -> String {
    let verb = reaction.command.split(' ').next().unwrap_or_default();
    format!("React {} to {verb}", reaction.mark)
}

async fn events(State(channels): State<Channels>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = stream::unfold(channels.console.ticks(), |mut ticks| async move {
        ticks.changed().await.ok()?;
        let count = *ticks.borrow_and_update();
        Some((Ok(Event::default().event("change").data(count.to_string())), ticks))
    });
    Sse::new(ticks).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}

#[derive(Deserialize)]
struct Typed {
    text: String,
    /// What stands behind it, where a button needs words.
    #[serde(default)]
    words: String,
    #[serde(default = "by_button")]
    way: Way,
}

/// A typed line is as good as a button.
const fn by_button() -> Way {
    Way::Button
}

async fn command(
    State(channels): State<Channels>,
    Extension(person): Extension<Person>,
    proof: Option<Extension<Proof>>,
    headers: axum::http::HeaderMap,
    Form(Typed { text, words, way }): Form<Typed>,
) -> Response {
    let text = if words.is_empty() { text } else { format!("{text} {words}") };
    // Who did not come through a door that asks is not proven.
    let Extension(proof) = proof.unwrap_or(Extension(Proof::Socket));
    // A page is not a terminal: it gives what a hand gives there, and never more than a button.
    let given = Given { way: way.min(Way::Button), ..Given::on_console(proof) };
    let said = channels.commands.command(&person, &given, &text).await;
    let plain = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"text/plain");
    if plain {
        return text::plain(&said).into_response();
    }
    let encoded: String = text::plain(&said).bytes().map(|byte| format!("%{byte:02X}")).collect();
    Redirect::to(&format!("/console?said={encoded}")).into_response()
}
