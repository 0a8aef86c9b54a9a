//! The page of the try-out: the guild as one of its people sees it. Everything goes through the fake's front door, as a
//! client's would; nothing is decided here.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Form, Query, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{Markup, html};
use qd_look::{Nav, Shell, parts};
use qd_testkit::discord::{Answer, FakeDiscord};
use serde::Deserialize;
use serde_json::Value;

use super::{thread, typed};

/// How long the page waits for news before it asks again.
const NEWS: Duration = Duration::from_secs(20);
/// Newest messages of a channel, and newest private answers.
const SHOWN: usize = 30;
const ANSWERS: usize = 4;

type Fake = Arc<FakeDiscord>;

pub(super) fn router(fake: Fake) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/try") }))
        .route("/try", get(page))
        .route("/try/fragment", get(fragment))
        .route("/try/hints", get(hints))
        .route("/try/type", post(type_line))
        .route("/try/click", post(click))
        .route("/try/react", post(react))
        .route("/try/apply", post(apply))
        .route("/try/write", post(thread::write))
        .route("/try/attach", post(thread::attach).layer(DefaultBodyLimit::max(thread::LARGEST)))
        .route("/try/submit", post(submit))
        .route("/try/try.js", get(|| asset("text/javascript", include_str!("../../../assets/try/try.js"))))
        .route("/try/try.css", get(|| asset("text/css", include_str!("../../../assets/try/try.css"))))
        .with_state(fake)
        .merge(qd_look::assets())
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

#[derive(Deserialize)]
struct As {
    #[serde(rename = "as")]
    user: Option<u64>,
    since: Option<u64>,
}

/// Who looks: whoever is named, else the first.
fn whoever(fake: &FakeDiscord, wanted: Option<u64>) -> u64 {
    let members = fake.members();
    let known = wanted.filter(|wanted| members.iter().any(|(id, ..)| id == wanted));
    known.or(members.first().map(|(id, ..)| *id)).unwrap_or_default()
}

async fn page(State(fake): State<Fake>, Query(asked): Query<As>) -> Response {
    let me = whoever(&fake, asked.user);
    let (version, roles) = (fake.version(), fake.roles());
    let held = |ids: &[u64]| {
        let names = roles.iter().filter(|(id, _)| ids.contains(id)).map(|(_, name)| name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let body = html! {
        link rel="stylesheet" href="/try/try.css";
        div.page.try {
            section.panel.stack {
                div.who {
                    span.soft { "You are" }
                    @for (id, name, roles) in fake.members() {
                        a.btn.go[id == me] href={ "/try?as=" (id) } aria-current=[(id == me).then_some("true")] {
                            (name) " " span { "(" (held(&roles)) ")" }
                        }
                    }
                }
                form #line method="post" action="/try/type" {
                    input type="hidden" name="as" value=(me);
                    div.line {
                        label { "Channel" select name="channel" {
                            @for (id, name) in fake.channels() { option value=(id) { "#" (name) } }
                        } }
                        label { "Command" input name="text" autocomplete="off" placeholder="/help" data-key="/" required; }
                        button.btn.go { "Send" }
                    }
                    div #hints .hints {}
                }
                p #said .soft role="status" {}
            }
        }
        div #guild data-version=(version) { (guild(&fake, me)) }
    };
    let shell = Shell {
        title: "A Discord of your own",
        current: Nav::Channels,
        teams: &[],
        team: None,
        asks: 0,
        console: false,
        you: None,
        scripts: &["/try/try.js"],
    };
    shell.page(body)
}

async fn fragment(State(fake): State<Fake>, Query(asked): Query<As>) -> Response {
    let since = asked.since.unwrap_or_default();
    let version = fake.changed(since, NEWS).await;
    let markup = guild(&fake, whoever(&fake, asked.user));
    ([(HeaderName::from_static("x-version"), version.to_string())], markup).into_response()
}

/// All that one person sees.
fn guild(fake: &FakeDiscord, me: u64) -> Markup {
    let answers = fake.answers(me, ANSWERS);
    html! {
        @if !fake.is_connected() {
            div.page.try { section.panel { (parts::empty("The bot is not here yet. Start it: quarterdeck up.")) } }
        }
        @if !answers.is_empty() {
            div.page.try { section.panel aria-label="Answers to you alone" {
                h2 { "Only you can see this" }
                @for (interaction, answer) in &answers { (self::answer(me, *interaction, answer)) }
            } }
        }
        div.page.three {
            @for (channel, name) in fake.channels() {
                section.panel aria-label=(name) {
                    h2 { "#" (name) }
                    @let messages = fake.messages(channel);
                    @if messages.is_empty() { (parts::empty("Nothing here yet.")) }
                    @for message in messages.iter().rev().take(SHOWN) { (self::message(fake, me, channel, message)) }
                }
            }
        }
    }
}

pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub(super) fn message(fake: &FakeDiscord, me: u64, channel: u64, message: &Value) -> Markup {
    let id = text(message, "id");
    let author = message.get("author").map(|author| text(author, "username")).unwrap_or_default();
    let is_bot = message.get("author").and_then(|author| author.get("bot")) == Some(&Value::Bool(true));
    let menu = fake.commands().into_iter().filter(|command| command.get("type") == Some(&Value::from(3)));
    let place = html! {
        input type="hidden" name="as" value=(me);
        input type="hidden" name="channel" value=(channel);
        input type="hidden" name="message" value=(id);
    };
    html! {
        div.message {
            p.faint { (author) }
            (shown(message))
            @if let Some(thread) = thread::hung(fake, me, channel, id) { (thread) }
            div.acts {
                @for row in list(message, "components") { @for button in list(row, "components") {
                    form method="post" action="/try/click" {
                        (place)
                        button.btn.go[style(button) == 3].no[style(button) == 4] name="label" value=(text(button, "label")) {
                            (text(button, "label"))
                        }
                    }
                } }
                @for reaction in list(message, "reactions") {
                    @let mark = reaction.get("emoji").map(|emoji| text(emoji, "name")).unwrap_or_default();
                    @let mine = reaction_of(fake, channel, id, mark, me);
                    form method="post" action="/try/react" {
                        (place)
                        input type="hidden" name="take" value=(mine.to_string());
                        button.btn.mark-count.mine[mine] name="label" value=(mark) aria-pressed=(mine.to_string()) {
                            (mark) " " (reaction.get("count").and_then(Value::as_u64).unwrap_or_default())
                        }
                    }
                }
                @if !is_bot {
                    @for command in menu {
                        form method="post" action="/try/apply" {
                            (place)
                            button.btn name="label" value=(text(&command, "name")) { (text(&command, "name")) }
                        }
                    }
                }
            }
        }
    }
}

fn style(button: &Value) -> u64 {
    button.get("style").and_then(Value::as_u64).unwrap_or_default()
}

fn reaction_of(fake: &FakeDiscord, channel: u64, message: &str, mark: &str, me: u64) -> bool {
    message.parse().is_ok_and(|message| fake.reacted(channel, message, mark).contains(&me))
}

/// Discord's moments, `<t:1795269600:f>`, as a client shows them.
fn timed(text: &str) -> String {
    let mut parts = text.split("<t:");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let read = part.split_once(":f>").and_then(|(second, rest)| {
            let at = jiff::Timestamp::from_second(second.parse().ok()?).ok()?;
            Some(format!("{}{rest}", at.strftime("%Y-%m-%d %H:%M UTC")))
        });
        out.push_str(&read.unwrap_or_else(|| format!("<t:{part}")));
    }
    out
}

