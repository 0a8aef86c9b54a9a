//! Looks for open branches that can't be merged, after every commit of a run and every merge. What it finds is on both
//! cards.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use qd_store::{FoundClash, Store};
use qd_types::{CommitId, FeatureId, RepositoryName, Stage};

use crate::team::Team;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Heads = BTreeMap<RepositoryName, Vec<(FeatureId, CommitId)>>;

/// Commits that come together are looked at together.
const SETTLE: Duration = Duration::from_millis(200);

/// Looks until the task is dropped.
pub(crate) async fn run(team: Team) {
    let mut commits = team.store().commits();
    let mut before = Heads::new();
    loop {
        commits.borrow_and_update();
        match look(&team, &before).await {
            Ok(heads) => before = heads,
            Err(error) => tracing::warn!(%error, "the conflict radar could not look, it looks again"),
        }
        if Store::changed(&mut commits).await.is_err() {
            return;
        }
        tokio::time::sleep(SETTLE).await;
    }
}

/// Looks at the repositories in which something is new since `before`; gives what there is now.
async fn look(team: &Team, before: &Heads) -> Result<Heads, Failure> {
    let heads = heads(team).await?;
    let options = team.options();
    for (name, repository) in &options.repositories {
        let none = Vec::new();
        let (now, then) = (heads.get(name).unwrap_or(&none), before.get(name).unwrap_or(&none));
        if now == then {
            continue;
        }
        let worktrees = team.worktrees();
        // A branch that went may be merged: then the target has moved.
        let target = if now.len() < then.len() {
            Some(worktrees.refresh(&repository.spec).await?)
        } else {
            worktrees.target(&repository.spec).await?
        };
        let Some(target) = target else { continue };
        let commits: Vec<CommitId> = now.iter().map(|(_, commit)| commit.clone()).collect();
        let found = worktrees.conflicts(name, &commits, &target).await?;
        let id = |place: usize| now.get(place).map(|(id, _)| id.clone());
        let clashes = found
            .into_iter()
            .filter_map(|clash| {
                let other = clash.other.map(&id);
                Some(FoundClash { one: id(clash.one)?, other: other.flatten(), files: clash.files })
            })
            .collect();
        team.store().set_clashes(name, clashes, Timestamp::now()).await?;
    }
    Ok(heads)
}

/// The open branches that have a checked commit, by repository.
async fn heads(team: &Team) -> Result<Heads, Failure> {
    let mut heads = Heads::new();
    for run in team.store().active_runs().await? {
        let (Some(commit), None) = (run.commit, run.end) else { continue };
        let feature = team.store().snapshot(&run.feature, Timestamp::now()).await?.feature;
        if matches!(feature.stage, Stage::Running | Stage::Review) {
            heads.entry(feature.repository).or_default().push((feature.id, commit));
        }
    }
    Ok(heads)
}
