//! The golden matrix of the default bundle.

use std::sync::Arc;

use qd_engine::{Bundle, Policies};
use qd_types::Verb;

use crate::world::{facts, files, policies};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cedar/cases/matrix.txt");

#[test]
fn the_default_bundle_gives_exactly_these_rights() {
    let table = Bundle::embedded().unwrap().matrix().table();
    let golden = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    if table != golden {
        let rejected = std::env::temp_dir().join("matrix.txt.new");
        std::fs::write(&rejected, &table).unwrap();
        panic!(
            "the rights differ from policies/cedar/cases/matrix.txt; if they should, put {} in its place \
             (quarterdeck policy matrix prints it)",
            rejected.display()
        );
    }
}

#[test]
fn no_action_of_the_product_is_missing() {
    let bundle = Bundle::embedded().unwrap();
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for verb in Verb::ALL {
        let rows: Vec<_> = bundle.matrix().rows().iter().filter(|row| row.verb == *verb).collect();
        assert!(!rows.is_empty(), "{verb} is missing from the matrix");
        assert!(rows.iter().all(|row| row.cells.len() == 8), "{verb} lacks a column");
        let named = |line: &str| line.split_whitespace().next() == Some(verb.as_str());
        assert!(golden.lines().any(named), "{verb} is missing from policies/cedar/cases/matrix.txt");
        assert!(!bundle.matrix().roles_for(*verb).is_empty(), "nobody may {verb}");
    }
}

#[test]
fn the_embedded_bundle_is_the_folder() {
    let folder = Bundle::load(&files()).unwrap();
    assert_eq!(folder.hash(), Bundle::embedded().unwrap().hash());
    // What is embedded is not held against the schema again by every process: it is here.
    let findings = Policies::new(Arc::new(folder), &facts(), &[]).unwrap().check();
    assert_eq!(findings.iter().map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_default_policy_decides_somewhere() {
    let findings: Vec<String> = policies(&facts(), &[]).check().iter().map(ToString::to_string).collect();
    assert_eq!(findings, Vec::<String>::new());
}

#[test]
fn a_difference_says_whose_rights_change() {
    let mut changed = files();
    let operate = changed.get_mut("tiers/operate.cedar").unwrap();
    *operate = operate.replacen("Role::\"manager\", ", "", 1).replacen("@quorum(\"1\")", "@quorum(\"3\")", 1);
    let (old, new) = (Bundle::embedded().unwrap(), Bundle::load(&changed).unwrap());
    let diff = old.matrix().diff(new.matrix());
    let some: Vec<&str> = diff.lines().filter(|line| line.starts_with("feature.add ")).collect();
    insta::assert_snapshot!(some.join("\n"), @"
    feature.add on its own team: manager: yes → no
    feature.add on its own team: agent: ask 1 operator, not the requester; reaction; 24h to decide, 1h to execute → ask 3 operators, not the requester; reaction; 24h to decide, 1h to execute
    feature.add on another team: manager: yes → no
    ");
    assert_eq!(old.matrix().diff(old.matrix()), "");
}
