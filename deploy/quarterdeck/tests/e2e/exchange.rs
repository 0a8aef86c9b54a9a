//! Exporting and importing by verbs.

use crate::support::{Project, config};

/// A board whose features nobody works on.
fn project() -> Project {
    let project = Project::new(&[("README.md", "# Trees\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    project
}

fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_goes_to_another_fleet() {
    let (here, there) = (project(), project());
    let _up = here.up(&[]);
    let tasks = "## Spring\n\n- [ ] Plant trees (p1)\n\n  By the wall.\n\n  - [ ] Dig (size s, after B-2)\n  - [ ] Buy trees (B-2, #money)\n- [x] Rest\n";
    std::fs::write(here.folder().join("tasks.md"), tasks).unwrap();
    insta::assert_snapshot!(here.ok(&["import", "tasks.md", "--dry-run"]), @"
    A-1     backlog   Plant trees
    A-2     backlog   Dig
    A-3     backlog   Buy trees
    A-4     done      Rest
    4 would be filed, 0 skipped. Nothing was written.
    ");
    assert!(here.ok(&["feature", "list"]).starts_with("No features yet"));
    here.ok(&["import", "tasks.md"]);
    insta::assert_snapshot!(here.ok(&["import", "tasks.md", "--ready"]), @"
    skipped Plant trees is A-1: tasks.md: Plant trees was imported before
    skipped Dig is A-2: tasks.md: Plant trees / Dig was imported before
    skipped Buy trees is A-3: tasks.md: B-2 was imported before
    skipped Rest is A-4: tasks.md: Rest was imported before
    0 filed, 4 skipped.
    ");
    let markdown = here.ok(&["export", "--format", "markdown"]);
    insta::assert_snapshot!(markdown, @"
    <!-- quarterdeck: board of alpha, version 1 -->

    ## Spring

    - [ ] Plant trees (A-1, p1)

      By the wall.

      - [ ] Dig (A-2, size s, after A-3)
      - [ ] Buy trees (A-3, #money)
    - [x] Rest (A-4)
    ");
    let json = here.ok(&["export"]);
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["features"].as_array().unwrap().len(),
        4
    );
    assert!(here.ok(&["export", "--stage", "done", "--format", "markdown"]).contains("- [x] Rest (A-4"));
    std::fs::write(here.folder().join("bad.md"), "- [ ] One (after A-99)\n").unwrap();
    insta::assert_snapshot!(refusal(&here, &["import", "bad.md"]), @"quarterdeck: import: line 1: names A-99, and neither the file nor this board has it: add it, or take it out. Correct it and try again.");

    let _other = there.up(&[]);
    std::fs::write(there.folder().join("board.json"), &json).unwrap();
    there.ok(&["import", "board.json"]);
    assert_eq!(there.ok(&["export", "--format", "markdown"]), markdown);
}
