//! Who may do what, in a running fleet: rules of the configuration and files of policies that change while it runs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::Duration,
};

use qd_api::{ApprovalView, CastVote, Client, FeatureView};
use qd_board::NewFeature;
use qd_types::{ApprovalState, Ballot};

use crate::{
    people::invite,
    support::{Project, Up, add, config, finished, join, open_approval, session, until},
};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);

/// Ines and Olaf own, Oskar operates, Rosa reviews, Vera views.
pub fn fleet() -> String {
    let people = [("olaf", "owner"), ("oskar", "operator"), ("rosa", "reviewer"), ("vera", "viewer")]
        .map(|(name, role)| format!("\n[[people]]\nname = \"{name}\"\nroles = [\"{role}\"]\n"));
    config("cat > hello.txt", None).replace("solo = true", "me = \"ines\"") + &people.concat()
}

pub fn rule(fields: &str) -> String {
    format!("\n[[policies.rules]]\n{fields}\n")
}

pub fn write(project: &Project, text: &str) {
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
}

pub fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success(), "{args:?} worked");
    String::from_utf8(output.stderr).unwrap()
}

/// They set their passphrases, and sign in.
pub fn let_in(project: &Project, up: &Up, people: &[&str]) {
    for person in people {
        join(&up.address, &invite(project, &[person, "--again"]));
        let session = session(&up.address, person).unwrap();
        std::fs::write(project.folder().with_file_name(format!("session.{person}")), session).unwrap();
    }
}

