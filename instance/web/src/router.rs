//! Which path shows what. A page fetches its views from the team, as the caller, and renders them.

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use maud::Markup;
use qd_api::{CostBy, Problem};
use qd_look::{Nav, Shell, parts};
use qd_team::{Caller, Team};
use qd_types::{FeatureId, RunId};
use serde::Deserialize;

use crate::{
    actions, board, cost,
    feature::{self, Refused},
    fields::Typed,
    inbox, operations, projects, runs,
};

/// What else is served here.
#[derive(Debug, Clone, Copy)]
pub struct RouterOptions {
    /// The channels, at `/console`.
    pub console: bool,
}

/// The pages of all teams, with their assets.
pub fn router(teams: Vec<Team>, options: RouterOptions) -> Router {
    let names = teams.iter().map(|team| team.name().to_string()).collect();
    let web = Web { inner: Arc::new(Inner { teams, names, options }) };
    Router::new()
        .route("/teams/{team}/", get(show_board))
        .route("/teams/{team}/fragment/board", get(board_fragment))
        .route("/teams/{team}/new", get(show_new))
        .route("/teams/{team}/pause", get(show_pause))
        .route("/teams/{team}/features/{id}", get(show_feature))
        .route("/teams/{team}/runs", get(show_runs))
        .route("/teams/{team}/runs/{id}", get(show_run))
        .route("/teams/{team}/inbox", get(show_inbox))
        .route("/teams/{team}/projects", get(show_projects))
        .route("/teams/{team}/operations", get(show_operations))
        .route("/teams/{team}/cost", get(show_cost))
        .route("/teams/{team}/cost.csv", get(cost_csv))
        .route("/teams/{team}/do/add", post(actions::add))
        .route("/teams/{team}/do/move", post(actions::move_to))
        .route("/teams/{team}/do/cancel", post(actions::cancel))
        .route("/teams/{team}/do/edit", post(actions::edit))
        .route("/teams/{team}/do/revert", post(actions::revert))
        .route("/teams/{team}/do/pause", post(actions::pause))
        .route("/teams/{team}/do/resume", post(actions::resume))
        .route("/teams/{team}/do/comment", post(actions::comment))
        .route("/teams/{team}/do/accept", post(actions::accept))
        .route("/teams/{team}/do/operate", post(actions::operate))
        .route("/teams/{team}/do/stop", post(actions::stop))
        .route("/teams/{team}/do/vote", post(actions::vote))
        .route("/teams/{team}/do/snooze", post(actions::snooze))
        .fallback(nothing)
        .with_state(web)
        .merge(qd_look::assets())
}

/// What the pages stand on.
#[derive(Clone)]
pub(crate) struct Web {
    inner: Arc<Inner>,
}

struct Inner {
    teams: Vec<Team>,
    names: Vec<String>,
    options: RouterOptions,
}

/// One team, seen by one caller.
pub(crate) struct Here<'a> {
    web: &'a Web,
    pub(crate) team: &'a Team,
    name: String,
    caller: &'a Caller,
}

/// A page that says what went wrong.
pub(crate) struct Trouble(Box<Response>);

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        *self.0
    }
}

type Page = Result<Response, Trouble>;

impl Web {
    pub(crate) fn at<'a>(&'a self, name: &str, caller: &'a Caller) -> Result<Here<'a>, Trouble> {
        let team = self.inner.teams.iter().find(|team| team.name().as_str() == name);
        let team = team.ok_or_else(|| {
            let detail = format!("There is no team {name} here.");
            self.trouble(None, Problem { kind: "not-found".into(), status: 404, detail, hint: None })
        })?;
        Ok(Here { web: self, team, name: name.to_owned(), caller })
    }

    fn trouble(&self, team: Option<&str>, problem: Problem) -> Trouble {
        let title = match problem.status {
            404 => "Nothing is here",
            401 | 403 => "Not for you",
            409 => "Not now",
            422 => "That can't be taken",
            _ => "That did not work",
        };
        let shell = Shell {
            title,
            current: Nav::Board,
            teams: &self.inner.names,
            team,
            asks: 0,
            console: self.inner.options.console,
            you: None,
            scripts: &[],
        };
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = parts::trouble(title, &problem.detail, problem.hint.as_deref());
        Trouble(Box::new(shell.page_with(status, body)))
    }
}

