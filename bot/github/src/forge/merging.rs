//! Merging: guards that the port asks for, GitHub's own `sha` guard, and its merge queue where there is one.

use qd_core::forge::{
    Brought, Conclusion, ForgeError, MergeMethod, MergeOrder, PullRequest, PullRequestState,
};
use qd_types::{ApprovalId, CommitId};
use serde::Deserialize;
use serde_json::json;

use super::{
    Here,
    here::{commit, refused, title},
};
use crate::{
    app::Scope,
    client::{CallError, Method},
    mirror,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queued {
    enqueue_pull_request: Option<InQueue>,
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
        self.guard(&pull, order, protection.merge_queue).await?;
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
    async fn guard(
        &self,
        pull: &PullRequest,
        order: &MergeOrder,
        merge_queue: bool,
    ) -> Result<(), ForgeError> {
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
        // A merge queue tests what it merges with the target as it is then.
        let actual = self.branch_head(&pull.target).await?;
        if actual != order.base && !merge_queue {
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

    /// Puts it into the repository's own merge queue, if it still has that head. What is there already waits on.
    async fn enqueue(&self, number: u64, head: &CommitId) -> Result<CommitId, ForgeError> {
        let pull = self.pull(number).await?;
        let document = format!(
            "mutation enqueuePullRequest($pullRequestId: ID!) {{ enqueuePullRequest(input: {{ pullRequestId: \
             $pullRequestId, expectedHeadOid: \"{head}\" }}) {{ mergeQueueEntry {{ position }} }} }}"
        );
        let variables = json!({ "pullRequestId": pull.node_id });
        let queued: Result<Queued, _> = self.graphql(&document, &variables, true).await;
        let position = match queued {
            Ok(queued) => queued.enqueue_pull_request.and_then(|queued| queued.merge_queue_entry?.position),
            Err(CallError::Conflict(words) | CallError::Invalid(words))
                if words.to_ascii_lowercase().contains("already") =>
            {
                None
            }
            Err(error) => return Err(self.said(error, Some(&format!("pull request {number}")))),
        };
        let at = position.map(|place| format!(", at place {place}")).unwrap_or_default();
        // It comes by itself: nothing is to be done but to look again.
        let reason = format!("pull request {number} waits in the repository's merge queue{at}");
        Err(ForgeError::NotNow { reason })
    }

    /// Git's objects of a pull request and its target.
    async fn objects(&self, target: &str, number: u64) -> Result<qd_git::Repo, ForgeError> {
        let github = self.github;
        let (remote, access) = github.access(self.place).await.map_err(|error| self.said(error, None))?;
        let fetched = github.mirrors.with(self.repository, &remote, access, target, number).await;
        if fetched.is_err() {
            // Whether the token was at fault is not told: the next try has another one.
            github.tokens.forget(self.place, Scope::Read).await;
        }
        fetched
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