/// What the first approval asks that waits for the feature.
async fn asked(client: &mut Client, id: &str) -> ApprovalView {
    loop {
        if let Some(view) = open_approval(client, id).await {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

pub async fn vote(up: &Up, person: &str, view: &ApprovalView) {
    let cast = CastVote::new(Ballot::Approve, &view.approval.digest, None);
    let path = format!("approvals/{}/vote", view.approval.id.key());
    let _: ApprovalView = up.client("alpha", Some(person)).post(&path, &cast).await.unwrap();
}

/// Waits until the board's log has an entry with these words, and gives its text.
fn logged(project: &Project, up: &Up, words: &str) -> String {
    let mut stream = TcpStream::connect(&up.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let token = project.token("ines");
    let request = format!("GET /teams/alpha/api/v1/events?after=0 HTTP/1.0\r\nHost: x\r\n{token}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    for line in BufReader::new(stream).lines() {
        let line = line.expect("the log never says it");
        let Some(data) = line.strip_prefix("data: ") else { continue };
        let event: serde_json::Value = serde_json::from_str(data).unwrap();
        let text = event["text"].as_str().unwrap_or_default();
        if text.contains(words) {
            return text.to_owned();
        }
    }
    panic!("the log ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tightened_configuration_counts_without_a_restart() {
    let project = Project::new(&[("README.md", "# Law\n")]);
    write(&project, &fleet());
    let up = project.up(&[]);
    let_in(&project, &up, &["olaf", "oskar", "rosa", "vera"]);
    let mut ines = up.client("alpha", None);
    let mut vera = up.client("alpha", Some("vera"));
    let filed = vera.post::<_, FeatureView>("features", &NewFeature::titled("Mine")).await;
    insta::assert_snapshot!(filed.unwrap_err(), @"You need the role owner, manager or operator for this. You have: viewer.");
    add(&mut ines, "One").await;
    let one = asked(&mut ines, "A-1").await.approval.subject;
    insta::assert_snapshot!(one.requirement.describe(), @"1 owner or reviewer, not the requester");

    let two = rule("name = \"main\"\nactions = [\"merge\"]\nbranch = \"main\"\neffect = \"ask\"\nquorum = 2");
    let freeze = rule(
        "name = \"freeze\"\nactions = [\"project.add\"]\neffect = \"deny\"\nreason = \"Nothing new before the release.\"",
    );
    write(&project, &(fleet() + &two + &freeze));
    assert_eq!(project.ok(&["config", "reload"]), "policies.rules: in force now\n");
    logged(&project, &up, "Other policies are in force: ");
    insta::assert_snapshot!(refusal(&project, &["project", "add", "q3"]), @"quarterdeck: Nothing new before the release. So says the rule freeze of the configuration. Nobody here may as long as the rule freeze of the configuration holds.");
    let reload = |person| crate::door::send(&up.address, "POST /fleet/reload", &[&project.token(person)], "");
    assert_eq!((reload("vera").0, reload("oskar").0), (403, 200));
    add(&mut ines, "Two").await;
    let card = asked(&mut ines, "A-2").await;
    let subject = &card.approval.subject;
    insta::assert_snapshot!(subject.requirement.describe(), @"2 owners or reviewers, not the requester");
    assert_ne!(subject.binding.as_ref().unwrap().policies, one.binding.unwrap().policies);
    vote(&up, "olaf", &card).await;
    vote(&up, "rosa", &card).await;
    until(&mut ines, "A-2", finished).await;

    let secret = rule(
        "name = \"greetings\"\nactions = [\"push\"]\npath = \"hello.*\"\neffect = \"deny\"\nreason = \"We greet nobody.\"",
    );
    write(&project, &(fleet() + &freeze + &secret));
    project.ok(&["config", "reload"]);
    add(&mut ines, "Three").await;
    let held = until(&mut ines, "A-3", |view| view.feature.held.is_some()).await;
    insta::assert_snapshot!(held.sentence, @"It is not pushed. We greet nobody. So says the rule greetings of the configuration. Needs a person.");

    let waits = policy_card(&mut ines, None).await;
    let wrong = rule("name = \"free\"\nactions = [\"merge\"]\neffect = \"ask\"\nway = \"reaction\"");
    write(&project, &(fleet() + &wrong));
    let text = refusal(&project, &["config", "reload"]);
    insta::assert_snapshot!(text, @"quarterdeck: the policies can't be put in force: the rule free: for merge on a branch a reaction would do instead of button, which is less strict than the policy merge; ask for more, or write loosen = true");
    logged(&project, &up, "The new policies do not hold, those before stay in force. the rule free:");
    assert!(refusal(&project, &["project", "add", "q3"]).contains("the rule freeze"));

    let loose =
        rule("name = \"free\"\nactions = [\"merge\"]\neffect = \"ask\"\nway = \"reaction\"\nloosen = true");
    write(&project, &(fleet() + &loose));
    let checked = project.ok(&["policy", "check"]);
    insta::assert_snapshot!(checked.lines().next().unwrap(), @"note: rule free: it makes the policies less strict, as loosen = true says");
    project.ok(&["config", "reload"]);
    let waits = policy_card(&mut ines, Some(&waits)).await;
    assert!(refusal(&project, &["project", "add", "q3"]).contains("the rule freeze"), "it waits for owners");
    both_approve(&project, &mut ines, &waits).await;
    project.ok(&["project", "add", "q3"]);

    write(&project, &fleet().replace("[\"viewer\"]", "[\"operator\"]"));
    project.ok(&["config", "reload"]);
    let waits = policy_card(&mut ines, Some(&waits)).await;
    both_approve(&project, &mut ines, &waits).await;
    vera.post::<_, FeatureView>("features", &NewFeature::titled("Mine")).await.unwrap();
    write(&project, &fleet());
    project.ok(&["config", "reload"]);
    let filed = vera.post::<_, FeatureView>("features", &NewFeature::titled("Mine")).await;
    assert!(filed.is_err(), "what was given is taken again");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_in_a_folder_are_followed_and_a_broken_one_changes_nothing() {
    let project = Project::new(&[("README.md", "# Law\n")]);
    let folder = project.folder().join("who");
    std::fs::create_dir(&folder).unwrap();
    let tiers = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/cedar/tiers");
    for entry in std::fs::read_dir(tiers).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    write(&project, &(fleet() + "\n[policies]\nfolder = \"who\"\n"));
    let up = project.up(&[]);
    project.ok(&["project", "add", "q1"]);

    let forbid = r#"@id("freeze") @reason("Nothing new before the release.")
        forbid (principal, action == Action::"project.add", resource);"#;
    std::fs::write(folder.join("freeze.cedar"), forbid).unwrap();
    logged(&project, &up, "Other policies are in force: ");
    insta::assert_snapshot!(refusal(&project, &["project", "add", "q2"]), @"quarterdeck: Nothing new before the release. So says the policy freeze. Nobody here may as long as the policy freeze holds.");

    std::fs::write(folder.join("freeze.cedar"), "permit (principal").unwrap();
    insta::assert_snapshot!(logged(&project, &up, "do not hold"), @"The new policies do not hold, those before stay in force. freeze.cedar:1: unexpected end of input");
    assert!(refusal(&project, &["project", "add", "q2"]).contains("the policy freeze"));
    insta::assert_snapshot!(refusal(&project, &["config", "check"]), @"quarterdeck: freeze.cedar:1: unexpected end of input");

    std::fs::write(folder.join("freeze.cedar"), forbid).unwrap();
    logged(&project, &up, "The policies hold again.");

    // What widens rights waits for two owners, also across a restart.
    let_in(&project, &up, &["olaf"]);
    std::fs::remove_file(folder.join("freeze.cedar")).unwrap();
    let mut ines = up.client("alpha", None);
    let card = policy_card(&mut ines, None).await;
    insta::assert_snapshot!(format!("{}\n{}\n{}", card.title, hashless(&card.facts), card.approval.subject.requirement.describe()), @r#"
    Change the policies
    On: policies HASH Arguments: {"changes":["freeze does not forbid any more what it did.","project.add on its own team: owner, manager, operator: no → yes","project.add on its own team: agent: no → ask 1 operator, not the requester; reaction; 24h to decide, 1h to execute","project.add on another team: owner, manager, operator: no → yes"]}.
    2 owners, not the requester
    "#);
    insta::assert_snapshot!(hashless(&logged(&project, &up, "may widen rights")), @"What is written now is HASH and may widen rights; HASH stays in force until people approve it: quarterdeck approvals. It says: freeze does not forbid any more what it did.");
    up.interrupt();
    let up = project.up(&[]);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(refusal(&project, &["project", "add", "q2"]).contains("the policy freeze"));
    let doctor = project.run(&["doctor"]).stdout;
    assert!(String::from_utf8_lossy(&doctor).contains("may widen rights"));
    let mut ines = up.client("alpha", None);
    let again = policy_card(&mut ines, None).await;
    assert_eq!(again.approval.id, card.approval.id, "asked once");

    // A no is a no to these files; others may be asked for.
    let cast = CastVote::new(Ballot::Deny, &card.approval.digest, None);
    let path = format!("approvals/{}/vote", card.approval.id.key());
    let _: ApprovalView = ines.post(&path, &cast).await.unwrap();
    logged(&project, &up, "a person said no to it");
    std::fs::write(folder.join("freeze.cedar"), forbid.replace("project.add", "project.remove")).unwrap();
    let other = policy_card(&mut ines, Some(&card)).await;
    let (key, target) =
        (other.approval.id.key(), other.approval.subject.binding.as_ref().unwrap().target.clone());
    assert!(refusal(&project, &["approvals", "approve", &key, "--type", "policies"]).contains("name"));
    project.ok(&["approvals", "approve", &key, "--type", &target]);
    assert!(
        refusal(&project, &["project", "add", "q2"]).contains("the policy freeze"),
        "one owner is not enough"
    );
    let cast =
        CastVote { typed: Some(target), ..CastVote::new(Ballot::Approve, &other.approval.digest, None) };
    let _: ApprovalView =
        up.client("alpha", Some("olaf")).post(&format!("approvals/{key}/vote"), &cast).await.unwrap();
    for _ in 0..600 {
        if project.run(&["project", "add", "q2"]).status.success() {
            executed(&mut ines, &key).await;
            assert!(refusal(&project, &["project", "remove", "q2"]).contains("the policy freeze"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the policy is gone by two owners, and still in force");
}

/// Both owners say yes, and it is in force.
async fn both_approve(project: &Project, client: &mut Client, view: &ApprovalView) {
    let (key, target) =
        (view.approval.id.key(), view.approval.subject.binding.as_ref().unwrap().target.clone());
    for owner in ["ines", "olaf"] {
        project.ok(&["approvals", "approve", &key, "--type", &target, "--as", owner]);
    }
    executed(client, &key).await;
}

async fn executed(client: &mut Client, key: &str) {
    for _ in 0..600 {
        let view: ApprovalView = client.get(&format!("approvals/{key}")).await.unwrap();
        if view.approval.state == ApprovalState::Executed {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("two owners said yes, and it is not in force");
}

/// What owners are asked about the policies, once it is not `before`.
async fn policy_card(client: &mut Client, before: Option<&ApprovalView>) -> ApprovalView {
    for _ in 0..600 {
        let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
        let open = inbox.into_iter().find(|view| {
            view.approval.state.is_open()
                && view.title == "Change the policies"
                && before.is_none_or(|before| before.approval.id != view.approval.id)
        });
        if let Some(view) = open {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody is asked about the policies");
}

/// Without the hashes, which change with the default bundle.
fn hashless(text: &str) -> String {
    let hash = |word: &str| word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words =
        text.split(' ').map(|word| if hash(word.trim_end_matches(['.', ','])) { "HASH" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_about_a_merge_goes_by_what_it_changes_and_where_it_goes() {
    let project = Project::new(&[("README.md", "# Paths\n")]);
    let merge = |name: &str, path: &str, quorum: u32| {
        let text = "name = \"NAME\"\nactions = [\"merge\"]\npath = \"PATH\"\neffect = \"ask\"\nquorum = ";
        rule(&format!("{}{quorum}", text.replace("NAME", name).replace("PATH", path)))
    };
    write(&project, &(fleet() + &merge("docs", "docs/**", 3)));
    let up = project.up(&[]);
    let_in(&project, &up, &["olaf", "rosa"]);
    let mut ines = up.client("alpha", None);
    let who = |card: &ApprovalView| card.approval.subject.requirement.describe();
    add(&mut ines, "Elsewhere").await;
    let card = asked(&mut ines, "A-1").await;
    insta::assert_snapshot!(who(&card), @"1 owner or reviewer, not the requester");
    vote(&up, "rosa", &card).await;
    until(&mut ines, "A-1", finished).await;

    write(&project, &(fleet() + &merge("greetings", "hello.*", 2)));
    project.ok(&["config", "reload"]);
    add(&mut ines, "There").await;
    insta::assert_snapshot!(who(&asked(&mut ines, "A-2").await), @"2 owners or reviewers, not the requester");

    write(&project, &fleet().replace("path = \".\"", "path = \".\"\nprotected = true"));
    project.ok(&["config", "reload"]);
    add(&mut ines, "Protected").await;
    let card = asked(&mut ines, "A-3").await;
    insta::assert_snapshot!(who(&card), @"2 owners or reviewers, not the requester");
    vote(&up, "olaf", &card).await;
    vote(&up, "rosa", &card).await;
    until(&mut ines, "A-3", finished).await;
}
