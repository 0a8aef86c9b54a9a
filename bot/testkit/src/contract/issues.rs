//! Issues, their labels and milestones, and the numbers they share with pull requests.

use qd_core::forge::{Milestone, NewIssue};

use crate::{
    ForgeHarness,
    scene::{Scene, missing, refusal, unique},
};

/// The marker decides whether it is the same one, even when it is closed.
pub async fn opening_twice_gives_the_same_issue(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let milestone = unique("Milestone");
    forge.open_milestone(here, &milestone).await.unwrap();
    let new = scene.issue(&["team:alpha", "bug"], Some(&milestone));
    let first = forge.open_issue(&new).await.unwrap();
    assert_eq!((&first.title, &first.body, first.open), (&new.title, &new.body, true));
    assert_eq!(first.labels, ["bug", "team:alpha"], "sorted");
    assert_eq!(first.milestone, Some(milestone));
    assert_eq!(forge.open_issue(&new).await.unwrap(), first);
    assert_eq!(forge.issue(here, first.number).await.unwrap(), first);

    forge.close_issue(here, first.number).await.unwrap();
    let again = forge.open_issue(&new).await.unwrap();
    assert_eq!((again.number, again.open), (first.number, false));
}

/// The newest is the first; pull requests are not among them.
pub async fn issues_are_listed_newest_first(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let forge = scene.forge();
    let one = forge.open_issue(&scene.issue(&["bug"], None)).await.unwrap();
    let pull_request = scene.pull_request().await;
    let two = forge.open_issue(&scene.issue(&[], None)).await.unwrap();
    let listed = forge.issues(scene.repository()).await.unwrap();
    assert_eq!(listed[..2], [two, one]);
    assert!(listed.iter().all(|issue| issue.number != pull_request.number));
}

/// Labels are replaced as a whole; each stands once; one that never existed is made.
pub async fn labels_are_made_and_replaced(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let number = forge.open_issue(&scene.issue(&["bug", "old"], None)).await.unwrap().number;
    let labels = async |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|label| (*label).to_owned()).collect();
        forge.set_labels(here, number, &set).await.unwrap();
        forge.issue(here, number).await.unwrap().labels
    };
    let made = unique("made");
    assert_eq!(labels(&[&made, "bug", "bug"]).await, ["bug", &made]);
    assert_eq!(labels(&[]).await, [""; 0]);
    assert_eq!(labels(&["old"]).await, ["old"]);
}

/// A label has 1 to 50 characters.
pub async fn labels_that_no_forge_takes_are_refused(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let number = forge.open_issue(&scene.issue(&["bug"], None)).await.unwrap().number;
    for bad in [String::new(), "l".repeat(51)] {
        refusal(forge.set_labels(here, number, &["good".to_owned(), bad]).await);
        assert_eq!(forge.issue(here, number).await.unwrap().labels, ["bug"], "a refusal changes nothing");
    }
}

/// Open and closed issues are counted; a milestone is made once, and issues only name one that exists.
pub async fn milestones_count_their_issues(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let title = unique("Milestone");
    let counts = |open_issues, closed_issues| Milestone {
        title: title.clone(),
        open: true,
        open_issues,
        closed_issues,
    };
    let what = missing(forge.open_issue(&scene.issue(&[], Some(&title))).await);
    assert!(what.contains("milestone") && what.contains(&title), "{what}");

    assert_eq!(forge.open_milestone(here, &title).await.unwrap(), counts(0, 0));
    let one = forge.open_issue(&scene.issue(&[], Some(&title))).await.unwrap();
    forge.open_issue(&scene.issue(&[], Some(&title))).await.unwrap();
    forge.open_issue(&scene.issue(&[], None)).await.unwrap();
    assert_eq!(forge.open_milestone(here, &title).await.unwrap(), counts(2, 0));
    forge.close_issue(here, one.number).await.unwrap();
    assert_eq!(forge.open_milestone(here, &title).await.unwrap(), counts(1, 1));

    let second = unique("A milestone");
    forge.open_milestone(here, &second).await.unwrap();
    let listed = forge.milestones(here).await.unwrap();
    let titles: Vec<&String> = listed.iter().map(|milestone| &milestone.title).collect();
    assert!(titles.is_sorted(), "{titles:?}");
    assert!(titles.contains(&&second) && listed.contains(&counts(1, 1)), "{listed:?}");
    refusal(forge.open_milestone(here, " ").await);
}

/// Closing is idempotent.
pub async fn closing_an_issue_twice_is_fine(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let number = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    for _ in 0..2 {
        forge.close_issue(here, number).await.unwrap();
        assert!(!forge.issue(here, number).await.unwrap().open);
    }
}

/// Each refusal opens nothing: the same marker may be used for a good one.
pub async fn what_cannot_be_an_issue_is_refused(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let forge = scene.forge();
    let good = scene.issue(&[], None);
    for title in [String::new(), "  ".to_owned(), "t".repeat(257)] {
        refusal(forge.open_issue(&NewIssue { title, ..good.clone() }).await);
    }
    refusal(forge.open_issue(&NewIssue { labels: vec!["l".repeat(51)], ..good.clone() }).await);
    assert_eq!(forge.open_issue(&good).await.unwrap().title, good.title);
}

/// One count for both; a number is one of them and never the other.
pub async fn issues_and_pull_requests_share_their_numbers(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let (forge, here) = (scene.forge(), scene.repository());
    let first = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    let pull_request = scene.pull_request().await.number;
    let second = forge.open_issue(&scene.issue(&[], None)).await.unwrap().number;
    assert_eq!([pull_request, second], [first + 1, first + 2]);
    missing(forge.pull_request(here, first).await);
    missing(forge.issue(here, pull_request).await);
    missing(forge.close_issue(here, pull_request).await);
    missing(forge.close_pull_request(here, first).await);
}
