//! Pull requests: opened once, listed, followed, closed, refused.

use qd_core::forge::{ForgeError, Marker, MergeMethod, NewPullRequest, PullRequestState};

use crate::{
    ForgeHarness,
    scene::{Scene, missing, refusal, unique},
};

/// The marker decides whether it is the same one; the probe finds it.
pub async fn opening_twice_gives_the_same_pull_request(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (branch, head) = scene.branch(&[(&unique("file.txt"), "one\n")]).await;
    let new = scene.proposal(&branch);
    let probe = || scene.forge().find_pull_request(scene.repository(), &new.marker);
    assert_eq!(probe().await.unwrap(), None);

    let first = scene.forge().open_pull_request(&new).await.unwrap();
    assert_eq!(first.repository, new.repository);
    assert_eq!((&first.branch, &first.target), (&new.branch, &new.target));
    assert_eq!((&first.title, &first.body), (&new.title, &new.body), "the marker is not part of the text");
    assert_eq!((first.state, &first.head, &first.merged), (PullRequestState::Open, &head, &None));

    assert_eq!(scene.forge().open_pull_request(&new).await.unwrap(), first);
    assert_eq!(probe().await.unwrap(), Some(first.clone()));
    assert_eq!(scene.reread(&first).await, first);

    scene.forge().close_pull_request(scene.repository(), first.number).await.unwrap();
    let again = scene.forge().open_pull_request(&new).await.unwrap();
    assert_eq!((again.number, again.state), (first.number, PullRequestState::Closed));
}

/// The newest is the first; none is left out.
pub async fn pull_requests_are_listed_newest_first(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(scene.pull_request().await.number);
    }
    scene.forge().close_pull_request(scene.repository(), opened[1]).await.unwrap();
    let listed = scene.forge().pull_requests(scene.repository()).await.unwrap();
    let numbers: Vec<u64> = listed.iter().map(|one| one.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    opened.reverse();
    assert_eq!(numbers[..3], opened[..]);
    assert_eq!(listed[1].state, PullRequestState::Closed);
    assert_eq!(listed[0], scene.reread(&listed[0]).await, "the list says what a single read says");
}

/// A push moves the head of an open one, and no longer that of a closed one.
pub async fn an_open_pull_request_follows_its_branch(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let second = harness.push(&opened.branch, &opened.head, &[("second.txt", "two\n")]).await;
    assert_eq!(scene.reread(&opened).await.head, second);
    assert_eq!(scene.forge().branch_head(scene.repository(), &opened.branch).await.unwrap(), second);

    scene.forge().close_pull_request(scene.repository(), opened.number).await.unwrap();
    harness.push(&opened.branch, &second, &[("third.txt", "three\n")]).await;
    assert_eq!(scene.reread(&opened).await.head, second, "the last head while it was open");
}

/// Closing twice is fine; closing what is merged is not.
pub async fn closing_a_pull_request_is_final(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    for _ in 0..2 {
        scene.forge().close_pull_request(scene.repository(), opened.number).await.unwrap();
        assert_eq!(scene.reread(&opened).await.state, PullRequestState::Closed);
    }
    let (merged, commit) = scene.land(&[(&unique("file.txt"), "one\n")]).await;
    refusal(scene.forge().close_pull_request(scene.repository(), merged.number).await);
    let now = scene.reread(&merged).await;
    assert_eq!((now.state, now.merged), (PullRequestState::Merged, Some(commit)));
}

/// Each refusal says why and opens nothing.
pub async fn what_cannot_be_proposed_is_refused(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (branch, _) = scene.branch(&[(&unique("file.txt"), "one\n")]).await;
    let nothing_new = unique("qd/nothing-new");
    harness.point(&nothing_new, &scene.base().await).await;

    let changed = |change: &dyn Fn(&mut NewPullRequest)| {
        let mut new = scene.proposal(&branch);
        change(&mut new);
        new
    };
    let bad = [
        changed(&|new| new.title.clear()),
        changed(&|new| new.title = "  ".into()),
        changed(&|new| new.title = "t".repeat(257)),
        changed(&|new| new.branch = "qd/no-such-branch".into()),
        changed(&|new| new.target = "no-such-target".into()),
        changed(&|new| new.branch = new.target.clone()),
        changed(&|new| new.branch = nothing_new.clone()),
    ];
    for new in &bad {
        refusal(scene.forge().open_pull_request(new).await);
        let found = scene.forge().find_pull_request(scene.repository(), &new.marker).await.unwrap();
        assert_eq!(found, None, "{new:?}");
    }
    let longest = changed(&|new| new.title = "ü".repeat(256));
    assert_eq!(scene.forge().open_pull_request(&longest).await.unwrap().title, longest.title);
}

/// A second one from the same branch to the same target is refused while the first is open.
pub async fn one_open_pull_request_per_branch(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let second = scene.proposal(&opened.branch);
    let reason = refusal(scene.forge().open_pull_request(&second).await);
    assert!(reason.contains(&opened.number.to_string()), "names the one that is open: {reason}");
    scene.forge().close_pull_request(scene.repository(), opened.number).await.unwrap();
    let reopened = scene.forge().open_pull_request(&second).await.unwrap();
    assert!(reopened.number > opened.number);
}

