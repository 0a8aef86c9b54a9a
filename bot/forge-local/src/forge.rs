//! The port's methods. Pull requests and merges are in `proposals` and `merge`; what is only rows is here.

use async_trait::async_trait;
use qd_core::forge::{
    Brought, Check, Comment, Forge, ForgeError, Issue, Marker, MergeOrder, Milestone, NewIssue,
    NewPullRequest, PullRequest,
};
use qd_types::{CommitId, RepositoryName, SpentGrant};

use crate::{
    LocalForge,
    error::{Failure, missing},
    rows, rules,
};

#[async_trait]
impl Forge for LocalForge {
    async fn open_pull_request(&self, new: &NewPullRequest) -> Result<PullRequest, ForgeError> {
        Ok(self.inner.open_pull_request(new).await?)
    }

    async fn find_pull_request(
        &self,
        repository: &RepositoryName,
        marker: &Marker,
    ) -> Result<Option<PullRequest>, ForgeError> {
        Ok(self.inner.find_pull_request(repository, marker).await?)
    }

    async fn pull_request(
        &self,
        repository: &RepositoryName,
        number: u64,
    ) -> Result<PullRequest, ForgeError> {
        Ok(self.inner.pull_request(repository, number).await?)
    }

    async fn pull_requests(&self, repository: &RepositoryName) -> Result<Vec<PullRequest>, ForgeError> {
        Ok(self.inner.pull_requests(repository).await?)
    }

    async fn close_pull_request(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        Ok(self.inner.close_pull_request(repository, number).await?)
    }

    async fn set_draft(
        &self,
        repository: &RepositoryName,
        number: u64,
        draft: bool,
    ) -> Result<(), ForgeError> {
        Ok(self.inner.set_draft(repository, number, draft).await?)
    }

    async fn merge(&self, spent: &SpentGrant, order: &MergeOrder) -> Result<CommitId, ForgeError> {
        Ok(self.inner.merge(spent.grant().approval().clone(), order.clone()).await?)
    }

    async fn rebuild_merge(
        &self,
        repository: &RepositoryName,
        number: u64,
        reviewed: &CommitId,
        tested: &CommitId,
        base: &CommitId,
    ) -> Result<Brought, ForgeError> {
        Ok(self.inner.rebuild_merge(repository, number, reviewed, tested, base).await?)
    }

    async fn branch_head(&self, repository: &RepositoryName, branch: &str) -> Result<CommitId, ForgeError> {
        self.inner.repository(repository).await?;
        let head = self.inner.branch(repository, branch).await?;
        head.ok_or_else(|| missing::branch(repository, branch))
    }

    async fn delete_branch(
        &self,
        repository: &RepositoryName,
        branch: &str,
        head: &CommitId,
    ) -> Result<(), ForgeError> {
        Ok(self.inner.delete_branch(repository, branch, head).await?)
    }

    async fn report_checks(
        &self,
        repository: &RepositoryName,
        commit: &CommitId,
        checks: &[Check],
    ) -> Result<(), ForgeError> {
        self.inner.repository(repository).await?;
        if !self.inner.has_commit(repository, commit).await? {
            return Err(missing::commit(repository, commit.as_str()));
        }
        let (commit, checks) = (commit.clone(), checks.to_vec());
        let write = self.inner.write(repository, move |connection, repository| {
            Ok(rows::checks::put(connection, repository, &commit, &checks)?)
        });
        Ok(write.await?)
    }

    async fn checks(&self, repository: &RepositoryName, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        Ok(self.inner.checks(repository, commit).await?)
    }

    async fn put_comment(
        &self,
        repository: &RepositoryName,
        number: u64,
        marker: &Marker,
        body: &str,
    ) -> Result<Comment, ForgeError> {
        let (marker, body) = (marker.clone(), body.to_owned());
        let write = self.inner.write(repository, move |connection, repository| {
            if !rows::threads::exists(connection, repository, number)? {
                return Err(missing::thread(repository, number).into());
            }
            Ok(rows::comments::put(connection, repository, number, &marker, &body)?)
        });
        Ok(write.await?)
    }

