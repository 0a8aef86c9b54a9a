//! Checks: check runs where an App writes them, commit statuses where a token does, and both where they are read.

use std::{collections::BTreeMap, sync::PoisonError};

use qd_core::forge::{Annotation, Check, CheckText, Conclusion, ForgeError};
use qd_types::{CommitId, RepositoryName};
use serde::Deserialize;
use serde_json::{Value, json};

use super::here::Here;
use crate::client::{CallError, Method};

/// Characters of a status's description: GitHub's most.
const DESCRIPTION: usize = 140;
/// Annotations that one request takes (docs.github.com, "REST API endpoints for check runs").
const ANNOTATIONS: usize = 50;

/// Commits whose check runs are known without a look.
const KNOWN: usize = 256;

/// The check runs of ours, by commit, as they were reported: nobody else changes them.
#[derive(Debug, Default)]
pub(crate) struct Reported(BTreeMap<(RepositoryName, CommitId), Vec<Run>>);

/// A check run (docs.github.com, "REST API endpoints for check runs").
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Run {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    app: Option<AppId>,
    output: Option<Output>,
}

#[derive(Debug, Clone, Deserialize)]
struct AppId {
    id: u64,
}

#[derive(Debug, Clone, Deserialize)]
struct Output {
    title: Option<String>,
    summary: Option<String>,
    #[serde(default)]
    annotations_count: usize,
}

/// An annotation (docs.github.com, "List check run annotations").
#[derive(Debug, Clone, Deserialize)]
struct Remark {
    path: String,
    start_line: u32,
    message: Option<String>,
}

/// A commit status (docs.github.com, "REST API endpoints for commit statuses").
#[derive(Debug, Clone, Deserialize)]
struct Status {
    context: String,
    state: String,
    description: Option<String>,
}

impl Run {
    /// Annotations that stand there.
    fn remarks(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.annotations_count)
    }

    /// Whether it says this, and remarks as much.
    fn says(&self, check: &Check) -> bool {
        let remarks = |check: &Check| check.text.as_ref().map_or(0, |text| text.annotations.len());
        let mut bare = check.clone();
        bare.text.iter_mut().for_each(|text| text.annotations.clear());
        self.check() == bare && self.remarks() == remarks(check)
    }

    /// Without what it remarks on lines: that is read apart.
    fn check(&self) -> Check {
        let conclusion = match (self.status.as_str(), self.conclusion.as_deref()) {
            ("completed", Some("success" | "neutral" | "skipped")) => Conclusion::Success,
            ("completed", _) => Conclusion::Failure,
            _ => Conclusion::Pending,
        };
        let output = self.output.as_ref();
        let text = output.and_then(|output| {
            Some(CheckText {
                title: output.title.clone()?,
                summary: output.summary.clone().unwrap_or_default(),
                annotations: Vec::new(),
            })
        });
        Check { name: self.name.clone(), conclusion, text }
    }
}

fn annotation(remark: Remark) -> Annotation {
    let Remark { path, start_line: line, message } = remark;
    Annotation { path, line, message: message.unwrap_or_default() }
}

impl Status {
    fn check(self) -> Check {
        let conclusion = match self.state.as_str() {
            "success" => Conclusion::Success,
            "pending" => Conclusion::Pending,
            _ => Conclusion::Failure,
        };
        let text = self.description.filter(|text| !text.is_empty());
        let text = text.map(|title| CheckText { title, summary: String::new(), annotations: Vec::new() });
        Check { name: self.context, conclusion, text }
    }
}

/// What a check run says, with some of its annotations: what was written before stays, and these come to it.
fn output(text: &CheckText, annotations: &[Annotation]) -> Value {
    let remark = |one: &Annotation| {
        json!({ "path": one.path, "start_line": one.line, "end_line": one.line, "annotation_level": "warning",
            "message": one.message })
    };
    let (title, summary) = (&text.title, &text.summary);
    if annotations.is_empty() {
        return json!({ "title": title, "summary": summary });
    }
    let remarks: Vec<Value> = annotations.iter().map(remark).collect();
    json!({ "title": title, "summary": summary, "annotations": remarks })
}

/// How a check run is written where so many of its annotations stand already; those that one request does not take follow.
fn written(check: &Check, remarks: usize) -> serde_json::Map<String, Value> {
    let mut body = serde_json::Map::new();
    match check.conclusion {
        Conclusion::Pending => body.insert("status".into(), json!("in_progress")),
        Conclusion::Success => body.insert("conclusion".into(), json!("success")),
        Conclusion::Failure => body.insert("conclusion".into(), json!("failure")),
    };
    if check.conclusion != Conclusion::Pending {
        body.insert("status".into(), json!("completed"));
    }
    if let Some(text) = &check.text {
        let fresh = text.annotations.get(remarks..).unwrap_or_default();
        let first = fresh.chunks(ANNOTATIONS).next().unwrap_or_default();
        body.insert("output".into(), output(text, first));
    }
    body
}

