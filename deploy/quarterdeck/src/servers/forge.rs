//! The embedded forge behind the server `github`: issues, pull requests, comments and how checks stand. What only GitHub has
//! is refused with what to do instead.

use std::sync::Arc;

use async_trait::async_trait;
use qd_core::forge::{self, Conclusion, Forge, ForgeError, Marker, NewPullRequest, PullRequestState};
use qd_mcp_github::{Check, Comment, GitHub, GitHubError, Issue, NewPull, Place, Pull, Review};
use qd_types::{CommitId, RepositoryName};
use sha2::{Digest as _, Sha256};

/// Who wrote what is here: the forge does not say.
const AUTHOR: &str = "the fleet";

/// A forge, for tools.
#[derive(Clone)]
pub struct EmbeddedForge(pub Arc<dyn Forge>);

fn said(error: ForgeError) -> GitHubError {
    match error {
        ForgeError::NotFound { what } => GitHubError::Absent(what),
        ForgeError::Unavailable { reason } | ForgeError::NotNow { reason } => {
            GitHubError::Unreachable(reason)
        }
        other => GitHubError::Refused(other.to_string()),
    }
}

fn no(what: &str) -> GitHubError {
    GitHubError::Refused(format!("this fleet has its embedded forge, which {what}"))
}

fn name(repository: &str) -> Result<RepositoryName, GitHubError> {
    repository.parse().map_err(|error: qd_types::IdError| GitHubError::Refused(error.to_string()))
}

fn issue(issue: forge::Issue) -> Issue {
    Issue {
        number: issue.number,
        title: issue.title,
        body: issue.body,
        author: AUTHOR.to_owned(),
        open: issue.open,
        labels: issue.labels,
    }
}

fn pull(pull: forge::PullRequest) -> Pull {
    Pull {
        issue: Issue {
            number: pull.number,
            title: pull.title,
            body: pull.body,
            author: AUTHOR.to_owned(),
            open: pull.state == PullRequestState::Open,
            labels: pull.labels,
        },
        head: pull.branch,
        head_sha: pull.head.to_string(),
        base: pull.target,
    }
}

/// What is written again with the same words and the same hidden mark in them is one thing.
fn marker(body: &str) -> Marker {
    Marker(Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl GitHub for EmbeddedForge {
    async fn issues(&self, repository: &str, most: usize) -> Result<Vec<Issue>, GitHubError> {
        let all = self.0.issues(&name(repository)?).await.map_err(said)?;
        Ok(all.into_iter().filter(|issue| issue.open).take(most).map(issue).collect())
    }

    async fn issue(&self, repository: &str, number: u64) -> Result<Issue, GitHubError> {
        match self.0.issue(&name(repository)?, number).await {
            Ok(found) => Ok(issue(found)),
            Err(ForgeError::NotFound { .. }) => Ok(GitHub::pull(self, repository, number).await?.issue),
            Err(error) => Err(said(error)),
        }
    }

    async fn comments(
        &self,
        repository: &str,
        number: u64,
        most: usize,
    ) -> Result<Vec<Comment>, GitHubError> {
        let all = self.0.comments(&name(repository)?, number).await.map_err(said)?;
        let comment = |comment: forge::Comment| Comment {
            id: comment.id,
            author: AUTHOR.to_owned(),
            body: comment.body,
        };
        Ok(all.into_iter().rev().take(most).map(comment).collect())
    }

    async fn pulls(&self, repository: &str, most: usize) -> Result<Vec<Pull>, GitHubError> {
        let all = self.0.pull_requests(&name(repository)?).await.map_err(said)?;
        let open = all.into_iter().filter(|pull| pull.state == PullRequestState::Open);
        Ok(open.take(most).map(pull).collect())
    }

    async fn pull(&self, repository: &str, number: u64) -> Result<Pull, GitHubError> {
        self.0.pull_request(&name(repository)?, number).await.map(pull).map_err(said)
    }

    async fn pull_from(&self, repository: &str, head: &str) -> Result<Option<Pull>, GitHubError> {
        let open = self.pulls(repository, usize::MAX).await?;
        Ok(open.into_iter().find(|pull| pull.head == head))
    }

    async fn reviews(&self, _: &str, _: u64, _: usize) -> Result<Vec<Review>, GitHubError> {
        Err(no("has no reviews: approvals are asked for on the board"))
    }

    async fn branch(&self, repository: &str, branch: &str) -> Result<String, GitHubError> {
        let head = self.0.branch_head(&name(repository)?, branch).await.map_err(said)?;
        Ok(head.to_string())
    }

    async fn checks(&self, repository: &str, sha: &str, most: usize) -> Result<Vec<Check>, GitHubError> {
        let commit: CommitId =
            sha.parse().map_err(|error: qd_types::IdError| GitHubError::Refused(error.to_string()))?;
        let all = self.0.checks(&name(repository)?, &commit).await.map_err(said)?;
        let check = |(id, check): (u64, forge::Check)| Check {
            id,
            name: check.name,
            state: match check.conclusion {
                Conclusion::Pending => "running",
                Conclusion::Success => "passed",
                Conclusion::Failure => "failed",
            }
            .to_owned(),
            attempt: 1,
        };
        Ok((1..).zip(all).take(most).map(check).collect())
    }

    async fn check(&self, _: &str, _: u64) -> Result<Check, GitHubError> {
        Err(no("runs no checks itself: the run does, and again after each change"))
    }

    async fn check_log(&self, _: &str, _: u64, _: usize) -> Result<String, GitHubError> {
        Err(no("keeps no logs: those of a run's checks are on its page"))
    }

    async fn search(&self, _: &str, _: &str, _: usize) -> Result<Vec<Place>, GitHubError> {
        Err(no("searches no code: search in the worktree"))
    }

    async fn comment(&self, repository: &str, number: u64, body: &str) -> Result<u64, GitHubError> {
        let written =
            self.0.put_comment(&name(repository)?, number, &marker(body), body).await.map_err(said)?;
        Ok(written.id)
    }

    async fn label(
        &self,
        repository: &str,
        number: u64,
        on: &[String],
        off: &[String],
    ) -> Result<(), GitHubError> {
        let mut labels = GitHub::issue(self, repository, number).await?.labels;
        labels.retain(|label| !off.contains(label) && !on.contains(label));
        labels.extend(on.iter().cloned());
        labels.sort();
        self.0.set_labels(&name(repository)?, number, &labels).await.map_err(said)
    }

    async fn open(&self, repository: &str, new: &NewPull) -> Result<u64, GitHubError> {
        let new = NewPullRequest {
            repository: name(repository)?,
            branch: new.head.clone(),
            target: new.base.clone(),
            title: new.title.clone(),
            body: new.body.clone(),
            draft: false,
            labels: Vec::new(),
            milestone: None,
            marker: marker(&new.body),
        };
        Ok(self.0.open_pull_request(&new).await.map_err(said)?.number)
    }

    async fn rerun(&self, _: &str, _: u64) -> Result<(), GitHubError> {
        Err(no("runs no checks itself: the run does, and again after each change"))
    }
}
