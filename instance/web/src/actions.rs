//! What forms do. Each ends where the person sees the result; a refusal says why, and nothing typed is lost.

use axum::{
    Extension, Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use qd_api::{AcceptPlan, CastVote, MoveFeature, Snooze};
use qd_board::NewFeature;
use qd_team::Caller;
use qd_types::{Ballot, FeatureId, RunId, Stage};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    feature::{Refused, RefusedEdit},
    fields::{Typed, invalid},
    inbox,
    operations::Filter,
    router::{Here, Trouble, Web},
};

type Answer = Result<Response, Trouble>;

fn to_feature(here: &Here<'_>, id: &FeatureId) -> Response {
    Redirect::to(&here.path(&format!("features/{id}"))).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Add {
    #[serde(flatten)]
    typed: Typed,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    ready: bool,
}

pub(crate) async fn add(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Add>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let typed = form.typed.tidy();
    let added = async {
        let repository = Some(form.repository.trim()).filter(|name| !name.is_empty());
        let repository = repository
            .map(|name| {
                name.parse().map_err(|error: qd_types::IdError| invalid(format!("Repository: {error}.")))
            })
            .transpose()?;
        here.team.add(&caller, NewFeature { wanted: typed.wanted()?, repository, ready: form.ready }).await
    };
    match added.await {
        Ok(_) => Ok(Redirect::to(&here.path("")).into_response()),
        Err(problem) => here.new_feature(&typed, &form.repository, Some(&problem)).await,
    }
}

#[derive(Deserialize)]
pub(crate) struct Move {
    id: FeatureId,
    stage: Stage,
}

pub(crate) async fn move_to(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Move>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let to = MoveFeature { stage: form.stage, version: None, reason: None };
    here.team.move_to(&caller, &form.id, to).await.map_err(|problem| here.trouble(problem))?;
    Ok(to_feature(&here, &form.id))
}

/// Which feature, and why.
#[derive(Deserialize)]
pub(crate) struct Because {
    id: FeatureId,
    #[serde(default)]
    reason: String,
}

fn said(reason: &str) -> Option<String> {
    Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
}

pub(crate) async fn cancel(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Because>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let cancelled = here.team.cancel(&caller, &form.id, said(&form.reason)).await;
    cancelled.map_err(|problem| here.trouble(problem))?;
    Ok(to_feature(&here, &form.id))
}

/// Files the feature that takes this one back, and shows it.
pub(crate) async fn revert(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Because>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let filed = here.team.revert(&caller, &form.id, said(&form.reason)).await;
    let filed = filed.map_err(|problem| here.trouble(problem))?;
    Ok(to_feature(&here, &filed.feature.id))
}

/// What is paused: a feature or, without one, the team.
#[derive(Deserialize)]
pub(crate) struct Pause {
    id: Option<FeatureId>,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn pause(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Pause>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let reason = said(&form.reason);
    let Some(id) = form.id else {
        here.team.pause(&caller, reason).await.map_err(|problem| here.trouble(problem))?;
        return Ok(Redirect::to(&here.path("")).into_response());
    };
    here.team.pause_feature(&caller, &id, reason).await.map_err(|problem| here.trouble(problem))?;
    Ok(to_feature(&here, &id))
}

pub(crate) async fn resume(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Pause>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let Some(id) = form.id else {
        here.team.resume(&caller).await.map_err(|problem| here.trouble(problem))?;
        return Ok(Redirect::to(&here.path("")).into_response());
    };
    here.team.resume_feature(&caller, &id).await.map_err(|problem| here.trouble(problem))?;
    Ok(to_feature(&here, &id))
}

#[derive(Deserialize)]
pub(crate) struct Edit {
    id: FeatureId,
    version: u64,
    /// The form as it was shown, as JSON.
    was: String,
    #[serde(default)]
    reason: String,
    #[serde(flatten)]
    typed: Typed,
}

pub(crate) async fn edit(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Edit>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let typed = form.typed.tidy();
    let was = serde_json::from_str::<Typed>(&form.was);
    let edited = async {
        let was = was.as_ref().map_err(|error| invalid(format!("The form can't be read: {error}.")))?;
        let edit = typed.edit(was, form.version)?;
        if edit.fields.is_empty() {
            return Ok(());
        }
        here.team.edit(&caller, &form.id, edit, said(&form.reason)).await.map(drop)
    };
    match edited.await {
        Ok(()) => Ok(to_feature(&here, &form.id)),
        Err(problem) => {
            let was = was.unwrap_or_default();
            let edit = RefusedEdit { typed, was, reason: form.reason, problem };
            here.feature(&form.id, Refused::Edit(Box::new(edit))).await
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Say {
    id: FeatureId,
    text: String,
}

pub(crate) async fn comment(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Say>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    match here.team.comment(&caller, &form.id, &form.text.replace("\r\n", "\n")).await {
        Ok(_) => Ok(Redirect::to(&here.path(&format!("features/{}#comments", form.id))).into_response()),
        Err(problem) => here.feature(&form.id, Refused::Comment { text: form.text, problem }).await,
    }
}

#[derive(Deserialize)]
pub(crate) struct Stop {
    id: RunId,
}

pub(crate) async fn stop(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Stop>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    here.team.stop(&caller, &form.id).await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(&format!("runs/{}", form.id))).into_response())
}

/// A plan is accepted: as it is, or with the text that a person made of it.
#[derive(Deserialize)]
pub(crate) struct Accept {
    id: RunId,
    text: Option<String>,
}

pub(crate) async fn accept(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Accept>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let text = form.text.map(|text| text.replace("\r\n", "\n"));
    let plan = AcceptPlan { text: text.clone(), backlog: false };
    match here.team.accept_plan(&caller, &form.id, plan).await {
        Ok(_) => Ok(Redirect::to(&here.path(&format!("runs/{}", form.id))).into_response()),
        Err(problem) => here.run(&form.id, text.map(|text| (text, problem))).await,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Stop,
    Retry,
    Drop,
}

#[derive(Deserialize)]
pub(crate) struct Operate {
    id: u64,
    verb: Verb,
    #[serde(default)]
    which: Filter,
}

pub(crate) async fn operate(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Operate>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let done = match form.verb {
        Verb::Stop => here.team.stop_operation(&caller, form.id).await,
        Verb::Retry => here.team.retry_operation(&caller, form.id).await,
        Verb::Drop => here.team.drop_operation(&caller, form.id).await,
    };
    done.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(form.which.path())).into_response())
}

#[derive(Deserialize)]
pub(crate) struct VoteForm {
    key: String,
    digest: String,
    ballot: Ballot,
    #[serde(default)]
    reason: Option<String>,
    /// The name of what it is done to, typed out.
    #[serde(default)]
    typed: Option<String>,
    /// The answer to a question, in words.
    #[serde(default)]
    text: Option<String>,
    /// The answer to a question, as JSON.
    #[serde(default)]
    json: Option<String>,
}

pub(crate) async fn vote(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<VoteForm>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let json = form.json.as_deref().map(serde_json::from_str::<Value>).transpose();
    let json = json.map_err(|error| here.trouble(invalid(format!("answer: this is not JSON: {error}."))))?;
    let answer = form.text.map(Value::String).or(json);
    let plain = CastVote::new(form.ballot, form.digest, form.reason);
    let cast = CastVote { typed: form.typed, answer, ..plain };
    here.team.vote(&caller, &form.key, cast).await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(&format!("inbox?id={}", form.key))).into_response())
}

#[derive(Deserialize)]
pub(crate) struct SnoozeForm {
    key: String,
    minutes: u32,
    #[serde(default)]
    show: inbox::Filter,
}

pub(crate) async fn snooze(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<SnoozeForm>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let snooze = Snooze { minutes: Some(form.minutes) };
    here.team.snooze(&caller, &form.key, snooze).await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(&format!("inbox?show={}", form.show.word()))).into_response())
}
