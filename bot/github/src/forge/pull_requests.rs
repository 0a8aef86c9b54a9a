//! Pull requests: opened once, found again by their marker, closed, drafts. And the branches that they come from.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use qd_core::forge::{ForgeError, Marker, NewPullRequest, PullRequest, PullRequestState};
use qd_types::{CommitId, RepositoryName};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::here::{Here, branch_part, commit, labels, part, refused, title};
use crate::{
    app::Account,
    client::{CallError, Method},
    mark,
};

/// A pull request, as far as it matters (docs.github.com, "REST API endpoints for pull requests").
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pull {
    pub(super) number: u64,
    pub(super) node_id: String,
    title: String,
    body: Option<String>,
    state: String,
    #[serde(default)]
    draft: bool,
    merged_at: Option<String>,
    merge_commit_sha: Option<String>,
    head: Side,
    base: Side,
    #[serde(default)]
    labels: Vec<Label>,
    milestone: Option<Titled>,
    user: Option<Account>,
}

/// Default branches, each with when it was read.
#[derive(Debug, Default)]
pub(crate) struct Defaults(BTreeMap<RepositoryName, (Instant, String)>);

/// How long it counts.
const COUNTS: Duration = Duration::from_secs(600);

/// Pull requests that were opened from here, each with whether it was left a draft: they come from no fork.
#[derive(Debug, Default)]
pub(crate) struct Opened(BTreeMap<(RepositoryName, u64), bool>);

#[derive(Debug, Clone, Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    name: String,
    sha: String,
    /// Gone if the fork was deleted.
    repo: Option<Id>,
}

