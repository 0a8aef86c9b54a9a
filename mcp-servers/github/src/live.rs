//! GitHub itself behind the port. Who wrote what is said as GitHub says it; nothing is decided here, and nothing is merged.

use async_trait::async_trait;
use qd_github::{
    CallError, GitHub as Live,
    client::Method,
    rest::{Rest, branch_part, part},
};
use qd_types::RepositoryName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Check, Comment, GitHub, GitHubError, Issue, NewPull, Place, Pull, Review};

/// The App whose check runs are jobs of workflows (docs.github.com, "REST API endpoints for check runs").
const ACTIONS: &str = "github-actions";

/// GitHub, for the repositories of the fleet that are there.
#[derive(Clone)]
pub struct OnGitHub(pub Live);

#[derive(Deserialize)]
struct User {
    login: String,
}

#[derive(Deserialize)]
struct Label {
    name: String,
}

/// An issue or a pull request: what they share (docs.github.com, "REST API endpoints for issues").
#[derive(Deserialize)]
struct IssueRow {
    number: u64,
    title: String,
    body: Option<String>,
    user: Option<User>,
    state: String,
    labels: Vec<Label>,
    pull_request: Option<Value>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
}

#[derive(Deserialize)]
struct PullRow {
    #[serde(flatten)]
    issue: IssueRow,
    head: Branch,
    base: Branch,
}

