//! Room is counted, and made at the expense of what is missed least.

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use qd_worktrees::{Care, WorktreeError, Worktrees};

use crate::site::{Site, checks, git, put, run};

const MIB: u64 = 1024 * 1024;

fn fill(folder: &Path, name: &str, mebibytes: u64) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(name), vec![1; usize::try_from(mebibytes * MIB).unwrap()]).unwrap();
}

/// About so many MiB: small files and folders come on top.
fn about(bytes: u64, mebibytes: u64) -> bool {
    (mebibytes * MIB..(mebibytes + 1) * MIB).contains(&bytes)
}

fn set_age(folder: &Path, days: u64) {
    let at = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    fs::File::open(folder).unwrap().set_modified(at).unwrap();
}

/// Three runs with a check-out each, the trash and a worktree that is kept ready; 4 MiB each.
async fn scene() -> Site {
    let site = Site::new().await;
    let layout = site.trees.layout();
    for (name, days) in [("A-1.1", 1), ("A-2.1", 3), ("A-3.1", 2)] {
        let made = site.create(&run(name)).await;
        fill(&made.path, "x.log", 4);
        put(&made.path, "work", name);
        set_age(&made.path, days);
        let path = site.trees.checkout(site.name(), &run(name), &checks(), &site.base).await.unwrap();
        fill(&path, "x.log", 4);
        set_age(&path, days);
    }
    fill(&layout.trash().join("A-9.1"), "x", 4);
    let pooled = layout.pool().join("sample-1");
    fs::create_dir_all(layout.pool()).unwrap();
    git(
        &site.mirror(),
        &["worktree", "add", "--quiet", "--detach", pooled.to_str().unwrap(), site.base.as_str()],
    );
    fill(&pooled, "x.log", 4);
    site
}

fn names(site: &Site, gone: &[qd_worktrees::Gone]) -> Vec<String> {
    let state = site.state();
    gone.iter().map(|gone| gone.path.strip_prefix(&state).unwrap().display().to_string()).collect()
}

#[tokio::test]
async fn everything_is_counted_once() {
    let site = scene().await;
    let usage = site.trees.usage().await.unwrap();
    assert!(usage.whole);
    assert!(about(usage.worktrees, 12) && about(usage.checkouts, 12), "{usage:?}");
    assert!(about(usage.pool, 4) && about(usage.trash, 4) && usage.repositories > 0, "{usage:?}");
    let layout = site.trees.layout();
    fs::hard_link(layout.trash().join("A-9.1/x"), layout.worktree(&run("A-1.1")).join("y.log")).unwrap();
    std::os::unix::fs::symlink("/usr", layout.trash().join("link")).unwrap();
    let linked = site.trees.usage().await.unwrap();
    assert!(about(linked.worktrees, 16) && linked.trash < MIB, "by its first name: {linked:?}");
    assert!(linked.total() - usage.total() < MIB);
}

#[tokio::test]
async fn what_is_missed_least_goes_first() {
    let site = scene().await;
    let total = site.trees.usage().await.unwrap().total();
    let freed = site.trees.make_room(total, &[]).await.unwrap();
    assert_eq!(freed.gone, [], "it fits");
    let freed = site.trees.make_room(total - 5 * MIB, &[]).await.unwrap();
    assert_eq!(names(&site, &freed.gone), ["trash/A-9.1", "pool/sample-1"]);
    assert!(freed.usage.total() <= total - 5 * MIB);
    let freed = site.trees.make_room(total - 21 * MIB, &[run("A-2.1")]).await.unwrap();
    let gone = ["checkouts/A-3.1-checks", "checkouts/A-1.1-checks", "worktrees/A-3.1", "worktrees/A-1.1"];
    assert_eq!(names(&site, &freed.gone), gone, "the oldest first, and never an active run's");
    let kept = freed.gone[2].preserved.clone().unwrap();
    assert_eq!(site.shown(&kept, "work"), "A-3.1");
    assert_eq!(freed.gone[2].run, Some(run("A-3.1")));
    let left = site.trees.list().await.unwrap();
    assert!(left.len() == 2 && left.iter().all(|found| found.run == run("A-2.1")), "{left:?}");
    assert_eq!(site.repo().await.worktree_list().await.unwrap().len(), 3, "registrations went too");
}

#[tokio::test]
async fn too_much_all_the_same_is_refused() {
    let site = scene().await;
    let active = [run("A-1.1"), run("A-2.1"), run("A-3.1")];
    let error = site.trees.make_room(4 * MIB, &active).await.unwrap_err();
    let WorktreeError::OverQuota { usage, quota, gone } = &error else { panic!("{error}") };
    assert_eq!((*quota, *gone), (4 * MIB, 2));
    assert!(about(usage.worktrees, 12) && about(usage.checkouts, 12));
    let text = error.to_string();
    assert!(text.starts_with("24.") && text.contains(" are used of 4.0 MiB (mirrors "), "{text}");
    assert!(
        text.ends_with(
            "raise the quota, stop or finish a run, empty a shared folder, or maintain the mirrors"
        )
    );
    assert_eq!(site.trees.list().await.unwrap().len(), 6, "active runs keep theirs");
}

#[tokio::test]
async fn a_folder_that_a_process_is_in_stays() {
    let site = scene().await;
    let folder = site.trees.layout().worktree(&run("A-2.1"));
    let mut process = Command::new("sleep").arg("600").current_dir(&folder).spawn().unwrap();
    let total = site.trees.usage().await.unwrap().total();
    let freed = site.trees.make_room(total - 21 * MIB, &[]).await;
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(folder.join("work").exists());
    let gone = names(&site, &freed.unwrap().gone);
    assert_eq!(gone.last().map(String::as_str), Some("worktrees/A-3.1"), "{gone:?}");
}
