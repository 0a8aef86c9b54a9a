//! Issues, comments, labels, milestones, and the threads of reviews. What is ours is known by its marker and by who wrote it: a
//! marker that somebody copied counts for nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use jiff::Timestamp;
use qd_core::forge::{Comment, ForgeError, Issue, Marker, Milestone, NewIssue};
use qd_types::RepositoryName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    here::{Here, labels, part, title},
    pull_requests::{Label, Titled, names},
};
use crate::{
    app::Account,
    client::{CallError, Method},
    mark,
};

/// Comments that are known without a look; the first of them goes for one more.
const KNOWN: usize = 1_000;

/// What was written last: a living comment is edited without looking for it again.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// By where it stands, and the marker it carries.
    comments: BTreeMap<(RepositoryName, u64, String), Comment>,
    /// Where all that is ours is known: another comment there is new.
    read: BTreeSet<(RepositoryName, u64)>,
}

impl Written {
    /// Nothing of ours stands there yet.
    pub(crate) fn is_new(&mut self, repository: &RepositoryName, number: u64) {
        self.read.insert((repository.clone(), number));
    }

    /// It has to be looked at again.
    fn forget(&mut self, repository: &RepositoryName, number: u64) {
        self.read.remove(&(repository.clone(), number));
    }

    fn note(&mut self, key: (RepositoryName, u64, String), comment: Comment) {
        if self.comments.len() >= KNOWN
            && let Some(((repository, number, _), _)) = self.comments.pop_first()
        {
            self.forget(&repository, number);
        }
        self.comments.insert(key, comment);
    }
}

#[derive(Debug, Clone, Deserialize)]
struct Said {
    id: u64,
    body: Option<String>,
    updated_at: Timestamp,
    user: Option<Account>,
}

