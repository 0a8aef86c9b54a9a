//! What is preserved is listed, shown, given back, and let go of when it is old.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use qd_worktrees::{Care, Preserved, WorktreeError, Worktrees};

use crate::site::{Site, git, put, read, run, stamp};

const DAYS: i64 = 24 * 60 * 60;

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count * DAYS)
}

async fn only(site: &Site) -> Preserved {
    let mut all = site.trees.preserved().await.unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn preserved_work_is_listed_and_shown() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "other\n");
    put(&made.path, "sub/new", "work\n");
    fs::remove_file(made.path.join("b")).unwrap();
    let before = Timestamp::now();
    let commit =
        site.trees.preserve(site.name(), &run, "The agent was stopped.", &stamp()).await.unwrap().unwrap();
    let found = only(&site).await;
    assert!(found.at >= before && found.at <= Timestamp::now(), "by the clock, not by the run's stamp");
    let at = found.at;
    assert_eq!(
        found,
        Preserved {
            repository: site.name().clone(),
            run: run.clone(),
            commit: commit.clone(),
            at,
            note: "The agent was stopped.".to_owned(),
            files: 3,
            bytes: 11,
        }
    );
    let shown = site.trees.preserved_diff(site.name(), &run, 10_000).await.unwrap();
    assert!(shown.text.contains("+work") && shown.text.contains("deleted file") && !shown.cut, "{shown:?}");
    assert!(site.trees.preserved_diff(site.name(), &run, 60).await.unwrap().cut);
    site.remove(&run).await;
    assert_eq!(only(&site).await.at, at, "preserving it once more is no news");
    site.assert_clean().await;
}

#[tokio::test]
async fn an_agents_own_commits_have_the_age_of_their_preserving() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let long_ago = ["-c", "user.name=x", "commit", "--quiet", "-am", "old", "--date=@1000000000 +0000"];
    git(&made.path, &long_ago);
    let head = git(&made.path, &["rev-parse", "HEAD"]);
    let before = Timestamp::now();
    let kept = site.remove(&run).await.unwrap();
    assert_eq!(kept.as_str(), head.trim());
    let found = only(&site).await;
    assert!(found.at >= before);
    assert_eq!(found.note, "The worktree was removed.");
}

#[tokio::test]
async fn preserved_work_comes_back() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    let kept = site.remove(&run).await.unwrap();

    let branch = site.trees.restore_preserved(site.name(), &run, None).await.unwrap();
    assert_eq!((branch.branch.as_str(), &branch.commit), ("restored/A-1.1", &kept));
    let folder = site.state().parent().unwrap().join("a folder");
    let restored = site.trees.restore_preserved(site.name(), &run, Some(&folder)).await.unwrap();
    assert_eq!(restored.folder.as_deref(), Some(folder.as_path()));
    assert_eq!(read(&folder, "new"), "work\n");
    assert_eq!(git(&folder, &["symbolic-ref", "HEAD"]), "refs/heads/restored/A-1.1\n");
    assert_eq!(git(&folder, &["remote"]), "", "it knows nothing of the mirror");
    assert_eq!(git(&folder, &["status", "--porcelain"]), "");
    assert!(!folder.join(".git/objects/info/alternates").exists());

    let error = site.trees.restore_preserved(site.name(), &run, Some(&folder)).await.unwrap_err();
    assert!(matches!(error, WorktreeError::FolderTaken { .. }), "{error}");
    put(&folder, "more", "1\n");
    git(&folder, &["add", "--all"]);
    git(&folder, &["commit", "--quiet", "-m", "more"]);
    let mirror = site.mirror().display().to_string();
    git(&folder, &["push", "--quiet", &mirror, "restored/A-1.1"]);
    let error = site.trees.restore_preserved(site.name(), &run, None).await.unwrap_err();
    assert!(matches!(error, WorktreeError::BranchTaken { .. }), "somebody went on there: {error}");

    let nobody = site.trees.restore_preserved(site.name(), &"A-9.1".parse().unwrap(), None).await;
    insta::assert_snapshot!(nobody.unwrap_err(), @"nothing of the run A-9.1 is preserved in sample: `preserved list` names what is");
}

#[tokio::test]
async fn old_work_is_let_go_unless_its_run_is_active() {
    let site = Site::new().await;
    for name in ["A-1.1", "A-2.1"] {
        let made = site.create(&run(name)).await;
        put(&made.path, "new", name);
        site.remove(&run(name)).await.unwrap();
    }
    let now = Timestamp::now();
    let soon = now + days(13);
    assert_eq!(site.trees.prune_preserved(soon, days(14), &[]).await.unwrap(), []);
    let late = now + days(15);
    let gone = site.trees.prune_preserved(late, days(14), &[run("A-2.1")]).await.unwrap();
    assert_eq!(gone.iter().map(|kept| kept.run.to_string()).collect::<Vec<_>>(), ["A-1.1"]);
    assert_eq!(only(&site).await.run, run("A-2.1"));
    assert_eq!(site.trees.prune_preserved(late, days(14), &[run("A-2.1")]).await.unwrap(), []);
    let gone = site.trees.prune_preserved(late, days(14), &[]).await.unwrap();
    assert_eq!(gone.len(), 1);
    let left = git(&site.mirror(), &["for-each-ref", "refs/quarterdeck"]);
    assert_eq!(left, "");
}

#[tokio::test]
async fn work_without_a_note_counts_as_young() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    site.remove(&run).await.unwrap();
    git(&site.mirror(), &["update-ref", "-d", "refs/quarterdeck/note/A-1.1"]);
    let before = Timestamp::now();
    let late = before + days(13);
    assert_eq!(site.trees.prune_preserved(late, days(14), &[]).await.unwrap(), []);
    let found = only(&site).await;
    assert!(found.at >= before);
    assert_eq!((found.note.as_str(), found.files), ("The worktree was removed.", 1));
}
