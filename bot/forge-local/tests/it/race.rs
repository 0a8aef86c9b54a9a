//! Many at once: one wins, the others learn where the target stands.

use qd_core::forge::{ForgeError, PullRequestState};

use crate::support::{World, git};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_merges_onto_one_base_exactly_one_happens() {
    let world = std::sync::Arc::new(World::new().await);
    let base = world.main().await;
    let mut opened = Vec::new();
    for number in 0..16 {
        opened.push(world.green(&format!("qd/{number}"), &format!("{number}.txt")).await);
    }
    let tasks: Vec<_> = opened
        .iter()
        .cloned()
        .map(|one| {
            let (world, base) = (world.clone(), base.clone());
            tokio::spawn(async move { world.merge(&one, &base).await })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    let won: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    let main = world.main().await;
    assert_eq!(won[0], &main);
    for (one, result) in opened.iter().zip(&results) {
        let state = world.reread(one).await.state;
        match result {
            Ok(_) => assert_eq!(state, PullRequestState::Merged),
            Err(error) => {
                assert_eq!(error, &ForgeError::BaseMoved { actual: main.clone() });
                assert_eq!(state, PullRequestState::Open);
            }
        }
    }
    let line = |range: &str| git(&world.bare(), &["rev-list", "--first-parent", range]);
    assert_eq!(line(&format!("{base}..main")).lines().count(), 1, "main took one step");

    // The others follow one by one: every merge is one step, and none is lost.
    for (one, result) in opened.iter().zip(&results) {
        if result.is_err() {
            world.merge(one, &world.main().await).await.unwrap();
        }
    }
    assert_eq!(line(&format!("{base}..main")).lines().count(), 16);
    let files = git(&world.bare(), &["ls-tree", "--name-only", "main"]);
    assert_eq!(files.lines().count(), 17, "{files}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_caller_that_leaves_leaves_no_half_merge() {
    let world = World::new().await;
    for number in 0..6_u64 {
        let opened = world.green(&format!("qd/{number}"), &format!("{number}.txt")).await;
        let base = world.main().await;
        let patience = std::time::Duration::from_millis(number * 3);
        let _ = tokio::time::timeout(patience, world.merge(&opened, &base)).await;
        let merged = world.merge(&opened, &base).await.unwrap();
        assert_eq!(world.main().await, merged);
        assert_eq!(world.reread(&opened).await.merged, Some(merged));
    }
}