#[derive(Deserialize)]
struct CommentRow {
    id: u64,
    user: Option<User>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct ReviewRow {
    user: Option<User>,
    state: String,
    commit_id: Option<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

#[derive(Deserialize)]
struct CheckRow {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct Job {
    run_attempt: Option<u64>,
}

#[derive(Deserialize)]
struct Ref {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

#[derive(Deserialize)]
struct Found {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    path: String,
    #[serde(default)]
    text_matches: Vec<TextMatch>,
}

#[derive(Deserialize)]
struct TextMatch {
    property: Option<String>,
    fragment: Option<String>,
}

impl From<Item> for Place {
    /// What stands there: the fragments of the file, not those of its name.
    fn from(item: Item) -> Self {
        let of_file = |found: &TextMatch| found.property.as_deref() == Some("content");
        let fragments = item.text_matches.into_iter().filter(of_file).filter_map(|found| found.fragment);
        Self { path: item.path, text: fragments.collect::<Vec<_>>().join("\n…\n") }
    }
}

#[derive(Deserialize)]
struct Made {
    id: u64,
}

#[derive(Deserialize)]
struct Opened {
    number: u64,
}

/// A deleted account is shown as `ghost` (docs.github.com, "Deleting your personal account").
fn author(user: Option<User>) -> String {
    user.map_or_else(|| "ghost".to_owned(), |user| user.login)
}

impl From<IssueRow> for Issue {
    fn from(row: IssueRow) -> Self {
        let mut labels: Vec<String> = row.labels.into_iter().map(|label| label.name).collect();
        labels.sort();
        Self {
            number: row.number,
            title: row.title,
            body: row.body.unwrap_or_default(),
            author: author(row.user),
            open: row.state == "open",
            labels,
        }
    }
}

impl From<PullRow> for Pull {
    fn from(row: PullRow) -> Self {
        Self { issue: row.issue.into(), head: row.head.name, head_sha: row.head.sha, base: row.base.name }
    }
}

impl CheckRow {
    fn state(&self) -> String {
        match (self.status.as_str(), self.conclusion.as_deref()) {
            ("completed", Some("success")) => "passed",
            ("completed", Some("failure")) => "failed",
            ("completed", Some(other)) => other,
            ("in_progress", _) => "running",
            (other, _) => other,
        }
        .to_owned()
    }

    fn is_job(&self) -> bool {
        self.app.as_ref().is_some_and(|app| app.slug.as_deref() == Some(ACTIONS))
    }
}

fn said(what: &str) -> impl Fn(CallError) -> GitHubError + '_ {
    move |error| match error {
        CallError::NotFound(_) => GitHubError::Absent(what.to_owned()),
        CallError::Limited(wait) => GitHubError::Limited(wait.as_secs().max(1)),
        CallError::Unreachable(reason) | CallError::NoAnswer(reason) => GitHubError::Unreachable(reason),
        refused => GitHubError::Refused(refused.to_string()),
    }
}

impl OnGitHub {
    fn rest<'a>(&'a self, name: &'a RepositoryName) -> Result<Rest<'a>, GitHubError> {
        self.0.rest(name).ok_or_else(|| GitHubError::Absent(format!("repository {name} on GitHub")))
    }

    async fn check_row(&self, name: &RepositoryName, id: u64) -> Result<CheckRow, GitHubError> {
        let path = format!("/check-runs/{id}");
        self.rest(name)?.get(&path).await.map_err(said(&format!("check {id}")))
    }

    /// How often a job of a workflow ran; any other check is one run by itself.
    async fn attempt(&self, name: &RepositoryName, row: &CheckRow) -> Result<u64, GitHubError> {
        if !row.is_job() {
            return Ok(1);
        }
        let path = format!("/actions/jobs/{}", row.id);
        let job: Job =
            self.rest(name)?.workflows().get(&path).await.map_err(said(&format!("job {}", row.id)))?;
        Ok(job.run_attempt.unwrap_or(1))
    }
}

fn name(repository: &str) -> Result<RepositoryName, GitHubError> {
    repository.parse().map_err(|error: qd_types::IdError| GitHubError::Refused(error.to_string()))
}

fn page(most: usize) -> usize {
    most.clamp(1, 100)
}

#[async_trait]
impl GitHub for OnGitHub {
    async fn issues(&self, repository: &str, most: usize) -> Result<Vec<Issue>, GitHubError> {
        let name = name(repository)?;
        // Pull requests are among them (docs.github.com, "List repository issues").
        let rows: Vec<IssueRow> =
            self.rest(&name)?.newest("/issues?state=open&per_page=100").await.map_err(said("repository"))?;
        let issues = rows.into_iter().filter(|row| row.pull_request.is_none());
        Ok(issues.take(most).map(Issue::from).collect())
    }

    async fn issue(&self, repository: &str, number: u64) -> Result<Issue, GitHubError> {
        let name = name(repository)?;
        let what = format!("issue {number}");
        let row: IssueRow = self.rest(&name)?.get(&format!("/issues/{number}")).await.map_err(said(&what))?;
        Ok(row.into())
    }

    async fn comments(
        &self,
        repository: &str,
        number: u64,
        most: usize,
    ) -> Result<Vec<Comment>, GitHubError> {
        let name = name(repository)?;
        let what = format!("issue {number}");
        let path = format!("/issues/{number}");
        #[derive(Deserialize)]
        struct Count {
            comments: usize,
        }
        let rest = self.rest(&name)?;
        let Count { comments } = rest.get(&path).await.map_err(said(&what))?;
        // The oldest come first, so that the newest are on the last pages.
        let (size, mut rows) = (page(most), Vec::new());
        let last = comments.div_ceil(size).max(1);
        for at in last.saturating_sub(1).max(1)..=last {
            let path = format!("/issues/{number}/comments?per_page={size}&page={at}");
            rows.extend(rest.newest::<CommentRow>(&path).await.map_err(said(&what))?);
        }
        let comment = |row: CommentRow| Comment {
            id: row.id,
            author: author(row.user),
            body: row.body.unwrap_or_default(),
        };
        Ok(rows.into_iter().rev().take(most).map(comment).collect())
    }

    async fn pulls(&self, repository: &str, most: usize) -> Result<Vec<Pull>, GitHubError> {
        let name = name(repository)?;
        let path = format!("/pulls?state=open&per_page={}", page(most));
        let rows: Vec<PullRow> = self.rest(&name)?.newest(&path).await.map_err(said("repository"))?;
        Ok(rows.into_iter().take(most).map(Pull::from).collect())
    }

    async fn pull(&self, repository: &str, number: u64) -> Result<Pull, GitHubError> {
        let name = name(repository)?;
        let what = format!("pull request {number}");
        let row: PullRow = self.rest(&name)?.get(&format!("/pulls/{number}")).await.map_err(said(&what))?;
        Ok(row.into())
    }

    async fn pull_from(&self, repository: &str, head: &str) -> Result<Option<Pull>, GitHubError> {
        let name = name(repository)?;
        let rest = self.rest(&name)?;
        let owner = rest.place();
        let owner = owner.split('/').next().unwrap_or_default();
        let query = part(&format!("{owner}:{head}"));
        let path = format!("/pulls?state=open&head={query}");
        let rows: Vec<PullRow> = rest.newest(&path).await.map_err(said("repository"))?;
        Ok(rows.into_iter().map(Pull::from).find(|pull| pull.head == head))
    }

    async fn reviews(&self, repository: &str, number: u64, most: usize) -> Result<Vec<Review>, GitHubError> {
        let name = name(repository)?;
        let what = format!("pull request {number}");
        let path = format!("/pulls/{number}/reviews?per_page=100");
        let rows: Vec<ReviewRow> = self.rest(&name)?.newest(&path).await.map_err(said(&what))?;
        let review = |row: ReviewRow| Review {
            author: author(row.user),
            state: row.state.to_lowercase(),
            sha: row.commit_id.unwrap_or_default(),
            body: row.body.unwrap_or_default(),
        };
        Ok(rows.into_iter().rev().take(most).map(review).collect())
    }

    async fn branch(&self, repository: &str, branch: &str) -> Result<String, GitHubError> {
        let name = name(repository)?;
        let path = format!("/git/ref/heads/{}", branch_part(branch));
        let found: Ref = self.rest(&name)?.get(&path).await.map_err(said(&format!("branch {branch}")))?;
        Ok(found.object.sha)
    }

    async fn checks(&self, repository: &str, sha: &str, most: usize) -> Result<Vec<Check>, GitHubError> {
        let name = name(repository)?;
        let path = format!("/commits/{}/check-runs?filter=latest", part(sha));
        let what = format!("commit {sha}");
        let rows: Vec<CheckRow> =
            self.rest(&name)?.list_in(&path, "check_runs").await.map_err(said(&what))?;
        // The newest of each name is listed, so that what it says is of its newest attempt.
        let check = |row: CheckRow| Check { id: row.id, state: row.state(), name: row.name, attempt: 1 };
        Ok(rows.into_iter().take(most).map(check).collect())
    }

    async fn check(&self, repository: &str, id: u64) -> Result<Check, GitHubError> {
        let name = name(repository)?;
        let row = self.check_row(&name, id).await?;
        let attempt = self.attempt(&name, &row).await?;
        Ok(Check { id: row.id, state: row.state(), name: row.name, attempt })
    }

    async fn check_log(&self, repository: &str, id: u64, most: usize) -> Result<String, GitHubError> {
        let name = name(repository)?;
        let row = self.check_row(&name, id).await?;
        if !row.is_job() {
            let why = format!("check {} is no job of a workflow, so GitHub keeps no log of it", row.name);
            return Err(GitHubError::Refused(why));
        }
        let path = format!("/actions/jobs/{id}/logs");
        let log = self.rest(&name)?.workflows().text(&path).await.map_err(said(&format!("log of {id}")))?;
        let mut from = log.len().saturating_sub(most);
        while !log.is_char_boundary(from) {
            from += 1;
        }
        Ok(log.get(from..).unwrap_or_default().to_owned())
    }

    async fn search(&self, repository: &str, query: &str, most: usize) -> Result<Vec<Place>, GitHubError> {
        // A qualifier is a word before a colon: with one, the search would leave this repository.
        if query.contains(':') {
            return Err(GitHubError::Refused("a query has no qualifiers here".to_owned()));
        }
        let name = name(repository)?;
        let found: Found = self.rest(&name)?.search(query).await.map_err(said("repository"))?;
        Ok(found.items.into_iter().take(most).map(Place::from).collect())
    }

    async fn comment(&self, repository: &str, number: u64, body: &str) -> Result<u64, GitHubError> {
        let name = name(repository)?;
        let path = format!("/issues/{number}/comments");
        let body = json!({ "body": body });
        let made: Made = self
            .rest(&name)?
            .change(Method::Post, &path, &body)
            .await
            .map_err(said(&format!("issue {number}")))?;
        Ok(made.id)
    }

    async fn label(
        &self,
        repository: &str,
        number: u64,
        on: &[String],
        off: &[String],
    ) -> Result<(), GitHubError> {
        let name = name(repository)?;
        let (rest, what) = (self.rest(&name)?, format!("issue {number}"));
        if !on.is_empty() {
            let path = format!("/issues/{number}/labels");
            rest.act(Method::Post, &path, Some(&json!({ "labels": on }))).await.map_err(said(&what))?;
        }
        for label in off {
            let path = format!("/issues/{number}/labels/{}", part(label));
            match rest.act(Method::Delete, &path, None).await {
                // What it does not carry is off.
                Ok(()) | Err(CallError::NotFound(_)) => {}
                Err(error) => return Err(said(&what)(error)),
            }
        }
        Ok(())
    }

    async fn open(&self, repository: &str, new: &NewPull) -> Result<u64, GitHubError> {
        let name = name(repository)?;
        let body = json!({ "title": new.title, "body": new.body, "head": new.head, "base": new.base });
        let opened: Opened =
            self.rest(&name)?.change(Method::Post, "/pulls", &body).await.map_err(said("branch"))?;
        Ok(opened.number)
    }

    async fn rerun(&self, repository: &str, id: u64) -> Result<(), GitHubError> {
        let name = name(repository)?;
        let row = self.check_row(&name, id).await?;
        let what = format!("check {id}");
        let rest = self.rest(&name)?;
        let done = if row.is_job() {
            rest.workflows().act(Method::Post, &format!("/actions/jobs/{id}/rerun"), None).await
        } else {
            rest.act(Method::Post, &format!("/check-runs/{id}/rerequest"), None).await
        };
        done.map_err(said(&what))
    }
}