impl Here<'_> {
    pub(crate) fn trouble(&self, problem: Problem) -> Trouble {
        self.web.trouble(Some(&self.name), problem)
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/teams/{}/{rest}", self.name)
    }

    async fn view(&self) -> Result<qd_api::TeamView, Trouble> {
        self.team.view(self.caller).await.map_err(|problem| self.trouble(problem))
    }

    fn page(
        &self,
        view: &qd_api::TeamView,
        title: &str,
        current: Nav,
        scripts: &[&str],
        body: Markup,
    ) -> Response {
        let shell = Shell {
            title,
            current,
            teams: &self.web.inner.names,
            team: Some(&self.name),
            asks: view.asks,
            console: self.web.inner.options.console,
            you: Some(self.caller.person.id.as_str()),
            scripts,
        };
        shell.page(body)
    }

    /// The page of a feature; a form that was refused is there as it was typed.
    pub(crate) async fn feature(&self, id: &FeatureId, refused: Refused) -> Page {
        let view = self.view().await?;
        let read = async {
            Ok::<_, Problem>(feature::Shown {
                why: self.team.why(id).await?,
                parts: self.team.parts(id).await?,
                comments: self.team.comments(id).await?,
                history: self.team.history(id).await?,
                runs: self.team.runs(Some(id)).await?,
                today: today(),
            })
        };
        let shown = read.await.map_err(|problem| self.trouble(problem))?;
        let status = refused.status();
        let title = format!("{id} {}", shown.why.feature.feature.wanted.title);
        let body = feature::page(&view, &shown, refused);
        Ok(with_status(status, self.page(&view, &title, Nav::Board, LIVE, body)))
    }

    /// The form of a new feature; if it was refused, as it was typed.
    pub(crate) async fn new_feature(
        &self,
        typed: &Typed,
        repository: &str,
        problem: Option<&Problem>,
    ) -> Page {
        let view = self.view().await?;
        let body = board::add_page(&view, typed, repository, problem);
        let page = self.page(&view, "New feature", Nav::Board, &[], body);
        Ok(with_status(problem.map_or(200, |problem| problem.status), page))
    }

    /// The page of a run; a plan that was refused is there as it was typed.
    pub(crate) async fn run(&self, id: &RunId, refused: Option<(String, Problem)>) -> Page {
        let view = self.view().await?;
        let read = async {
            let run = self.team.run(id, self.caller).await?;
            let transcript = self.team.transcript(id, 0).await?;
            // A worktree that is being made or removed has no diff for a moment; the page is still worth seeing.
            let diff = self.team.diff(id).await.unwrap_or(qd_api::DiffView {
                text: String::new(),
                cut: false,
                files: 0,
                insertions: 0,
                deletions: 0,
            });
            Ok::<_, Problem>((run, transcript, diff))
        };
        let (run, transcript, diff) = read.await.map_err(|problem| self.trouble(problem))?;
        let status = refused.as_ref().map_or(200, |(_, problem)| problem.status);
        let body = runs::page(&view, &run, &transcript, &diff, refused.as_ref());
        let scripts = ["/assets/run.js", "/assets/live.js"];
        Ok(with_status(status, self.page(&view, &format!("Run {id}"), Nav::Runs, &scripts, body)))
    }
}

/// The script of pages that follow the event stream.
const LIVE: &[&str] = &["/assets/live.js"];

fn today() -> jiff::civil::Date {
    jiff::Zoned::now().date()
}

fn with_status(status: u16, mut page: Response) -> Response {
    *page.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    page
}

async fn show_board(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let columns = here.team.columns(board::SHOWN).await.map_err(|problem| here.trouble(problem))?;
    Ok(here.page(&view, &team, Nav::Board, &["/assets/board.js"], board::page(&view, &columns, today())))
}

async fn board_fragment(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let columns = here.team.columns(board::SHOWN).await.map_err(|problem| here.trouble(problem))?;
    Ok(([("x-asks", view.asks.to_string())], board::fragment(&view, &columns, today())).into_response())
}