impl Here<'_> {
    async fn runs(&self, commit: &CommitId) -> Result<Vec<Run>, ForgeError> {
        let mut runs: Vec<Run> = self
            .list_in(&format!("/commits/{commit}/check-runs?filter=latest"), "check_runs")
            .await
            .map_err(|error| self.of_commit(error, commit))?;
        runs.sort_by_key(|run| run.id);
        Ok(runs)
    }

    fn of_commit(&self, error: CallError, commit: &CommitId) -> ForgeError {
        match error {
            // GitHub says 422 where no commit is behind the hash.
            CallError::Invalid(words) if words.to_ascii_lowercase().contains("no commit") => {
                self.missing(&format!("commit {commit}"))
            }
            error => self.said(error, Some(&format!("commit {commit}"))),
        }
    }

    pub(super) async fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        let runs = self.runs(commit).await?;
        let statuses: Result<Vec<Status>, _> =
            self.list_in(&format!("/commits/{commit}/status"), "statuses").await;
        let statuses = match statuses {
            // The commit is there: what is not is statuses. Who may not see them is told 403.
            Err(CallError::NotFound(_)) => Vec::new(),
            statuses => statuses.map_err(|error| self.of_commit(error, commit))?,
        };
        let mut by_name: BTreeMap<String, Check> =
            statuses.into_iter().map(|status| (status.context.clone(), status.check())).collect();
        // The newest of a name is the last.
        by_name.extend(runs.iter().map(|run| (run.name.clone(), run.check())));
        let newest: BTreeMap<&str, &Run> = runs.iter().map(|run| (run.name.as_str(), run)).collect();
        for run in newest.into_values().filter(|run| run.remarks() > 0) {
            let remarks: Vec<Remark> = self
                .list(&format!("/check-runs/{}/annotations", run.id))
                .await
                .map_err(|error| self.of_commit(error, commit))?;
            if let Some(text) = by_name.get_mut(&run.name).and_then(|check| check.text.as_mut()) {
                text.annotations = remarks.into_iter().map(annotation).collect();
            }
        }
        Ok(by_name.into_values().collect())
    }

    pub(super) async fn report_checks(&self, commit: &CommitId, checks: &[Check]) -> Result<(), ForgeError> {
        // Of a name that is said twice, the last counts.
        let wanted: BTreeMap<&str, &Check> =
            checks.iter().map(|check| (check.name.as_str(), check)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let own = self.github.tokens.own().await.map_err(|error| self.said(error, None))?;
        let Some(app) = own.app else { return self.report_statuses(commit, &wanted).await };
        let key = (self.repository.clone(), commit.clone());
        // Taken out: what fails below is looked at anew the next time.
        let mut runs = match self.reported(|reported| reported.0.remove(&key)) {
            Some(runs) => runs,
            None => {
                let is_ours = |run: &Run| run.app.as_ref().is_some_and(|by| by.id == app);
                self.runs(commit).await?.into_iter().filter(is_ours).collect()
            }
        };
        for check in wanted.into_values() {
            let known = runs.iter().rev().find(|run| run.name == check.name);
            if known.is_some_and(|run| run.says(check)) {
                continue;
            }
            // What is pending ends where it began; a text or remarks that are to go need another run, and so does what has
            // ended.
            let wanted = check.text.as_ref().map_or(0, |text| text.annotations.len());
            let goes_on = known.filter(|run| {
                run.check().conclusion == Conclusion::Pending
                    && (run.check().text.is_none() || check.text.is_some())
                    && run.remarks() <= wanted
            });
            let there = goes_on.map_or(0, Run::remarks);
            let mut body = written(check, there);
            let told: Result<Run, _> = match goes_on {
                Some(run) => {
                    let path = format!("/check-runs/{}", run.id);
                    self.change(Method::Patch, &path, &Value::Object(body)).await
                }
                None => {
                    body.insert("name".into(), json!(check.name));
                    body.insert("head_sha".into(), json!(commit.as_str()));
                    self.change(Method::Post, "/check-runs", &Value::Object(body)).await
                }
            };
            let told = told.map_err(|error| self.of_commit(error, commit))?;
            let remarked = self.remark(told, check, there + ANNOTATIONS).await;
            let told = remarked.map_err(|error| self.of_commit(error, commit))?;
            runs.retain(|run| run.id != told.id);
            runs.push(told);
        }
        self.reported(|reported| {
            if reported.0.len() >= KNOWN {
                reported.0.pop_first();
            }
            reported.0.insert(key, runs);
        });
        Ok(())
    }

    /// Writes the annotations from that one on, as many at a time as are taken. Returns the run with them.
    async fn remark(&self, mut run: Run, check: &Check, from: usize) -> Result<Run, CallError> {
        let Some(text) = &check.text else { return Ok(run) };
        for some in text.annotations.get(from..).unwrap_or_default().chunks(ANNOTATIONS) {
            let body = json!({ "output": output(text, some) });
            run = self.change(Method::Patch, &format!("/check-runs/{}", run.id), &body).await?;
        }
        Ok(run)
    }

    /// A commit that was proposed just now has no check of ours: those come after its pull request.
    pub(super) fn unchecked(&self, commit: &CommitId) {
        let key = (self.repository.clone(), commit.clone());
        self.reported(|reported| reported.0.entry(key).or_default().clear());
    }

    fn reported<T>(&self, change: impl FnOnce(&mut Reported) -> T) -> T {
        change(&mut self.github.reported.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Check runs are an App's alone.
    async fn report_statuses(
        &self,
        commit: &CommitId,
        wanted: &BTreeMap<&str, &Check>,
    ) -> Result<(), ForgeError> {
        let known = self.checks(commit).await?;
        for check in wanted.values().filter(|check| !known.contains(check)) {
            let state = match check.conclusion {
                Conclusion::Pending => "pending",
                Conclusion::Success => "success",
                Conclusion::Failure => "failure",
            };
            let title = check.text.as_ref().map_or("", |text| &text.title);
            let description: String = title.chars().take(DESCRIPTION).collect();
            let body = json!({ "state": state, "context": check.name, "description": description });
            let told = self.act(Method::Post, &format!("/statuses/{commit}"), Some(&body)).await;
            told.map_err(|error| self.of_commit(error, commit))?;
        }
        Ok(())
    }
}
