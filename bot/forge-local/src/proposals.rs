//! Pull requests: what may be proposed, and where an open one stands now. Merging is in `merge`.

use qd_core::forge::{Check, ForgeError, Marker, NewPullRequest, PullRequest, PullRequestState};
use qd_git::Swap;
use qd_types::{CommitId, RepositoryName};

use crate::{
    error::{Failure, missing},
    local::{Inner, full},
    rows::{self, threads::Kind},
    rules::{self, refused},
};

impl Inner {
    pub(crate) async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, Failure> {
        if let Some(known) = self.find_pull_request(&new.repository, &new.marker).await? {
            return Ok(known);
        }
        rules::title("the title of a pull request", &new.title)?;
        rules::labels(&new.labels)?;
        let head = self.proposable(new).await?;
        let row = new.clone();
        let number = self.write(&new.repository, move |connection, repository| {
            if let Some(number) = rows::threads::find(connection, repository, Kind::PullRequest, &row.marker)?
            {
                return Ok(number);
            }
            let open = rows::pull_requests::open_from(connection, repository, &row.branch, &row.target)?;
            if let Some(number) = open {
                return Err(refused(format!(
                    "pull request {number} from {} to {} is open: push to its branch, or close it first",
                    row.branch, row.target
                ))
                .into());
            }
            if let Some(title) = &row.milestone
                && rows::milestones::get(connection, repository, title)?.is_none()
            {
                return Err(missing::milestone(repository, title).into());
            }
            Ok(rows::pull_requests::insert(connection, &row, &head)?)
        });
        let number = number.await?;
        self.pull_request(&new.repository, number).await
    }

    /// The head of the branch, if there is something to propose.
    async fn proposable(&self, new: &NewPullRequest) -> Result<CommitId, Failure> {
        let NewPullRequest { repository, branch, target, .. } = new;
        if branch == target {
            return Err(refused(format!("{branch} can't be merged into itself: name another target")).into());
        }
        let Some(base) = self.branch(repository, target).await? else {
            return Err(
                refused(format!("{repository} has no branch {target}: name a target that is there")).into()
            );
        };
        let Some(head) = self.branch(repository, branch).await? else {
            return Err(refused(format!("{repository} has no branch {branch}: push it first")).into());
        };
        if self.repo(repository).await?.is_ancestor(&head, &base).await? {
            return Err(
                refused(format!("{target} holds all of {branch}: commit something to it first")).into()
            );
        }
        Ok(head)
    }

    pub(crate) async fn find_pull_request(
        &self,
        repository: &RepositoryName,
        marker: &Marker,
    ) -> Result<Option<PullRequest>, Failure> {
        let marker = marker.clone();
        let number = self.read(repository, move |connection, repository| {
            Ok(rows::threads::find(connection, repository, Kind::PullRequest, &marker)?)
        });
        match number.await? {
            Some(number) => self.pull_request(repository, number).await.map(Some),
            None => Ok(None),
        }
    }

    pub(crate) async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<PullRequest, Failure> {
        self.settle(repository).await?;
        let row = self.row(repository, number).await?;
        self.now(row).await
    }

    pub(crate) async fn pull_requests(
        &self,
        repository: &RepositoryName,
    ) -> Result<Vec<PullRequest>, Failure> {
        self.settle(repository).await?;
        let rows = self
            .read(repository, |connection, repository| Ok(rows::pull_requests::all(connection, repository)?))
            .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            all.push(self.now(row).await?);
        }
        Ok(all)
    }

    pub(crate) async fn close_pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<(), Failure> {
        let _turn = self.turns.take(repository.clone()).await;
        self.settle_in_turn(repository).await?;
        let row = self.row(repository, number).await?;
        match row.state {
            PullRequestState::Closed => Ok(()),
            PullRequestState::Merged => {
                Err(refused(format!("pull request {number} is merged: what is merged can't be closed"))
                    .into())
            }
            PullRequestState::Open => {
                let head = self.now(row).await?.head;
                let close = self.write(repository, move |connection, repository| {
                    Ok(rows::pull_requests::close(connection, repository, number, &head)?)
                });
                close.await
            }
        }
    }

    pub(crate) async fn set_draft(
        &self,
        repository: &RepositoryName,
        number: u64,
        draft: bool,
    ) -> Result<(), Failure> {
        // Not while it is merged: a draft is never merged.
        let _turn = self.turns.take(repository.clone()).await;
        self.settle_in_turn(repository).await?;
        let row = self.row(repository, number).await?;
        if row.draft == draft {
            return Ok(());
        }
        if row.state != PullRequestState::Open {
            let over = format!("pull request {number} is no longer open: open another one");
            return Err(refused(over).into());
        }
        let write = self.write(repository, move |connection, repository| {
            Ok(rows::pull_requests::set_draft(connection, repository, number, draft)?)
        });
        write.await
    }

    pub(crate) async fn delete_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), Failure> {
        let _turn = self.turns.take(repository.clone()).await;
        self.settle_in_turn(repository).await?;
        if self.repository(repository).await?.target == branch {
            let target = format!("{branch} is where {repository} takes changes: it stays");
            return Err(refused(target).into());
        }
        let name = branch.to_owned();
        let needed = self.read(repository, move |connection, repository| {
            Ok(rows::pull_requests::uses_branch(connection, repository, &name)?)
        });
        if needed.await? {
            let needed = format!("an open pull request of {repository} needs {branch}: close it first");
            return Err(refused(needed).into());
        }
        if self.branch(repository, branch).await?.is_none() {
            return Ok(());
        }
        match self.repo(repository).await?.delete_ref(&full(branch), head).await? {
            Swap::Done | Swap::Lost { actual: None } => Ok(()),
            Swap::Lost { actual: Some(actual) } => Err(ForgeError::HeadMoved { actual }.into()),
        }
    }

    /// The row alone: its head is the last one written down.
    pub(crate) async fn row(&self, repository: &RepositoryName, number: u64) -> Result<PullRequest, Failure> {
        let read = self.read(repository, move |connection, repository| {
            rows::pull_requests::get(connection, repository, number)?
                .ok_or_else(|| missing::pull_request(repository, number).into())
        });
        read.await
    }

    /// With the head that git knows, while it is open. A branch that is gone leaves the last one.
    async fn now(&self, mut row: PullRequest) -> Result<PullRequest, Failure> {
        if row.state == PullRequestState::Open
            && let Some(head) = self.branch(&row.repository, &row.branch).await?
        {
            row.head = head;
        }
        Ok(row)
    }

    pub(crate) async fn checks(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
    ) -> Result<Vec<Check>, Failure> {
        let commit = commit.clone();
        let read = self.read(repository, move |connection, repository| {
            Ok(rows::checks::of(connection, repository, &commit)?)
        });
        read.await
    }
}
