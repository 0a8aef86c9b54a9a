//! Work is never lost, and what is not work does not stay.

use std::{fs, process::Command};

use qd_git::Git;
use qd_worktrees::{GitWorktrees, WorktreeError, Worktrees};

use crate::site::{Site, checks, git, put, run, stamp};

#[tokio::test]
async fn a_pushed_run_leaves_nothing() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    put(&made.path, "x.log", "noise\n");
    let candidate = site.candidate(&run).await.unwrap();
    site.trees.commit(site.name(), &run, &candidate).await.unwrap();
    site.trees.push(&site.spec, "qd/A-1.1", &candidate, None).await.unwrap();
    site.trees.checkout(site.name(), &run, &checks(), &candidate).await.unwrap();
    assert_eq!(site.trees.preserve(site.name(), &run, "why", &stamp()).await.unwrap(), None);
    for _ in 0..2 {
        assert_eq!(site.remove(&run).await, None);
        site.assert_clean().await;
    }
}

#[tokio::test]
async fn an_untouched_run_leaves_nothing() {
    let site = Site::new().await;
    let run = run("A-1.1");
    site.create(&run).await;
    assert_eq!(site.remove(&run).await, None);
    site.assert_clean().await;
}

#[tokio::test]
async fn uncommitted_untracked_and_unpushed_work_is_preserved() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "committed", "1\n");
    git(&made.path, &["add", "--all"]);
    git(&made.path, &["commit", "--quiet", "-m", "mine"]);
    git(&made.path, &["checkout", "--quiet", "--detach"]);
    put(&made.path, "detached", "1\n");
    git(&made.path, &["add", "--all"]);
    git(&made.path, &["commit", "--quiet", "-m", "on no branch"]);
    let detached = git(&made.path, &["rev-parse", "HEAD"]);
    git(&made.path, &["checkout", "--quiet", "qd/A-1.1"]);
    git(&made.path, &["checkout", "--quiet", detached.trim()]);
    put(&made.path, "untracked", "1\n");
    put(&made.path, "a", "2\n");
    let first =
        site.trees.preserve(site.name(), &run, "The agent was stopped.", &stamp()).await.unwrap().unwrap();
    let again = site.trees.preserve(site.name(), &run, "The agent was stopped.", &stamp()).await.unwrap();
    assert_eq!(again.as_ref(), Some(&first));
    let message = git(&site.mirror(), &["log", "-1", "--format=%B", first.as_str()]);
    insta::assert_snapshot!(message.trim(), @r#"
    Preserved work of run A-1.1

    The agent was stopped.
    "#);

    put(&made.path, "a", "3\n");
    let kept = site.remove(&run).await.unwrap();
    site.assert_clean().await;
    for (path, text) in [("committed", "1\n"), ("detached", "1\n"), ("untracked", "1\n"), ("a", "3\n")] {
        assert_eq!(site.shown(&kept, path), text, "{path}");
    }
    git(&site.mirror(), &["merge-base", "--is-ancestor", detached.trim(), kept.as_str()]);
    git(&site.mirror(), &["merge-base", "--is-ancestor", first.as_str(), kept.as_str()]);
    assert_eq!(site.remove(&run).await, Some(kept), "still told");
}

#[tokio::test]
async fn unpushed_commits_alone_are_preserved_as_they_are() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let candidate = site.candidate(&run).await.unwrap();
    site.trees.commit(site.name(), &run, &candidate).await.unwrap();
    assert_eq!(site.remove(&run).await, Some(candidate));
    site.assert_clean().await;
}

#[tokio::test]
async fn a_process_inside_stops_the_removal() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "sub/x", "1\n");
    let path = site.trees.checkout(site.name(), &run, &checks(), &site.base).await.unwrap();
    for folder in [made.path.join("sub"), path] {
        let mut process = Command::new("sleep").arg("600").current_dir(&folder).spawn().unwrap();
        let error = site.trees.remove(site.name(), &run, &stamp()).await.unwrap_err();
        let text = error.to_string();
        process.kill().unwrap();
        process.wait().unwrap();
        let expect =
            format!("process {} (sleep) is still in {}: end it first", process.id(), folder.display());
        assert!(matches!(error, WorktreeError::Occupied { .. }), "{text}");
        assert_eq!(text, expect);
        assert!(folder.exists());
    }
    assert!(site.remove(&run).await.is_some());
    site.assert_clean().await;
}

#[tokio::test]
async fn a_removal_that_was_cut_short_is_finished() {
    for crash in 0..4 {
        let site = Site::new().await;
        let run = run("A-1.1");
        let made = site.create(&run).await;
        let check = site.trees.checkout(site.name(), &run, &checks(), &site.base).await.unwrap();
        put(&made.path, "new", "work\n");
        let kept = site.trees.preserve(site.name(), &run, "why", &stamp()).await.unwrap();
        match crash {
            0 => fs::rename(&made.path, site.state().join("trash/A-1.1")).unwrap(),
            1 => fs::remove_dir_all(&made.path).unwrap(),
            2 => {
                fs::rename(&check, site.state().join("trash/A-1.1-checks")).unwrap();
                fs::remove_dir_all(&made.path).unwrap();
                fs::remove_dir_all(site.mirror().join("worktrees/A-1.1")).unwrap();
            }
            _ => {
                fs::remove_dir_all(&check).unwrap();
                fs::remove_dir_all(site.mirror().join("worktrees")).unwrap();
            }
        }
        assert!(site.trees.list().await.unwrap().iter().any(|found| found.run == run), "crash {crash}");
        let other = GitWorktrees::open(Git::new(), &site.state()).await.unwrap();
        let removed = other.remove(site.name(), &run, &stamp()).await.unwrap();
        assert_eq!(removed, kept, "crash {crash}");
        site.assert_clean().await;
    }
}

#[tokio::test]
async fn a_removed_run_may_begin_again() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    let kept = site.remove(&run).await.unwrap();
    let again = site.create(&run).await;
    assert_eq!(again, made);
    assert!(!made.path.join("new").exists());
    put(&made.path, "other", "1\n");
    let both = site.remove(&run).await.unwrap();
    git(&site.mirror(), &["merge-base", "--is-ancestor", kept.as_str(), both.as_str()]);
    assert_eq!(site.shown(&both, "other"), "1\n");
}

#[tokio::test]
async fn what_nobody_can_preserve_is_not_removed() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    fs::remove_dir_all(site.mirror()).unwrap();
    let error = site.trees.remove(site.name(), &run, &stamp()).await.unwrap_err();
    assert!(matches!(error, WorktreeError::NoMirror { .. }), "{error}");
    assert!(made.path.join("a").exists());
    fs::remove_dir_all(&made.path).unwrap();
    assert_eq!(site.remove(&run).await, None);
}