    async fn settle_thread(
        &self,
        repository: &RepositoryName,
        number: u64,
        thread: &str,
        _: &Marker,
        _: &str,
    ) -> Result<(), ForgeError> {
        self.inner.row(repository, number).await?;
        // Nobody reviews here but on the board, so there are no threads.
        Err(missing::review_thread(repository, number, thread))
    }

    async fn comments(&self, repository: &RepositoryName, number: u64) -> Result<Vec<Comment>, ForgeError> {
        let read = self.inner.read(repository, move |connection, repository| {
            if !rows::threads::exists(connection, repository, number)? {
                return Err(missing::thread(repository, number).into());
            }
            Ok(rows::comments::of(connection, repository, number)?)
        });
        Ok(read.await?)
    }

    async fn open_issue(&self, new: &NewIssue) -> Result<Issue, ForgeError> {
        rules::title("the title of an issue", &new.title)?;
        rules::labels(&new.labels)?;
        let new = new.clone();
        let repository = new.repository.clone();
        let write = self.inner.write(&repository, move |connection, repository| {
            let kind = rows::threads::Kind::Issue;
            if let Some(number) = rows::threads::find(connection, repository, kind, &new.marker)? {
                return issue(connection, repository, number);
            }
            if let Some(title) = &new.milestone
                && rows::milestones::get(connection, repository, title)?.is_none()
            {
                return Err(missing::milestone(repository, title).into());
            }
            let number = rows::issues::insert(connection, &new)?;
            issue(connection, repository, number)
        });
        Ok(write.await?)
    }

    async fn issue(&self, repository: &RepositoryName, number: u64) -> Result<Issue, ForgeError> {
        let read =
            self.inner.read(repository, move |connection, repository| issue(connection, repository, number));
        Ok(read.await?)
    }

    async fn issues(&self, repository: &RepositoryName) -> Result<Vec<Issue>, ForgeError> {
        let read = self
            .inner
            .read(repository, |connection, repository| Ok(rows::issues::all(connection, repository)?));
        Ok(read.await?)
    }

    async fn close_issue(&self, repository: &RepositoryName, number: u64) -> Result<(), ForgeError> {
        let write = self.inner.write(repository, move |connection, repository| {
            issue(connection, repository, number)?;
            Ok(rows::threads::close(connection, repository, number)?)
        });
        Ok(write.await?)
    }

    async fn set_labels(
        &self,
        repository: &RepositoryName,
        number: u64,
        labels: &[String],
    ) -> Result<(), ForgeError> {
        rules::labels(labels)?;
        let labels = labels.to_vec();
        let write = self.inner.write(repository, move |connection, repository| {
            if rows::pull_requests::get(connection, repository, number)?.is_none() {
                issue(connection, repository, number)?;
            }
            Ok(rows::labels::set(connection, repository, number, &labels)?)
        });
        Ok(write.await?)
    }

    async fn open_milestone(
        &self,
        repository: &RepositoryName,
        title: &str,
    ) -> Result<Milestone, ForgeError> {
        rules::title("the title of a milestone", title)?;
        let title = title.to_owned();
        let write = self.inner.write(repository, move |connection, repository| {
            rows::milestones::open(connection, repository, &title)?;
            let made = rows::milestones::get(connection, repository, &title)?;
            made.ok_or_else(|| missing::milestone(repository, &title).into())
        });
        Ok(write.await?)
    }

    async fn milestones(&self, repository: &RepositoryName) -> Result<Vec<Milestone>, ForgeError> {
        let read = self
            .inner
            .read(repository, |connection, repository| Ok(rows::milestones::all(connection, repository)?));
        Ok(read.await?)
    }
}

fn issue(
    connection: &rusqlite::Connection,
    repository: &RepositoryName,
    number: u64,
) -> Result<Issue, Failure> {
    rows::issues::get(connection, repository, number)?
        .ok_or_else(|| missing::issue(repository, number).into())
}
