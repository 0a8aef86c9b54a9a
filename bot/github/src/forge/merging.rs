//! Merging: guards that the port asks for, GitHub's own `sha` guard, and its merge queue where there is one.

use qd_core::forge::{
    Brought, Conclusion, ForgeError, MergeMethod, MergeOrder, PullRequest, PullRequestState,
};
use qd_types::{ApprovalId, CommitId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Here,
    here::{commit, refused, title},
};
use crate::{
    client::{CallError, Method},
    mirror,
};

const QUEUED: &str = "query mergeQueueEntry($id: ID!) { node(id: $id) { ... on PullRequest { \
    mergeQueueEntry { position } } } }";

const ENQUEUE: &str = "mutation enqueuePullRequest($id: ID!, $head: GitObjectID!) { \
    enqueuePullRequest(input: { pullRequestId: $id, expectedHeadOid: $head }) { mergeQueueEntry { position } } }";

#[derive(Deserialize)]
struct Node {
    node: Option<InQueue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InQueue {
    merge_queue_entry: Option<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    position: Option<u64>,
}

#[derive(Deserialize)]
struct Merged {
    sha: String,
}

impl Here<'_> {
    pub(super) async fn merge(
        &self,
        approval: &ApprovalId,
        order: &MergeOrder,
    ) -> Result<CommitId, ForgeError> {
        let number = order.number;
        let pull = self.pull_request(number).await?;
        if let Some(merged) = pull.merged {
            if pull.head == order.head {
                return Ok(merged);
            }
            let head = pull.head.short();
            return Err(refused(format!(
                "pull request {number} is merged with head {head}: open another one for what came later"
            )));
        }
        let protection = self.protected(&pull.target).await?;
        if protection.merge_queue
            && let Some(place) = self.queued(number).await?
        {
            return Err(waits(number, place));
        }
        self.guard(&pull, order).await?;
        let message = format!("Pull-Request: {number}\nApproval: {approval}");
        if protection.merge_queue {
            return self.enqueue(number, &order.head).await;
        }
        let method = match order.method {
            MergeMethod::Merge => "merge",
            MergeMethod::Squash => "squash",
        };
        let body = json!({
            "sha": order.head.as_str(),
            "merge_method": method,
            "commit_title": order.title,
            "commit_message": message,
        });
        let merged: Result<Merged, _> =
            self.change(Method::Put, &format!("/pulls/{number}/merge"), &body).await;
        match merged {
            Ok(Merged { sha }) => commit(&sha),
            Err(CallError::Conflict(words) | CallError::Invalid(words)) => {
                self.not_merged(&pull.target, order, &words).await
            }
            Err(error) => Err(self.said(error, Some(&format!("pull request {number}")))),
        }
    }

    /// Everything that must hold, in the order in which people would ask.
    async fn guard(&self, pull: &PullRequest, order: &MergeOrder) -> Result<(), ForgeError> {
        let number = pull.number;
        if pull.state != PullRequestState::Open {
            return Err(refused(format!("pull request {number} is closed: open another one")));
        }
        if pull.head != order.head {
            return Err(ForgeError::HeadMoved { actual: pull.head.clone() });
        }
        if pull.draft {
            return Err(refused(format!("pull request {number} is a draft: make it ready for review first")));
        }
        let actual = self.branch_head(&pull.target).await?;
        if actual != order.base {
            return Err(ForgeError::BaseMoved { actual });
        }
        title("the title of a merge", &order.title)?;
        let checks = self.checks(&order.head).await?;
        if checks.is_empty() {
            return Err(refused(format!(
                "pull request {number} has no checks on {}: run them and report how they end",
                order.head.short()
            )));
        }
        let open: Vec<String> = checks
            .iter()
            .filter_map(|check| match check.conclusion {
                Conclusion::Success => None,
                Conclusion::Pending => Some(format!("{} has not ended", check.name)),
                Conclusion::Failure => Some(format!("{} failed", check.name)),
            })
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let (head, open) = (order.head.short(), open.join(", "));
        Err(refused(format!("checks of pull request {number} on {head}: {open}")))
    }

    /// What GitHub's refusal means, by what is there now: 409 for another head, 405 for what can't be merged as it stands
    /// (docs.github.com, "Merge a pull request").
    async fn not_merged(
        &self,
        target: &str,
        order: &MergeOrder,
        words: &str,
    ) -> Result<CommitId, ForgeError> {
        let number = order.number;
        let now = self.pull_request(number).await?;
        if let Some(merged) = now.merged.filter(|_| now.head == order.head) {
            return Ok(merged);
        }
        if now.head != order.head {
            return Err(ForgeError::HeadMoved { actual: now.head });
        }
        let actual = self.branch_head(target).await?;
        if actual != order.base {
            return Err(ForgeError::BaseMoved { actual });
        }
        let repo = self.objects(target, number).await?;
        let files = mirror::conflicts(&repo, &order.base, &order.head).await?;
        if files.is_empty() {
            return Err(refused(format!("pull request {number} of {}: {words}", self.repository)));
        }
        Err(ForgeError::Conflict { files })
    }

    async fn queued(&self, number: u64) -> Result<Option<u64>, ForgeError> {
        let pull = self.pull(number).await?;
        let asked: Result<Node, _> = self.graphql(QUEUED, &json!({ "id": pull.node_id }), false).await;
        let node = asked.map_err(|error| self.said(error, Some(&format!("pull request {number}"))))?;
        let entry = node.node.and_then(|node| node.merge_queue_entry);
        Ok(entry.map(|entry| entry.position.unwrap_or_default()))
    }

    async fn enqueue(&self, number: u64, head: &CommitId) -> Result<CommitId, ForgeError> {
        let pull = self.pull(number).await?;
        let variables = json!({ "id": pull.node_id, "head": head.as_str() });
        let queued: Result<Value, _> = self.graphql(ENQUEUE, &variables, true).await;
        queued.map_err(|error| self.said(error, Some(&format!("pull request {number}"))))?;
        Err(waits(number, 0))
    }

    /// Git's objects of a pull request and its target.
    async fn objects(&self, target: &str, number: u64) -> Result<qd_git::Repo, ForgeError> {
        let github = self.github;
        let access = github.access(self.place).await.map_err(|error| self.said(error, None))?;
        let remote = github.client.addresses().remote(self.place);
        github.mirrors.with(self.repository, &remote, access, target, number).await
    }

    pub(super) async fn rebuild_merge(
        &self,
        number: u64,
        (reviewed, tested, base): (&CommitId, &CommitId, &CommitId),
    ) -> Result<Brought, ForgeError> {
        let pull = self.pull_request(number).await?;
        if pull.state != PullRequestState::Open {
            return Err(refused(format!("pull request {number} is not open: there is nothing to merge")));
        }
        if pull.head != *tested {
            return Err(ForgeError::HeadMoved { actual: pull.head });
        }
        let actual = self.branch_head(&pull.target).await?;
        if actual != *base {
            return Err(ForgeError::BaseMoved { actual });
        }
        let repo = self.objects(&pull.target, number).await?;
        mirror::brought(&repo, self.repository, (reviewed, tested, base)).await
    }
}

/// It comes by itself: nothing is to be done but to look again.
fn waits(number: u64, place: u64) -> ForgeError {
    let at = if place == 0 { String::new() } else { format!(", at place {place}") };
    ForgeError::NotNow { reason: format!("pull request {number} waits in the repository's merge queue{at}") }
}
