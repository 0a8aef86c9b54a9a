//! A bundle changes while the fleet runs.

use std::{fs, path::Path};

use qd_engine::{Engine, Reloaded, Source, Watch};
use qd_types::{Role, Ruling, Verb};

use crate::world::*;

fn write(folder: &Path, files: &qd_engine::Files) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn a_broken_bundle_keeps_the_one_before_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files());
    let engine = Engine::new(Source::Folder(folder.path().to_owned()), &facts(), &[]).unwrap();
    let request = by("oskar", &[Role::Operator], Verb::RunStop, alpha());
    let before = engine.decide(&request);
    assert_eq!(before.ruling, Ruling::Allow);
    let mut watch = Watch::default();
    let mut looks = || (0..3).filter_map(|_| watch.look(&engine)).collect::<Vec<_>>();
    assert!(looks().is_empty(), "nothing changed");

    fs::write(folder.path().join("extra.cedar"), "permit (principal").unwrap();
    let told = looks();
    assert_eq!(told.len(), 1, "{told:?}");
    insta::assert_snapshot!(told[0].as_ref().unwrap_err(), @"extra.cedar:1: unexpected end of input");
    assert_eq!(engine.decide(&request), before);
    assert!(engine.reload().is_err());
    assert_eq!(engine.decide(&request), before);

    let stop = r#"@id("quiet") @reason("Nothing is stopped today.") forbid (principal, action == Action::"run.stop", resource);"#;
    fs::write(folder.path().join("extra.cedar"), stop).unwrap();
    let told = looks();
    assert!(matches!(told.as_slice(), [Ok(Reloaded::Changed { .. })]), "{told:?}");
    let after = engine.decide(&request);
    assert_eq!(after.policy, "quiet");
    assert_ne!(after.hash, before.hash);
    assert_eq!(engine.reload().unwrap(), Reloaded::Same);

    fs::write(folder.path().join("extra.cedar"), "permit (principal").unwrap();
    assert_eq!(looks().iter().filter(|told| told.is_err()).count(), 1);
    fs::write(folder.path().join("extra.cedar"), stop).unwrap();
    assert!(matches!(looks().as_slice(), [Ok(Reloaded::Same)]), "it holds again, which is news");

    fs::remove_dir_all(folder.path()).unwrap();
    assert_eq!(looks().iter().filter(|told| told.is_err()).count(), 1);
    assert_eq!(engine.decide(&request), after);
}

#[test]
fn a_bundle_that_a_rule_would_loosen_does_not_come_into_force() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files());
    let rule: qd_types::PolicyRule =
        serde_json::from_str(r#"{"name": "two", "actions": ["merge"], "effect": "ask", "quorum": 2}"#)
            .unwrap();
    let engine = Engine::new(Source::Folder(folder.path().to_owned()), &facts(), &[rule]).unwrap();
    let mut stricter = files();
    let merge = stricter.get_mut("tiers/merge.cedar").unwrap();
    *merge = merge.replace("@quorum(\"2\")", "@quorum(\"3\")");
    write(folder.path(), &stricter);
    insta::assert_snapshot!(engine.reload().unwrap_err(), @"the rule two: for merge on a protected branch 2 people would decide instead of 3, which is less strict than the policy merge.protected; ask for more, or write loosen = true");
}

#[test]
fn nothing_in_a_folder_is_left_out_silently() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files());
    fs::write(folder.path().join(".#extra.cedar"), "an editor's").unwrap();
    assert!(Engine::new(Source::Folder(folder.path().to_owned()), &facts(), &[]).is_ok());
    let deep = folder.path().join("a/b/c/d/e");
    fs::create_dir_all(&deep).unwrap();
    let error =
        || Engine::new(Source::Folder(folder.path().to_owned()), &facts(), &[]).unwrap_err().to_string();
    insta::assert_snapshot!(error(), @"a/b/c/d/e: it lies too deep: move it up");
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    fs::write(folder.path().join("large.cedar"), " ".repeat(2 << 20)).unwrap();
    insta::assert_snapshot!(error().replace(&folder.path().display().to_string(), "DIR"), @"the policies in DIR take more than 1048576 bytes: is it the right folder?");
}

