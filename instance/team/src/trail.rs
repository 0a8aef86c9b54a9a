//! The team's audit trail, as far as the team does something about it by itself: its head goes up to be signed, and what is
//! old goes to segment files.

use std::time::Duration;

use jiff::Timestamp;
use qd_store::Archived;

use crate::{
    problem,
    team::{Answer, Team},
};

/// Heads are shown at most this often.
const PAUSE: Duration = Duration::from_secs(60);

/// How long a team that ends waits for the bot to take its last head.
const FAREWELL: Duration = Duration::from_millis(500);

/// Shows the trail's head to the bot, at the start and after new rows, until the task is dropped.
pub(crate) async fn show(team: Team) {
    let mut commits = team.store().commits();
    let mut shown = None;
    loop {
        commits.borrow_and_update();
        match team.store().show_head(shown.as_ref(), Timestamp::now()).await {
            // What it says itself is a commit, too, and no news.
            Ok(head) if head.seq == 0 || shown.as_ref() == Some(&head) => {
                if commits.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Ok(head) => shown = Some(head),
            Err(error) => tracing::error!(%error, "the head of the audit trail can't be shown"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Shows the head once more when the team ends. What is not taken now waits for the next start.
pub(crate) async fn show_last(team: &Team) {
    let shown = async {
        if team.store().head_is_signed().await? {
            return Ok(());
        }
        team.store().show_head(None, Timestamp::now()).await?;
        let mut commits = team.store().commits();
        while team.store().unshipped().await? > 0 && commits.changed().await.is_ok() {}
        Ok::<_, qd_store::StoreError>(())
    };
    if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, shown).await {
        tracing::error!(%error, "the last head of the audit trail can't be shown");
    }
}

/// Rows in one answer.
const TOLD: usize = 20;

impl Team {
    /// What the team's trail says of something, for whoever asked from afar.
    pub(crate) async fn story(&self, of: &str) -> Answer<String> {
        let lines = self.store().outline(of.to_owned(), TOLD).await.map_err(problem::from_store)?;
        let what = if lines.is_empty() { "says nothing" } else { "says" };
        let head = format!("its own trail {what} of {of}.");
        Ok(std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n"))
    }
}

/// Old rows go to segment files, and files that were kept long enough go.
pub(crate) async fn archive(team: &Team) {
    let policy = team.options().trail.clone();
    match team.store().archive_trail(&policy.folder, policy.retention, Timestamp::now()).await {
        Ok(done) if done == Archived::default() => {}
        Ok(done) => tracing::info!(?done, "old rows of the audit trail were archived"),
        Err(error) => {
            tracing::error!(%error, "old rows of the audit trail could not be archived, it is tried again");
        }
    }
}
