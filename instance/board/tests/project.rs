//! Projects: progress, pace, forecast and risks, derived from the features' facts.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::{
    ToSpan as _,
    civil::{Date, date},
};
use proptest::prelude::*;
use qd_board::{
    Budget, Project, Size,
    project::{Milestone, PartFacts, Standing, standing},
};
use qd_types::Stage;

fn today() -> Date {
    date(2026, 11, 21)
}

fn project() -> Project {
    Project {
        name: "billing".into(),
        goal: "Bills that people can read.".into(),
        owner: Some("ines".parse().unwrap()),
        milestones: vec![
            Milestone { name: "Read".into(), due: Some(date(2026, 11, 20)) },
            Milestone { name: "Write".into(), due: Some(date(2026, 11, 30)) },
        ],
        teams: vec![],
        slots: None,
        budget: Budget { minutes: Some(100), ..Budget::default() },
    }
}

fn part(number: u32, milestone: &str, stage: Stage) -> PartFacts {
    PartFacts {
        id: format!("A-{number}").parse().unwrap(),
        stage,
        size: Some(Size::M),
        milestone: Some(milestone.into()),
        due: None,
        held: false,
        merged_on: None,
    }
}

fn merged(number: u32, milestone: &str, days_ago: i64) -> PartFacts {
    PartFacts {
        merged_on: Some(today().checked_sub(days_ago.days()).unwrap()),
        ..part(number, milestone, Stage::Done)
    }
}

fn say(standing: &Standing) -> String {
    let mut lines = vec![format!(
        "{} of {} features, {} %, pace {:?}, done on {:?}",
        standing.progress.done,
        standing.progress.features,
        standing.progress.percent(),
        standing.pace,
        standing.forecast
    )];
    lines.extend(standing.milestones.iter().map(|each| {
        format!(
            "{}: {} of {}, due {:?}, done on {:?}",
            each.name, each.progress.done, each.progress.features, each.due, each.forecast
        )
    }));
    lines.extend(standing.risks.iter().map(|risk| format!("! {risk}")));
    lines.join("\n")
}

#[test]
fn a_project_says_where_it_stands_and_what_endangers_it() {
    let parts = [
        merged(1, "Read", 6),
        merged(2, "Read", 5),
        merged(3, "Read", 1),
        PartFacts { held: true, ..part(4, "Read", Stage::Ready) },
        part(5, "Write", Stage::Running),
        PartFacts { size: None, due: Some(date(2026, 11, 1)), ..part(6, "Write", Stage::Backlog) },
        part(7, "Write", Stage::Backlog),
        part(8, "Write", Stage::Cancelled),
        part(9, "Later", Stage::Backlog),
    ];
    insta::assert_snapshot!(say(&standing(&project(), &parts, 85, today())), @"
    3 of 8 features, 37 %, pace Some(120), done on Some(2026-12-03)
    Read: 3 of 4, due Some(2026-11-20), done on Some(2026-11-24)
    Write: 0 of 3, due Some(2026-11-30), done on Some(2026-12-01)
    Later: 0 of 1, due None, done on Some(2026-12-03)
    ! Read was due on 2026-11-20, and 1 feature is open.
    ! Write is due on 2026-11-30, and at this pace it ends on 2026-12-01.
    ! A-6 is past due.
    ! 85 of its 100 min are used.
    ! A-4 needs a person.
    ! 1 feature has no size and counts as m.
    ");
}

#[test]
fn a_new_project_promises_nothing() {
    let parts = [part(1, "Read", Stage::Backlog), merged(2, "Read", 0)];
    insta::assert_snapshot!(say(&standing(&Project { owner: None, ..project() }, &parts, 100, today())), @"
    1 of 2 features, 50 %, pace None, done on None
    Read: 1 of 2, due Some(2026-11-20), done on None
    Write: 0 of 0, due Some(2026-11-30), done on None
    ! Read was due on 2026-11-20, and 1 feature is open.
    ! Its 100 min are used up: nothing starts any more.
    ! Nobody answers for it: it has no owner.
    ");
    insta::assert_snapshot!(say(&standing(&project(), &[], 0, today())), @"
    0 of 0 features, 0 %, pace None, done on None
    Read: 0 of 0, due Some(2026-11-20), done on None
    Write: 0 of 0, due Some(2026-11-30), done on None
    ");
}

#[test]
fn a_project_that_stands_still_says_so() {
    let parts = [merged(1, "Write", 40), part(2, "Write", Stage::Ready)];
    insta::assert_snapshot!(say(&standing(&project(), &parts, 0, today())), @"
    1 of 2 features, 50 %, pace None, done on None
    Read: 0 of 0, due Some(2026-11-20), done on None
    Write: 1 of 2, due Some(2026-11-30), done on None
    ! Nothing was merged since 2026-10-12.
    ");
}

#[test]
fn a_patch_changes_what_it_names() {
    let patch = |text: &str| project().patched(serde_json::from_str(text).unwrap());
    let changed = patch(r#"{"slots":2,"budget":{"cents":5},"owner":null}"#).unwrap();
    assert_eq!(
        (changed.slots, changed.owner, changed.budget.minutes, changed.budget.cents),
        (Some(2), None, Some(100), Some(5))
    );
    let refused = |text| patch(text).unwrap_err().to_string();
    insta::assert_snapshot!(refused(r#"{"name":"other"}"#), @"name: stays: features name the project by it");
    insta::assert_snapshot!(refused(r#"{"slot":2}"#), @"project: unknown field `slot`, expected one of `name`, `goal`, `owner`, `milestones`, `teams`, `slots`, `budget`");
    insta::assert_snapshot!(refused(r#"{"slots":0}"#), @"slots: is 0: take at least 1, or pause its features");
    insta::assert_snapshot!(refused(r#"{"milestones":[{"name":"a"},{"name":" a "}]}"#), @r#"milestones: names "a" twice"#);
}

proptest! {
    #[test]
    fn more_work_never_ends_earlier(done in prop::collection::vec(0i64..28, 3..20), open in 0u32..40, more in 1u32..20) {
        let mut parts: Vec<PartFacts> =
            done.iter().enumerate().map(|(index, days)| merged(index as u32 + 1, "Read", *days)).collect();
        parts.extend((0..open).map(|index| part(100 + index, "Read", Stage::Ready)));
        let before = standing(&project(), &parts, 0, today());
        parts.extend((0..more).map(|index| part(500 + index, "Read", Stage::Ready)));
        let after = standing(&project(), &parts, 0, today());
        prop_assert!(before.progress.percent() >= after.progress.percent());
        prop_assert_eq!(before.pace, after.pace);
        if let (Some(before), Some(after)) = (before.forecast, after.forecast) {
            prop_assert!(after >= before && before >= today());
        }
        prop_assert!(before.progress.points_done <= before.progress.points);
    }
}
