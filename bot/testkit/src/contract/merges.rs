//! Merges: exactly the approved head onto exactly the known base, once.

use qd_core::forge::{ForgeError, MergeMethod, NewPullRequest, PullRequestState};

use crate::{
    ForgeHarness,
    scene::{Scene, refusal, unique},
};

/// Base first, head second; a head that holds the base brings exactly its own tree.
pub async fn a_merge_commit_has_both_parents(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    let order = scene.order(&opened, MergeMethod::Merge).await;
    let merged = scene.merge(&order).await.unwrap();

    let commit = harness.commit(&merged).await;
    assert_eq!(commit.parents, [order.base.clone(), order.head.clone()]);
    assert_eq!(commit.title, order.title);
    assert_eq!(commit.files, harness.commit(&order.head).await.files);
    assert_eq!(scene.base().await, merged);
    let now = scene.reread(&opened).await;
    assert_eq!((now.state, now.merged, now.head), (PullRequestState::Merged, Some(merged), order.head));
}

/// One parent, all changes of the branch.
pub async fn a_squash_is_one_commit_on_the_target(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    harness.push(&opened.branch, &opened.head, &[(&unique("more.txt"), "two\n")]).await;
    let pushed = scene.reread(&opened).await;
    scene.green(&pushed).await;
    let order = scene.order(&pushed, MergeMethod::Squash).await;
    let merged = scene.merge(&order).await.unwrap();

    let commit = harness.commit(&merged).await;
    assert_eq!(commit.parents, std::slice::from_ref(&order.base));
    assert_eq!(commit.title, order.title);
    assert_eq!(commit.files, harness.commit(&order.head).await.files);
    assert_eq!(scene.base().await, merged);
    let now = scene.reread(&pushed).await;
    assert_eq!((now.state, now.merged, now.head), (PullRequestState::Merged, Some(merged), order.head));
}

/// A head behind the target brings its own changes and undoes nobody else's, with either method.
pub async fn a_diverged_head_is_merged_with_the_target(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        let (ours, theirs) = (unique("ours.txt"), unique("theirs.txt"));
        let opened = scene.pull_request_with(&[(&ours, "ours\n")]).await;
        scene.land(&[(&theirs, "theirs\n")]).await;
        scene.green(&opened).await;
        let order = scene.order(&opened, method).await;
        let merged = scene.merge(&order).await.unwrap();

        let mut expect = harness.commit(&order.base).await.files;
        expect.insert(ours, "ours\n".into());
        assert!(expect.contains_key(&theirs));
        assert_eq!(harness.commit(&merged).await.files, expect, "{method:?}");
    }
}

/// The target stands elsewhere than the order says: refused, and the answer says where.
pub async fn a_moved_base_is_not_merged_onto(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    let mut order = scene.order(&opened, MergeMethod::Merge).await;
    let (_, actual) = scene.land(&[(&unique("file.txt"), "one\n")]).await;
    assert_eq!(scene.merge(&order).await, Err(ForgeError::BaseMoved { actual: actual.clone() }));
    scene.nothing_happened(&opened, &actual).await;

    order.base = actual;
    scene.merge(&order).await.unwrap();
}

/// The branch was pushed to after the order was made: refused, and the answer says what it is now.
pub async fn a_moved_head_is_not_merged(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    let order = scene.order(&opened, MergeMethod::Squash).await;
    let actual = harness.push(&opened.branch, &opened.head, &[("late.txt", "late\n")]).await;
    scene.green(&scene.reread(&opened).await).await;
    assert_eq!(scene.merge(&order).await, Err(ForgeError::HeadMoved { actual: actual.clone() }));
    let now = scene.reread(&opened).await;
    assert_eq!(now.head, actual);
    scene.nothing_happened(&now, &order.base).await;
}

/// Both sides changed the same lines: refused with the files, and the pull request stays open.
pub async fn conflicts_name_their_files(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (one, two) = (format!("a/{}", unique("one.txt")), unique("two.txt"));
    let mine = scene.pull_request_with(&[(&two, "mine\n"), (&one, "mine\n"), (&unique("free"), "")]).await;
    scene.land(&[(&one, "theirs\n"), (&two, "theirs\n")]).await;
    scene.green(&mine).await;
    for method in [MergeMethod::Merge, MergeMethod::Squash] {
        let order = scene.order(&mine, method).await;
        let files = vec![one.clone(), two.clone()];
        assert_eq!(scene.merge(&order).await, Err(ForgeError::Conflict { files }));
        scene.nothing_happened(&mine, &order.base).await;
    }
}

/// The same head gives the same commit, whatever the base is by then; another head is refused.
pub async fn merging_again_gives_the_same_commit(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    let mut order = scene.order(&opened, MergeMethod::Merge).await;
    let merged = scene.merge(&order).await.unwrap();
    assert_eq!(scene.merge(&order).await, Ok(merged.clone()));

    let (_, later) = scene.land(&[(&unique("file.txt"), "one\n")]).await;
    assert_eq!(scene.merge(&order).await, Ok(merged));
    order.base = later.clone();
    order.head = harness.push(&opened.branch, &opened.head, &[("late.txt", "late\n")]).await;
    refusal(scene.merge(&order).await);
    assert_eq!(scene.base().await, later);
}

/// A closed pull request is refused even if all else fits.
pub async fn what_is_closed_is_not_merged(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    let order = scene.order(&opened, MergeMethod::Merge).await;
    scene.forge().close_pull_request(scene.repository(), opened.number).await.unwrap();
    refusal(scene.merge(&order).await);
    assert_eq!(scene.reread(&opened).await.state, PullRequestState::Closed);
    assert_eq!(scene.base().await, order.base);
}

/// With a closing word before their number, when it is merged and not before.
pub async fn merging_closes_the_issues_that_it_names(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let closed = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    let named = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    let (branch, _) = scene.branch(&[(&unique("file.txt"), "one\n")]).await;
    let body = format!("Wanted, see #{named}.\n\nCloses #{closed}");
    let opened = forge.open_pull_request(&NewPullRequest { body, ..scene.proposal(&branch) }).await.unwrap();
    scene.green(&opened).await;
    assert!(forge.issue(here, closed).await.unwrap().open);
    let order = scene.order(&opened, MergeMethod::Merge).await;
    scene.merge(&order).await.unwrap();
    assert!(!forge.issue(here, closed).await.unwrap().open);
    assert!(forge.issue(here, named).await.unwrap().open);
}
