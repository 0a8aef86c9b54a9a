//! The command line as people and scripts meet it.

use crate::support::{Project, config, finished, until};

fn project() -> Project {
    let project = Project::new(&[("README.md", "# Words\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("echo hello > hello.txt", None))
        .unwrap();
    project
}

fn refusal(project: &Project, args: &[&str]) -> (i32, String) {
    let output = project.run(args);
    let text = String::from_utf8(output.stderr).unwrap();
    let base = project.state().parent().unwrap().display().to_string();
    (output.status.code().unwrap(), text.replace(&base, "DIR"))
}

#[test]
fn refusals_name_the_way_out() {
    let project = project();
    insta::assert_snapshot!(refusal(&project, &["feature", "list"]).1, @"quarterdeck: nothing runs here (DIR/state/instances/alpha/api.sock does not answer). Start it with: quarterdeck up");
    assert_eq!(refusal(&project, &["feature", "list"]).0, 1);
    assert_eq!(refusal(&project, &["feature", "lsit"]).0, 2);
    insta::assert_snapshot!(refusal(&project, &["--team", "beta", "feature", "list"]).1, @"quarterdeck: there is no team beta, there is alpha");
    insta::assert_snapshot!(refusal(&project, &["init"]).1, @"quarterdeck: DIR/project/quarterdeck.toml is there already. quarterdeck init --force replaces it");
    insta::assert_snapshot!(refusal(&project, &["--set", "runs.repair_round=1", "config", "check"]).1, @r"
    quarterdeck: the configuration does not hold:
    --runs.repair_round: unknown key runs.repair_round. Did you mean repair_rounds?
    ");
}

#[test]
fn policies_are_checked_explained_and_compared() {
    let project = project();
    let hashless = |text: String| {
        text.lines().filter(|line| !line.starts_with("  policies ")).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(hashless(project.ok(&["policy", "explain", "--as", "nobody", "feature.add"])), @"
    nobody (no role), feature.add on team alpha
      denied: nobody is not known here.
      no other role would change that
    ");
    insta::assert_snapshot!(hashless(project.ok(&["policy", "explain", "--as", "team:alpha", "merge", "branch:project/main"])), @"
    team alpha, merge on branch main of project
      asks 1 owner or reviewer (solo: the requester may decide); button; 72h to decide, 24h to execute
      by policy merge (tiers/merge.cedar:3): A merge needs one owner or reviewer.
      once approved, it is allowed
    ");
    insta::assert_snapshot!(refusal(&project, &["policy", "explain", "merge"]).1, @"quarterdeck: say on what: policy explain merge branch:REPOSITORY/NAME");
    insta::assert_snapshot!(refusal(&project, &["policy", "explain", "merge", "main"]).1, @"quarterdeck: main is no resource: write fleet, team:NAME, repository:NAME, branch:REPOSITORY/NAME, tool:SERVER/NAME, server:NAME, host:NAME or vm:NAME");
    let golden = include_str!("../../../../policies/cedar/cases/matrix.txt");
    assert_eq!(project.ok(&["policy", "matrix"]), golden);
    assert_eq!(project.ok(&["policy", "diff", "default", "default"]), "Nobody's rights change.\n");
    std::fs::create_dir(project.folder().join("who")).unwrap();
    std::fs::write(project.folder().join("who/mine.cedar"), "permit (principal, action, resource);").unwrap();
    insta::assert_snapshot!(refusal(&project, &["policy", "check", "--folder", "who"]).1, @r#"quarterdeck: mine.cedar: a permit has no @id("…") of lower-case letters, digits, dots and hyphens: give it one"#);
    let rule = "policies.rules=[{ name = \"free\", actions = [\"merge\"], effect = \"ask\", quorum = 1 }]";
    insta::assert_snapshot!(refusal(&project, &["--set", rule, "policy", "check"]).1, @"quarterdeck: the rule free: for merge on a protected branch 1 person would decide instead of 2, which is less strict than the policy merge.protected; ask for more, or write loosen = true");
}

#[test]
fn a_folder_without_a_configuration_says_what_to_do() {
    let project = Project::new(&[("README.md", "# Words\n")]);
    insta::assert_snapshot!(refusal(&project, &["up"]).1, @"quarterdeck: nobody is configured. In your repository, run: quarterdeck init");
    assert!(project.ok(&["version"]).starts_with("quarterdeck 0."));
    assert!(project.ok(&["completions", "bash"]).contains("_quarterdeck"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_is_carried_by_verbs_alone() {
    let project = project();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    insta::assert_snapshot!(project.ok(&["feature", "add", "Say hello", "--label", "Greeting"]), @"A-1     backlog   ▱▱▱▱▱▱▱▱▱  Say hello. Not released yet.");
    project.ok(&["feature", "edit", "A-1", "--description", "In hello.txt."]);
    project.ok(&["feature", "move", "A-1", "ready"]);
    until(&mut client, "A-1", |view| view.sentence.starts_with("Asks to merge")).await;
    assert!(
        project.ok(&["approvals"]).contains("Decide: 1 owner or reviewer (solo: the requester may decide).")
    );
    assert!(project.ok(&["approve", "A-1"]).ends_with("is on its way.\n"));
    until(&mut client, "A-1", finished).await;
    let shown = project.ok(&["run", "show", "A-1.1"]);
    assert!(shown.contains("Merge         done"), "{shown}");
    let followed = project.ok(&["run", "follow", "A-1.1"]);
    assert!(followed.contains("# Feature A-1: Say hello"), "{followed}");
    let again = refusal(&project, &["approve", "A-1"]);
    assert_eq!(again.0, 1);
    assert!(again.1.starts_with("quarterdeck: A-1 is decided: Approved by ines, merged as "), "{}", again.1);
    assert!(project.ok(&["audit", "verify"]).contains("bot"), "the trail of what was asked, voted and done");
    let trail: serde_json::Value =
        serde_json::from_str(&project.ok(&["--json", "audit", "show", "A-1.1"])).unwrap();
    let rows = trail["rows"].as_array().unwrap();
    let kinds = |chain: &str| {
        let of_chain = rows.iter().filter(|told| told["chain"] == chain);
        let mut kinds: Vec<&str> = of_chain.filter_map(|told| told["row"]["kind"].as_str()).collect();
        kinds.sort_unstable();
        kinds
    };
    assert_eq!(kinds("bot"), ["card", "decision", "execution", "outcome", "request", "vote"], "{trail}");
    assert!(!kinds("alpha").is_empty(), "{trail}");
    let listed: serde_json::Value =
        serde_json::from_str(&project.ok(&["--json", "feature", "list"])).unwrap();
    assert_eq!(listed[0]["labels"], serde_json::json!(["greeting"]));
    insta::assert_snapshot!(refusal(&project, &["feature", "move", "A-1", "ready"]).1, @"quarterdeck: It is merged. File a new feature for what is still wanted. Look at where it stands now.");
    insta::assert_snapshot!(refusal(&project, &["feature", "add", "X", "--depends-on", "A-9"]).1, @"quarterdeck: depends_on: names A-9, and there is no such feature on this board. Correct it and try again.");
    insta::assert_snapshot!(refusal(&project, &["feature", "show", "A-7"]).1, @"quarterdeck: There is no feature A-7. quarterdeck feature list shows what there is.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_is_refused_and_a_reload_says_what_it_did() {
    let project = project();
    let up = project.up(&[]);
    let second = refusal(&project, &["up"]);
    assert!(second.0 == 1 && second.1.contains("is in use by process"), "{}", second.1);
    let path = project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[runs]\nrepair_rounds = 1\n")).unwrap();
    insta::assert_snapshot!(project.ok(&["config", "reload"]), @"runs.repair_rounds: in force now");
    insta::assert_snapshot!(project.ok(&["config", "reload"]), @"Nothing has changed.");
    std::fs::write(&path, format!("{text}\n[run]\nrepair_rounds = 1\n")).unwrap();
    assert_eq!(refusal(&project, &["config", "reload"]).0, 1);
    drop(up);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_stopped_truly_and_its_work_is_kept() {
    let project = Project::new(&[("README.md", "# Stop\n")]);
    std::fs::write(
        project.folder().join("quarterdeck.toml"),
        config("echo half > half.txt; sleep 600", None),
    )
    .unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    crate::support::add(&mut client, "Never ends").await;
    let worktree = project.state().join("instances/alpha/worktrees/A-1.1/half.txt");
    until(&mut client, "A-1", |_| worktree.exists()).await;
    project.ok(&["run", "stop", "A-1.1"]);
    let view = until(&mut client, "A-1", |view| {
        view.feature.held.is_some() && view.run.as_ref().unwrap().ended_at.is_some()
    })
    .await;
    insta::assert_snapshot!(view.sentence, @"Stopped by ines. Needs a person.");
    assert!(!worktree.exists());
    let mirror = project.state().join("instances/alpha/repos/project.git");
    assert_eq!(crate::support::git(&mirror, &["show", "refs/quarterdeck/preserved/A-1.1:half.txt"]), "half");
}
