//! `/pulls/<repository>`: the pull requests of a forge, and what stands on each, as the forge itself would show it. The
//! embedded forge has no page of its own; nothing is decided here.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, State},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use qd_console::markup;
use qd_core::forge::{Check, Comment, Conclusion, Forge, ForgeError, PullRequest, PullRequestState};
use qd_look::{Nav, Shell, parts};
use qd_types::{Person, RepositoryName};

#[derive(Clone)]
struct Pulls {
    forge: Arc<dyn Forge>,
    teams: Arc<[String]>,
}

/// The pages. `teams` are the boards that are served beside them.
pub fn router(forge: Arc<dyn Forge>, teams: Vec<String>) -> Router {
    Router::new()
        .route("/pulls/{repository}", get(list))
        .route("/pulls/{repository}/{number}", get(one))
        .with_state(Pulls { forge, teams: teams.into() })
}

async fn list(
    State(pulls): State<Pulls>,
    Extension(person): Extension<Person>,
    Path(repository): Path<RepositoryName>,
) -> Response {
    let title = format!("Pull requests of {repository}");
    let body = match pulls.forge.pull_requests(&repository).await {
        Ok(all) => html! {
            div.head { h1 { (title) } }
            div.page.one {
                section.panel {
                    @if all.is_empty() { (parts::empty("No pull request has been opened yet.")) }
                    @for pull in &all {
                        p {
                            a href={ "/pulls/" (repository) "/" (pull.number) } { "#" (pull.number) " " (pull.title) }
                            " " span.faint { (state(pull)) }
                        }
                    }
                }
            }
        },
        Err(error) => trouble(&error),
    };
    page(&pulls, &person, &title, body)
}

async fn one(
    State(pulls): State<Pulls>,
    Extension(person): Extension<Person>,
    Path((repository, number)): Path<(RepositoryName, u64)>,
) -> Response {
    let title = format!("Pull request #{number} of {repository}");
    let body = match read(&*pulls.forge, &repository, number).await {
        Ok((pull, checks, comments)) => shown(&pull, &checks, &comments),
        Err(error) => trouble(&error),
    };
    page(&pulls, &person, &title, body)
}

async fn read(
    forge: &dyn Forge,
    repository: &RepositoryName,
    number: u64,
) -> Result<(PullRequest, Vec<Check>, Vec<Comment>), ForgeError> {
    let pull = forge.pull_request(repository, number).await?;
    let checks = forge.checks(repository, &pull.head).await?;
    let comments = forge.comments(repository, number).await?;
    Ok((pull, checks, comments))
}

fn shown(pull: &PullRequest, checks: &[Check], comments: &[Comment]) -> Markup {
    html! {
        div.head { h1 { (pull.title) } }
        div.page.one {
            section.panel {
                (parts::facts(&[
                    ("State", Some(html! { (state(pull)) })),
                    ("Branch", Some(html! { code { (pull.branch) } " into " code { (pull.target) } })),
                    ("Head", Some(html! { code { (pull.head.short()) } })),
                    ("Labels", (!pull.labels.is_empty()).then(|| html! { (pull.labels.join(", ")) })),
                    ("Milestone", pull.milestone.as_ref().map(|title| html! { (title) })),
                ]))
                (markup(&pull.body))
            }
            section.panel aria-label="Checks" {
                h2 { "Checks of " (pull.head.short()) }
                @if checks.is_empty() { (parts::empty("No check has said anything about this commit.")) }
                @for check in checks {
                    p { strong { (check.name) } " " (ended(check.conclusion))
                        @if let Some(text) = &check.text { ": " (text.title) }
                    }
                    @for remark in check.text.iter().flat_map(|text| &text.annotations) {
                        p.faint { code { (remark.path) ":" (remark.line) } " " (remark.message) }
                    }
                }
            }
            @for comment in comments {
                section.panel.message data-comment=(comment.id) {
                    (markup(&comment.body))
                    p.faint { (parts::ago(comment.at)) }
                }
            }
        }
    }
}

fn state(pull: &PullRequest) -> String {
    match (pull.state, &pull.merged) {
        (_, Some(commit)) => format!("merged as {}", commit.short()),
        (PullRequestState::Open, _) if pull.draft => "draft".to_owned(),
        (PullRequestState::Open, _) => "open".to_owned(),
        (PullRequestState::Closed | PullRequestState::Merged, _) => "closed".to_owned(),
    }
}

fn ended(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Pending => "waits",
        Conclusion::Success => "passed",
        Conclusion::Failure => "did not pass",
    }
}

fn trouble(error: &ForgeError) -> Markup {
    parts::trouble("The forge can't show that", &format!("{error}."), None)
}

fn page(pulls: &Pulls, person: &Person, title: &str, body: Markup) -> Response {
    let shell = Shell {
        title,
        current: Nav::Channels,
        teams: &pulls.teams,
        team: None,
        asks: 0,
        console: true,
        you: Some(person.id.as_str()),
        scripts: &[],
    };
    shell.page(body)
}
