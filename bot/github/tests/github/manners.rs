//! Limits, bad days, and how many requests things take.

use std::time::{Duration, Instant};

use qd_core::forge::{Check, Conclusion, Forge as _, ForgeError, Marker};
use qd_testkit::{ForgeHarness as _, github::Fault};

use crate::support::{PLACE, World, options};

/// A limit that is over soon is waited for; one that is not is said, and nothing else is asked meanwhile.
#[tokio::test]
async fn limits_are_waited_for_or_said() {
    let world = World::new().await;
    let number = world.green("qd/one").await.number;
    let comments = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    world.fake.fault(comments, Fault::Secondary(1));
    let started = Instant::now();
    let comment = world.forge.put_comment(&world.repository, number, &Marker("m".into()), "text").await;
    assert_eq!(comment.unwrap().body, "text");
    assert!(started.elapsed() >= Duration::from_secs(1));

    world.fake.fault(comments, Fault::Secondary(60));
    let limited = world.forge.put_comment(&world.repository, number, &Marker("n".into()), "text").await;
    let Err(ForgeError::NotNow { reason }) = limited else { panic!("{limited:?}") };
    assert_eq!(reason, "GitHub takes no more requests for 60 s");
    world.fake.forget_calls();
    let shut = world.forge.put_comment(&world.repository, number, &Marker("n".into()), "text").await;
    assert!(matches!(shut, Err(ForgeError::NotNow { .. })), "{shut:?}");
    assert!(world.fake.calls().is_empty(), "{:?}", world.fake.calls());
}

/// A server's failure is no refusal: it can't be told, and the same call then finds what was made.
#[tokio::test]
async fn what_was_made_and_not_answered_is_found_again() {
    let world = World::new().await;
    let base = world.main().await;
    world.push("qd/one", &base, &[("one.txt", "one\n")]).await;
    let new = world.proposal("qd/one");
    world.fake.fault("POST /repos/{owner}/{repo}/pulls", Fault::Status(502));
    let failed = world.forge.open_pull_request(&new).await;
    assert!(matches!(failed, Err(ForgeError::Unavailable { .. })), "{failed:?}");
    assert_eq!(world.forge.find_pull_request(&world.repository, &new.marker).await, Ok(None));

    world.fake.fault("POST /repos/{owner}/{repo}/pulls", Fault::AnswerLost);
    let lost = world.forge.open_pull_request(&new).await;
    assert!(matches!(lost, Err(ForgeError::Unavailable { .. })), "{lost:?}");
    let found = world.forge.find_pull_request(&world.repository, &new.marker).await.unwrap().unwrap();
    assert_eq!(world.forge.open_pull_request(&new).await.unwrap(), found);

    let marker = Marker("sticky".into());
    world.fake.fault("POST /repos/{owner}/{repo}/issues/{issue_number}/comments", Fault::AnswerLost);
    let lost = world.forge.put_comment(&world.repository, found.number, &marker, "text").await;
    assert!(matches!(lost, Err(ForgeError::Unavailable { .. })), "{lost:?}");
    world.forge.put_comment(&world.repository, found.number, &marker, "text").await.unwrap();
    assert_eq!(world.forge.comments(&world.repository, found.number).await.unwrap().len(), 1);
}

/// A marker that somebody copied into a comment or a pull request of theirs is not ours.
#[tokio::test]
async fn a_copied_marker_counts_for_nothing() {
    let world = World::new().await;
    let number = world.green("qd/one").await.number;
    let marker = Marker("sticky".into());
    let ann = world.fake.drive().collaborator(PLACE, "ann", qd_testkit::github::Role::Write).at(PLACE);
    ann.comments(number, "Mine.\n\n<!-- quarterdeck:sticky -->");
    let ours = world.forge.put_comment(&world.repository, number, &marker, "Ours.").await.unwrap();
    assert_eq!(ours.body, "Ours.");
    assert_eq!(world.forge.comments(&world.repository, number).await.unwrap().len(), 2);

    let base = world.main().await;
    world.push("theirs", &base, &[("theirs.txt", "x\n")]).await;
    ann.opens_pull_request("theirs", "main", "Theirs", "<!-- quarterdeck:theirs -->");
    assert_eq!(world.forge.find_pull_request(&world.repository, &Marker("theirs".into())).await, Ok(None));
}

/// A pull request from its opening to its merge takes few requests.
#[tokio::test]
async fn few_requests_take_a_change_from_push_to_merge() {
    let world = World::new().await;
    let base = world.main().await;
    world.push("qd/one", &base, &[("one.txt", "one\n")]).await;
    world.fake.forget_calls();
    let opened = world.forge.open_pull_request(&world.proposal("qd/one")).await.unwrap();
    let pending = [Check::new("quarterdeck", Conclusion::Pending)];
    world.forge.report_checks(&world.repository, &opened.head, &pending).await.unwrap();
    for step in ["1 of 3", "2 of 3", "3 of 3"] {
        world
            .forge
            .put_comment(&world.repository, opened.number, &Marker("sticky".into()), step)
            .await
            .unwrap();
    }
    let head = &opened.head;
    world.forge.rebuild_merge(&world.repository, opened.number, head, head, &base).await.unwrap();
    let passed = [Check::new("quarterdeck", Conclusion::Success)];
    world.forge.report_checks(&world.repository, head, &passed).await.unwrap();
    let order = qd_core::forge::MergeOrder {
        repository: world.repository.clone(),
        number: opened.number,
        head: head.clone(),
        base,
        method: qd_core::forge::MergeMethod::Merge,
        title: "One".into(),
    };
    let spent = qd_testkit::granted(qd_types::Merge {
        repository: world.repository.clone(),
        pull_request: opened.number,
        target: "main".into(),
        head: head.clone(),
        diff: "d".repeat(64),
        paths: None,
    });
    world.forge.merge(&spent, &order).await.unwrap();
    let calls = world.fake.calls();
    let api: u64 = calls.iter().filter(|(route, _)| !route.starts_with("git")).map(|(_, count)| count).sum();
    assert!(api <= 25, "{api}: {calls:#?}");
}

/// Where nobody listens, nothing was sent: it is waited for.
#[tokio::test]
async fn a_github_that_is_away_is_waited_for() {
    let world = World::with(options(), |config| config.allow_unprotected = true).await;
    let away = qd_github::GitHub::open(qd_github::Config {
        api: "http://127.0.0.1:9".into(),
        git: None,
        login: qd_github::Login::Token("t".to_owned().into()),
        repositories: world.forge.places().clone(),
        mirrors: world.folder.path().join("away"),
        allow_unprotected: true,
        writes_per_minute: 60,
    });
    let asked = away.unwrap().branch_head(&world.repository, "main").await;
    let Err(ForgeError::NotNow { reason }) = asked else { panic!("{asked:?}") };
    assert!(reason.starts_with("GitHub can't be reached: "), "{reason}");
}