#[derive(Debug, Clone, Deserialize)]
struct Id {
    id: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Label {
    pub(super) name: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Titled {
    pub(super) title: String,
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
}

/// Pull requests of which it is known that they were opened here; those that were not are asked about.
const OPENED: usize = 1_000;

const READY: &str = "mutation markPullRequestReadyForReview($pullRequestId: ID!) { \
    markPullRequestReadyForReview(input: { pullRequestId: $pullRequestId }) { pullRequest { isDraft } } }";

const DRAFT: &str = "mutation convertPullRequestToDraft($pullRequestId: ID!) { \
    convertPullRequestToDraft(input: { pullRequestId: $pullRequestId }) { pullRequest { isDraft } } }";

/// Names, sorted.
pub(super) fn names(labels: Vec<Label>) -> Vec<String> {
    let mut names: Vec<String> = labels.into_iter().map(|label| label.name).collect();
    names.sort();
    names
}

impl Pull {
    /// Whether it comes from the repository itself.
    fn is_own(&self) -> bool {
        let id = |side: &Side| side.repo.as_ref().map(|repo| repo.id);
        id(&self.head).is_some() && id(&self.head) == id(&self.base)
    }
}

fn what(number: u64) -> String {
    format!("pull request {number}")
}

impl Here<'_> {
    fn shown(&self, pull: Pull) -> Result<PullRequest, ForgeError> {
        let state = match (&pull.merged_at, pull.state.as_str()) {
            (Some(_), _) => PullRequestState::Merged,
            (None, "open") => PullRequestState::Open,
            (None, _) => PullRequestState::Closed,
        };
        let merged = pull.merge_commit_sha.filter(|_| state == PullRequestState::Merged);
        Ok(PullRequest {
            repository: self.repository.clone(),
            number: pull.number,
            branch: pull.head.name,
            target: pull.base.name,
            title: pull.title,
            body: mark::shown(&pull.body.unwrap_or_default()),
            state,
            draft: pull.draft,
            head: commit(&pull.head.sha)?,
            merged: merged.as_deref().map(commit).transpose()?,
            labels: names(pull.labels),
            milestone: pull.milestone.map(|milestone| milestone.title),
        })
    }

    pub(super) async fn pull(&self, number: u64) -> Result<Pull, ForgeError> {
        let read = self.get(&format!("/pulls/{number}")).await;
        read.map_err(|error| self.said(error, Some(&what(number))))
    }

    pub(super) async fn pull_request(&self, number: u64) -> Result<PullRequest, ForgeError> {
        self.shown(self.pull(number).await?)
    }

    pub(super) async fn pull_requests(&self) -> Result<Vec<PullRequest>, ForgeError> {
        let all: Vec<Pull> = self
            .list("/pulls?state=all&sort=created&direction=desc")
            .await
            .map_err(|error| self.said(error, None))?;
        all.into_iter().map(|pull| self.shown(pull)).collect()
    }

    /// All from this branch, whatever became of them, newest first.
    async fn of_branch(&self, branch: &str) -> Result<Vec<Pull>, ForgeError> {
        let head = part(&format!("{}:{branch}", self.place.owner()));
        let path = format!("/pulls?state=all&head={head}&sort=created&direction=desc");
        self.list(&path).await.map_err(|error| self.said(error, None))
    }

    pub(super) async fn find_pull_request(&self, marker: &Marker) -> Result<Option<PullRequest>, ForgeError> {
        match self.find_mine(marker, true).await? {
            Some(number) => self.pull_request(number).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let own = self.own_login().await?;
        let known = self.of_branch(&new.branch).await?;
        let is_mine = |pull: &&Pull| {
            let writer = pull.user.as_ref().is_some_and(|user| user.login == own);
            writer && mark::carries(pull.body.as_deref().unwrap_or_default(), &new.marker)
        };
        if let Some(pull) = known.iter().find(is_mine) {
            return self.see_to(pull.clone(), new).await;
        }
        title("the title of a pull request", &new.title)?;
        labels(&new.labels)?;
        if new.branch == new.target {
            let itself = format!("{} can't be merged into itself: name another target", new.branch);
            return Err(refused(itself));
        }
        let open = |pull: &&Pull| pull.state == "open" && pull.base.name == new.target;
        if let Some(Pull { number, .. }) = known.iter().find(open) {
            return Err(refused(format!(
                "pull request {number} from {} to {} is open: push to its branch, or close it first",
                new.branch, new.target
            )));
        }
        self.protected(&new.target).await?;
        if let Some(title) = &new.milestone {
            self.milestone_number(title).await?;
        }
        let body = json!({
            "title": new.title,
            "head": new.branch,
            "base": new.target,
            "body": mark::hide(&new.body, &new.marker),
            "draft": new.draft,
        });
        let made: Pull = match self.change(Method::Post, "/pulls", &body).await {
            Ok(made) => made,
            Err(CallError::Invalid(words)) => return Err(self.not_proposed(new, &words)),
            Err(error) => return Err(self.said(error, None)),
        };
        self.written(|written| written.is_new(self.repository, made.number));
        self.unchecked(&commit(&made.head.sha)?);
        self.opened(|opened| opened.insert((self.repository.clone(), made.number), made.draft));
        self.see_to(made, new).await
    }

    fn opened<T>(&self, change: impl FnOnce(&mut BTreeMap<(RepositoryName, u64), bool>) -> T) -> T {
        let mut opened = self.github.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.0.len() > OPENED {
            opened.0.pop_first();
        }
        change(&mut opened.0)
    }

    /// Whether it is known to be opened from here.
    pub(crate) fn is_opened_here(&self, number: u64) -> bool {
        self.opened(|opened| opened.contains_key(&(self.repository.clone(), number)))
    }

    /// Gives an open one what it was to have: whoever opened it may have ended before that.
    async fn see_to(&self, pull: Pull, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        let wants_labels = pull.labels.is_empty() && !new.labels.is_empty();
        let wants_milestone = new.milestone.as_ref().filter(|_| pull.milestone.is_none());
        if pull.state != "open" || (!wants_labels && wants_milestone.is_none()) {
            return self.shown(pull);
        }
        let mut body = serde_json::Map::new();
        if wants_labels {
            body.insert("labels".into(), json!(labels(&new.labels)?));
        }
        if let Some(title) = wants_milestone {
            body.insert("milestone".into(), json!(self.milestone_number(title).await?));
        }
        let number = pull.number;
        let changed = self.act(Method::Patch, &format!("/issues/{number}"), Some(&Value::Object(body))).await;
        changed.map_err(|error| self.said(error, Some(&what(number))))?;
        self.pull_request(number).await
    }

    /// GitHub's words for what can't be proposed, with what to do instead.
    fn not_proposed(&self, new: &NewPullRequest, words: &str) -> ForgeError {
        let NewPullRequest { branch, target, .. } = new;
        let lower = words.to_ascii_lowercase();
        refused(if lower.contains("no commits between") {
            format!("{target} holds all of {branch}: commit something to it first")
        } else if lower.contains("head invalid") {
            format!("{} has no branch {branch}: push it first", self.repository)
        } else if lower.contains("base invalid") {
            format!("{} has no branch {target}: name a target that is there", self.repository)
        } else {
            format!("a pull request from {branch} to {target} of {}: {words}", self.repository)
        })
    }

    pub(super) async fn close_pull_request(&self, number: u64) -> Result<(), ForgeError> {
        let now = self.pull_request(number).await?;
        match now.state {
            PullRequestState::Closed => Ok(()),
            PullRequestState::Merged => {
                Err(refused(format!("pull request {number} is merged: what is merged can't be closed")))
            }
            PullRequestState::Open => {
                let body = json!({ "state": "closed" });
                let closed = self.act(Method::Patch, &format!("/pulls/{number}"), Some(&body)).await;
                closed.map_err(|error| self.said(error, Some(&what(number))))
            }
        }
    }

    pub(super) async fn set_draft(&self, number: u64, draft: bool) -> Result<(), ForgeError> {
        let key = (self.repository.clone(), number);
        if self.opened(|opened| opened.get(&key) == Some(&draft)) {
            return Ok(());
        }
        let pull = self.pull(number).await?;
        if pull.merged_at.is_some() || pull.state != "open" {
            return Err(refused(format!("pull request {number} is not open: open another one")));
        }
        if pull.draft == draft {
            return Ok(());
        }
        let document = if draft { DRAFT } else { READY };
        let done: Result<Value, _> =
            self.graphql(document, &json!({ "pullRequestId": pull.node_id }), true).await;
        self.opened(|opened| {
            if let Some(known) = opened.get_mut(&key) {
                *known = draft;
            }
        });
        done.map(drop).map_err(|error| self.said(error, Some(&what(number))))
    }

    pub(super) async fn branch_head(&self, branch: &str) -> Result<CommitId, ForgeError> {
        let missing = format!("branch {branch}");
        if !qd_git::names::is_branch_name(branch) {
            return Err(self.missing(&missing));
        }
        let read: Result<Reference, _> = self.get(&format!("/git/ref/heads/{}", branch_part(branch))).await;
        commit(&read.map_err(|error| self.said(error, Some(&missing)))?.object.sha)
    }

    /// Where a clone of the repository begins.
    async fn default_branch(&self) -> Result<String, ForgeError> {
        #[derive(Deserialize)]
        struct Repository {
            default_branch: String,
        }
        let of =
            |all: &mut Defaults| all.0.get(self.repository).filter(|(at, _)| at.elapsed() < COUNTS).cloned();
        if let Some((_, known)) = self.defaults(of) {
            return Ok(known);
        }
        let Repository { default_branch } = self.get("").await.map_err(|error| self.said(error, None))?;
        let noted = (Instant::now(), default_branch.clone());
        self.defaults(|all| all.0.insert(self.repository.clone(), noted));
        Ok(default_branch)
    }

    fn defaults<T>(&self, change: impl FnOnce(&mut Defaults) -> T) -> T {
        change(&mut self.github.defaults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// GitHub has no removal that names what stood there: it is looked at right before.
    pub(super) async fn delete_branch(&self, branch: &str, head: &CommitId) -> Result<(), ForgeError> {
        let actual = match self.branch_head(branch).await {
            Err(ForgeError::NotFound { .. }) => return Ok(()),
            actual => actual?,
        };
        if self.default_branch().await? == branch {
            return Err(refused(format!("{branch} is the target of {}: it stays", self.repository)));
        }
        let open: Vec<Pull> = self.list("/pulls?state=open").await.map_err(|error| self.said(error, None))?;
        let needs = |pull: &&Pull| pull.base.name == branch || (pull.head.name == branch && pull.is_own());
        if let Some(Pull { number, .. }) = open.iter().find(needs) {
            return Err(refused(format!("pull request {number} needs {branch}: close it first")));
        }
        if actual != *head {
            return Err(ForgeError::HeadMoved { actual });
        }
        let gone = self.act(Method::Delete, &format!("/git/refs/heads/{}", branch_part(branch)), None).await;
        match gone {
            // Somebody else was first (docs.github.com, "Delete a reference").
            Err(CallError::NotFound(_)) => Ok(()),
            Err(CallError::Invalid(words)) if words.to_ascii_lowercase().contains("does not exist") => Ok(()),
            gone => gone.map_err(|error| self.said(error, Some(&format!("branch {branch}")))),
        }
    }
}