#[test]
fn facts_and_rules_change_while_it_runs() {
    let engine = Engine::new(Source::Embedded, &facts(), &[]).unwrap();
    let request = by("oskar", &[Role::Operator], Verb::RunStop, alpha());
    let mut without = facts();
    without.people.retain(|known| known.person.id.as_str() != "oskar");
    engine.set_facts(&without).unwrap();
    insta::assert_snapshot!(said(&engine.current(), &request), @"deny: oskar is not known here. [unknown]");
    engine.set_facts(&facts()).unwrap();
    let rule: qd_types::PolicyRule =
        serde_json::from_str(r#"{"name": "stay", "actions": ["run.*"], "effect": "deny"}"#).unwrap();
    insta::assert_snapshot!(engine.set_rules(std::slice::from_ref(&rule)).unwrap_err(), @r#"the rule stay: "run.*" is not an action: a name like feature.add or merge; quarterdeck policy matrix lists them all"#);
    engine.set_rules(&[qd_types::PolicyRule { actions: vec!["run.stop".into()], ..rule }]).unwrap();
    insta::assert_snapshot!(said(&engine.current(), &request), @"deny: The rule stay of the configuration forbids it. [stay]");
}

#[test]
fn a_configuration_comes_into_force_as_a_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files());
    let engine = Engine::new(Source::Embedded, &facts(), &[]).unwrap();
    let request = by("oskar", &[Role::Operator], Verb::RunStop, alpha());
    let rule: qd_types::PolicyRule =
        serde_json::from_str(r#"{"name": "stay", "actions": ["run.stop"], "effect": "deny"}"#).unwrap();
    let source = Source::Folder(folder.path().to_owned());
    fs::write(folder.path().join("extra.cedar"), "permit (principal").unwrap();
    assert!(engine.adopt(source.clone(), &facts(), std::slice::from_ref(&rule)).is_err());
    assert_eq!(engine.decide(&request).ruling, Ruling::Allow);
    fs::remove_file(folder.path().join("extra.cedar")).unwrap();
    assert!(matches!(engine.adopt(source, &facts(), &[rule]).unwrap(), Reloaded::Changed { .. }));
    assert_eq!(engine.decide(&request).policy, "stay");
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(engine.reload().is_err(), "from now on the folder counts");
}

/// The default bundle with this beside it.
fn with(extra: &str) -> qd_engine::Bundle {
    let mut all = files();
    all.insert("extra.cedar".to_owned(), extra.to_owned());
    qd_engine::Bundle::load(&all).unwrap()
}

#[test]
fn only_what_can_be_shown_to_narrow_rights_does_not_wait_for_people() {
    let forbid = |id: &str, action: &str| {
        format!(r#"@id("{id}") @reason("No.") forbid (principal, action == Action::"{action}", resource);"#)
    };
    let ask = |quorum: &str, way: &str, action: &str| {
        format!(
            r#"@id("more") @reason("Ask.") @quorum("{quorum}") @roles("owner") @way("{way}") @decide_by("1h")
               @execute_by("1h") @local_votes("no") @solo("never")
               permit (principal is Person, action == Action::"{action}", resource) when {{ context.approved }};"#
        )
    };
    let (plain, quiet) = (qd_engine::Bundle::load(&files()).unwrap(), with(&forbid("quiet", "run.stop")));
    assert_eq!(plain.widened_by(&quiet), [""; 0], "a forbid more");
    let twice =
        with(&format!("// Said twice.\n{}\n{}", forbid("quiet", "run.stop"), forbid("too", "run.stop")));
    assert_eq!(quiet.widened_by(&twice), [""; 0]);
    insta::assert_snapshot!(quiet.widened_by(&plain).join("\n"), @"quiet does not forbid any more what it did");
    insta::assert_snapshot!(quiet.widened_by(&with(&forbid("quiet", "team.pause"))).join("\n"), @"quiet does not forbid any more what it did");
    let (two, typed) = (with(&ask("2", "button", "merge")), with(&ask("2", "typed", "merge")));
    assert_eq!(two.widened_by(&typed), [""; 0], "a heavier way");
    insta::assert_snapshot!(plain.widened_by(&two).join("\n"), @"more is new, and permits");
    insta::assert_snapshot!(two.widened_by(&plain).join("\n"), @"more is gone, and asks nobody any more");
    insta::assert_snapshot!(typed.widened_by(&two).join("\n"), @"more: a button would do instead of typed");
    insta::assert_snapshot!(two.widened_by(&with(&ask("1", "button", "merge"))).join("\n"), @"more: 1 person would decide instead of 2");
    insta::assert_snapshot!(two.widened_by(&with(&ask("2", "button", "push"))).join("\n"), @"more permits something else");
    let mut fewer = files();
    fewer.remove("tiers/read.cedar");
    assert_eq!(plain.widened_by(&qd_engine::Bundle::load(&fewer).unwrap()), [""; 0], "a permit less");
}

#[test]
fn a_guarded_engine_holds_what_may_widen_until_it_is_approved() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &files());
    let extra = folder.path().join("extra.cedar");
    let stop =
        r#"@id("quiet") @reason("Not today.") forbid (principal, action == Action::"run.stop", resource);"#;
    fs::write(&extra, stop).unwrap();
    let source = Source::Folder(folder.path().to_owned());
    let engine = Engine::guarded(source.clone(), with(stop).into(), &facts(), &[]).unwrap();
    let request = by("oskar", &[Role::Operator], Verb::RunStop, alpha());
    let allowed = |engine: &Engine| engine.decide(&request).ruling == Ruling::Allow;
    let mut watch = Watch::default();
    let looks = |watch: &mut Watch| (0..3).filter_map(|_| watch.look(&engine)).collect::<Vec<_>>();
    assert!(looks(&mut watch).is_empty());

    fs::remove_file(&extra).unwrap();
    let told = looks(&mut watch);
    let [Ok(Reloaded::Held { to, change, .. })] = told.as_slice() else { panic!("{told:?}") };
    insta::assert_snapshot!(change, @"
    quiet does not forbid any more what it did.
    run.stop on its own team: owner, manager, operator: no → yes
    run.stop on its own team: agent: no → ask 1 operator, not the requester; reaction; 24h to decide, 1h to execute
    run.stop on another team: owner, manager, operator: no → yes
    ");
    assert!(!allowed(&engine));
    // Neither reading the configuration again nor another approval is a way around.
    engine.adopt(source, &facts(), &[]).unwrap();
    assert!(!allowed(&engine));
    assert_eq!(watch.approved(&engine, "another").unwrap(), Reloaded::Same);
    assert!(!allowed(&engine));
    assert!(matches!(watch.approved(&engine, to.as_str()).unwrap(), Reloaded::Changed { .. }));
    assert!(allowed(&engine));

    // A narrower one needs nobody; put back before it was approved, nothing waits any more.
    fs::write(&extra, stop).unwrap();
    assert!(matches!(looks(&mut watch).as_slice(), [Ok(Reloaded::Changed { .. })]));
    fs::remove_file(&extra).unwrap();
    assert!(matches!(looks(&mut watch).as_slice(), [Ok(Reloaded::Held { .. })]));
    fs::write(&extra, stop).unwrap();
    assert!(matches!(looks(&mut watch).as_slice(), [Ok(Reloaded::Same)]), "that is news");
    assert_eq!(watch.approved(&engine, "another").unwrap(), Reloaded::Same);
    assert!(!allowed(&engine));
}