/// "pull request 7 of sample is not there": the kind, the name and the repository.
pub async fn what_is_not_there_is_named(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let names = |what: String, parts: &[&str]| {
        for part in parts {
            assert!(what.contains(part), "{what:?} names {part:?}");
        }
    };
    let nowhere = 4_000_000_000;
    let number = nowhere.to_string();
    let marker = Marker(unique("marker"));
    let repository = here.as_str();

    let pull_request = ["pull request", &number, repository];
    names(missing(forge.pull_request(here, nowhere).await), &pull_request);
    names(missing(forge.close_pull_request(here, nowhere).await), &pull_request);
    let opened = scene.pull_request().await;
    let mut order = scene.order(&opened, MergeMethod::Merge).await;
    order.number = nowhere;
    names(missing(scene.merge(&order).await), &pull_request);

    let issue = ["issue", &number, repository];
    names(missing(forge.issue(here, nowhere).await), &issue);
    names(missing(forge.close_issue(here, nowhere).await), &issue);
    names(missing(forge.set_labels(here, nowhere, &[]).await), &issue);
    names(missing(forge.comments(here, nowhere).await), &[&number, repository]);
    names(missing(forge.put_comment(here, nowhere, &marker, "text").await), &[&number, repository]);

    names(missing(forge.set_draft(here, nowhere, true).await), &pull_request);
    let thread = forge.settle_thread(here, opened.number, "no-such-thread", &marker, "Done.").await;
    names(missing(thread), &["no-such-thread", &opened.number.to_string(), repository]);

    names(missing(forge.branch_head(here, "qd/gone").await), &["branch", "qd/gone", repository]);

    let elsewhere = "no-such-repository".parse().unwrap();
    names(missing(forge.pull_requests(&elsewhere).await), &["repository", "no-such-repository"]);
    names(missing(forge.issues(&elsewhere).await), &["repository", "no-such-repository"]);
    names(missing(forge.milestones(&elsewhere).await), &["repository", "no-such-repository"]);
    names(missing(forge.branch_head(&elsewhere, "main").await), &["repository", "no-such-repository"]);
}

/// What is a draft is opened as one, is refused by the merge whatever its checks say, and is merged once it is ready.
pub async fn a_draft_is_not_merged(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let (branch, _) = scene.branch(&[(&unique("file.txt"), "one\n")]).await;
    let new = NewPullRequest { draft: true, ..scene.proposal(&branch) };
    let opened = forge.open_pull_request(&new).await.unwrap();
    assert!(opened.draft);
    assert_eq!(forge.open_pull_request(&new).await.unwrap(), opened);
    scene.green(&opened).await;
    let order = scene.order(&opened, MergeMethod::Merge).await;
    let reason = refusal(scene.merge(&order).await);
    assert!(reason.contains("draft"), "{reason}");
    scene.nothing_happened(&opened, &order.base).await;

    for draft in [false, false, true, true, false] {
        forge.set_draft(here, opened.number, draft).await.unwrap();
        assert_eq!(scene.reread(&opened).await.draft, draft);
    }
    scene.merge(&order).await.unwrap();
    refusal(forge.set_draft(here, opened.number, true).await);
}

/// Given when it is opened and replaced later; the milestone is one that exists, and counts it.
pub async fn a_pull_request_has_labels_and_a_milestone(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let title = unique("Milestone");
    let (branch, _) = scene.branch(&[(&unique("file.txt"), "one\n")]).await;
    let labels = vec!["team:alpha".to_owned(), "bug".to_owned()];
    let new = NewPullRequest { labels, milestone: Some(title.clone()), ..scene.proposal(&branch) };
    let what = missing(forge.open_pull_request(&new).await);
    assert!(what.contains("milestone") && what.contains(&title), "{what}");
    let found = forge.find_pull_request(here, &new.marker).await.unwrap();
    assert_eq!(found, None, "a refusal opens nothing");

    forge.open_milestone(here, &title).await.unwrap();
    let opened = forge.open_pull_request(&new).await.unwrap();
    assert_eq!(opened.labels, ["bug", "team:alpha"], "sorted");
    assert_eq!(opened.milestone.as_ref(), Some(&title));
    assert_eq!(scene.reread(&opened).await, opened);
    assert_eq!(forge.open_milestone(here, &title).await.unwrap().open_issues, 1);

    forge.set_labels(here, opened.number, &["old".to_owned()]).await.unwrap();
    assert_eq!(scene.reread(&opened).await.labels, ["old"]);
    forge.close_pull_request(here, opened.number).await.unwrap();
    let counted = forge.open_milestone(here, &title).await.unwrap();
    assert_eq!((counted.open_issues, counted.closed_issues), (0, 1));
}

/// Only where it stands as expected, never what an open pull request needs, never the target.
pub async fn a_branch_goes_that_nothing_needs(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let opened = scene.pull_request().await;
    refusal(forge.delete_branch(here, &opened.branch, &opened.head).await);
    assert_eq!(scene.reread(&opened).await.state, PullRequestState::Open, "a refusal changes nothing");
    let base = scene.base().await;
    refusal(forge.delete_branch(here, harness.target(), &base).await);
    assert_eq!(scene.base().await, base);

    forge.close_pull_request(here, opened.number).await.unwrap();
    let moved = harness.push(&opened.branch, &opened.head, &[("more.txt", "more\n")]).await;
    let lost = forge.delete_branch(here, &opened.branch, &opened.head).await;
    assert_eq!(lost, Err(ForgeError::HeadMoved { actual: moved.clone() }), "somebody's commit stays");
    for _ in 0..2 {
        forge.delete_branch(here, &opened.branch, &moved).await.unwrap();
        missing(forge.branch_head(here, &opened.branch).await);
    }
}
