//! Making worktrees: alone, again, at once, and out of the halves that a crash leaves.

use std::{fs, sync::Arc};

use qd_git::{At, Git, Swap};
use qd_worktrees::{GitWorktrees, WorktreeError, Worktrees};

use crate::site::{Site, git, put, read, run};

#[tokio::test]
async fn a_worktree_is_made_once_and_kept() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    assert_eq!((made.branch.as_str(), &made.base), ("qd/A-1.1", &site.base));
    assert_eq!(read(&made.path, "a"), "1\n");
    put(&made.path, "a", "2\n");

    let later = site.forge_commit(&[("a", "9\n")]).await;
    assert_eq!(site.trees.refresh(&site.spec).await.unwrap(), later);
    assert_eq!(site.trees.refresh(&site.spec).await.unwrap(), later);
    let again = site.trees.create(site.name(), &run, "qd/other", &later).await.unwrap();
    assert_eq!(again, made, "its own branch and base, not the new ones");
    assert_eq!(read(&made.path, "a"), "2\n");

    let other = GitWorktrees::open(Git::new(), &site.state()).await.unwrap();
    assert_eq!(other.find(site.name(), &run).await.unwrap(), Some(made));
}

#[tokio::test]
async fn eight_runs_at_once() {
    let site = Arc::new(Site::new().await);
    let creates: Vec<_> = (1..=8)
        .map(|n| {
            let site = Arc::clone(&site);
            tokio::spawn(async move { site.create(&run(&format!("A-{n}.1"))).await })
        })
        .collect();
    for create in creates {
        assert_eq!(read(&create.await.unwrap().path, "a"), "1\n");
    }
    assert_eq!(site.trees.list().await.unwrap().len(), 8);
}

#[tokio::test]
async fn one_run_eight_times_at_once() {
    let site = Arc::new(Site::new().await);
    let creates: Vec<_> = (0..8)
        .map(|_| {
            let site = Arc::clone(&site);
            tokio::spawn(async move { site.create(&run("A-1.1")).await })
        })
        .collect();
    for create in creates {
        create.await.unwrap();
    }
    assert_eq!(site.trees.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lost_registration_comes_back_with_the_work() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    fs::remove_dir_all(site.mirror().join("worktrees")).unwrap();
    assert_eq!(site.create(&run).await, made);
    assert_eq!(read(&made.path, "new"), "work\n");
    assert_eq!(git(&made.path, &["status", "--porcelain"]), "?? new\n");
}

#[tokio::test]
async fn a_lost_folder_is_checked_out_again() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    let candidate = site.candidate(&run).await.unwrap();
    site.trees.commit(site.name(), &run, &candidate).await.unwrap();
    fs::remove_dir_all(&made.path).unwrap();
    assert_eq!(site.create(&run).await, made);
    assert_eq!(read(&made.path, "new"), "work\n", "from the branch, not from the base");
    assert_eq!(git(&made.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_check_out_that_was_cut_short_is_finished() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    let admin = site.mirror().join("worktrees/A-1.1");
    fs::remove_file(admin.join("index")).unwrap();
    fs::remove_file(made.path.join("b")).unwrap();
    site.create(&run).await;
    assert_eq!(git(&made.path, &["status", "--porcelain"]), "");
    assert_eq!(site.remove(&run).await, None, "missing files are no work");
    site.assert_clean().await;
}

#[tokio::test]
async fn a_stale_lock_of_the_index_goes() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    fs::write(site.mirror().join("worktrees/A-1.1/index.lock"), "").unwrap();
    site.create(&run).await;
    git(&made.path, &["add", "--all"]);
}

#[tokio::test]
async fn what_a_crash_left_before_the_end_is_made_anew() {
    for crash in 0..5 {
        let site = Site::new().await;
        let run = run("A-1.1");
        let repo = site.repo().await;
        let path = site.trees.layout().worktree(&run);
        // The steps of a creation, up to the crash.
        if crash >= 1 {
            repo.point("refs/quarterdeck/branch/A-1.1", "qd/A-1.1").await.unwrap();
        }
        if crash >= 2 {
            assert_eq!(repo.update_ref("qd/A-1.1", &site.base, None).await.unwrap(), Swap::Done);
        }
        if crash >= 3 {
            repo.worktree_add(&path, &At::Branch("qd/A-1.1".to_owned())).await.unwrap();
        }
        if crash >= 4 {
            fs::remove_file(path.join("a")).unwrap();
            fs::remove_dir_all(site.mirror().join("worktrees")).unwrap();
        }
        assert_eq!(site.trees.find(site.name(), &run).await.unwrap(), None, "crash {crash}");
        let listed = site.trees.list().await.unwrap();
        assert_eq!(listed.len(), usize::from(crash >= 1), "crash {crash}: the reconciler sees it");
        // Another process goes on, with a target branch that has moved.
        let later = site.forge_commit(&[("a", "9\n")]).await;
        site.trees.refresh(&site.spec).await.unwrap();
        let made = site.trees.create(site.name(), &run, "qd/A-1.1", &later).await.unwrap();
        assert_eq!((read(&made.path, "a").as_str(), &made.base), ("9\n", &later), "crash {crash}");
        assert_eq!(git(&made.path, &["status", "--porcelain"]), "", "crash {crash}");
        assert_eq!(site.remove(&run).await, None, "crash {crash}");
        site.assert_clean().await;
    }
}

#[tokio::test]
async fn work_under_a_mirror_that_was_made_anew_is_preserved() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "new", "work\n");
    fs::remove_dir_all(site.mirror()).unwrap();
    site.trees.refresh(&site.spec).await.unwrap();
    site.create(&run).await;
    assert!(!made.path.join("new").exists());
    let kept = site.remove(&run).await.unwrap();
    assert_eq!(site.shown(&kept, "new"), "work\n");
}

