//! Every example that GitHub's community publishes is read, and becomes what the table says. The examples are in the folder
//! `../shared/github/webhooks` beside the repository, or in the one that `QUARTERDECK_GITHUB` names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
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
    insta::assert_snapshot!(table.join("\n"));
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