async fn show_feature(
    State(web): State<Web>,
    Path((team, id)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let id = id.parse::<FeatureId>().map_err(|error| here.trouble(invalid(&error)))?;
    here.feature(&id, Refused::Nothing).await
}

async fn show_new(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    web.at(&team, &caller)?.new_feature(&Typed::default(), "", None).await
}

async fn show_pause(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    Ok(here.page(&view, "Pause", Nav::Board, &[], board::pause_page(&view)))
}

fn invalid(error: &qd_types::IdError) -> Problem {
    Problem { kind: "not-found".into(), status: 404, detail: format!("{error}."), hint: None }
}

async fn show_runs(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let list = here.team.runs(None).await.map_err(|problem| here.trouble(problem))?;
    Ok(here.page(&view, "Runs", Nav::Runs, LIVE, runs::list(&view, &list)))
}

async fn show_run(
    State(web): State<Web>,
    Path((team, id)): Path<(String, String)>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let id = id.parse::<RunId>().map_err(|error| here.trouble(invalid(&error)))?;
    here.run(&id, None).await
}

#[derive(Deserialize)]
struct Chosen {
    id: Option<String>,
    #[serde(default)]
    show: inbox::Filter,
}

async fn show_inbox(
    State(web): State<Web>,
    Path(team): Path<String>,
    Query(chosen): Query<Chosen>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let approvals = here.team.approvals(&caller).await.map_err(|problem| here.trouble(problem))?;
    let body = inbox::page(&view, &approvals, chosen.show, chosen.id.as_deref());
    Ok(here.page(&view, "Inbox", Nav::Inbox, LIVE, body))
}

#[derive(Deserialize)]
struct Which {
    #[serde(default)]
    which: operations::Filter,
}

async fn show_operations(
    State(web): State<Web>,
    Path(team): Path<String>,
    Query(Which { which }): Query<Which>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let read = async {
        let dead = here.team.operations(operations::Filter::GaveUp.which()).await?;
        Ok::<_, Problem>((dead, here.team.operations(which.which()).await?))
    };
    let (dead, others) = read.await.map_err(|problem| here.trouble(problem))?;
    let body = operations::page(&view, which, &dead, &others);
    Ok(here.page(&view, "Operations", Nav::Operations, LIVE, body))
}

#[derive(Deserialize)]
struct AddedUp {
    #[serde(default)]
    by: CostBy,
}

async fn show_cost(
    State(web): State<Web>,
    Path(team): Path<String>,
    Query(AddedUp { by }): Query<AddedUp>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let read = async {
        let days = here.team.costs(&caller, CostBy::Day).await?;
        let costs = if by == CostBy::Day { days.clone() } else { here.team.costs(&caller, by).await? };
        Ok::<_, Problem>((days, costs))
    };
    let (days, costs) = read.await.map_err(|problem| here.trouble(problem))?;
    let body = cost::page(&view, &days, &costs, here.team.day());
    Ok(here.page(&view, "Cost", Nav::Cost, LIVE, body))
}

/// The sums as a file for a spreadsheet.
async fn cost_csv(
    State(web): State<Web>,
    Path(team): Path<String>,
    Query(AddedUp { by }): Query<AddedUp>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let costs = here.team.costs(&caller, by).await.map_err(|problem| here.trouble(problem))?;
    let name = format!("attachment; filename=\"cost-by-{}.csv\"", by.as_str());
    let head =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((head, costs.csv().join("\r\n") + "\r\n").into_response())
}

async fn show_projects(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
) -> Page {
    let here = web.at(&team, &caller)?;
    let view = here.view().await?;
    let list = here.team.projects().await.map_err(|problem| here.trouble(problem))?;
    Ok(here.page(&view, "Projects", Nav::Projects, LIVE, projects::page(&view, &list)))
}

async fn nothing(State(web): State<Web>, uri: axum::http::Uri) -> Trouble {
    let detail = format!("There is no page {}.", uri.path());
    web.trouble(None, Problem { kind: "not-found".into(), status: 404, detail, hint: None })
}
