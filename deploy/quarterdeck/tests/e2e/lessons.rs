//! Lessons: an agent proposes one through its board, a person another; each grows the file once when a manager agrees, whatever
//! is killed in between, and the next agent is told. And what a repository says of itself: agents are told what fits.

use qd_api::{ApprovalView, Client, LessonState, LessonView};

use crate::{
    acp::{Stage, merged, transcript},
    support::{git, until},
};

/// The lesson that people are asked about, once they are.
async fn asked(client: &mut Client) -> ApprovalView {
    for _ in 0..200 {
        let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
        let open = |view: &ApprovalView| view.approval.state.is_open() && view.title.contains("lesson");
        if let Some(view) = inbox.into_iter().find(open) {
            return view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("nobody is asked");
}

async fn kept(client: &mut Client) -> Vec<String> {
    for _ in 0..200 {
        let lessons: Vec<LessonView> = client.get("lessons").await.unwrap();
        if lessons.iter().all(|lesson| lesson.state == LessonState::Kept) {
            return lessons.into_iter().map(|lesson| lesson.text).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it is not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_is_proposed_agreed_to_and_told_to_the_next_agent() {
    let stage = Stage::new("true");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    insta::assert_snapshot!(stage.project.ok(&["lesson", "list"]), @"There are no lessons. Propose one with: quarterdeck lesson add TEXT");
    stage.add(
        "mcp\ncall board propose_lesson {\"text\": \"Run make gen\\nbefore the tests.\"}\ncall board lessons {}\n\
         write done.txt good",
    );
    let ask = asked(&mut client).await;
    let key = ask.approval.id.key();
    let facts = ask.facts.replace(&key, "KEY");
    insta::assert_snapshot!(format!("{}. {facts}", ask.title), @r#"Add lesson 65402d2c for project. On: lesson 65402d2c for project. Arguments: {"repository":"project","lesson":"Run make gen before the tests."}."#);
    insta::assert_snapshot!(stage.project.ok(&["lesson", "list"]), @"65402d2c project Run make gen before the tests. (people are asked: quarterdeck approvals)");
    // The run does not wait for it, and no agent is told before.
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("\"state\":\"asked\"") && !told.contains("Lessons of earlier work"), "{told}");
    let said = stage.project.ok(&["approvals", "approve", &key]);
    assert!(said.contains("Granted"), "{said}");
    assert_eq!(kept(&mut client).await, ["Run make gen before the tests."]);

    stage.project.ok(&["feature", "add", "Next", "--description", "write next.txt good", "--ready"]);
    until(&mut client, "A-2", |view| view.sentence.contains("Asks to merge")).await;
    let prompt = stage.project.ok(&["run", "transcript", "A-2.1"]);
    assert!(
        prompt.contains("## Lessons of earlier work here\n\n- Run make gen before the tests."),
        "{prompt}"
    );

    // What stands is not asked for again; what was removed is told to nobody.
    let again = stage.project.ok(&["lesson", "add", "Run  make gen before the tests."]);
    insta::assert_snapshot!(again, @"65402d2c project Run make gen before the tests.");
    let key = again.split_whitespace().next().unwrap();
    insta::assert_snapshot!(stage.project.ok(&["lesson", "remove", key]), @"There are no lessons. Propose one with: quarterdeck lesson add TEXT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_that_is_denied_is_not_kept_and_not_asked_for_again() {
    let stage = Stage::new("true");
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    let long = "x".repeat(301);
    let refused = stage.project.run(&["lesson", "add", &long]);
    insta::assert_snapshot!(String::from_utf8_lossy(&refused.stderr), @"quarterdeck: text: a lesson has 1 to 300 characters. Correct it and try again.");
    stage.project.ok(&["lesson", "add", "Never test."]);
    let key = asked(&mut client).await.approval.id.key();
    stage.project.ok(&["approvals", "deny", &key, "--reason", "No."]);
    assert_eq!(kept(&mut client).await, Vec::<String>::new());
    insta::assert_snapshot!(stage.project.ok(&["lesson", "add", "Never test."]), @"3df730ea project Never test. (not taken: ines said no.)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lesson_is_kept_once_whenever_the_instance_is_killed() {
    for place in ["lesson_spent", "lesson_kept"] {
        let stage = Stage::new("true");
        let mut up = stage.project.up(&[("QUARTERDECK_FAILPOINT", place)]);
        let mut client = up.client("alpha", None);
        stage.project.ok(&["lesson", "add", "Run make gen before the tests."]);
        let key = asked(&mut client).await.approval.id.key();
        let _killed = stage.project.run(&["approvals", "approve", &key]);
        tokio::task::block_in_place(|| up.wait_death());
        drop(up);
        let up = stage.project.up(&[]);
        let mut client = up.client("alpha", None);
        assert_eq!(kept(&mut client).await, ["Run make gen before the tests."], "{place}");
        let told: Vec<ApprovalView> = client.get("approvals").await.unwrap();
        assert!(told.iter().all(|view| !view.approval.state.is_open()), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_tells_an_agent_what_fits_the_feature() {
    let stage = Stage::new("true");
    let folder = stage.project.folder();
    let files = [
        ("AGENTS.md", "The repository's own.\n"),
        (".quarterdeck/context/all.md", "Tests are in tests/.\n"),
        (".quarterdeck/context/api.md", "---\nlabels: api\n---\nMind the routes.\n"),
        (".quarterdeck/context/docs.md", "---\npaths: docs/**\n---\nShort sentences.\n"),
        (".quarterdeck/context/odd.md", "---\nwhen: always\n---\nNobody reads this.\n"),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    git(&folder, &["add", "AGENTS.md", ".quarterdeck"]);
    git(&folder, &["commit", "--quiet", "--message=Context"]);
    let up = stage.project.up(&[]);
    let mut client = up.client("alpha", None);
    let add = ["feature", "add", "Routes", "--label", "api", "--path", "src/routes.rs"];
    stage.project.ok(&[&add[..], &["--description", "write done.txt good", "--ready"]].concat());
    merged(&mut client).await;
    let told = transcript(&mut client).await;
    assert!(told.contains("Tests are in tests/.") && told.contains("Mind the routes."), "{told}");
    assert!(!told.contains("Short sentences.") && !told.contains("Nobody reads this."), "{told}");
    assert!(told.contains("odd.md is left out: its head says"), "{told}");
    let forge = stage.project.forge("project");
    assert_eq!(git(&forge, &["show", "main:AGENTS.md"]), "The repository's own.");
}
