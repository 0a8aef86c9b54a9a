//! What takes effect at once, and what waits for a restart.

use qd_config::{Reload, reload};

use crate::support::Place;

fn check(old: &str, new: &str, took_effect: &[&str], needs_restart: &[&str]) {
    let (old, new) = (Place::new(old), Place::new(new));
    let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let expect = Reload { took_effect: owned(took_effect), needs_restart: owned(needs_restart) };
    assert_eq!(reload(&old.load(), &new.load()), expect);
}

#[test]
fn settings() {
    check(
        "[runs]\nrepair_rounds = 1\n",
        "[runs]\nrepair_rounds = 2\n[fleet]\nname = \"x\"\nmerge_quorum = 2\n[web]\nlisten = \"127.0.0.1:1\"\n[log]\nlevel = \"warn\"\n",
        &["fleet.merge_quorum", "runs.repair_rounds"],
        &["fleet.name", "log.level", "web.listen"],
    );
    check("", "[[people]]\nname = \"ines\"\nroles = [\"owner\"]\n", &["people"], &[]);
    let rule = "[[policies.rules]]\nname = \"main\"\nactions = [\"merge\"]\neffect = \"ask\"\nquorum = 2\n";
    check("", &format!("[policies]\nfolder = \"who\"\n{rule}"), &["policies.folder", "policies.rules"], &[]);
    check("", "[audit]\nkeep = \"2y\"\n", &["audit.keep"], &[]);
    check("[runs]\nrepair_rounds = 3\n", "# the default, now left out\n", &[], &[]);
}

#[test]
fn teams_are_known_by_name_not_by_place() {
    let alpha = "[[teams]]\nname = \"alpha\"\n";
    let beta = "[[teams]]\nname = \"beta\"\n";
    check(alpha, &format!("{beta}{alpha}"), &["teams.beta"], &[]);
    check(&format!("{alpha}{beta}"), beta, &["teams.alpha"], &[]);
    check(
        alpha,
        &format!("{alpha}slots = 5\nprefix = \"AL\"\n"),
        &["teams.alpha.slots"],
        &["teams.alpha.prefix"],
    );
}

#[test]
fn checks_are_hot_and_repositories_come_and_go() {
    let with =
        |checks: &str| format!("roots = [\"/\"]\n[[repositories]]\nname = \"a\"\npath = \"/\"\n{checks}");
    let one = "[[repositories.checks]]\nname = \"test\"\ncommand = \"true\"\n";
    check(&with(""), &with(one), &["repositories.a.checks"], &[]);
    check(&with(""), &with("merge_method = \"squash\"\n"), &["repositories.a.merge_method"], &[]);
    check(&with(""), &with("target = \"next\"\n"), &[], &["repositories.a.target"]);
    check("roots = [\"/\"]\n", &with(one), &["repositories.a"], &[]);
}

#[test]
fn agents_come_and_go_and_secrets_change_unseen() {
    let agent = |redact: &str| format!("[agents.x]\ncommand = [\"x\"]\nredact = [{redact}]\n");
    check("", &agent(""), &["agents.x"], &[]);
    check(&agent("\"one\""), &agent("\"two\""), &["agents.x.redact"], &[]);
    check(&agent("\"one\""), &agent("\"one\""), &[], &[]);
    check(&agent("{ env = \"A\" }"), &agent("{ env = \"B\" }"), &["agents.x.redact"], &[]);
}
