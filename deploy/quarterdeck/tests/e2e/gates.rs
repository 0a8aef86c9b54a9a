//! What widens rights takes two owners, whichever way it comes: the configuration, a restart with another one, a command.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use qd_api::{ApprovalView, Client};
use qd_types::ApprovalState;

use crate::{
    people::invite,
    support::{Project, Up, config, join},
};

const FREEZE: &str =
    "\n[[policies.rules]]\nname = \"freeze\"\nactions = [\"project.add\"]\neffect = \"deny\"\n";

/// Ines and the others own, Vera views.
fn fleet(owners: &[&str]) -> String {
    let owners = owners.iter().map(|name| (*name, "owner")).chain([("vera", "viewer")]);
    let people: String = owners
        .map(|(name, role)| format!("\n[[people]]\nname = \"{name}\"\nroles = [\"{role}\"]\n"))
        .collect();
    config("true", None).replace("solo = true", "me = \"ines\"") + &people
}

fn write(project: &Project, text: &str) {
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
}

fn start(text: &str) -> Project {
    let project = Project::new(&[("README.md", "# Gates\n")]);
    write(&project, text);
    project
}

fn refused(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success(), "{args:?} worked: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The newest approval of that title, once it is in that state.
pub(crate) async fn newest(client: &mut Client, title: &str, state: ApprovalState) -> ApprovalView {
    for _ in 0..900 {
        let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
        let newest =
            inbox.into_iter().filter(|view| view.title == title).max_by_key(|view| view.approval.id.key());
        if let Some(view) = newest.filter(|view| view.approval.state == state) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing of the title {title} is {state:?}");
}

fn say(project: &Project, who: &str, verb: &str, view: &ApprovalView) {
    let (key, target) =
        (view.approval.id.key(), view.approval.subject.binding.as_ref().unwrap().target.clone());
    let mut args = vec!["approvals", verb, &key, "--as", who];
    if verb == "approve" {
        args.extend(["--type", &target]);
    }
    project.ok(&args);
}

/// Tries until it works.
pub(crate) fn soon(project: &Project, args: &[&str], wanted: &str) -> String {
    for _ in 0..300 {
        let output = project.run(args);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && text.contains(wanted) {
            return text;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("{args:?} never says {wanted}");
}

fn listed(project: &Project, person: &str) -> String {
    let all = project.ok(&["person", "list"]);
    all.lines().find(|line| line.starts_with(person)).unwrap_or_default().to_owned()
}

const TITLE: &str = "Change the policies";

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_widens_waits_for_two_owners_also_across_a_restart() {
    let before = fleet(&["olaf"]) + FREEZE;
    let project = start(&before);
    let up = project.up(&[]);
    join(&up.address, &invite(&project, &["olaf", "--again"]));
    let mut ines = up.client("alpha", None);

    // A rule that is gone, somebody new, and a role more: one change, and nothing of it counts yet.
    let after = fleet(&["olaf", "eve"]).replace("\"viewer\"", "\"manager\"");
    write(&project, &after);
    insta::assert_snapshot!(project.ok(&["config", "reload"]), @r#"
    people: in force now as far as it widens no rights
    policies.rules: in force now as far as it widens no rights
    Not in force before people approve it: the rule freeze is gone: actions = ["project.add"], effect = "deny"; eve is new, as owner; vera gets the role manager.
    They decide with: quarterdeck approvals
    "#);
    let card = newest(&mut ines, TITLE, ApprovalState::Requested).await;
    assert_eq!(card.approval.subject.requirement.describe(), "2 owners, not the requester");
    assert!(card.facts.contains("eve is new, as owner"), "{}", card.facts);
    say(&project, "ines", "approve", &card);
    assert!(refused(&project, &["project", "add", "q1"]).contains("the rule freeze"));
    assert_eq!(listed(&project, "eve"), "");

    // A restart is no way around, with nothing running neither; doctor and check say what waits.
    up.interrupt();
    assert!(refused(&project, &["person", "passphrase", "--as", "eve"]).contains("does not answer"));
    write(&project, &after.replace("[fleet]\n", "[fleet]\nsolo = true\n"));
    let checked = String::from_utf8(project.run(&["policy", "check"]).stdout).unwrap();
    assert!(checked.contains("may widen rights"), "{checked}");
    let up = project.up(&[]);
    let mut ines = up.client("alpha", None);
    // Another file is another question, and the one before is withdrawn.
    let solo = loop {
        let newest = newest(&mut ines, TITLE, ApprovalState::Requested).await;
        if newest.approval.id != card.approval.id {
            break newest;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(solo.facts.contains("solo is switched on"), "{}", solo.facts);
    assert_eq!((listed(&project, "eve").as_str(), listed(&project, "vera").contains("viewer")), ("", true));
    assert!(refused(&project, &["project", "add", "q1"]).contains("the rule freeze"));
    let doctor = project.run(&["doctor"]).stdout;
    assert!(String::from_utf8_lossy(&doctor).contains("may widen rights"));

    // Put back, it is not asked for any more.
    write(&project, &before);
    project.ok(&["config", "reload"]);
    newest(&mut ines, TITLE, ApprovalState::Withdrawn).await;

    // A no is a no to exactly this, and a restart asks nobody again.
    write(&project, &fleet(&["olaf"]));
    project.ok(&["config", "reload"]);
    let gone = newest(&mut ines, TITLE, ApprovalState::Requested).await;
    say(&project, "olaf", "deny", &gone);
    newest(&mut ines, TITLE, ApprovalState::Denied).await;
    up.interrupt();
    let up = project.up(&[]);
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut ines = up.client("alpha", None);
    assert_eq!(newest(&mut ines, TITLE, ApprovalState::Denied).await.approval.id, gone.approval.id);
    assert!(refused(&project, &["project", "add", "q1"]).contains("the rule freeze"));

    // Two owners, and it counts, once; after a restart as well.
    write(&project, &after);
    project.ok(&["config", "reload"]);
    let card = newest(&mut ines, TITLE, ApprovalState::Requested).await;
    say(&project, "ines", "approve", &card);
    say(&project, "olaf", "approve", &card);
    newest(&mut ines, TITLE, ApprovalState::Executed).await;
    soon(&project, &["person", "list"], "eve ");
    project.ok(&["project", "add", "q1"]);
    up.interrupt();
    let up = project.up(&[]);
    project.ok(&["project", "add", "q2"]);
    assert!(listed(&project, "vera").contains("manager"));
    let mut ines = up.client("alpha", None);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(newest(&mut ines, TITLE, ApprovalState::Executed).await.approval.id, card.approval.id);

    // What only narrows needs nobody.
    write(&project, &(after + FREEZE));
    assert_eq!(project.ok(&["config", "reload"]), "policies.rules: in force now\n");
    assert!(refused(&project, &["project", "add", "q3"]).contains("the rule freeze"));
}

/// The key of the approval that a command asks for.
fn key(said: &str) -> String {
    said.split("approvals approve ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_rights_takes_two_owners_and_taking_them_one() {
    let project = start(&fleet(&["olaf"]));
    let up = project.up(&[]);
    join(&up.address, &invite(&project, &["olaf", "--again"]));

    // Nobody new without both.
    let said = project.ok(&["person", "invite", "zed", "--role", "viewer"]);
    insta::assert_snapshot!(said.replace(&key(&said), "KEY"), @"
    Not yet: zed is invited, as viewer in fleet.
    1 of 2 owners said yes: ines. Another one says yes in the inbox, or with:
      quarterdeck approvals approve KEY --type zed
    Then get the link with:
      quarterdeck person invite zed --again
    ");
    assert_eq!(key(&project.ok(&["person", "invite", "zed", "--role", "viewer"])), key(&said), "asked once");
    assert_eq!(listed(&project, "zed"), "");
    assert!(
        refused(&project, &["person", "invite", "zed", "--again"]).contains("There is nobody called zed")
    );
    // It stands across a restart, and counts once the second says yes.
    up.interrupt();
    let up = project.up(&[]);
    project.ok(&["approvals", "approve", &key(&said), "--type", "zed", "--as", "olaf"]);
    soon(&project, &["person", "list"], "zed ");
    project.ok(&["person", "accept", &invite(&project, &["zed", "--again"])]);

    // A role, by the command of both; a link; and a no holds.
    let role = ["person", "role", "zed", "manager"];
    let waits = project.ok(&role);
    assert!(waits.starts_with("Not yet: zed gets the role manager in fleet."), "{waits}");
    assert!(!listed(&project, "zed").contains("manager"));
    assert_eq!(
        project.ok(&["person", "role", "zed", "manager", "--as", "olaf"]),
        "zed has the role manager in fleet now.\n"
    );
    assert!(listed(&project, "zed").contains("manager"));
    let link = ["person", "link", "zed", "github:zed"];
    let asked = project.ok(&link);
    assert!(!listed(&project, "zed").contains("github"));
    project.ok(&["approvals", "deny", &key(&asked), "--as", "olaf"]);
    assert!(refused(&project, &link).contains("A person said no to exactly this"));
    up.interrupt();
    let up = project.up(&[]);
    assert!(refused(&project, &link).contains("A person said no to exactly this"));
    assert!(!listed(&project, "zed").contains("github"));

    // One owner can't become the other.
    let taken = project.ok(&["person", "invite", "olaf", "--again"]);
    assert!(taken.starts_with("Not yet: olaf is invited again"), "{taken}");

    // Taking away is done at once.
    assert_eq!(
        project.ok(&["person", "role", "zed", "manager", "--take"]),
        "zed does not have the role manager in fleet now.\n"
    );
    project.ok(&["person", "disable", "zed"]);
    let back = project.ok(&["person", "invite", "zed", "--again"]);
    assert!(back.starts_with("Not yet: zed is invited again"), "{back}");
    drop(up);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_owner_is_enough() {
    let project = start(&fleet(&[]));
    let up = project.up(&[]);
    let theo = project.ok(&["person", "invite", "theo", "--role", "operator"]);
    assert!(theo.ends_with("One owner was enough: there is no other.\n"), "{theo}");
    project.ok(&["person", "accept", theo.split("/join?token=").nth(1).unwrap().lines().next().unwrap()]);
    assert_eq!(
        project.ok(&["person", "role", "theo", "owner"]),
        "theo has the role owner in fleet now. One owner was enough: there is no other.\n"
    );
    let two = project.ok(&["person", "role", "theo", "manager"]);
    assert!(two.starts_with("Not yet:"), "now there are two: {two}");
    let doctor = String::from_utf8(project.run(&["doctor"]).stdout).unwrap();
    assert!(!doctor.contains("is the only owner"), "{doctor}");

    // The configuration of one owner, too, and with `solo`.
    project.ok(&["person", "disable", "theo"]);
    let doctor = String::from_utf8(project.run(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("ines is the only owner"), "{doctor}");
    write(&project, &fleet(&["eve"]).replace("[fleet]\n", "[fleet]\nsolo = true\n"));
    project.ok(&["config", "reload"]);
    let mut ines = up.client("alpha", None);
    let card = newest(&mut ines, TITLE, ApprovalState::Requested).await;
    say(&project, "ines", "approve", &card);
    newest(&mut ines, TITLE, ApprovalState::Executed).await;
    assert!(listed(&project, "eve").contains("owner"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_the_grant_and_the_rights_gives_them_once() {
    for failpoint in ["rights_spent", "rights_given"] {
        let project = start(&fleet(&[]));
        let mut up = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
        refused(&project, &["person", "invite", "theo", "--role", "operator"]);
        let death = tokio::task::block_in_place(|| up.wait_death());
        assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
        drop(up);
        let up = project.up(&[]);
        let mut ines = up.client("alpha", None);
        newest(&mut ines, "Let theo into the fleet", ApprovalState::Executed).await;
        assert!(listed(&project, "theo").contains("operator"), "{failpoint}");
        project.ok(&["person", "accept", &invite(&project, &["theo", "--again"])]);
        let trail = project.ok(&["audit", "verify"]);
        assert!(trail.contains("people"), "{trail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_a_configuration_comes_into_force_ends_right() {
    for failpoint in ["policies_spent", "policies_kept"] {
        let project = start(&(fleet(&[]) + FREEZE));
        let mut up = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
        write(&project, &fleet(&["eve"]));
        project.ok(&["config", "reload"]);
        let mut ines = up.client("alpha", None);
        let card = newest(&mut ines, TITLE, ApprovalState::Requested).await;
        let (key, target) =
            (card.approval.id.key(), card.approval.subject.binding.as_ref().unwrap().target.clone());
        project.run(&["approvals", "approve", &key, "--type", &target]);
        let death = tokio::task::block_in_place(|| up.wait_death());
        assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
        drop(up);
        let up: Up = project.up(&[]);
        let mut ines = up.client("alpha", None);
        let done = newest(&mut ines, TITLE, ApprovalState::Executed).await;
        assert_eq!(done.approval.id, card.approval.id, "{failpoint}: asked once");
        assert!(listed(&project, "eve").contains("owner"), "{failpoint}");
        project.ok(&["project", "add", "q1"]);
    }
}
