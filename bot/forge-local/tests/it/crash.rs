//! A crash between the intent's row and the ref, or between the ref and the row: the next look tells which.

use qd_core::forge::{Forge as _, ForgeError, PullRequest, PullRequestState};
use qd_forge_local::LocalForge;
use qd_types::CommitId;

use crate::support::{World, git};

/// Plays a process that died after it had written the intent: the commit is there, the row is there.
async fn interrupted(mut world: World, opened: &PullRequest, ref_moved: bool) -> (World, CommitId) {
    let (bare, main) = (world.bare(), world.main().await);
    let tree = git(&bare, &["rev-parse", &format!("{}^{{tree}}", opened.head)]);
    let (base, head) = (main.as_str(), opened.head.as_str());
    let made = git(&bare, &["commit-tree", &tree, "-p", base, "-p", head, "-m", "Merge"]);
    let state = world.state();
    let World { folder, forge, repository } = world;
    drop(forge);
    #[allow(clippy::disallowed_methods, reason = "plays the process that died: no lock, no generation")]
    let database = rusqlite::Connection::open(state.join("forge.db")).unwrap();
    let row = (repository.as_str(), opened.number as i64, head, &made);
    database.execute("INSERT INTO merge_intent VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    drop(database);
    if ref_moved {
        git(&bare, &["update-ref", "refs/heads/main", &made, base]);
    }
    let forge = LocalForge::open(&state).await.unwrap();
    world = World { folder, forge, repository };
    (world, made.parse().unwrap())
}

#[tokio::test]
async fn before_the_ref_moved_nothing_was_merged() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let (world, made) = interrupted(world, &opened, false).await;
    assert_eq!(world.reread(&opened).await, opened);
    assert_eq!(world.main().await, base);
    let merged = world.merge(&opened, &base).await.unwrap();
    assert_eq!(world.reread(&opened).await.merged, Some(merged.clone()));
    assert_ne!(merged, made, "the abandoned commit stays abandoned");
}

#[tokio::test]
async fn after_the_ref_moved_it_is_merged() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let (world, made) = interrupted(world, &opened, true).await;
    let now = world.reread(&opened).await;
    assert_eq!(
        (now.state, &now.merged, &now.head),
        (PullRequestState::Merged, &Some(made.clone()), &opened.head)
    );
    assert_eq!(world.merge(&opened, &base).await, Ok(made.clone()), "exactly once");
    assert_eq!(world.main().await, made);
    assert!(world.forge.branch_head(&world.repository, "qd/one").await.is_err(), "its branch went");
}

#[tokio::test]
async fn a_merge_below_later_work_is_still_found() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let (world, made) = interrupted(world, &opened, true).await;
    let later = qd_testkit::ForgeHarness::push(&world, "main", &made, &[("later.txt", "")]).await;
    assert_eq!(world.main().await, later);
    assert_eq!(world.reread(&opened).await.merged, Some(made));
}

#[tokio::test]
async fn when_git_fails_a_probe_tells_and_the_merge_can_be_tried_again() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let lock = world.bare().join("refs/heads/main.lock");
    std::fs::write(&lock, "").unwrap();
    let failed = world.merge(&opened, &base).await;
    assert!(matches!(failed, Err(ForgeError::Unavailable { .. })), "{failed:?}");
    assert_eq!(world.reread(&opened).await.state, PullRequestState::Open);
    std::fs::remove_file(&lock).unwrap();
    let merged = world.merge(&opened, &base).await.unwrap();
    assert_eq!(world.main().await, merged);
}
