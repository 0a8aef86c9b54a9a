//! Every example that GitHub's community publishes is read, and becomes what the table says. The examples are in the folder
//! `../shared/github/webhooks` beside the repository, or in the one that `QUARTERDECK_GITHUB` names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that cannot go on panics, and one that is skipped says so"
)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use qd_github::webhook::understand;

/// The examples, if they are there. In CI they have to be.
fn examples() -> Option<Vec<(String, Vec<u8>)>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/github");
    let folder = std::env::var_os("QUARTERDECK_GITHUB").map_or(beside, PathBuf::from).join("webhooks");
    let Ok(files) = std::fs::read_dir(&folder) else {
        assert!(std::env::var_os("CI").is_none(), "CI has GitHub's examples: set QUARTERDECK_GITHUB");
        eprintln!("skipped: no {}; set QUARTERDECK_GITHUB to the folder above it", folder.display());
        return None;
    };
    let mut all: Vec<(String, Vec<u8>)> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect();
    all.sort();
    Some(all)
}

#[test]
fn every_example_is_read_and_routed() {
    let Some(examples) = examples() else { return };
    assert!(examples.len() >= 146, "{} examples", examples.len());
    let mut table: BTreeMap<String, usize> = BTreeMap::new();
    for (name, body) in &examples {
        let parts: Vec<&str> = name.split('.').collect();
        let (kind, action) = (parts[0], parts.get(1).filter(|part| part.parse::<u8>().is_err()));
        let event = action
            .filter(|action| **action != "json")
            .map_or(kind.to_owned(), |action| format!("{kind}.{action}"));
        let became = understand(kind, body);
        assert!(!became.starts_with("not "), "{name}: {became}");
        *table.entry(format!("{event:<40} {became}")).or_default() += 1;
    }
    let table: Vec<String> = table.iter().map(|(line, count)| format!("{line} ({count})")).collect();
    insta::assert_snapshot!(table.join("\n"), @r##"
    check_run.completed                      nothing: a check that is not red is asked for when it matters (2)
    check_run.completed                      nothing: a job is looked at when its workflow has ended (1)
    check_run.created                        nothing: a check that is not red is asked for when it matters (3)
    check_run.requested_action               nothing: a check that is not red is asked for when it matters (1)
    check_run.rerequested                    nothing: a check that is not red is asked for when it matters (2)
    check_suite.completed                    nothing: its checks come one by one (4)
    check_suite.requested                    nothing: its checks come one by one (3)
    check_suite.rerequested                  nothing: its checks come one by one (2)
    deployment.created                       nothing: how a deployment goes comes as its statuses (4)
    deployment_review.requested              nothing: GitHub asks for that review itself (1)
    deployment_status.created                nothing: a deployment that has not ended says nothing (1)
    deployment_status.created                production ran, green (3)
    installation.created                     reached of 1 (2)
    installation.deleted                     lost of 0 (2)
    installation.new_permissions_accepted    nothing: doctor compares permissions with what is needed (1)
    installation.suspend                     lost of 0 (1)
    installation.unsuspend                   reached of 0 (1)
    installation_repositories.added          reached of 1 (2)
    installation_repositories.removed        lost of 1 (1)
    issue_comment.created                    comment on issue 1 (5)
    issue_comment.deleted                    nothing: what was said is read once, when it is said (2)
    issue_comment.edited                     nothing: what was said is read once, when it is said (2)
    issues.assigned                          nothing: the feature does not follow that (3)
    issues.deleted                           issue 1: Closed (1)
    issues.demilestoned                      nothing: a pull request is no issue here (2)
    issues.edited                            issue 1: Edited (3)
    issues.labeled                           issue 1: Labelled("bug") (2)
    issues.locked                            nothing: the feature does not follow that (2)
    issues.milestoned                        nothing: a pull request is no issue here (2)
    issues.opened                            nothing: its labels come as events of their own (4)
    issues.pinned                            nothing: the feature does not follow that (1)
    issues.reopened                          issue 1: Reopened (1)
    issues.transferred                       issue 1: Closed (1)
    issues.unassigned                        nothing: the feature does not follow that (2)
    issues.unlabeled                         issue 1: Unlabelled("bug") (2)
    issues.unlocked                          nothing: the feature does not follow that (2)
    issues.unpinned                          nothing: the feature does not follow that (1)
    merge_group.checks_requested             nothing: what a merge queue tests comes as checks (2)
    ping                                     nothing: GitHub greets (4)
    pull_request.assigned                    nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.closed                      nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.converted_to_draft          nothing: what becomes of a pull request is asked of GitHub when it matters (3)
    pull_request.labeled                     nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.locked                      nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.opened                      nothing: what becomes of a pull request is asked of GitHub when it matters (4)
    pull_request.ready_for_review            nothing: what becomes of a pull request is asked of GitHub when it matters (3)
    pull_request.reopened                    nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.review_request_removed      nothing: what becomes of a pull request is asked of GitHub when it matters (1)
    pull_request.review_requested            nothing: what becomes of a pull request is asked of GitHub when it matters (1)
    pull_request.synchronize                 nothing: what becomes of a pull request is asked of GitHub when it matters (1)
    pull_request.unassigned                  nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.unlabeled                   nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request.unlocked                    nothing: what becomes of a pull request is asked of GitHub when it matters (2)
    pull_request_review.dismissed            nothing: a review is read once, when it is given (1)
    pull_request_review.submitted            review of 2: Commented (3)
    pull_request_review_comment.created      nothing: a remark on a line comes with its review (3)
    pull_request_review_comment.deleted      nothing: a remark on a line comes with its review (1)
    pull_request_review_comment.edited       nothing: a remark on a line comes with its review (1)
    pull_request_review_thread.resolved      nothing: a thread is resolved by whoever resolves it (2)
    pull_request_review_thread.unresolved    nothing: a thread is resolved by whoever resolves it (1)
    push                                     nothing: where branches stand is asked of GitHub when it matters (7)
    status                                   nothing: a status that is not red is asked for when it matters (4)
    workflow_job.completed                   nothing: a job is looked at when its workflow has ended (2)
    workflow_job.in_progress                 nothing: a job is looked at when its workflow has ended (3)
    workflow_job.queued                      nothing: a job is looked at when its workflow has ended (2)
    workflow_job.waiting                     nothing: a job is looked at when its workflow has ended (1)
    workflow_run.completed                   nothing: a workflow that has not ended says nothing (1)
    workflow_run.completed                   workflow ran, green (2)
    workflow_run.requested                   nothing: a workflow that has not ended says nothing (2)
    "##);
}

/// Of events for which there is no example, as the documentation has them.
#[test]
fn what_has_no_example_is_read_as_documented() {
    let of = |kind: &str, json: &str| understand(kind, json.as_bytes());
    insta::assert_snapshot!(of("repository", r#"{"action":"renamed","changes":{"repository":{"name":{"from":"old"}}},"repository":{"id":7,"full_name":"acme/new"}}"#), @"renamed from acme/old");
    insta::assert_snapshot!(of("repository", r#"{"action":"transferred","repository":{"id":7,"full_name":"other/new"}}"#), @"transferred");
    insta::assert_snapshot!(of("repository", r#"{"action":"deleted","repository":{"id":7,"full_name":"acme/new"}}"#), @"deleted");
    insta::assert_snapshot!(of("milestone", r#"{"action":"created"}"#), @"nothing: what it changes at issues comes as their events");
    insta::assert_snapshot!(of("label", r#"{"action":"deleted"}"#), @"nothing: what it changes at issues comes as their events");
    insta::assert_snapshot!(of("release", r#"{"action":"published"}"#), @"nothing: nothing depends on a release");
    insta::assert_snapshot!(of("sponsorship", r#"{"action":"created"}"#), @"not known");
    insta::assert_snapshot!(of("issues", r#"{"action":"labeled","issue":{"number":3,"a new field":[1]},"label":{"name":"team:alpha"}}"#), @r#"issue 3: Labelled("team:alpha")"#);
    insta::assert_snapshot!(of("issues", "[]"), @"not known");
}

proptest! {
    /// Any bytes, and any JSON of the right shape with something else in its place, are read without harm.
    #[test]
    fn any_bytes_are_read(kind in "[a-z_]{0,20}", body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _said = understand(&kind, &body);
    }

    #[test]
    fn any_value_in_place_of_a_field_is_read(
        kind in prop::sample::select(vec!["issues", "issue_comment", "pull_request_review", "check_run", "workflow_job",
            "workflow_run", "status", "deployment_status", "repository", "installation", "installation_repositories"]),
        field in prop::sample::select(vec!["action", "issue", "comment", "review", "pull_request", "check_run",
            "workflow_job", "repository", "sender", "label", "changes", "installation"]),
        value in prop::sample::select(vec!["null", "1", "\"x\"", "[]", "{}", "{\"number\":-1}", "{\"id\":\"x\"}", "true"]),
    ) {
        let body = format!(r#"{{"action":"created","{field}":{value}}}"#);
        let _said = understand(kind, body.as_bytes());
    }
}
