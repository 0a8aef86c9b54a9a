//! What webhooks did not tell: deliveries that failed are asked for again, and what happened to issues, comments and reviews is
//! looked for at GitHub. A webhook is a hint; the API is the fact. Without a public address this is the only way in, and then
//! it looks more often. It may run at any time, and twice.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use qd_core::{
    inbox::{InboxError, News},
    outside::Done,
};
use qd_types::RepositoryName;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{
    CallError, GitHub, Login,
    client::{Method, Seen},
    forge::Here,
    webhook::{Delay, Issue, Named, User, Worker, text_of},
};

/// How often, where deliveries come.
pub const EVERY: Duration = Duration::from_secs(600);
/// How often, where none can come.
pub const POLL: Duration = Duration::from_secs(30);

/// What is looked at again: lists lag behind what happened.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);
/// How far back it looks at most: what is older was not missed but left.
const FARTHEST: SignedDuration = SignedDuration::from_hours(72);
/// Entries of a page: GitHub's most.
const PAGE: usize = 100;
/// Deliveries that are asked for again at once.
const AGAIN: usize = 200;

/// Why a look ended early. The next one begins where this one began.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// GitHub.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The repository is not known.
    #[error("{0}")]
    Unknown(String),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// A fact.
    #[error("{0}")]
    Later(String),
}

impl From<Delay> for ReconcileError {
    fn from(delay: Delay) -> Self {
        Self::Later(delay.to_string())
    }
}

/// Looks for what was not delivered.
pub struct Reconciler {
    github: GitHub,
    worker: Arc<Worker>,
    /// What each list was when it was read last.
    seen: Mutex<BTreeMap<String, Seen>>,
}

/// An event of an issue (docs.github.com, "List issue events for a repository").
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct IssueEvent {
    id: u64,
    event: String,
    actor: Option<User>,
    label: Option<Named>,
    created_at: Option<Timestamp>,
    issue: Option<Issue>,
}

/// A delivery, as the App has it listed (docs.github.com, "List deliveries for an app webhook").
#[derive(Debug, Clone, Deserialize)]
struct Listed {
    id: u64,
    guid: String,
    delivered_at: Timestamp,
    #[serde(default)]
    status_code: u16,
}

/// An open pull request, as it is listed.
#[derive(Debug, Clone, Deserialize)]
struct Pull {
    number: u64,
    updated_at: Timestamp,
}

impl Reconciler {
    /// A reconciler beside a worker.
    pub fn new(github: GitHub, worker: Arc<Worker>) -> Self {
        Self { github, worker, seen: Mutex::default() }
    }

    /// Looks now and then, until the task is dropped.
    pub async fn run(self, every: Duration) {
        loop {
            self.look(Timestamp::now()).await;
            tokio::time::sleep(every).await;
        }
    }

    /// Looks once. What fails is looked at again the next time.
    pub async fn look(&self, now: Timestamp) {
        if let Err(error) = self.deliveries(now).await {
            tracing::warn!(%error, "GitHub's list of deliveries can't be looked at");
        }
        for name in self.worker.hearing.repositories.keys() {
            if let Err(error) = self.repository(name, now).await {
                // What was read and not worked off is read again.
                self.seen.lock().await.clear();
                tracing::warn!(repository = %name, %error, "what happened at GitHub can't be looked at");
            }
        }
    }

    /// From when on to look.
    async fn since(&self, key: &str, now: Timestamp) -> Result<Timestamp, ReconcileError> {
        let noted = self.worker.inbox.noted(key).await?;
        let noted = noted.and_then(|at| at.parse::<Timestamp>().ok());
        // What happened before the bot first looked was not for it.
        Ok(noted.unwrap_or(now).max(now - FARTHEST) - OVERLAP)
    }

