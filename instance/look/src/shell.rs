//! The frame of every page: mark, teams, navigation, and on a phone the bar at the bottom.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};

/// Scripts, styles and connections from here alone; nothing inline, nothing framed.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; base-uri 'none'";

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nav {
    /// The board.
    Board,
    /// The runs.
    Runs,
    /// The inbox.
    Inbox,
    /// The projects.
    Projects,
    /// The operations.
    Operations,
    /// What models cost.
    Cost,
    /// The channels.
    Channels,
}

/// What the frame shows.
#[derive(Debug, Clone)]
pub struct Shell<'a> {
    /// Title of the page.
    pub title: &'a str,
    /// Where the reader is.
    pub current: Nav,
    /// Names of the teams that are served here.
    pub teams: &'a [String],
    /// The team that the page is about.
    pub team: Option<&'a str>,
    /// Open approvals.
    pub asks: u32,
    /// Whether the channels are served here.
    pub console: bool,
    /// Who the reader is.
    pub you: Option<&'a str>,
    /// Scripts besides the common one.
    pub scripts: &'a [&'a str],
}

impl Shell<'_> {
    /// The page.
    pub fn page(&self, body: Markup) -> Response {
        self.page_with(StatusCode::OK, body)
    }

    /// The page, with a status.
    pub fn page_with(&self, status: StatusCode, body: Markup) -> Response {
        let headers = [
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ];
        (status, headers, self.render(body)).into_response()
    }

    fn render(&self, body: Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (self.title) " · Quarterdeck" }
                    link rel="icon" href="/assets/mark.svg" type="image/svg+xml";
                    link rel="stylesheet" href="/assets/look.css";
                    script src="/assets/look.js" {}
                    @for script in self.scripts { script src=(script) defer {} }
                }
                body {
                    header.top {
                        a.mark href="/" { i {} "Quarterdeck" }
                        @if self.teams.len() > 1 {
                            nav.nav aria-label="Teams" {
                                @for team in self.teams {
                                    a href={ "/teams/" (team) "/" } aria-current=[self.is(team).then_some("true")] { (team) }
                                }
                            }
                        } @else if let Some(team) = self.team { span { (team) } }
                        nav #pages .nav.main aria-label="Pages" data-live { (self.links()) }
                        span.grow {}
                        @if let Some(you) = self.you { span.soft.hide { (you) } }
                        button.btn.hide.scripted type="button" data-theme-switch data-key="t" { "Theme " kbd { "t" } }
                    }
                    main { (body) }
                    nav #pages-below .bottom aria-label="Pages" data-live { (self.links()) }
                }
            }
        }
    }

    fn is(&self, team: &str) -> bool {
        self.team == Some(team)
    }

    fn links(&self) -> Markup {
        let team = self.team.or_else(|| self.teams.first().map(String::as_str));
        let current = |nav| (self.current == nav).then_some("page");
        html! {
            @if let Some(team) = team {
                a href={ "/teams/" (team) "/" } aria-current=[current(Nav::Board)] { "Board" }
                a href={ "/teams/" (team) "/runs" } aria-current=[current(Nav::Runs)] { "Runs" }
                a href={ "/teams/" (team) "/inbox" } aria-current=[current(Nav::Inbox)] {
                    "Inbox" @if self.asks > 0 { span.badge { (self.asks) } }
                }
                a href={ "/teams/" (team) "/projects" } aria-current=[current(Nav::Projects)] { "Projects" }
                a href={ "/teams/" (team) "/operations" } aria-current=[current(Nav::Operations)] { "Operations" }
                a href={ "/teams/" (team) "/cost" } aria-current=[current(Nav::Cost)] { "Cost" }
            }
            @if self.console { a href="/console" aria-current=[current(Nav::Channels)] { "Channels" } }
        }
    }
}
