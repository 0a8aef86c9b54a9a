//! The facts, asked of GitHub itself.

use std::collections::BTreeMap;

use async_trait::async_trait;
use qd_core::outside::LineComment;
use qd_types::RepositoryName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    facts::{FactError, Facts, Level, Reaction, RedJob},
    read::is_red,
};
use crate::{
    CallError, GitHub, Scope,
    client::Method,
    forge::{Here, part},
};

/// The threads of a pull request, by their first remark (docs.github.com, GraphQL, `PullRequestReviewThread`).
const THREADS: &str = "query threads($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) \
    { pullRequest(number: $number) { reviewThreads(last: 100) { nodes { id comments(first: 100) { nodes { databaseId } } } } } } }";

impl From<CallError> for FactError {
    fn from(error: CallError) -> Self {
        let said = error.to_string();
        match error {
            CallError::Forbidden(_)
            | CallError::NotFound(_)
            | CallError::Conflict(_)
            | CallError::Invalid(_) => Self::Gone(said),
            // Without a token that counts nothing is known: it may count again.
            CallError::Unauthorized(_)
            | CallError::Limited(_)
            | CallError::Unreachable(_)
            | CallError::NoAnswer(_) => Self::Later(said),
        }
    }
}

#[derive(Deserialize)]
struct Permission {
    #[serde(default)]
    permission: String,
    #[serde(default)]
    role_name: Option<String>,
}

#[derive(Deserialize)]
struct Pull {
    number: u64,
    #[serde(default)]
    state: String,
    head: Side,
    base: Side,
}

#[derive(Deserialize)]
struct Side {
    #[serde(default)]
    sha: String,
    /// Gone if the fork was deleted.
    repo: Option<Id>,
}

#[derive(Deserialize)]
struct Id {
    id: u64,
}

#[derive(Deserialize)]
struct Remark {
    id: u64,
    #[serde(default)]
    pull_request_review_id: Option<u64>,
    #[serde(default)]
    path: String,
    #[serde(default)]
    line: Option<u32>,
    #[serde(default)]
    original_line: Option<u32>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    in_reply_to_id: Option<u64>,
}

#[derive(Deserialize)]
struct Job {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(default)]
    conclusion: Option<String>,
    #[serde(default)]
    html_url: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    name: String,
    #[serde(default)]
    conclusion: Option<String>,
}

impl GitHub {
    fn asked<'a>(&'a self, repository: &'a RepositoryName) -> Result<Here<'a>, FactError> {
        self.here(repository).map_err(|error| FactError::Gone(error.to_string()))
    }
}

/// The threads of a pull request by their first remark; what GraphQL does not say is not known.
async fn threads(here: &Here<'_>, number: u64) -> Result<BTreeMap<u64, String>, CallError> {
    let place = here.place;
    let variables = json!({ "owner": place.owner(), "name": place.name(), "number": number });
    let said: Value = here.graphql(THREADS, &variables, false).await?;
    let nodes = said.pointer("/repository/pullRequest/reviewThreads/nodes").and_then(Value::as_array);
    let thread = |node: &Value| {
        let id = node.get("id")?.as_str()?.to_owned();
        let remarks = node.pointer("/comments/nodes")?.as_array()?;
        let ids = remarks.iter().filter_map(|remark| remark.get("databaseId")?.as_u64());
        Some(ids.map(|remark| (remark, id.clone())).collect::<Vec<_>>())
    };
    Ok(nodes.into_iter().flatten().filter_map(thread).flatten().collect())
}

#[async_trait]
impl Facts for GitHub {
    async fn is_own(&self, login: &str, app: Option<u64>) -> Result<bool, FactError> {
        let own = self.tokens().own().await?;
        // A personal token's account is also a person's.
        let Some(own_app) = own.app else { return Ok(false) };
        Ok(app == Some(own_app) || login.eq_ignore_ascii_case(&own.login))
    }

    async fn name(&self) -> Result<String, FactError> {
        let own = self.tokens().own().await?;
        // By a person's own name one addresses that person.
        Ok(own.app.map_or_else(String::new, |_| own.login.trim_end_matches("[bot]").to_owned()))
    }

