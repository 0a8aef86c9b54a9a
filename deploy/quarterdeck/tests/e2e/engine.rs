//! What a team does by itself when things do not go smoothly: conflicts, red merges, agents that give up, plans that
//! wait, merges that are taken back.

use std::time::Duration;

use qd_api::{ApprovalView, Client, FeatureView, RunView, TranscriptPage};
use qd_board::{EditFeature, NewFeature, Wanted};
use qd_types::{Action, Stage};

use crate::support::{Project, Up, add, approve, config, finished, git, open_approval, until};

fn fleet(files: &[(&str, &str)], agent: &str, check: Option<&str>, more: &str) -> (Project, Up) {
    let project = Project::new(files);
    let text = config(agent, check) + more;
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    (project, up)
}

async fn file(client: &mut Client, wanted: Wanted) -> FeatureView {
    client.post("features", &NewFeature { wanted, ready: true, ..NewFeature::default() }).await.unwrap()
}

async fn said(client: &mut Client, run: &str) -> String {
    let page: TranscriptPage = client.get(&format!("runs/{run}/transcript?offset=0")).await.unwrap();
    page.entries.iter().map(|entry| format!("{}: {}\n", entry.kind, entry.text)).collect()
}

fn main_holds(project: &Project, path: &str) -> String {
    git(&project.forge("project"), &["show", &format!("main:{path}")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_goes_back_to_its_agent_with_the_hunks_and_is_approved_anew() {
    let agent = "p=$(cat); case \"$p\" in *'Back to you'*) echo both > a.txt;; *'Feature A-1'*) echo one > a.txt;; \
                 *) echo two > a.txt; echo new > b.txt;; esac";
    let (project, up) = fleet(&[("a.txt", "zero\n")], agent, Some("test -f a.txt"), "");
    let mut client = up.client("alpha", None);
    add(&mut client, "One").await;
    add(&mut client, "Two").await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    until(&mut client, "A-2", |view| view.feature.stage == Stage::Review).await;
    for (id, with) in [("A-1", "A-2"), ("A-2", "A-1")] {
        let clash = until(&mut client, id, |view| !view.clashes.is_empty()).await.clashes.remove(0);
        assert_eq!(
            (clash.with.unwrap().to_string().as_str(), clash.files.as_slice()),
            (with, &["a.txt".to_owned()][..])
        );
    }
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    until(&mut client, "A-2", |view| view.clashes.iter().any(|clash| clash.with.is_none())).await;
    assert!(project.ok(&["feature", "why", "A-2"]).contains("Conflicts with the target branch in a.txt."));
    approve(&mut client, "A-2").await;
    let back = until(&mut client, "A-2", |view| {
        view.feature.touched.len() == 2 && view.feature.stage == Stage::Review
    })
    .await;
    assert!(back.feature.held.is_none(), "{}", back.sentence);
    let again = loop {
        if let Some(view) = open_approval(&mut client, "A-2").await {
            break view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(again.approval.votes.len(), 0, "what was approved was another change");
    approve(&mut client, "A-2").await;
    until(&mut client, "A-2", finished).await;
    assert_eq!(
        (main_holds(&project, "a.txt").as_str(), main_holds(&project, "b.txt").as_str()),
        ("both", "new")
    );
    let run: RunView = client.get("runs/A-2.1").await.unwrap();
    assert_eq!(run.feedback.unwrap().about, "the conflict with main in a.txt");
    let said = said(&mut client, "A-2.1").await;
    assert!(said.contains("<<<<<<<") && said.contains("one\n=======\ntwo"), "{said}");
    let history = git(&project.forge("project"), &["log", "--first-parent", "--format=%s", "main"]);
    assert_eq!(history, "A-2: Two\nA-1: One\nFirst");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_is_red_goes_back_to_its_agent_with_the_log() {
    let agent = "p=$(cat); case \"$p\" in *'Back to you'*) echo c > c;; *'Feature A-1'*) echo a > a;; *) echo b > b;; esac";
    let check = "if test -f a && test -f b && ! test -f c; then echo c is missing; exit 1; fi";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, Some(check), "");
    let mut client = up.client("alpha", None);
    add(&mut client, "One").await;
    add(&mut client, "Two").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    approve(&mut client, "A-2").await;
    until(&mut client, "A-2", |view| view.feature.touched.contains(&"c".to_owned())).await;
    approve(&mut client, "A-2").await;
    until(&mut client, "A-2", finished).await;
    assert_eq!(main_holds(&project, "c"), "c");
    assert!(said(&mut client, "A-2.1").await.contains("c is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_written_waits_for_a_person_and_is_worked_by() {
    let agent = "p=$(cat); case \"$p\" in *'Plan only'*) echo '1. Write out.txt.';; *) echo \"$p\" | grep '^> ' > out.txt;; esac";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, None, "");
    let mut client = up.client("alpha", None);
    let plan = qd_board::PlanMode::Approve;
    file(&mut client, Wanted { title: "Planned".into(), plan, ..Wanted::default() }).await;
    let waits = until(&mut client, "A-1", |view| view.sentence.contains("Waits for a person")).await;
    insta::assert_snapshot!(waits.sentence, @"Its plan is written. Waits for a person to accept it.");
    let shown = project.ok(&["run", "show", "A-1.1"]);
    assert!(shown.contains("1. Write out.txt."), "{shown}");
    project.ok(&["run", "accept-plan", "A-1.1", "--text", "2. As I say."]);
    // The request that it makes moot is called off a moment later.
    let is_plan = |view: &ApprovalView| matches!(view.approval.subject.action, Action::Plan(_));
    while open_approval(&mut client, "A-1").await.is_some_and(|view| is_plan(&view)) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert_eq!(main_holds(&project, "out.txt"), "> 2. As I say.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_gives_up_is_followed_by_the_next_rung_and_then_by_a_person() {
    let more =
        "\n[agents.strong]\ncommand = [\"sh\", \"-c\", '''grep -q 'Feature A-1' && echo done > out.txt''']\n";
    let project = Project::new(&[("README.md", "x\n")]);
    let text = config("true", None)
        .replace("agent = \"shell\"\n", "agent = \"shell\"\nladder = [{ agent = \"strong\" }]\n");
    std::fs::write(project.folder().join("quarterdeck.toml"), text + more).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "One").await;
    approve(&mut client, "A-1").await;
    let done = until(&mut client, "A-1", finished).await;
    let run = done.run.unwrap();
    assert_eq!((run.id.to_string().as_str(), run.assigned_by.as_str()), ("A-1.2", "rung 1 of the ladder"));

    add(&mut client, "Two").await;
    until(&mut client, "A-2", |view| view.feature.held.is_some()).await;
    let why = project.ok(&["feature", "why", "A-2"]);
    insta::assert_snapshot!(why, @r"
    A-2 Two
    Strong changed nothing. Needs a person.
    Place 1 of 1 that are ready: urgency 2.
    Agent strong, by rung 1 of the ladder.
    ");
    let dead = project.ok(&["operation", "list", "--dead"]);
    let number = dead.split_whitespace().next().unwrap();
    assert!(dead.contains("run          dead      Two. Strong changed nothing. (gave up)"), "{dead}");
    project.ok(&["operation", "drop", number]);
    assert_eq!(project.ok(&["operation", "list", "--dead"]), "Nothing gave up.\n");
    until(&mut client, "A-2", |view| view.feature.stage == Stage::Backlog).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_passed_on_the_same_files_is_not_run_again() {
    let (project, up) = fleet(&[("README.md", "x\n")], "echo yes > out.txt", Some("test -f out.txt"), "");
    let mut client = up.client("alpha", None);
    let checks = vec!["grep -q yes out.txt".into()];
    file(&mut client, Wanted { title: "One".into(), checks, ..Wanted::default() }).await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    project.ok(&["run", "stop", "A-1.1"]);
    until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    project.ok(&["feature", "move", "A-1", "ready", "--reason", "once more"]);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert!(!said(&mut client, "A-1.1").await.contains("Not run again"));
    let second = said(&mut client, "A-1.2").await;
    assert_eq!(second.matches("Not run again").count(), 2, "{second}");
    let shown = project.ok(&["feature", "show", "A-1"]);
    assert!(
        shown.contains("Because: once more") && shown.contains("checks        grep -q yes out.txt"),
        "{shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_by_a_pull_request_of_its_own() {
    let agent = "p=$(cat); case \"$p\" in *'Feature A-1'*) echo one > a.txt; echo more > b.txt;; esac";
    let (project, up) = fleet(&[("a.txt", "zero\n")], agent, Some("test -f a.txt"), "");
    let mut client = up.client("alpha", None);
    add(&mut client, "One").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    project.ok(&["feature", "revert", "A-1", "--reason", "It broke the release."]);
    approve(&mut client, "A-2").await;
    let back = until(&mut client, "A-2", finished).await;
    assert_eq!(back.feature.wanted.source.unwrap().to_string(), "revert of A-1");
    assert_eq!(main_holds(&project, "a.txt"), "zero");
    let listed = git(&project.forge("project"), &["ls-tree", "--name-only", "main"]);
    assert_eq!(listed, "a.txt");
    let refused = project.run(&["feature", "revert", "A-9"]);
    assert!(!refused.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paused_does_not_start_and_says_so() {
    let (project, up) = fleet(&[("README.md", "x\n")], "echo yes > out.txt", None, "");
    let mut client = up.client("alpha", None);
    project.ok(&["pause", "--reason", "the release"]);
    add(&mut client, "Epic").await;
    let epic = Some("A-1".parse().unwrap());
    file(&mut client, Wanted { title: "Part".into(), epic, ..Wanted::default() }).await;
    let paused = until(&mut client, "A-2", |view| view.sentence.contains("paused")).await;
    insta::assert_snapshot!(paused.sentence, @"The team is paused: ines: the release.");
    project.ok(&["feature", "pause", "A-1", "--reason", "not yet"]);
    project.ok(&["resume"]);
    let part = until(&mut client, "A-2", |view| view.sentence.contains("epic")).await;
    insta::assert_snapshot!(part.sentence, @"Its epic A-1 is paused: ines: not yet.");
    let refused = String::from_utf8(project.run(&["resume"]).stderr).unwrap();
    insta::assert_snapshot!(refused, @"quarterdeck: The team is not paused. Look at where it stands now.");
    project.ok(&["feature", "resume", "A-1"]);
    until(&mut client, "A-2", |view| view.feature.stage == Stage::Review).await;
    let edit = EditFeature::of(None).set("epic", "A-2");
    let error = client.patch::<_, FeatureView>("features/A-1", &edit).await.unwrap_err();
    insta::assert_snapshot!(error, @"epic: would make a circle: A-1 is a part of A-2 is a part of A-1.");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_writes_outside_of_its_worktree_fails_and_it_is_put_back() {
    let agent = "d=$(git rev-parse --git-common-dir); echo 'exit 1' > $d/hooks/post-checkout; \
                 git config core.fsmonitor ./evil; git update-ref refs/heads/stolen HEAD; echo yes > out.txt";
    let more = "\n[sandbox]\nkind = \"none\"\n";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, None, more);
    let mut client = up.client("alpha", None);
    add(&mut client, "Reach out").await;
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    assert!(held.sentence.starts_with("Shell wrote outside of its worktree: "), "{}", held.sentence);
    let mirror = project.state().join("instances/alpha/repos/project.git");
    assert!(!mirror.join("hooks/post-checkout").exists(), "{}", held.sentence);
    assert!(!std::fs::read_to_string(mirror.join("config")).unwrap().contains("fsmonitor"));
    let said = said(&mut client, "A-1.1").await;
    assert!(said.contains("stolen") && said.contains("config"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_stopped_run_is_preserved_shown_restored_and_let_go() {
    let agent = "echo precious > out.txt; sleep 60";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, None, "");
    let mut client = up.client("alpha", None);
    add(&mut client, "Precious").await;
    let out = project.state().join("instances/alpha/worktrees/A-1.1/out.txt");
    until(&mut client, "A-1", |_| out.exists()).await;
    project.ok(&["run", "stop", "A-1.1"]);
    until(&mut client, "A-1", |view| view.run.as_ref().is_some_and(|run| run.ended_at.is_some())).await;
    let listed = project.ok(&["preserved", "list"]);
    assert!(listed.starts_with("A-1.1 ") && listed.contains("1 file, 9 bytes"), "{listed}");
    assert!(project.ok(&["preserved", "show", "A-1.1"]).contains("+precious"));
    project.ok(&["preserved", "restore", "A-1.1", "--into", "../restored"]);
    let restored = project.folder().join("../restored/out.txt");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "precious\n");
    assert_eq!(project.ok(&["preserved", "prune"]), "Nothing is old enough to go.\n");
    assert!(project.ok(&["preserved", "prune", "--days", "0"]).starts_with("A-1.1 "));
    assert_eq!(project.ok(&["preserved", "list"]), "Nothing is preserved: all work is on the forge.\n");
    let refused = String::from_utf8(project.run(&["preserved", "show", "A-1.1"]).stderr).unwrap();
    insta::assert_snapshot!(refused, @"quarterdeck: Nothing of run A-1.1 is preserved. quarterdeck preserved list shows what is.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_gets_what_the_repository_declares_before_the_agent_works() {
    let more = "copies = [\".env\"]\nsetup = \"echo installed > deps.txt\"\nhooks = true\n";
    let project = Project::new(&[("README.md", "x\n"), (".gitignore", ".env\ndeps.txt\n")]);
    std::fs::write(project.folder().join(".env"), "SECRET=1\n").unwrap();
    let text = config("cat .env deps.txt > out.txt", None) + more;
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Use them").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert_eq!(main_holds(&project, "out.txt"), "SECRET=1\ninstalled");
    assert_eq!(
        git(&project.forge("project"), &["ls-tree", "--name-only", "main"]),
        ".gitignore\nREADME.md\nout.txt"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_leaves_the_team_only_after_people_saw_it() {
    let agent = "mkdir -p .github/workflows && echo 'on: push' > .github/workflows/ci.yml";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, None, "");
    let mut client = up.client("alpha", None);
    add(&mut client, "Add a workflow").await;
    let asks = until(&mut client, "A-1", |view| view.sentence.starts_with("Asks to push")).await;
    assert!(asks.sentence.contains(", which changes .github/workflows/ci.yml"), "{}", asks.sentence);
    let branches = git(&project.forge("project"), &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(branches, "refs/heads/main", "nothing was pushed");
    let open = open_approval(&mut client, "A-1").await.unwrap();
    assert!(open.facts.contains("repository's secrets"), "{}", open.facts);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert_eq!(main_holds(&project, ".github/workflows/ci.yml"), "on: push");
    let listed = project.ok(&["approvals", "--all"]);
    assert!(listed.contains("Approved by ines. Pushed."), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repositorys_hooks_judge_a_commit_where_they_are_respected() {
    let hook = "#!/bin/sh\nif [ -e forbidden ]; then echo 'forbidden is forbidden'; exit 1; fi\n";
    let project = Project::new(&[("README.md", "x\n"), (".githooks/pre-commit", hook)]);
    git(&project.folder(), &["update-index", "--chmod=+x", ".githooks/pre-commit"]);
    git(&project.folder(), &["commit", "--quiet", "--message=Hook"]);
    let agent = "if grep -q 'Failing check: pre-commit'; then rm forbidden; echo ok > allowed; else touch forbidden; fi";
    let text = config(agent, None) + "hooks = true\n";
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Try it").await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    let said = said(&mut client, "A-1.1").await;
    assert!(said.contains("forbidden is forbidden") && said.contains("pre-commit passed"), "{said}");
}

#[test]
fn init_says_what_is_in_the_way_and_the_command_that_mends_it() {
    let project = Project::new(&[("README.md", "x\n")]);
    std::fs::write(project.folder().join("more"), "x\n").unwrap();
    git(&project.folder(), &["add", "more"]);
    git(&project.folder(), &["commit", "--quiet", "--message=Second"]);
    let shallow = project.folder().join("../shallow");
    let url = format!("file://{}", project.folder().display());
    git(&project.folder(), &["clone", "--quiet", "--depth=1", &url, &shallow.display().to_string()]);
    let output = project.command(&["init"]).current_dir(&shallow).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("git fetch --unshallow"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_goes_round_in_circles_is_ended() {
    let (_project, up) =
        fleet(&[("README.md", "x\n")], "while true; do echo trying again; sleep 0.005; done", None, "");
    let mut client = up.client("alpha", None);
    add(&mut client, "Circle").await;
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    assert!(held.sentence.starts_with("Shell went round in circles: it said the same"), "{}", held.sentence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_pauses_the_agent_until_the_stated_time_and_is_said_once() {
    let (project, up) =
        fleet(&[("README.md", "x\n")], "echo 'usage limit reached, try again in 3 hours'", None, "");
    let mut client = up.client("alpha", None);
    add(&mut client, "One").await;
    add(&mut client, "Two").await;
    let waits = until(&mut client, "A-1", |view| view.sentence.contains("can't be used")).await;
    assert!(waits.sentence.starts_with("Agent shell can't be used before "), "{}", waits.sentence);
    assert!(waits.feature.held.is_none(), "it is tried again by itself");
    until(&mut client, "A-2", |view| view.sentence.contains("can't be used")).await;
    let page: Vec<qd_api::EventView> = client.get("features/A-1/history").await.unwrap();
    assert!(page.iter().any(|event| event.text.contains("changed nothing. Another run follows.")));
    let listed = project.ok(&["operation", "list"]);
    assert!(listed.contains("failed") && listed.contains("(quota)"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recurring_features_are_filed_never_two_at_once() {
    let (project, up) = fleet(&[("README.md", "x\n")], "echo x > out.txt", None, "");
    let mut client = up.client("alpha", None);
    let refused = |args: &[&str]| String::from_utf8(project.run(args).stderr).unwrap();
    insta::assert_snapshot!(refused(&["recurring", "add", "tidy", "--cron", "61 6 * * *"]), @r#"quarterdeck: schedule: schedule "61 6 * * *": the minute is "61"; accepted are 0 to 59, * for all, lists (0,30), ranges (0-29) and steps (*/15). Correct it and try again."#);
    project.ok(&["recurring", "add", "tidy", "--cron", "0 6 * * mon", "--title", "Tidy up"]);
    let listed = project.ok(&["recurring", "list"]);
    assert!(listed.starts_with("tidy             0 6 * * mon    next 20"), "{listed}");
    project.ok(&["recurring", "run", "tidy"]);
    let view: FeatureView = client.get("features/A-1").await.unwrap();
    assert_eq!(view.feature.wanted.source.unwrap().to_string(), "recurring tidy");
    insta::assert_snapshot!(refused(&["recurring", "run", "tidy"]), @"quarterdeck: Not filed: A-1, made the last time, is still open. Look at where it stands now.");
    project.ok(&["recurring", "suspend", "tidy"]);
    assert!(project.ok(&["recurring", "list"]).contains("suspended, A-1 is open"));
    project.ok(&["recurring", "remove", "tidy"]);
    insta::assert_snapshot!(refused(&["recurring", "run", "tidy"]), @"quarterdeck: There is no recurring feature tidy. quarterdeck recurring list shows what there is.");
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_let_nothing_start() {
    let project = Project::new(&[("README.md", "x\n")]);
    let quiet = "agent = \"shell\"\nquiet = [\"mon,tue,wed,thu,fri,sat 00:00-24:00\", \"sun 00:00-23:59\"]\n";
    let text = config("echo x > out.txt", None).replace("agent = \"shell\"\n", quiet);
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Later").await;
    let waits = until(&mut client, "A-1", |view| view.sentence.starts_with("Quiet hours")).await;
    assert_eq!(waits.waits, Some(qd_board::Waits::Time));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attachment_is_read_by_the_agent_where_it_is_kept() {
    let agent = "cat \"$(grep -o '/[^`]*/notes.txt')\" > out.txt";
    let (project, up) = fleet(&[("README.md", "x\n")], agent, None, "");
    let mut client = up.client("alpha", None);
    file(
        &mut client,
        Wanted { title: "Read it".into(), assignee: Some("ines".parse().unwrap()), ..Wanted::default() },
    )
    .await;
    std::fs::write(project.folder().join("notes.txt"), "as agreed\n").unwrap();
    project.ok(&["feature", "attach", "A-1", "notes.txt"]);
    std::fs::remove_file(project.folder().join("notes.txt")).unwrap();
    project.ok(&["feature", "edit", "A-1", "--clear", "assignee"]);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert_eq!(main_holds(&project, "out.txt"), "as agreed");
}

#[tokio::test(flavor = "multi_thread")]
async fn walls_keep_an_agent_and_a_check_from_writing_elsewhere() {
    if !qd_confine::available() {
        eprintln!("skipped: this kernel has no Landlock");
        return;
    }
    nothing_is_written_elsewhere("landlock", "Permission denied").await;
    let bubblewrap = qd_sandbox::Bubblewrap::new(qd_sandbox::Bounds("/bin/true".into()));
    match bubblewrap.works() {
        Ok(_) => nothing_is_written_elsewhere("bubblewrap", "Read-only file system").await,
        Err(error) => eprintln!("skipped: {error}"),
    }
}

async fn nothing_is_written_elsewhere(kind: &str, refusal: &str) {
    let evil = "d=$(git rev-parse --git-common-dir); s=$d/../..; \
                f=$s/../..; \
                for f in $d/config $d/hooks/post-checkout $s/board.db $s/planted \
                $f/people.db $f/planted $f/bot/bot.db $f/bot/surface.key $f/bot/planted; do \
                if echo evil >> $f; then echo $f >> reached; fi; done; \
                if git update-ref refs/heads/stolen HEAD; then echo ref >> reached; fi; \
                echo x > $TMPDIR/x && echo fine > tmp; true";
    let check = "test -f tmp && ! test -f reached && ! touch ../planted 2> /dev/null && touch here";
    let config = format!("\n[sandbox]\nkind = \"{kind}\"\n");
    let (project, up) = fleet(&[("README.md", "x\n")], evil, Some(check), &config);
    let mut client = up.client("alpha", None);
    add(&mut client, "Reach out").await;
    let view =
        until(&mut client, "A-1", |view| view.feature.held.is_some() || view.feature.stage == Stage::Review)
            .await;
    assert_eq!(view.feature.stage, Stage::Review, "{}\n{}", view.sentence, said(&mut client, "A-1.1").await);
    let said = said(&mut client, "A-1.1").await;
    assert!(said.contains(refusal), "{said}");
    assert!(!said.contains("Outside of the worktree"), "{said}");
    assert!(!project.state().join("instances/alpha/checkouts/planted").exists());
    let card = loop {
        if let Some(view) = open_approval(&mut client, "A-1").await {
            break view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert!(!card.facts.contains("Detection only"), "{}", card.facts);
}

#[tokio::test(flavor = "multi_thread")]
async fn teams_and_repositories_come_and_go_while_the_fleet_runs() {
    let (project, up) = fleet(&[("README.md", "x\n")], "echo x > out.txt", None, "");
    let other = project.folder().join("other");
    std::fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--initial-branch=main"]);
    git(&other, &["commit", "--quiet", "--allow-empty", "--message=First"]);
    insta::assert_snapshot!(project.ok(&["team", "add", "beta", "--agent", "shell"]), @"Team beta is added. The running fleet has it.");
    insta::assert_snapshot!(project.ok(&["repo", "add", "other", "other"]), @"Repository other is added. The running fleet has it.");
    let mut beta = up.client("beta", None);
    let wanted = Wanted { title: "There".into(), ..Wanted::default() };
    let new = NewFeature { wanted, ready: true, repository: Some("other".parse().unwrap()) };
    let _: FeatureView = beta.post("features", &new).await.unwrap();
    approve(&mut beta, "B-1").await;
    until(&mut beta, "B-1", finished).await;
    assert_eq!(git(&project.forge("other"), &["show", "main:out.txt"]), "x");
    let refused = String::from_utf8(project.run(&["team", "add", "beta"]).stderr).unwrap();
    assert!(
        refused.contains("nothing was changed") && refused.contains("there are two teams beta"),
        "{refused}"
    );
    insta::assert_snapshot!(project.ok(&["team", "rename", "beta", "gamma"]), @"Team beta is called gamma now; its state, branches and channel stay. The running fleet has it.");
    assert!(project.ok(&["--team", "gamma", "feature", "list"]).contains("There"));
    let refused = String::from_utf8(project.run(&["team", "add", "beta", "--prefix", "X"]).stderr).unwrap();
    assert!(
        refused.contains("teams.2.id: gamma is known by beta already: give beta another id."),
        "{refused}"
    );
    project.ok(&["team", "retire", "gamma"]);
    assert!(beta.get::<FeatureView>("features/B-1").await.is_err());
    assert!(project.state().join("instances/beta/board.db").exists(), "what it did is kept");
    project.ok(&["repo", "remove", "other"]);
    let text = std::fs::read_to_string(project.folder().join("quarterdeck.toml")).unwrap();
    assert_eq!(text, config("echo x > out.txt", None), "everything else is as it was");
    let mut alpha = up.client("alpha", None);
    add(&mut alpha, "Here").await;
    until(&mut alpha, "A-1", |view| view.feature.stage == Stage::Review).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_people_read_can_be_searched() {
    let files = [("README.md", "# Harbour\n\nThe lighthouse guides ships.\n"), ("src/a.rs", "lighthouse\n")];
    let (project, up) = fleet(&files, "echo The keeper lit the lamp.; echo x > out.txt", None, "");
    let mut client = up.client("alpha", None);
    let description = "Boats need a beacon at night.".into();
    file(&mut client, Wanted { title: "Build the beacon".into(), description, ..Wanted::default() }).await;
    project.ok(&["feature", "comment", "A-1", "Paint it red and white."]);
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    let found = |words: &[&str]| {
        let args: Vec<&str> = ["search"].iter().chain(words).copied().collect();
        project
            .ok(&args)
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(found(&["night", "boat"]), "feature A-1");
    assert_eq!(found(&["painted"]), "comment A-1");
    assert_eq!(found(&["keeper"]), "run A-1.1");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(40);
    while found(&["lighthouse"]) != "document project:README.md" {
        assert!(std::time::Instant::now() < deadline, "{}", found(&["lighthouse"]));
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(found(&["--kind", "feature", "lighthouse"]), "Nothing was");
    project.ok(&["feature", "comment", "A-1", "\"OR NEAR( * ^ x"]);
    assert_eq!(found(&["\"OR", "NEAR(", "*", "^"]), "comment A-1");
    let refused = String::from_utf8(project.run(&["search", "*^(\""]).stderr).unwrap();
    insta::assert_snapshot!(refused, @"quarterdeck: search: holds no word: say what to look for. Correct it and try again.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_is_not_what_was_tested_is_taken_back_at_once() {
    let project = Project::new(&[("README.md", "x\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("echo x > out.txt", None)).unwrap();
    let up = project.up(&[("QUARTERDECK_FAILPOINT", "fail:tree")]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Write").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let back = until(&mut client, "A-2", |view| view.feature.stage == Stage::Review).await.feature;
    assert_eq!((back.wanted.title.as_str(), back.wanted.priority), ("Take back A-1: Write", 0));
    assert!(back.wanted.description.contains("main holds something else as"), "{}", back.wanted.description);
    let history: Vec<qd_api::EventView> = client.get("features/A-1/history").await.unwrap();
    assert!(history.iter().any(|event| event.text.contains("than what was tested")), "{history:?}");
    approve(&mut client, "A-2").await;
    until(&mut client, "A-2", finished).await;
    let files = git(&project.forge("project"), &["ls-tree", "--name-only", "main"]);
    assert_eq!(files, "README.md");
}