/// Content and embeds, of a message or an answer.
fn shown(message: &Value) -> Markup {
    let content = text(message, "content");
    html! {
        @if !content.is_empty() { (qd_console::markup(content)) }
        @for file in list(message, "attachments") {
            @if is_picture(file) {
                img.hung src=(local(text(file, "url"))) alt=(text(file, "description")) title=(text(file, "description"));
            } @else {
                p { a href=(local(text(file, "url"))) { (text(file, "filename")) } }
            }
        }
        @for embed in list(message, "embeds") {
            div.embed.asks[colour(embed) == 0x00d9_7706].alert[colour(embed) == 0x00dc_2626] {
                @if !text(embed, "title").is_empty() { p { b { (text(embed, "title")) } } }
                (qd_console::markup(&timed(text(embed, "description"))))
            }
        }
    }
}

fn is_picture(file: &Value) -> bool {
    let (kind, name) = (text(file, "content_type"), text(file, "filename"));
    kind.starts_with("image/") || name.ends_with(".png")
}

/// A file of the fake, from the same door as the page.
fn local(url: &str) -> &str {
    let at = ["/attachments/", "/given/"].iter().find_map(|path| url.find(path));
    at.and_then(|at| url.get(at..)).unwrap_or_default()
}

fn colour(embed: &Value) -> u64 {
    embed.get("color").and_then(Value::as_u64).unwrap_or_default()
}

