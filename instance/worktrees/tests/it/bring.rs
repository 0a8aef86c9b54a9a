//! A run's work goes on top of what the target holds now.

use std::fs;

use qd_worktrees::Worktrees as _;

use crate::site::{Site, put, read, run, stamp};

#[tokio::test]
async fn work_that_fits_goes_on_top_and_work_that_conflicts_has_markers() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let worktree = site.create(&run).await;
    put(&worktree.path, "a", "mine\n");
    put(&worktree.path, "new", "new\n");
    put(&worktree.path, "debug.log", "ignored\n");
    let head = site.candidate(&run).await.unwrap();
    site.trees.commit(site.name(), &run, &head).await.unwrap();

    let files = [("a", "1\n"), ("b", "theirs\n"), (".gitignore", "*.log\n")];
    let onto = site.forge_commit(&files).await;
    site.trees.refresh(&site.spec).await.unwrap();
    let brought = site.trees.bring_up(site.name(), &run, &head, &onto).await.unwrap();
    assert_eq!((brought.files.len(), brought.hunks.as_str()), (0, ""));
    assert_eq!((read(&worktree.path, "a"), read(&worktree.path, "b")), ("mine\n".into(), "theirs\n".into()));
    let head = site.candidate(&run).await.unwrap();
    assert_eq!(site.repo().await.commit(&head).await.unwrap().unwrap().parents, [onto]);
    site.trees.commit(site.name(), &run, &head).await.unwrap();

    let files = [("a", "theirs\n"), ("b", "theirs\n"), (".gitignore", "*.log\n")];
    let onto = site.forge_commit(&files).await;
    site.trees.refresh(&site.spec).await.unwrap();
    for _ in 0..2 {
        // Done twice, it is done once.
        let brought = site.trees.bring_up(site.name(), &run, &head, &onto).await.unwrap();
        assert_eq!(brought.files, ["a"]);
        assert!(brought.hunks.contains("--- a\n@@ line 1\n<<<<<<< "), "{}", brought.hunks);
        assert!(brought.hunks.contains("theirs\n=======\nmine\n"), "{}", brought.hunks);
    }
    assert!(read(&worktree.path, "a").contains("======="));
    assert_eq!(read(&worktree.path, "debug.log"), "ignored\n");
    fs::write(worktree.path.join("a"), "both\n").unwrap();
    let resolved = site.candidate(&run).await.unwrap();
    assert_eq!(site.shown(&resolved, "a"), "both\n");
    assert_eq!(site.shown(&resolved, "new"), "new\n");
    let found = site.trees.find(site.name(), &run).await.unwrap().unwrap();
    assert_eq!(found.base, onto);
    site.trees.remove(site.name(), &run, &stamp()).await.unwrap();
    site.assert_clean().await;
}
