//! A removed worktree serves the next run, and nothing of the last one is in it.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use qd_git::Git;
use qd_worktrees::{GitWorktrees, Pool, Worktrees};

use crate::site::{Site, git, put, read, run, stamp};

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// As git sees a worktree that was just made.
fn assert_fresh(path: &Path, branch: &str) {
    assert_eq!(git(path, &["status", "--porcelain", "--ignored"]), "");
    assert_eq!(git(path, &["symbolic-ref", "--short", "HEAD"]).trim(), branch);
    // Content by content: what the index says of times and sizes is not asked.
    for line in git(path, &["ls-tree", "-r", "HEAD"]).lines() {
        let (about, name) = line.split_once('\t').unwrap();
        let id = about.rsplit(' ').next().unwrap();
        assert_eq!(git(path, &["hash-object", "--no-filters", name]).trim(), id, "{name}");
    }
    assert_eq!(git(path, &["ls-files", "--others"]), "");
}

async fn pooled(site: &Site) -> usize {
    site.trees.pooled(site.name()).await.unwrap()
}

#[tokio::test]
async fn a_removed_worktree_serves_the_next_run() {
    let site = Site::new().await;
    let (one, two) = (run("A-1.1"), run("A-2.1"));
    let made = site.create(&one).await;
    put(&made.path, "a", "work\n");
    put(&made.path, "new/deep", "work\n");
    put(&made.path, "build.log", "noise\n");
    let folder = inode(&made.path);
    let kept = site.remove(&one).await.unwrap();
    assert_eq!(site.shown(&kept, "new/deep"), "work\n");
    site.assert_clean().await;
    assert_eq!(pooled(&site).await, 1);

    let later = site.forge_commit(&[("a", "2\n"), ("c", "1\n"), (".gitignore", "*.log\n")]).await;
    site.trees.refresh(&site.spec).await.unwrap();
    let made = site.trees.create(site.name(), &two, "qd/two", &later).await.unwrap();
    assert_eq!(inode(&made.path), folder, "the same folder");
    assert_eq!(pooled(&site).await, 0);
    assert_eq!((read(&made.path, "a").as_str(), read(&made.path, "c").as_str()), ("2\n", "1\n"));
    assert!(!made.path.join("b").exists() && !made.path.join("new").exists());
    assert_fresh(&made.path, "qd/two");
    put(&made.path, "a", "3\n");
    let candidate = site.candidate(&two).await.unwrap();
    site.trees.commit(site.name(), &two, &candidate).await.unwrap();
    assert_eq!(git(&made.path, &["status", "--porcelain"]), "");
    assert_eq!(site.remove(&two).await, Some(candidate));
    site.assert_clean().await;
    assert_eq!(pooled(&site).await, 1);
}

#[tokio::test]
async fn what_an_agent_hides_does_not_reach_the_next_run() {
    let site = Site::new().await;
    let one = run("A-1.1");
    let made = site.create(&one).await;
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let path = made.path.join("a");
    let before = fs::metadata(&path).unwrap();
    fs::write(&path, "!\n").unwrap();
    let times = fs::FileTimes::new().set_modified(before.modified().unwrap());
    fs::File::options().append(true).open(&path).unwrap().set_times(times).unwrap();
    git(&made.path, &["update-index", "--assume-unchanged", "a"]);
    git(&made.path, &["update-ref", "refs/worktree/mine", "HEAD"]);
    put(&made.path, ".git-not", "1");
    assert!(site.remove(&one).await.is_some(), "it is work");
    assert_eq!(pooled(&site).await, 1);

    // Somebody still has a file open, and writes when the folder waits.
    let pooled_file = site.state().join("pool/sample/1/files/b");
    let before = fs::metadata(&pooled_file).unwrap();
    fs::write(&pooled_file, "?\n").unwrap();
    fs::File::options()
        .append(true)
        .open(&pooled_file)
        .unwrap()
        .set_times(fs::FileTimes::new().set_modified(before.modified().unwrap()))
        .unwrap();
    put(pooled_file.parent().unwrap(), "x.log", "1");

    let made = site.create(&run("A-2.1")).await;
    assert_eq!((read(&made.path, "a").as_str(), read(&made.path, "b").as_str()), ("1\n", "1\n"));
    assert!(!made.path.join("x.log").exists());
    assert_eq!(git(&made.path, &["for-each-ref", "refs/worktree"]), "");
    assert_fresh(&made.path, "qd/A-2.1");
}

