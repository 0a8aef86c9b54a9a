//! The merge: guards, the commit, the intent, the ref, the row. And what became of an intent after a crash.
//! Not an authorisation: the grant was spent before this is called.

use std::sync::Arc;

use jiff::Timestamp;
use qd_core::forge::{Check, Conclusion, ForgeError, MergeMethod, MergeOrder, PullRequest, PullRequestState};
use qd_git::{Identity, Merge, NewCommit, Swap, TreeId};
use qd_types::{ApprovalId, CommitId, RepositoryName};

use crate::{
    error::{Failure, missing},
    local::{Inner, full},
    rows::{self, merges::Intent},
    rules::{self, refused},
};

impl Inner {
    /// In a task of its own: a caller that leaves does not leave a merge half done with its turn given back.
    pub(crate) async fn merge(
        self: &Arc<Self>,
        approval: ApprovalId,
        order: MergeOrder,
    ) -> Result<CommitId, Failure> {
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.merge_in_turn(&approval, &order).await })
            .await
            .map_err(Failure::Stopped)?
    }

    async fn merge_in_turn(&self, approval: &ApprovalId, order: &MergeOrder) -> Result<CommitId, Failure> {
        self.repository(&order.repository).await?;
        let _turn = self.turns.take(order.repository.clone()).await;
        self.settle_in_turn(&order.repository).await?;
        let row = self.row(&order.repository, order.number).await?;
        if let Some(merged) = &row.merged {
            return if row.head == order.head {
                Ok(merged.clone())
            } else {
                Err(merged_otherwise(&row).into())
            };
        }
        self.guard(&row, order).await?;
        let tree = self.tree(order).await?;
        let made = self.make(approval, order, &tree).await?;
        let intent = Intent {
            repository: order.repository.clone(),
            number: order.number,
            head: order.head.clone(),
            made: made.clone(),
        };
        let noted = intent.clone();
        self.write(&order.repository, move |connection, _| Ok(rows::merges::intend(connection, &noted)?))
            .await?;
        let repo = self.repo(&order.repository).await?;
        match repo.update_ref(&full(&row.target), &made, Some(&order.base)).await? {
            Swap::Done => {
                self.fulfil(intent, &row).await?;
                tracing::info!(
                    repository = %order.repository, number = order.number, commit = %made, %approval,
                    "merged a pull request"
                );
                Ok(made)
            }
            Swap::Lost { actual } => {
                self.forget(&order.repository).await?;
                Err(base_moved(&row, actual).into())
            }
        }
    }

    /// Everything that must hold, in the order in which people would ask.
    async fn guard(&self, row: &PullRequest, order: &MergeOrder) -> Result<(), Failure> {
        let number = row.number;
        if row.state != PullRequestState::Open {
            return Err(refused(format!("pull request {number} is closed: open another one")).into());
        }
        if row.draft {
            let draft = format!("pull request {number} is a draft: make it ready for review first");
            return Err(refused(draft).into());
        }
        let Some(head) = self.branch(&row.repository, &row.branch).await? else {
            let gone = format!("branch {} of pull request {number} is gone: push it again", row.branch);
            return Err(refused(gone).into());
        };
        if head != order.head {
            return Err(ForgeError::HeadMoved { actual: head }.into());
        }
        let base = self.branch(&row.repository, &row.target).await?;
        if base.as_ref() != Some(&order.base) {
            return Err(base_moved(row, base).into());
        }
        rules::title("the title of a merge", &order.title)?;
        passed(number, &head, &self.checks(&row.repository, &head).await?)?;
        if self.repo(&row.repository).await?.is_ancestor(&head, &order.base).await? {
            let nothing = format!("{} holds all of pull request {number}: close it", row.target);
            return Err(refused(nothing).into());
        }
        Ok(())
    }

    /// The files of the result. A head that holds the base brings exactly its own: that is what was checked.
    async fn tree(&self, order: &MergeOrder) -> Result<TreeId, Failure> {
        let repo = self.repo(&order.repository).await?;
        if repo.is_ancestor(&order.base, &order.head).await? {
            let head = repo.commit(&order.head).await?;
            let head = head.ok_or_else(|| missing::commit(&order.repository, order.head.as_str()))?;
            return Ok(head.tree);
        }
        match repo.merge_tree(&order.base, &order.head).await? {
            Merge::Clean(tree) => Ok(tree),
            Merge::Conflict { files, .. } => Err(ForgeError::Conflict { files }.into()),
        }
    }

    async fn make(
        &self,
        approval: &ApprovalId,
        order: &MergeOrder,
        tree: &TreeId,
    ) -> Result<CommitId, Failure> {
        let mut parents = vec![order.base.clone()];
        if order.method == MergeMethod::Merge {
            parents.push(order.head.clone());
        }
        let message = format!("{}\n\nPull-Request: {}\nApproval: {approval}\n", order.title, order.number);
        let commit = NewCommit {
            tree,
            parents: &parents,
            message: &message,
            identity: &Identity::new("Quarterdeck", "quarterdeck@localhost"),
            at: Timestamp::now(),
        };
        Ok(self.repo(&order.repository).await?.commit_tree(&commit).await?)
    }

    /// Looks what became of interrupted merges, for all repositories. What can't be told now is asked again later.
    pub(crate) async fn settle_all(&self) {
        let unsettled: Result<Vec<_>, Failure> =
            self.db.read(|connection| Ok(rows::merges::unsettled(connection)?)).await;
        let repositories = unsettled.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not read which merges were interrupted");
            Vec::new()
        });
        for repository in repositories {
            if let Err(error) = self.settle(&repository).await {
                tracing::warn!(%repository, %error, "could not tell yet what became of an interrupted merge");
            }
        }
    }

    /// Before a look at pull requests: an intent is either under way, then its turn ends soon, or left by a crash.
    pub(crate) async fn settle(&self, repository: &RepositoryName) -> Result<(), Failure> {
        if self.intent(repository).await?.is_none() {
            return Ok(());
        }
        let _turn = self.turns.take(repository.clone()).await;
        self.settle_in_turn(repository).await
    }

    /// With the turn held, no merge is under way: git says whether the intent came true.
    pub(crate) async fn settle_in_turn(&self, repository: &RepositoryName) -> Result<(), Failure> {
        let Some(intent) = self.intent(repository).await? else { return Ok(()) };
        let row = self.row(repository, intent.number).await?;
        let happened = match self.branch(repository, &row.target).await? {
            Some(target) => self.repo(repository).await?.is_ancestor(&intent.made, &target).await?,
            None => false,
        };
        tracing::info!(%repository, number = intent.number, happened, "settled an interrupted merge");
        if happened { self.fulfil(intent, &row).await } else { self.forget(repository).await }
    }

    async fn intent(&self, repository: &RepositoryName) -> Result<Option<Intent>, Failure> {
        let read = self
            .read(repository, |connection, repository| Ok(rows::merges::pending(connection, repository)?));
        read.await
    }

    async fn fulfil(&self, intent: Intent, row: &PullRequest) -> Result<(), Failure> {
        let head = intent.head.clone();
        self.write(&row.repository, move |connection, _| Ok(rows::merges::fulfil(connection, &intent)?))
            .await?;
        if let Err(error) = self.tidy_up(row, &head).await {
            tracing::warn!(
                repository = %row.repository, branch = row.branch, %error, "a merged branch could not be removed"
            );
        }
        Ok(())
    }

    async fn forget(&self, repository: &RepositoryName) -> Result<(), Failure> {
        let write = self.write(repository, |connection, repository| {
            Ok(rows::merges::drop_intent(connection, repository)?)
        });
        write.await
    }

    /// Removes the merged branch, unless it was pushed to meanwhile or another pull request needs it.
    async fn tidy_up(&self, row: &PullRequest, head: &CommitId) -> Result<(), Failure> {
        let branch = row.branch.clone();
        let needed = self.read(&row.repository, move |connection, repository| {
            Ok(rows::pull_requests::uses_branch(connection, repository, &branch)?)
        });
        if !needed.await? {
            let swap = self.repo(&row.repository).await?.delete_ref(&full(&row.branch), head).await?;
            tracing::debug!(branch = row.branch, ?swap, "tidied up after a merge");
        }
        Ok(())
    }
}

/// None at all is as bad as one that failed: nobody has shown that it works.
fn passed(number: u64, head: &CommitId, checks: &[Check]) -> Result<(), ForgeError> {
    if checks.is_empty() {
        return Err(refused(format!(
            "pull request {number} has no checks on {}: run them and report how they end",
            head.short()
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
    Err(refused(format!("checks of pull request {number} on {}: {}", head.short(), open.join(", "))))
}

fn merged_otherwise(row: &PullRequest) -> ForgeError {
    refused(format!(
        "pull request {} is merged with head {}: open another one for what came later",
        row.number,
        row.head.short()
    ))
}

fn base_moved(row: &PullRequest, actual: Option<CommitId>) -> ForgeError {
    match actual {
        Some(actual) => ForgeError::BaseMoved { actual },
        None => refused(format!("branch {} of {} is gone: push it again", row.target, row.repository)),
    }
}
