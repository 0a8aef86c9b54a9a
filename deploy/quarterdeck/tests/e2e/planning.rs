//! Goals and projects: what an agent proposes, what a person makes of it, and what is derived from what is done.

use std::time::Duration;

use qd_api::{ApprovalView, CastVote, Client, FeatureView};
use qd_types::{ApprovalState, Ballot, Stage};

use crate::support::{Project, approve, config, finished, open_approval, until};

/// Proposes two features for a goal, at first without a size; writes a file for anything else.
const AGENT: &str = r#"p=$(cat); case "$p" in
*"can't be taken"*) printf 'Better:\n\n```markdown\n## First\n\n- [ ] Read lines (P-1, size s)\n\n  From a file.\n\n- [ ] Write lines (P-2, size m, after P-1)\n```\n';;
*'Propose features'*) printf -- '- [ ] Read lines\n';;
*'Feature A-2'*) echo read > read.txt;;
*) echo write > write.txt;; esac"#;

fn project() -> Project {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config(AGENT, Some("test -f README.md")))
        .unwrap();
    project
}

fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_becomes_features_once_a_person_accepts_what_is_proposed() {
    let project = project();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&[
        "project",
        "add",
        "lines",
        "--goal",
        "Lines go in and out.",
        "--milestone",
        "First=2026-01-31",
    ]);
    insta::assert_snapshot!(project.ok(&["plan", "Lines in and out", "--project", "lines"]), @"
    A-1     ready     ▱▱▱▱▱▱▱▱▱  Lines in and out. Next. Starts now.
    When it is proposed, read it with: quarterdeck plan show A-1
    ");
    until(&mut client, "A-1", |view| view.sentence.starts_with("Its plan is written")).await;
    insta::assert_snapshot!(project.ok(&["plan", "show", "A-1"]), @"
    ## First

    - [ ] Read lines (P-1, size s)

      From a file.

    - [ ] Write lines (P-2, size m, after P-1)
    ");
    std::fs::write(project.folder().join("bad.md"), "- [ ] Read lines (size xl)\n").unwrap();
    insta::assert_snapshot!(refusal(&project, &["plan", "accept", "A-1", "--file", "bad.md"]), @r#"quarterdeck: plan: line 1: "Read lines" is xl, too big for one run: split it. Correct it and try again."#);
    let mine = project.ok(&["plan", "show", "A-1"]).replace("From a file.", "From any file.");
    std::fs::write(project.folder().join("mine.md"), mine).unwrap();
    let filed = project.ok(&["plan", "accept", "A-1", "--file", "mine.md"]);
    assert!(
        filed.contains("Write lines. Waits for A-2 to be merged.")
            && filed.trim_end().ends_with("2 features are filed for A-1."),
        "{filed}"
    );
    insta::assert_snapshot!(refusal(&project, &["plan", "accept", "A-1"]), @"quarterdeck: No plan of run A-1.1 waits. Look at where it stands now.");
    let part = until(&mut client, "A-2", |view| view.feature.stage == Stage::Review).await.feature;
    assert_eq!(part.wanted.description, "From any file.");
    assert_eq!(part.wanted.source.unwrap().to_string(), "plan A-1");
    assert_eq!(
        (part.wanted.epic.unwrap().to_string(), part.wanted.project.unwrap()),
        ("A-1".into(), "lines".into())
    );
    insta::assert_snapshot!(project.ok(&["feature", "why", "A-3"]), @"
    A-3 Write lines
    Waits for A-2 to be merged.
    Place 1 of 1 that are ready: urgency 2.
    Agent shell, by the team.
    Size m, by a person.
    ");
    insta::assert_snapshot!(project.ok(&["feature", "show", "A-1"]).lines().next().unwrap(), @"A-1 Lines in and out");
    for id in ["A-2", "A-3"] {
        approve(&mut client, id).await;
        until(&mut client, id, finished).await;
    }
    let goal = until(&mut client, "A-1", |view| view.feature.stage == Stage::Done).await;
    insta::assert_snapshot!(goal.sentence, @"All of its 2 features are done or cancelled.");
    insta::assert_snapshot!(project.ok(&["project", "show", "lines"]), @"
    lines            100 %  2 of 2 merged

    Lines go in and out.

      worked     0 min
      First            100 %  2 of 2 merged  due 2026-01-31
    ");
    assert!(project.ok(&["run", "list"]).contains("planned 2 features"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_says_how_it_stands() {
    let project = project();
    let _up = project.up(&[]);
    insta::assert_snapshot!(project.ok(&["project", "list"]), @r#"No projects yet. Add one with: quarterdeck project add NAME --goal "…""#);
    let add = [
        "project",
        "add",
        "billing",
        "--goal",
        "Bills.",
        "--owner",
        "ines",
        "--milestone",
        "Read=2020-01-01",
        "--milestone",
        "Write",
        "--slots",
        "1",
        "--budget-minutes",
        "90",
        "--for",
        "alpha",
    ];
    insta::assert_snapshot!(project.ok(&add), @"
    billing            0 %  0 of 0 merged

    Bills.

      owner      ines
      teams      alpha
      at once    1
      worked     0 of 90 min
      Read               0 %  0 of 0 merged  due 2020-01-01
      Write              0 %  0 of 0 merged
    ");
    insta::assert_snapshot!(refusal(&project, &add), @"quarterdeck: There is a project billing already. Look at where it stands now.");
    insta::assert_snapshot!(refusal(&project, &["feature", "add", "One", "--project", "bills"]), @r#"quarterdeck: project: names "bills", and there is no such project: quarterdeck project add. Correct it and try again."#);
    project.ok(&["feature", "add", "One", "--project", "billing", "--milestone", "Read", "--size", "l"]);
    project.ok(&["feature", "add", "Two", "--project", "billing", "--milestone", "Later"]);
    insta::assert_snapshot!(project.ok(&["project", "edit", "billing", "--slots", "2", "--owner", "theo"]), @"
    billing            0 %  0 of 2 merged  1 risk

    Bills.

      owner      theo
      teams      alpha
      at once    2
      worked     0 of 90 min
      Read               0 %  0 of 1 merged  due 2020-01-01
      Write              0 %  0 of 0 merged
      Later              0 %  0 of 1 merged
      ! Read was due on 2020-01-01, and 1 feature is open.
    ");
    insta::assert_snapshot!(refusal(&project, &["project", "remove", "billing"]), @r#"quarterdeck: 2 features belong to billing. Take them out first: quarterdeck feature edit ID --project "". Look at where it stands now."#);
    insta::assert_snapshot!(refusal(&project, &["project", "show", "bills"]), @"quarterdeck: There is no project bills. quarterdeck project list shows what there is.");
    insta::assert_snapshot!(project.ok(&["project", "list"]), @"billing            0 %  0 of 2 merged  1 risk");
    for id in ["A-1", "A-2"] {
        project.ok(&["feature", "edit", id, "--project", ""]);
    }
    assert!(project.ok(&["project", "remove", "billing"]).starts_with("No projects yet"));
}

/// Proposes one feature; after a no that says so, one that reads from a file.
const PROPOSES: &str = r#"p=$(cat); case "$p" in
*'From a file'*) printf -- '- [ ] Read lines from a file (P-1, size s)\n- [ ] Write lines (P-2, size s)\n';;
*'Propose features'*) printf -- '- [ ] Read lines (P-1, size s)\n';;
*) echo done > done.txt;; esac"#;

/// What ines is asked about a plan, once it is not `before`.
async fn card(client: &mut Client, before: Option<&ApprovalView>) -> ApprovalView {
    loop {
        if let Some(view) = open_approval(client, "A-1").await
            && before.is_none_or(|before| before.approval.id != view.approval.id)
        {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn says(client: &mut Client, ballot: Ballot, reason: Option<&str>, view: &ApprovalView) {
    let cast = CastVote::new(ballot, &view.approval.digest, reason.map(str::to_owned));
    let path = format!("approvals/{}/vote", view.approval.id.key());
    let _: ApprovalView = client.post(&path, &cast).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_approved_once_as_it_was_and_a_no_takes_it_back_to_its_agent() {
    let project = Project::new(&[("README.md", "# Lines\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config(PROPOSES, None)).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["plan", "Lines in and out"]);
    let first = card(&mut client, None).await;
    insta::assert_snapshot!(format!("{}\n{}\n{}", first.title, first.facts.replace(char::is_numeric, "0"), first.words.clone().unwrap()), @r#"
    Accept a plan of one item
    On: plan 0f0000de of A-0.0. Arguments: {"features":["Read lines"]}.
    - [ ] Read lines (P-1, size s)
    "#);
    says(&mut client, Ballot::Deny, Some("From a file, and write them."), &first).await;

    let second = card(&mut client, Some(&first)).await;
    let log = client.get::<serde_json::Value>("features/A-1/history").await.unwrap().to_string();
    assert!(
        log.contains("Its plan went back to its agent: ines said no. From a file, and write them."),
        "{log}"
    );
    project.ok(&["feature", "edit", "A-1", "--description", "And back."]);
    says(&mut client, Ballot::Approve, None, &second).await;

    let third = card(&mut client, Some(&second)).await;
    let lapsed: ApprovalView = client.get(&format!("approvals/{}", second.approval.id.key())).await.unwrap();
    assert_eq!(lapsed.approval.state, ApprovalState::Lapsed);
    let difference = lapsed.ended.unwrap();
    assert!(difference.contains("What was approved is not what would be done: "), "{difference}");
    assert!(until(&mut client, "A-1", |_| true).await.sentence.starts_with("Its plan is written"));
    says(&mut client, Ballot::Approve, None, &third).await;
    until_filed(&mut client).await;
    let done: ApprovalView = client.get(&format!("approvals/{}", third.approval.id.key())).await.unwrap();
    assert_eq!(done.approval.state, ApprovalState::Executed);
    insta::assert_snapshot!(done.ended.unwrap(), @"Executed. 2 features are filed");
    let part = until(&mut client, "A-2", |_| true).await.feature;
    assert_eq!((part.author.as_str(), part.editors.as_slice()), ("ines", [].as_slice()));
    assert!(project.ok(&["run", "list"]).contains("planned 2 features"));
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_granted_plan_is_accepted_once_whatever_is_killed() {
    use std::os::unix::process::ExitStatusExt as _;

    for failpoint in ["plan_granted", "plan_accepted"] {
        let project = Project::new(&[("README.md", "# Lines\n")]);
        std::fs::write(project.folder().join("quarterdeck.toml"), config(PROPOSES, None)).unwrap();
        let mut up = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
        let mut client = up.client("alpha", None);
        project.ok(&["plan", "Lines in and out"]);
        let asked = card(&mut client, None).await;
        let cast = CastVote::new(Ballot::Approve, &asked.approval.digest, None);
        let path = format!("approvals/{}/vote", asked.approval.id.key());
        // It may be killed before it answers.
        client.post::<_, ApprovalView>(&path, &cast).await.ok();
        let death = tokio::task::block_in_place(|| up.wait_death());
        assert_eq!(death.and_then(|status| status.signal()), Some(9), "{failpoint}");
        drop(up);
        let up = project.up(&[]);
        let mut client = up.client("alpha", None);
        until_filed(&mut client).await;
        let all: Vec<FeatureView> = client.get("features").await.unwrap();
        assert_eq!(all.len(), 2, "{failpoint}: filed once");
        let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
        let plans = inbox.iter().filter(|view| view.title.contains("plan")).collect::<Vec<_>>();
        assert_eq!(plans.len(), 1, "{failpoint}: asked once");
        assert_eq!(plans[0].approval.state, ApprovalState::Executed, "{failpoint}");
    }
}

async fn until_filed(client: &mut Client) {
    for _ in 0..600 {
        let all: Vec<FeatureView> = client.get("features").await.unwrap();
        if all.len() > 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing was filed");
}