#[tokio::test]
async fn the_pool_has_a_bound() {
    let mut site = Site::new().await;
    let bound = |most| Pool { most, keep: Vec::new() };
    site.trees = GitWorktrees::open(Git::new(), &site.state()).await.unwrap().with_pool(bound(2));
    let runs: Vec<_> = (1..=4).map(|number| run(&format!("A-{number}.1"))).collect();
    for run in &runs {
        site.create(run).await;
    }
    let site = Arc::new(site);
    let removals = runs.iter().cloned().map(|run| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.remove(&run).await })
    });
    for removal in removals.collect::<Vec<_>>() {
        removal.await.unwrap();
    }
    site.assert_clean().await;
    assert_eq!(pooled(&site).await, 2);
    let creates = runs.iter().cloned().map(|run| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.create(&run).await })
    });
    for create in creates.collect::<Vec<_>>() {
        let made = create.await.unwrap();
        assert_eq!(read(&made.path, "a"), "1\n");
    }
    assert_eq!(pooled(&site).await, 0);
    site.remove(&runs[0]).await;
    site.trees.drain_pool(site.name()).await.unwrap();
    assert_eq!(fs::read_dir(site.state().join("pool/sample")).unwrap().count(), 0);

    let none = GitWorktrees::open(Git::new(), &site.state()).await.unwrap().with_pool(bound(0));
    none.remove(site.name(), &runs[1], &stamp()).await.unwrap();
    assert_eq!(none.pooled(site.name()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_declared_stays() {
    let mut site = Site::new().await;
    let pool = Pool { most: 1, keep: vec![PathBuf::from("cache.log")] };
    site.trees = GitWorktrees::open(Git::new(), &site.state()).await.unwrap().with_pool(pool);
    let made = site.create(&run("A-1.1")).await;
    put(&made.path, "cache.log", "warm\n");
    put(&made.path, "other.log", "noise\n");
    assert_eq!(site.remove(&run("A-1.1")).await, None);
    let made = site.create(&run("A-2.1")).await;
    assert_eq!(read(&made.path, "cache.log"), "warm\n");
    assert!(!made.path.join("other.log").exists());
}

#[tokio::test]
async fn a_folder_that_is_used_is_not_given_out() {
    let site = Site::new().await;
    let made = site.create(&run("A-1.1")).await;
    let folder = inode(&made.path);
    site.remove(&run("A-1.1")).await;
    let files = site.state().join("pool/sample/1/files");
    let mut process = Command::new("sleep").arg("600").current_dir(&files).spawn().unwrap();
    let made = site.create(&run("A-2.1")).await;
    process.kill().unwrap();
    process.wait().unwrap();
    assert_ne!(inode(&made.path), folder);
    assert_fresh(&made.path, "qd/A-2.1");
    assert_eq!(fs::read_dir(site.state().join("pool/sample")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_only_git_can_check_out_is_not_pooled() {
    let site = Site::new().await;
    let base = site.forge_commit(&[("a", "1\n"), (".gitattributes", "* ident\n")]).await;
    site.trees.refresh(&site.spec).await.unwrap();
    site.trees.create(site.name(), &run("A-1.1"), "qd/one", &base).await.unwrap();
    site.remove(&run("A-1.1")).await;
    site.assert_clean().await;
    assert_eq!(pooled(&site).await, 0);

    // Nor is a folder of before given to such a commit.
    site.create(&run("A-2.1")).await;
    site.remove(&run("A-2.1")).await;
    assert_eq!(pooled(&site).await, 1);
    let made = site.trees.create(site.name(), &run("A-3.1"), "qd/three", &base).await.unwrap();
    assert_fresh(&made.path, "qd/three");
    assert_eq!(pooled(&site).await, 0);
}

/// A copy of a whole state, as it stands on disk at this moment.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").args(["-a", "--"]).args([from, to]).status().unwrap();
    assert!(done.success());
}

#[tokio::test]
async fn a_crash_between_any_two_steps_leaves_what_can_be_gone_on_with() {
    for crash in 0..7 {
        let site = Site::new().await;
        let (one, two) = (run("A-1.1"), run("A-2.1"));
        let made = site.create(&one).await;
        put(&made.path, "new", "work\n");
        let kept = site.trees.preserve(site.name(), &one, "why", &stamp()).await.unwrap();
        let (pool, state) = (site.state().join("pool/sample"), site.state());
        fs::create_dir_all(&pool).unwrap();
        let record = state.join("records/A-1.1");
        let into = |place: &str| {
            fs::create_dir_all(pool.join(place)).unwrap();
            fs::rename(&made.path, pool.join(place).join("files")).unwrap();
        };
        match crash {
            // On the way in: an empty place; the folder moved; its link gone; cleaned with a record; whole.
            0 => fs::create_dir_all(pool.join("1.new")).unwrap(),
            1 => into("1.new"),
            2 => {
                into("1.new");
                fs::remove_file(pool.join("1.new/files/.git")).unwrap();
                fs::remove_file(pool.join("1.new/files/a")).unwrap();
            }
            3 => {
                into("1.new");
                fs::copy(&record, pool.join("1.new/record")).unwrap();
            }
            4 => {
                into("1");
                fs::rename(&record, pool.join("1/record")).unwrap();
                fs::remove_dir_all(state.join("repos/sample.git/worktrees/A-1.1")).unwrap();
            }
            // A place without a record, and one without a folder: never written so, and survived.
            5 => into("1"),
            _ => fs::create_dir_all(pool.join("1")).unwrap(),
        }
        let other = GitWorktrees::open(Git::new(), &state).await.unwrap();
        assert!(other.list().await.unwrap().iter().any(|found| found.run == one), "crash {crash}");
        assert_eq!(other.remove(site.name(), &one, &stamp()).await.unwrap(), kept, "crash {crash}");
        site.assert_clean().await;
        let made = other.create(site.name(), &two, "qd/two", &site.base).await.unwrap();
        assert_eq!(read(&made.path, "a"), "1\n", "crash {crash}");
        assert_fresh(&made.path, "qd/two");
        let left =
            fs::read_dir(&pool).unwrap().filter(|entry| entry.as_ref().unwrap().path().extension().is_some());
        assert_eq!(left.count(), 0, "crash {crash}");
    }
}

#[tokio::test]
async fn a_crash_on_the_way_out_loses_a_folder_at_most() {
    for crash in 0..5 {
        let site = Site::new().await;
        let (one, two) = (run("A-1.1"), run("A-2.1"));
        site.create(&one).await;
        site.remove(&one).await;
        let state = site.state();
        let (pool, admin) = (state.join("pool/sample"), state.join("repos/sample.git/worktrees/A-2.1"));
        let mirror = site.repo().await;
        // A run is on record by its branch before its folder is made.
        git(&site.mirror(), &["update-ref", "refs/heads/qd/A-2.1", site.base.as_str()]);
        mirror.point("refs/quarterdeck/branch/A-2.1", "qd/A-2.1").await.unwrap();
        fs::rename(pool.join("1"), pool.join("1.taken")).unwrap();
        if crash >= 1 {
            fs::copy(pool.join("1.taken/record"), state.join("records/A-2.1")).unwrap();
        }
        let path = state.join("worktrees/A-2.1");
        if crash >= 2 {
            fs::create_dir_all(&admin).unwrap();
            fs::write(admin.join("gitdir"), format!("{}\n", path.join(".git").display())).unwrap();
        }
        if crash >= 3 {
            fs::write(admin.join("HEAD"), "ref: refs/heads/qd/A-2.1\n").unwrap();
            fs::write(admin.join("commondir"), "../..\n").unwrap();
        }
        if crash >= 4 {
            fs::write(pool.join("1.taken/files/.git"), format!("gitdir: {}\n", admin.display())).unwrap();
            fs::rename(pool.join("1.taken/files"), &path).unwrap();
        }
        let aside = state.parent().unwrap().join("aside");
        copy(&state, &aside);
        for remove_first in [false, true] {
            if remove_first {
                fs::remove_dir_all(&state).unwrap();
                copy(&aside, &state);
            }
            let other = GitWorktrees::open(Git::new(), &state).await.unwrap();
            assert!(other.list().await.unwrap().iter().any(|found| found.run == two), "crash {crash}");
            if remove_first {
                assert_eq!(other.remove(site.name(), &two, &stamp()).await.unwrap(), None, "crash {crash}");
                site.assert_clean().await;
                continue;
            }
            let made = other.create(site.name(), &two, "qd/A-2.1", &site.base).await.unwrap();
            assert_fresh(&made.path, "qd/A-2.1");
            assert_eq!(fs::read_dir(&pool).unwrap().count(), 0, "crash {crash}");
            assert_eq!(site.repo().await.names("refs/quarterdeck/p").await.unwrap(), Vec::<String>::new());
        }
    }
}