    /// Deliveries that did not arrive are sent once more. GitHub keeps them for three days.
    async fn deliveries(&self, now: Timestamp) -> Result<(), ReconcileError> {
        let Login::App(_) = self.github.tokens().login() else { return Ok(()) };
        let key = "github/deliveries";
        let since = self.since(key, now).await?;
        let (client, bearer) = (self.github.client(), self.github.tokens().own_bearer()?);
        let is_old = |one: &Listed| one.delivered_at < since;
        let all: Vec<Listed> = client.search(&bearer, "/app/hook/deliveries", None, is_old).await?;
        // A delivery that failed and then arrived is listed twice under one GUID.
        let arrived = |one: &Listed| (200..300).contains(&one.status_code);
        let there: Vec<String> = all.iter().filter(|one| arrived(one)).map(|one| one.guid.clone()).collect();
        let mut asked: Vec<&str> = Vec::new();
        for one in all.iter().filter(|one| !is_old(one) && !there.contains(&one.guid)) {
            if asked.contains(&one.guid.as_str()) || asked.len() >= AGAIN {
                continue;
            }
            asked.push(&one.guid);
            let path = format!("/app/hook/deliveries/{}/attempts", one.id);
            match client.act(&bearer, Method::Post, &path, None).await {
                Ok(()) | Err(CallError::NotFound(_) | CallError::Invalid(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !asked.is_empty() {
            tracing::info!(deliveries = asked.len(), "deliveries that did not arrive are sent once more");
        }
        self.worker.inbox.note(key, &now.to_string()).await?;
        Ok(())
    }

    async fn repository(&self, name: &RepositoryName, now: Timestamp) -> Result<(), ReconcileError> {
        let here = self.github.here(name).map_err(|error| ReconcileError::Unknown(error.to_string()))?;
        let key = format!("github/reconciled/{name}");
        let since = self.since(&key, now).await?;
        self.issues(&here, since).await?;
        self.comments(&here, since).await?;
        self.reviews(&here, since).await?;
        Ok(self.worker.inbox.note(&key, &now.to_string()).await?)
    }

    /// A list from its newest entry to the first that is old; `None` if its first page is as it was.
    async fn newest<T: serde::de::DeserializeOwned>(
        &self,
        here: &Here<'_>,
        rest: &str,
        is_old: impl Fn(&T) -> bool + Copy,
    ) -> Result<Option<Vec<T>>, ReconcileError> {
        let path = here.path(&format!("{rest}per_page={PAGE}"));
        let known = self.seen.lock().await.get(&path).cloned();
        let (client, at, known) = (self.github.client(), &path, known.as_ref());
        let read = here.with(|bearer| async move { client.poll::<T>(&bearer, at, known).await }).await?;
        let Some((mut list, seen)) = read else { return Ok(None) };
        if list.len() >= PAGE && !list.iter().any(is_old) {
            let at = &here.path(rest.trim_end_matches(['?', '&']));
            list = here.with(|bearer| async move { client.search(&bearer, at, None, is_old).await }).await?;
        }
        if let Some(seen) = seen {
            self.seen.lock().await.insert(path, seen);
        }
        Ok(Some(list))
    }

    /// What was done to issues, as far as it still holds. Whose text was edited after it was labelled is not known, so that an
    /// edit counts as one by somebody without the right.
    async fn issues(&self, here: &Here<'_>, since: Timestamp) -> Result<(), ReconcileError> {
        let is_old = |event: &IssueEvent| event.created_at.is_none_or(|at| at < since);
        let Some(mut events) = self.newest(here, "/issues/events?", is_old).await? else {
            return Ok(());
        };
        events.retain(|event| !is_old(event));
        // Newest first, as GitHub lists them.
        events.sort_by_key(|event| event.id);
        for event in events {
            let Some(issue) = event.issue.filter(|issue| issue.pull_request.is_none()) else { continue };
            let has = |label: &Named| issue.labels.iter().any(|one| one.name == label.name);
            let done = match (event.event.as_str(), event.label) {
                ("labeled", Some(label)) if has(&label) => {
                    if self.is_edited(here, issue.number, event.created_at).await? {
                        tracing::warn!(
                            issue = issue.number,
                            "it was edited after it was labelled, so its label has to be set again"
                        );
                        continue;
                    }
                    Done::Labelled(label.name)
                }
                ("unlabeled", Some(label)) if !has(&label) => Done::Unlabelled(label.name),
                ("closed", _) if issue.state == "closed" => Done::Closed,
                ("reopened", _) if issue.state == "open" => Done::Reopened,
                ("milestoned" | "demilestoned", _) => Done::Milestoned,
                _ => continue,
            };
            let by = event.actor.unwrap_or_default();
            if self.worker.facts.is_own(&by.login, None).await.map_err(Delay::from)? {
                continue;
            }
            let mark = format!("event/{}", event.id);
            let told = (issue.number, done, text_of(&issue));
            let became = self.worker.issue(here.repository, told, mark, &by).await?;
            self.tell(became.news).await?;
        }
        Ok(())
    }

    /// Whether an issue says something else than at that moment: its title or its text was edited since.
    async fn is_edited(
        &self,
        here: &Here<'_>,
        number: u64,
        at: Option<Timestamp>,
    ) -> Result<bool, ReconcileError> {
        const EDITED: &str = "query edited($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, \
            name: $name) { issue(number: $number) { lastEditedAt timelineItems(last: 1, itemTypes: [RENAMED_TITLE_EVENT]) \
            { nodes { ... on RenamedTitleEvent { createdAt } } } } } }";
        let place = here.place;
        let variables = serde_json::json!({ "owner": place.owner(), "name": place.name(), "number": number });
        let said: Value = match here.graphql(EDITED, &variables, false).await {
            Ok(said) => said,
            // What can't be told is taken as edited.
            Err(CallError::NotFound(_) | CallError::Invalid(_) | CallError::Forbidden(_)) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let when = |pointer: &str| said.pointer(pointer).and_then(Value::as_str)?.parse::<Timestamp>().ok();
        let edits = ["/repository/issue/lastEditedAt", "/repository/issue/timelineItems/nodes/0/createdAt"];
        // GitHub counts whole seconds: what was edited in the same one may have been edited after.
        Ok(edits.into_iter().filter_map(when).any(|edited| at.is_none_or(|at| edited >= at)))
    }

    async fn comments(&self, here: &Here<'_>, since: Timestamp) -> Result<(), ReconcileError> {
        let is_old = |comment: &Value| when(comment, "created_at").is_none_or(|at| at < since);
        let rest = "/issues/comments?sort=created&direction=desc&";
        let Some(mut comments) = self.newest(here, rest, is_old).await? else { return Ok(()) };
        comments.reverse();
        for comment in comments.into_iter().filter(|comment| !is_old(comment)) {
            let at = |name: &str| comment.get(name).and_then(Value::as_str);
            // Only who commands something has the issue read.
            let body = at("body").unwrap_or_default();
            if crate::mark::is_marked(body) || !(body.contains('/') || body.contains('@')) {
                continue;
            }
            let number = at("issue_url").and_then(|url| url.rsplit('/').next()?.parse::<u64>().ok());
            let Some(number) = number else { continue };
            let issue: Value = here.get(&format!("/issues/{number}")).await?;
            self.told("issue_comment", "created", here, [("comment", comment), ("issue", issue)]).await?;
        }
        Ok(())
    }

    async fn reviews(&self, here: &Here<'_>, since: Timestamp) -> Result<(), ReconcileError> {
        let is_old = |pull: &Pull| pull.updated_at < since;
        // Even where the list is as it was: a review within the second of the last change does not show in it.
        let (client, path) =
            (self.github.client(), &here.path("/pulls?state=open&sort=updated&direction=desc"));
        let read = here.with(|bearer| async move { client.search(&bearer, path, None, is_old).await });
        let pulls: Vec<Pull> = read.await?;
        for pull in pulls.into_iter().filter(|pull| !is_old(pull)) {
            let reviews: Vec<Value> = here.list(&format!("/pulls/{}/reviews", pull.number)).await?;
            for review in reviews {
                if when(&review, "submitted_at").is_none_or(|at| at < since) {
                    continue;
                }
                let number = serde_json::json!({ "number": pull.number });
                self.told(
                    "pull_request_review",
                    "submitted",
                    here,
                    [("review", review), ("pull_request", number)],
                )
                .await?;
            }
        }
        Ok(())
    }

    /// As if it had been delivered: what is told once under its key is not told again.
    async fn told<const N: usize>(
        &self,
        kind: &str,
        action: &str,
        here: &Here<'_>,
        parts: [(&str, Value); N],
    ) -> Result<(), ReconcileError> {
        let mut payload = serde_json::json!({
            "action": action,
            "repository": { "id": 0, "full_name": here.place.to_string() },
        });
        if let Some(fields) = payload.as_object_mut() {
            fields.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        let body = payload.to_string();
        let became = self.worker.judge(kind, body.as_bytes()).await?;
        self.tell(became.news).await
    }

    async fn tell(&self, news: Vec<News>) -> Result<(), ReconcileError> {
        if news.is_empty() {
            return Ok(());
        }
        Ok(self.worker.inbox.tell(news).await?)
    }
}

fn when(value: &Value, name: &str) -> Option<Timestamp> {
    value.get(name)?.as_str()?.parse().ok()
}
