//! Rebuilding a merge: what was tested is what was reviewed plus the target, or it is refused.

use qd_core::forge::{Brought, ForgeError, MergeMethod, PullRequest};
use qd_types::CommitId;

use crate::{
    ForgeHarness,
    scene::{Scene, missing, refusal, unique},
};

async fn rebuild(
    scene: &Scene<'_>,
    of: &PullRequest,
    reviewed: &CommitId,
    tested: &CommitId,
) -> Result<Brought, ForgeError> {
    let base = scene.base().await;
    scene.forge().rebuild_merge(scene.repository(), of.number, reviewed, tested, &base).await
}

/// The files that a commit changes in its parent.
async fn changed(harness: &dyn ForgeHarness, commit: &CommitId) -> Vec<String> {
    let commit = harness.commit(commit).await;
    let parent = harness.commit(commit.parents.first().unwrap()).await;
    let differs = |(path, text): &(&String, &String)| parent.files.get(*path) != Some(*text);
    commit.files.iter().filter(differs).map(|(path, _)| path.clone()).collect()
}

/// The same change has the same digest and the same paths, on its own and merged with a target that went on; another one has another.
pub async fn a_rebuild_answers_with_the_reviewed_diff(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (one, two) = (scene.pull_request().await, scene.pull_request().await);
    let reviewed = &one.head;
    let brought = rebuild(&scene, &one, reviewed, reviewed).await.unwrap();
    let hex = |digest: &str| digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    assert!(brought.diff.len() == 64 && hex(&brought.diff), "{brought:?}");
    let other = rebuild(&scene, &two, &two.head, &two.head).await.unwrap();
    assert_ne!(other.diff, brought.diff);
    assert_eq!(brought.paths, changed(harness, &one.head).await);
    assert_eq!(other.paths, changed(harness, &two.head).await);

    scene.land(&[(&unique("file.txt"), "one\n")]).await;
    let tested = harness.push_merge(&one.branch, &scene.base().await, reviewed, &[]).await;
    assert_eq!(rebuild(&scene, &one, reviewed, &tested).await, Ok(brought));

    let merging = scene.reread(&one).await;
    scene.green(&merging).await;
    let order = scene.order(&merging, MergeMethod::Merge).await;
    let merged = scene.merge(&order).await.unwrap();
    let (merged, tested) = (harness.commit(&merged).await, harness.commit(&tested).await);
    assert_eq!(merged.files, tested.files, "what was tested is what is merged");
    refusal(rebuild(&scene, &one, reviewed, &order.head).await);
}

/// A file more, the parents the other way round, a commit on top, a target that is missing: each is refused.
pub async fn a_rebuild_refuses_what_was_not_reviewed(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let reviewed = &opened.head;
    let on_top = harness.push(&opened.branch, reviewed, &[("on-top.txt", "unseen\n")]).await;
    refusal(rebuild(&scene, &opened, reviewed, &on_top).await);

    scene.land(&[(&unique("file.txt"), "one\n")]).await;
    let base = scene.base().await;
    harness.point(&opened.branch, reviewed).await;
    refusal(rebuild(&scene, &opened, reviewed, reviewed).await);
    let smuggled = harness.push_merge(&opened.branch, &base, reviewed, &[("smuggled.txt", "unseen\n")]).await;
    refusal(rebuild(&scene, &opened, reviewed, &smuggled).await);
    let reversed = harness.push_merge(&opened.branch, reviewed, &base, &[]).await;
    refusal(rebuild(&scene, &opened, reviewed, &reversed).await);
    let good = harness.push_merge(&opened.branch, &base, reviewed, &[]).await;
    rebuild(&scene, &opened, reviewed, &good).await.unwrap();
    let above = harness.push(&opened.branch, &good, &[("above.txt", "unseen\n")]).await;
    refusal(rebuild(&scene, &opened, reviewed, &above).await);

    let unknown = "0123456789".repeat(4).parse().unwrap();
    let what = missing(rebuild(&scene, &opened, &unknown, &above).await);
    assert!(what.contains(unknown.short()), "{what}");
}

/// Nobody reviewed how a conflict was settled, so the change is to be reviewed again.
pub async fn a_rebuild_refuses_a_conflict_settled_by_hand(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let file = unique("shared.txt");
    let opened = scene.pull_request_with(&[(&file, "mine\n")]).await;
    scene.land(&[(&file, "theirs\n")]).await;
    let base = scene.base().await;
    let settled = harness.push_merge(&opened.branch, &base, &opened.head, &[]).await;
    let result = rebuild(&scene, &opened, &opened.head, &settled).await;
    assert_eq!(result, Err(ForgeError::Conflict { files: vec![file] }));
}

/// A head or a base that is another by now is named; what is closed or unknown is not rebuilt.
pub async fn a_rebuild_needs_the_head_and_the_base(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let opened = scene.pull_request().await;
    let (head, base) = (&opened.head, scene.base().await);
    let later = harness.push(&opened.branch, head, &[("later.txt", "later\n")]).await;
    let result = forge.rebuild_merge(here, opened.number, head, head, &base).await;
    assert_eq!(result, Err(ForgeError::HeadMoved { actual: later }));

    harness.point(&opened.branch, head).await;
    let (_, actual) = scene.land(&[(&unique("file.txt"), "one\n")]).await;
    let result = forge.rebuild_merge(here, opened.number, head, head, &base).await;
    assert_eq!(result, Err(ForgeError::BaseMoved { actual }));

    forge.close_pull_request(here, opened.number).await.unwrap();
    refusal(rebuild(&scene, &opened, head, head).await);
    missing(forge.rebuild_merge(here, 4_000_000_000, head, head, &base).await);
}