#[tokio::test]
async fn a_branch_with_work_is_not_taken() {
    let site = Site::new().await;
    let (one, two) = (run("A-1.1"), run("A-1.2"));
    let made = site.create(&one).await;
    let take = async || site.trees.create(site.name(), &two, "qd/A-1.1", &site.base).await;
    let error = take().await.unwrap_err();
    assert!(matches!(error, WorktreeError::BranchTaken { .. }), "another run has it: {error}");
    git(&made.path, &["commit", "--quiet", "--allow-empty", "-m", "mine"]);
    let error = take().await.unwrap_err();
    assert!(matches!(error, WorktreeError::BranchTaken { .. }), "{error}");
    site.remove(&two).await;
    assert_eq!(site.trees.find(site.name(), &one).await.unwrap(), Some(made), "the other is untouched");
}

#[tokio::test]
async fn refusals_name_the_way_out() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let other = "other".parse().unwrap();
    let error = site.trees.create(&other, &run, "x", &site.base).await.unwrap_err();
    let text = error.to_string().replace(&site.state().display().to_string(), "STATE");
    insta::assert_snapshot!(text, @"the repository other has no mirror at STATE/repos/other.git: refresh it first");
    let unknown = "1".repeat(40).parse().unwrap();
    let error = site.trees.create(site.name(), &run, "x", &unknown).await.unwrap_err();
    insta::assert_snapshot!(error, @"the mirror of sample has no commit 1111111111111111111111111111111111111111: refresh it first");
    let error = site.trees.create(site.name(), &run, "-x", &site.base).await.unwrap_err();
    insta::assert_snapshot!(error, @r#""-x" is not a branch's name"#);
    let error = site.trees.candidate(site.name(), &run, "x", &crate::site::stamp()).await.unwrap_err();
    insta::assert_snapshot!(error, @"the run A-1.1 has no worktree of sample: create it first");
    let mut spec = site.spec.clone();
    spec.target = "trunk".to_owned();
    let error = site.trees.refresh(&spec).await.unwrap_err();
    insta::assert_snapshot!(error, @"the repository sample has no branch trunk on the forge: push one, or name another target branch");
}