#[derive(Debug, Clone, Deserialize)]
struct Found {
    number: u64,
    title: String,
    body: Option<String>,
    state: String,
    #[serde(default)]
    labels: Vec<Label>,
    milestone: Option<Titled>,
    user: Option<Account>,
    /// Issues that are pull requests have it.
    pull_request: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct Stone {
    number: u64,
    title: String,
    state: String,
    open_issues: u64,
    closed_issues: u64,
}

impl Stone {
    fn shown(self) -> Milestone {
        Milestone {
            open: self.state == "open",
            title: self.title,
            open_issues: self.open_issues,
            closed_issues: self.closed_issues,
        }
    }
}

const THREADS: &str = "query reviewThreads($owner: String!, $name: String!, $number: Int!, $after: String) { \
    repository(owner: $owner, name: $name) { pullRequest(number: $number) { \
    reviewThreads(first: 100, after: $after) { nodes { id isResolved comments(first: 100) { \
    nodes { databaseId body author { login } } } } pageInfo { hasNextPage endCursor } } } } }";

const RESOLVE: &str = "mutation resolveReviewThread($threadId: ID!) { \
    resolveReviewThread(input: { threadId: $threadId }) { thread { isResolved } } }";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Threads {
    nodes: Vec<Thread>,
    page_info: PageInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thread {
    id: String,
    is_resolved: bool,
    comments: Nodes,
}

#[derive(Deserialize)]
struct Nodes {
    nodes: Vec<Reply>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    database_id: u64,
    body: String,
    author: Option<Account>,
}

/// In GraphQL an App's account has no `[bot]` at its end.
fn is_same(login: &str, own: &str) -> bool {
    login == own || own.strip_suffix("[bot]") == Some(login)
}

fn issue_of(number: u64) -> String {
    format!("issue {number}")
}

fn thread_of(number: u64) -> String {
    format!("pull request or issue {number}")
}

impl Said {
    fn shown(self) -> Comment {
        Comment { id: self.id, body: mark::shown(&self.body.unwrap_or_default()), at: self.updated_at }
    }
}

impl Here<'_> {
    /// The number of what we opened with this marker: a pull request, or else an issue.
    pub(super) async fn find_mine(
        &self,
        marker: &Marker,
        pull_request: bool,
    ) -> Result<Option<u64>, ForgeError> {
        let own = self.own_login().await?;
        let path = format!("/issues?state=all&sort=created&direction=desc&creator={}", part(&own));
        let is_it = |one: &Found| {
            one.pull_request.is_some() == pull_request
                && one.user.as_ref().is_some_and(|user| user.login == own)
                && mark::carries(one.body.as_deref().unwrap_or_default(), marker)
        };
        let found = self.find(&path, &is_it).await.map_err(|error| self.said(error, None))?;
        Ok(found.map(|found| found.number))
    }

    fn issue_shown(&self, found: Found) -> Issue {
        Issue {
            repository: self.repository.clone(),
            number: found.number,
            title: found.title,
            body: mark::shown(&found.body.unwrap_or_default()),
            open: found.state == "open",
            labels: names(found.labels),
            milestone: found.milestone.map(|milestone| milestone.title),
        }
    }

    pub(super) async fn issue(&self, number: u64) -> Result<Issue, ForgeError> {
        let what = issue_of(number);
        let found: Result<Found, _> = self.get(&format!("/issues/{number}")).await;
        let found = found.map_err(|error| self.said(error, Some(&what)))?;
        if found.pull_request.is_some() {
            return Err(self.missing(&what));
        }
        Ok(self.issue_shown(found))
    }

    pub(super) async fn issues(&self) -> Result<Vec<Issue>, ForgeError> {
        let all: Vec<Found> = self
            .list("/issues?state=all&sort=created&direction=desc")
            .await
            .map_err(|error| self.said(error, None))?;
        let issues = all.into_iter().filter(|found| found.pull_request.is_none());
        Ok(issues.map(|found| self.issue_shown(found)).collect())
    }

    pub(super) async fn open_issue(&self, new: &NewIssue) -> Result<Issue, ForgeError> {
        title("the title of an issue", &new.title)?;
        let labels = labels(&new.labels)?;
        if let Some(number) = self.find_mine(&new.marker, false).await? {
            return self.issue(number).await;
        }
        let mut body =
            json!({ "title": new.title, "body": mark::hide(&new.body, &new.marker), "labels": labels });
        if let (Some(title), Some(body)) = (&new.milestone, body.as_object_mut()) {
            body.insert("milestone".into(), json!(self.milestone_number(title).await?));
        }
        let made: Result<Found, _> = self.change(Method::Post, "/issues", &body).await;
        Ok(self.issue_shown(made.map_err(|error| self.said(error, None))?))
    }

    pub(super) async fn close_issue(&self, number: u64) -> Result<(), ForgeError> {
        if !self.issue(number).await?.open {
            return Ok(());
        }
        let body = json!({ "state": "closed" });
        let closed = self.act(Method::Patch, &format!("/issues/{number}"), Some(&body)).await;
        closed.map_err(|error| self.said(error, Some(&issue_of(number))))
    }

    pub(super) async fn set_labels(&self, number: u64, wanted: &[String]) -> Result<(), ForgeError> {
        let (wanted, path) = (labels(wanted)?, format!("/issues/{number}/labels"));
        // "Set labels for an issue" takes one label at least, by GitHub's own description.
        let set = if wanted.is_empty() {
            self.act(Method::Delete, &path, None).await
        } else {
            self.act(Method::Put, &path, Some(&json!({ "labels": wanted }))).await
        };
        set.map_err(|error| self.said(error, Some(&issue_of(number))))
    }

    async fn stones(&self) -> Result<Vec<Stone>, ForgeError> {
        self.list("/milestones?state=all").await.map_err(|error| self.said(error, None))
    }

    pub(super) async fn milestone_number(&self, title: &str) -> Result<u64, ForgeError> {
        let stone = self.stones().await?.into_iter().find(|stone| stone.title == title);
        stone.map(|stone| stone.number).ok_or_else(|| self.missing(&format!("milestone {title}")))
    }

    pub(super) async fn milestones(&self) -> Result<Vec<Milestone>, ForgeError> {
        let mut all: Vec<Milestone> = self.stones().await?.into_iter().map(Stone::shown).collect();
        all.sort_by(|a, b| a.title.cmp(&b.title));
        Ok(all)
    }

    pub(super) async fn open_milestone(&self, name: &str) -> Result<Milestone, ForgeError> {
        title("the title of a milestone", name)?;
        if let Some(stone) = self.stones().await?.into_iter().find(|stone| stone.title == name) {
            return Ok(stone.shown());
        }
        let made: Result<Stone, _> =
            self.change(Method::Post, "/milestones", &json!({ "title": name })).await;
        made.map(Stone::shown).map_err(|error| self.said(error, Some(&format!("milestone {name}"))))
    }

    async fn said_on(&self, number: u64) -> Result<Vec<Said>, ForgeError> {
        let mut all: Vec<Said> = self
            .list(&format!("/issues/{number}/comments"))
            .await
            .map_err(|error| self.said(error, Some(&thread_of(number))))?;
        all.sort_by_key(|said| said.id);
        Ok(all)
    }

    pub(super) async fn comments(&self, number: u64) -> Result<Vec<Comment>, ForgeError> {
        Ok(self.said_on(number).await?.into_iter().map(Said::shown).collect())
    }

    pub(super) async fn put_comment(
        &self,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let key = (self.repository.clone(), number, mark::written(marker));
        let of = |error: CallError| self.said(error, Some(&thread_of(number)));
        if !self.written(|written| written.read.contains(&(self.repository.clone(), number))) {
            self.read_own(number).await?;
        }
        let known = self.written(|written| written.comments.get(&key).cloned());
        if let Some(known) = known.as_ref().filter(|known| known.body == body) {
            return Ok(known.clone());
        }
        let text = json!({ "body": mark::hide(body, marker) });
        let put = match &known {
            Some(known) => match self.edit(known.id, &text).await {
                // Somebody removed it: it is written again.
                Err(CallError::NotFound(_)) => self.write(number, &text).await,
                edited => edited,
            },
            None => self.write(number, &text).await,
        };
        if put.is_err() {
            // What became of it is seen there alone.
            self.written(|written| {
                written.comments.remove(&key);
                written.forget(self.repository, number);
            });
        }
        let comment = put.map_err(of)?.shown();
        self.written(|written| written.note(key, comment.clone()));
        Ok(comment)
    }

    /// Reads which comments there are ours.
    async fn read_own(&self, number: u64) -> Result<(), ForgeError> {
        let own = self.own_login().await?;
        let all = self.said_on(number).await?;
        let ours = all.into_iter().filter(|said| said.user.as_ref().is_some_and(|user| user.login == own));
        let marked = ours.filter_map(|said| {
            let mark = mark::carried(said.body.as_deref()?)?.to_owned();
            Some(((self.repository.clone(), number, mark), said.shown()))
        });
        let marked: Vec<_> = marked.collect();
        self.written(|written| {
            written.comments.retain(|(repository, at, _), _| repository != self.repository || *at != number);
            // Of two with one marker the first counts.
            for (key, comment) in marked.into_iter().rev() {
                written.note(key, comment);
            }
            written.is_new(self.repository, number);
        });
        Ok(())
    }

    async fn edit(&self, id: u64, text: &Value) -> Result<Said, CallError> {
        self.change(Method::Patch, &format!("/issues/comments/{id}"), text).await
    }

    async fn write(&self, number: u64, text: &Value) -> Result<Said, CallError> {
        self.change(Method::Post, &format!("/issues/{number}/comments"), text).await
    }

    pub(super) fn written<T>(&self, change: impl FnOnce(&mut Written) -> T) -> T {
        change(&mut self.github.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A thread of a review of a pull request.
    async fn thread(&self, number: u64, id: &str, what: &str) -> Result<Thread, ForgeError> {
        let mut after: Option<String> = None;
        loop {
            let mut variables =
                json!({ "owner": self.place.owner(), "name": self.place.name(), "number": number });
            if let (Some(after), Some(variables)) = (&after, variables.as_object_mut()) {
                variables.insert("after".into(), json!(after));
            }
            let mut page: Value = self
                .graphql(THREADS, &variables, false)
                .await
                .map_err(|error| self.said(error, Some(what)))?;
            let threads = page.pointer_mut("/repository/pullRequest/reviewThreads").map(Value::take);
            let threads: Threads = serde_json::from_value(threads.unwrap_or_default()).map_err(|error| {
                ForgeError::Unavailable { reason: format!("GitHub's answer is not understood: {error}") }
            })?;
            if let Some(thread) = threads.nodes.into_iter().find(|thread| thread.id == id) {
                return Ok(thread);
            }
            after = threads.page_info.end_cursor.filter(|_| threads.page_info.has_next_page);
            if after.is_none() {
                return Err(self.missing(what));
            }
        }
    }

    pub(super) async fn settle_thread(
        &self,
        number: u64,
        thread: &str,
        marker: &Marker,
        body: &str,
    ) -> Result<(), ForgeError> {
        let what = format!("thread {thread} of pull request {number}");
        let found = self.thread(number, thread, &what).await?;
        let own = self.own_login().await?;
        let mine = |reply: &Reply| {
            reply.author.as_ref().is_some_and(|author| is_same(&author.login, &own))
                && mark::carries(&reply.body, marker)
        };
        if let Some(first) = found.comments.nodes.first()
            && !found.comments.nodes.iter().any(mine)
        {
            let path = format!("/pulls/{number}/comments/{}/replies", first.database_id);
            let text = json!({ "body": mark::hide(body, marker) });
            let told = self.act(Method::Post, &path, Some(&text)).await;
            told.map_err(|error| self.said(error, Some(&what)))?;
        }
        if !found.is_resolved {
            let done: Result<Value, _> = self.graphql(RESOLVE, &json!({ "threadId": thread }), true).await;
            done.map_err(|error| self.said(error, Some(&what)))?;
        }
        Ok(())
    }
}