fn answer(me: u64, interaction: u64, answer: &Answer) -> Markup {
    html! {
        div.message {
            @if answer.callback == 9 {
                form.stack method="post" action="/try/submit" {
                    input type="hidden" name="as" value=(me);
                    input type="hidden" name="interaction" value=(interaction);
                    h2 { (text(&answer.data, "title")) }
                    @for row in list(&answer.data, "components") { @for input in list(row, "components") {
                        label {
                            (text(input, "label"))
                            @if input.get("style").and_then(Value::as_u64) == Some(2) {
                                textarea name="text" placeholder=(text(input, "placeholder")) { (text(input, "value")) }
                            } @else {
                                input name="text" autocomplete="off" placeholder=(text(input, "placeholder")) value=(text(input, "value"));
                            }
                        }
                    } }
                    div.acts { button.btn.go { "Submit" } }
                }
            } @else {
                (shown(&answer.data))
                @for (name, text) in &answer.files {
                    details data-key={ (interaction) (name) } { summary { (name) } pre.answer { (text) } }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "as")]
    user: u64,
    channel: u64,
    text: String,
}

/// What may be typed next: from the commands themselves, and where the bot completes, from the bot.
async fn hints(State(fake): State<Fake>, Query(asked): Query<Asked>) -> Json<Vec<Value>> {
    let commands = fake.commands();
    let hint = |line: String, says: &str| serde_json::json!({"line": line, "says": says});
    let Some((typed, before)) = typed::completing(&commands, &asked.text) else {
        let own = typed::hints(&commands, &asked.text).into_iter();
        return Json(own.map(|each| hint(each.line, &each.says)).collect());
    };
    let interaction = fake.complete(asked.user, asked.channel, &typed.name, typed.options);
    let answer = fake.answer(interaction).await;
    let choices = answer.as_ref().into_iter().flat_map(|answer| list(&answer.data, "choices"));
    Json(
        choices
            .map(|choice| hint(format!("{before}{} ", text(choice, "value")), text(choice, "name")))
            .collect(),
    )
}

/// To the page; a script gets nothing but that it was done.
pub(super) fn done(headers: &HeaderMap, user: u64) -> Response {
    let script = headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes() == b"text/plain");
    if script {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Redirect::to(&format!("/try?as={user}")).into_response()
    }
}

pub(super) fn wrong(text: impl Into<String>) -> Response {
    (StatusCode::UNPROCESSABLE_ENTITY, text.into()).into_response()
}

async fn type_line(State(fake): State<Fake>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    if !asked.text.starts_with('/') {
        fake.write(asked.user, asked.channel, &asked.text);
        return done(&headers, asked.user);
    }
    match typed::read(&fake.commands(), &asked.text) {
        Err(problem) => wrong(problem),
        Ok(typed) => {
            let interaction = fake.slash(asked.user, asked.channel, &typed.name, typed.options);
            answered(&fake, &headers, asked.user, interaction).await
        }
    }
}

async fn answered(fake: &FakeDiscord, headers: &HeaderMap, user: u64, interaction: u64) -> Response {
    match fake.answer(interaction).await {
        Some(_) => done(headers, user),
        None => wrong("The application did not respond: is quarterdeck up running?"),
    }
}

#[derive(Deserialize)]
struct OnMessage {
    #[serde(rename = "as")]
    user: u64,
    channel: u64,
    message: u64,
    label: String,
    #[serde(default)]
    take: bool,
}

impl OnMessage {
    /// Whether the message still stands there, with something that says this.
    fn stands(&self, fake: &FakeDiscord) -> bool {
        let id = self.message.to_string();
        fake.messages(self.channel).iter().any(|message| {
            let buttons = list(message, "components").flat_map(|row| list(row, "components"));
            let mut all = buttons.map(|button| text(button, "label"));
            text(message, "id") == id && all.any(|label| label == self.label)
        })
    }
}

async fn click(State(fake): State<Fake>, headers: HeaderMap, Form(on): Form<OnMessage>) -> Response {
    if !on.stands(&fake) {
        return wrong("That button is not there any more.");
    }
    let interaction = fake.click(on.user, on.channel, on.message, &on.label);
    answered(&fake, &headers, on.user, interaction).await
}

async fn react(State(fake): State<Fake>, headers: HeaderMap, Form(on): Form<OnMessage>) -> Response {
    if on.take {
        fake.unreact(on.user, on.channel, on.message, &on.label);
    } else {
        fake.react(on.user, on.channel, on.message, &on.label);
    }
    done(&headers, on.user)
}

async fn apply(State(fake): State<Fake>, headers: HeaderMap, Form(on): Form<OnMessage>) -> Response {
    let interaction = fake.apply(on.user, on.channel, on.message, &on.label);
    answered(&fake, &headers, on.user, interaction).await
}

/// The fields of a modal come in their order, under one name.
async fn submit(
    State(fake): State<Fake>,
    headers: HeaderMap,
    Form(fields): Form<Vec<(String, String)>>,
) -> Response {
    let number = |name: &str| {
        let (_, value) = fields.iter().find(|(known, _)| known == name)?;
        value.parse::<u64>().ok()
    };
    let (Some(user), Some(modal)) = (number("as"), number("interaction")) else {
        return wrong("The form has no number.");
    };
    let texts: Vec<&str> =
        fields.iter().filter(|(name, _)| name == "text").map(|(_, text)| text.as_str()).collect();
    if !fake.answers(user, ANSWERS).iter().any(|(id, answer)| *id == modal && answer.callback == 9) {
        return wrong("That form is not there any more.");
    }
    let interaction = fake.submit_all(modal, &texts);
    answered(&fake, &headers, user, interaction).await
}
