//! Checks: the newest of a name counts, and they stand before a merge.

use qd_core::forge::{Annotation, Check, CheckText, Conclusion, MergeMethod};

use crate::{
    ForgeHarness,
    scene::{Scene, check, missing, refusal},
};

/// Reporting a name again replaces it; the others stay; they are listed by name.
pub async fn the_newest_check_of_a_name_counts(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let (forge, here, head) = (scene.forge(), scene.repository(), &opened.head);
    assert_eq!(forge.checks(here, head).await.unwrap(), []);

    let started = [check("test", Conclusion::Pending), check("build", Conclusion::Success)];
    forge.report_checks(here, head, &started).await.unwrap();
    let ended = [check("test", Conclusion::Failure), check("lint", Conclusion::Pending)];
    forge.report_checks(here, head, &ended).await.unwrap();
    forge.report_checks(here, head, &[]).await.unwrap();
    let expect = [
        check("build", Conclusion::Success),
        check("lint", Conclusion::Pending),
        check("test", Conclusion::Failure),
    ];
    assert_eq!(forge.checks(here, head).await.unwrap(), expect);

    let rerun = [check("test", Conclusion::Failure), check("test", Conclusion::Success)];
    forge.report_checks(here, head, &rerun).await.unwrap();
    assert_eq!(forge.checks(here, head).await.unwrap()[2], check("test", Conclusion::Success));
}

/// No check, a pending one, a failed one: each is refused and named. All passed: merged.
pub async fn checks_gate_the_merge(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let order = scene.order(&opened, MergeMethod::Merge).await;
    let report = async |conclusion| {
        let checks = [check("build", Conclusion::Success), check("the-slow-test", conclusion)];
        scene.forge().report_checks(scene.repository(), &opened.head, &checks).await.unwrap();
    };

    refusal(scene.merge(&order).await);
    scene.nothing_happened(&opened, &order.base).await;
    for conclusion in [Conclusion::Pending, Conclusion::Failure] {
        report(conclusion).await;
        let reason = refusal(scene.merge(&order).await);
        assert!(reason.contains("the-slow-test") && !reason.contains("build"), "{reason}");
        scene.nothing_happened(&opened, &order.base).await;
    }
    report(Conclusion::Success).await;
    scene.merge(&order).await.unwrap();
}

/// A new head has no checks yet, whatever the old one had; an unknown commit can't have any.
pub async fn checks_belong_to_a_commit(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    scene.green(&opened).await;
    harness.push(&opened.branch, &opened.head, &[("unchecked.txt", "two\n")]).await;
    let pushed = scene.reread(&opened).await;
    assert_eq!(scene.forge().checks(scene.repository(), &pushed.head).await.unwrap(), []);
    let order = scene.order(&pushed, MergeMethod::Merge).await;
    refusal(scene.merge(&order).await);
    scene.nothing_happened(&pushed, &order.base).await;

    let unknown = "0123456789".repeat(4).parse().unwrap();
    let checks = [check("test", Conclusion::Success)];
    let what = missing(scene.forge().report_checks(scene.repository(), &unknown, &checks).await);
    assert!(what.contains(unknown.short()), "{what}");
}

/// A title and a summary stand beside it, and go with the next word that has none.
pub async fn a_check_says_more_than_how_it_ended(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let (forge, here, head) = (scene.forge(), scene.repository(), &opened.head);
    let asks = CheckText {
        title: "Asks one owner".into(),
        summary: "Merge it?\n\n`/approve 1`".into(),
        annotations: Vec::new(),
    };
    let pending = Check { text: Some(asks), ..check("quarterdeck", Conclusion::Pending) };
    forge.report_checks(here, head, std::slice::from_ref(&pending)).await.unwrap();
    assert_eq!(forge.checks(here, head).await.unwrap(), [pending]);
    let green = check("quarterdeck", Conclusion::Success);
    forge.report_checks(here, head, std::slice::from_ref(&green)).await.unwrap();
    assert_eq!(forge.checks(here, head).await.unwrap(), [green]);
}

/// What it remarks on lines stands beside it, more than one request takes as well, and once.
pub async fn a_check_remarks_on_lines(harness: &dyn ForgeHarness) {
    let scene = Scene(harness);
    let opened = scene.pull_request().await;
    let (forge, here, head) = (scene.forge(), scene.repository(), &opened.head);
    let remark = |line: u32| Annotation { path: "change.txt".into(), line, message: format!("Line {line}.") };
    let text = |most: u32| CheckText {
        title: "Asks one owner".into(),
        summary: "Merge it?".into(),
        annotations: (1..=most).map(remark).collect(),
    };
    let told = |conclusion, most| Check { text: Some(text(most)), ..check("quarterdeck", conclusion) };
    let pending = told(Conclusion::Pending, 120);
    for _ in 0..2 {
        forge.report_checks(here, head, std::slice::from_ref(&pending)).await.unwrap();
        assert_eq!(forge.checks(here, head).await.unwrap(), std::slice::from_ref(&pending));
    }
    let green = told(Conclusion::Success, 120);
    forge.report_checks(here, head, std::slice::from_ref(&green)).await.unwrap();
    assert_eq!(forge.checks(here, head).await.unwrap(), [green]);
    let fewer = told(Conclusion::Failure, 1);
    forge.report_checks(here, head, std::slice::from_ref(&fewer)).await.unwrap();
    assert_eq!(forge.checks(here, head).await.unwrap(), [fewer]);
}