    async fn level(&self, repository: &RepositoryName, login: &str) -> Result<Level, FactError> {
        let here = self.asked(repository)?;
        let said: Permission = here.get(&format!("/collaborators/{}/permission", part(login))).await?;
        // A role of an organization's own stands on one of these (docs.github.com, "Get repository permissions for a user").
        let named = said.role_name.as_deref().and_then(Level::named);
        Ok(named.or_else(|| Level::named(&said.permission)).unwrap_or(Level::None))
    }

    async fn is_from_fork(&self, repository: &RepositoryName, number: u64) -> Result<bool, FactError> {
        let here = self.asked(repository)?;
        if here.is_opened_here(number) {
            return Ok(false);
        }
        let pull: Pull = here.get(&format!("/pulls/{number}")).await?;
        let (head, base) = (pull.head.repo.map(|repo| repo.id), pull.base.repo.map(|repo| repo.id));
        Ok(head.is_none() || head != base)
    }

    async fn react(
        &self,
        repository: &RepositoryName,
        comment: u64,
        reaction: Reaction,
    ) -> Result<(), FactError> {
        let body = json!({ "content": reaction.as_str() });
        let path = format!("/issues/comments/{comment}/reactions");
        Ok(self.asked(repository)?.act(Method::Post, &path, Some(&body)).await?)
    }

    async fn remarks(
        &self,
        repository: &RepositoryName,
        number: u64,
        review: u64,
    ) -> Result<Vec<LineComment>, FactError> {
        let here = self.asked(repository)?;
        let all: Vec<Remark> = here.list(&format!("/pulls/{number}/comments")).await?;
        let own: Vec<Remark> =
            all.into_iter().filter(|remark| remark.pull_request_review_id == Some(review)).collect();
        if own.is_empty() {
            return Ok(Vec::new());
        }
        let threads = threads(&here, number).await.unwrap_or_else(|error| {
            tracing::warn!(%error, number, "threads are not known, so none of them is answered");
            BTreeMap::new()
        });
        let remark = |remark: Remark| LineComment {
            thread: threads.get(&remark.id).or_else(|| threads.get(&remark.in_reply_to_id?)).cloned(),
            path: remark.path,
            line: remark.line.or(remark.original_line),
            text: remark.body.unwrap_or_default(),
        };
        Ok(own.into_iter().map(remark).collect())
    }

    async fn pull_request_of(
        &self,
        repository: &RepositoryName,
        sha: &str,
    ) -> Result<Option<u64>, FactError> {
        let pulls: Vec<Pull> = self.asked(repository)?.list(&format!("/commits/{}/pulls", part(sha))).await?;
        Ok(pulls.iter().find(|pull| pull.state == "open" && pull.head.sha == sha).map(|pull| pull.number))
    }

    async fn red_jobs(&self, repository: &RepositoryName, run: u64) -> Result<Vec<RedJob>, FactError> {
        let here = self.asked(repository)?.to(Scope::Workflows);
        let jobs: Vec<Job> = here.list_in(&format!("/actions/runs/{run}/jobs"), "jobs").await?;
        let is_red = |conclusion: &Option<String>| conclusion.as_deref().is_some_and(is_red);
        let red = jobs.into_iter().filter(|job| is_red(&job.conclusion)).map(|job| RedJob {
            id: job.id,
            step: job.steps.into_iter().find(|step| is_red(&step.conclusion)).map(|step| step.name),
            name: job.name,
            url: job.html_url,
        });
        Ok(red.collect())
    }

    async fn log(&self, repository: &RepositoryName, job: u64) -> Result<String, FactError> {
        let here = self.asked(repository)?.to(Scope::Workflows);
        let (client, path) = (self.client(), &here.path(&format!("/actions/jobs/{job}/logs")));
        Ok(here.with(|bearer| async move { client.text(&bearer, path).await }).await?)
    }

    async fn run_again(&self, repository: &RepositoryName, run: u64) -> Result<(), FactError> {
        let here = self.asked(repository)?.to(Scope::Workflows);
        Ok(here.act(Method::Post, &format!("/actions/runs/{run}/rerun-failed-jobs"), None).await?)
    }
}
