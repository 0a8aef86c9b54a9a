//! What forms do. Each ends where the person sees the result; a refusal says why, and nothing typed is lost.

use axum::{
    Extension, Form,
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use qd_api::{CastVote, MoveFeature, Problem};
use qd_board::{Dependency, EditFeature, NewFeature, Wanted};
use qd_team::Caller;
use qd_types::{Ballot, FeatureId, RunId, Stage};
use serde::Deserialize;

use crate::{
    feature::Typed,
    router::{Trouble, Web},
};

type Answer = Result<Response, Trouble>;

fn words(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn ids(text: &str) -> Result<Vec<Dependency>, Problem> {
    words(text)
        .iter()
        .map(|word| {
            word.parse().map_err(|error: qd_types::IdError| Problem {
                kind: "invalid".into(),
                status: 422,
                detail: format!("{error}."),
                hint: None,
            })
        })
        .collect()
}

#[derive(Deserialize)]
pub(crate) struct Add {
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    labels: String,
    #[serde(default)]
    depends_on: String,
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
    let added = async {
        let wanted = Wanted {
            title: form.title,
            description: form.description,
            labels: words(&form.labels),
            depends_on: ids(&form.depends_on)?,
            ..Wanted::default()
        };
        let new = NewFeature { wanted, ready: form.ready, ..NewFeature::default() };
        here.team.add(&caller, new).await
    };
    added.await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path("")).into_response())
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
    Ok(Redirect::to(&here.path(&format!("features/{}", form.id))).into_response())
}

#[derive(Deserialize)]
pub(crate) struct One {
    id: FeatureId,
}

pub(crate) async fn cancel(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<One>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    here.team.cancel(&caller, &form.id, None).await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(&format!("features/{}", form.id))).into_response())
}

#[derive(Deserialize)]
pub(crate) struct Edit {
    id: FeatureId,
    version: u64,
    title: String,
    description: String,
    labels: String,
    depends_on: String,
}

pub(crate) async fn edit(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<Edit>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let edited = async {
        let before = here.team.feature(&form.id).await?.feature.wanted;
        let depends_on = ids(&form.depends_on)?;
        let description = form.description.replace("\r\n", "\n");
        // What a person left as it was is not part of their edit, and clashes with nobody's.
        let edit = EditFeature::of(Some(form.version))
            .maybe("title", Some(&form.title).filter(|title| **title != before.title))
            .maybe("description", Some(description).filter(|text| *text != before.description))
            .maybe("labels", Some(words(&form.labels)).filter(|labels| *labels != before.labels))
            .maybe("depends_on", Some(depends_on).filter(|ids| *ids != before.depends_on));
        here.team.edit(&caller, &form.id, edit, None).await
    };
    match edited.await {
        Ok(_) => Ok(Redirect::to(&here.path(&format!("features/{}", form.id))).into_response()),
        Err(problem) => {
            let typed = Typed {
                title: form.title,
                description: form.description,
                labels: form.labels,
                depends_on: form.depends_on,
                problem: problem.detail,
            };
            here.feature(&form.id, Some(&typed)).await
        }
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

#[derive(Deserialize)]
pub(crate) struct VoteForm {
    key: String,
    digest: String,
    ballot: Ballot,
    #[serde(default)]
    reason: Option<String>,
}

pub(crate) async fn vote(
    State(web): State<Web>,
    Path(team): Path<String>,
    Extension(caller): Extension<Caller>,
    Form(form): Form<VoteForm>,
) -> Answer {
    let here = web.at(&team, &caller)?;
    let cast = CastVote { ballot: form.ballot, digest: form.digest, reason: form.reason };
    here.team.vote(&caller, &form.key, cast).await.map_err(|problem| here.trouble(problem))?;
    Ok(Redirect::to(&here.path(&format!("inbox?id={}", form.key))).into_response())
}
