//! Maintenance loses nothing that anybody could want, and lets go of what nobody can.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use qd_types::CommitId;
use qd_worktrees::{Care, Effort, Objects, Worktrees};

use crate::site::{Site, git, put, read, run, stamp};

/// Makes all that is there 30 days older.
fn age(folder: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 60 * 60);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            age(&path);
        } else {
            let mut rights = fs::metadata(&path).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut rights, 0o644);
            fs::set_permissions(&path, rights).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
        }
    }
}

/// Hashes a text into the mirror; nothing names it.
fn blob(site: &Site, text: &str) -> String {
    let name = site.state().join("scratch");
    fs::write(&name, text).unwrap();
    git(&site.mirror(), &["hash-object", "-w", name.to_str().unwrap()]).trim().to_owned()
}

fn has(site: &Site, id: &str) -> bool {
    let found =
        std::process::Command::new("git").current_dir(site.mirror()).args(["cat-file", "-e", id]).output();
    found.unwrap().status.success()
}

#[tokio::test]
async fn nothing_is_lost() {
    for effort in [Effort::Light, Effort::Thorough] {
        let site = Site::new().await;
        let (one, two, three) = (run("A-1.1"), run("A-2.1"), run("A-3.1"));
        // A branch with commits, a detached head, a blob that only an index names, a commit that only a log
        // names, and preserved work.
        let made = site.create(&one).await;
        put(&made.path, "work", "on the branch\n");
        let candidate = site.candidate(&one).await.unwrap();
        site.trees.commit(site.name(), &one, &candidate).await.unwrap();
        put(&made.path, "staged", "only in the index\n");
        git(&made.path, &["add", "staged"]);
        fs::remove_file(made.path.join("staged")).unwrap();
        let other = site.create(&two).await;
        git(&other.path, &["commit", "--quiet", "--allow-empty", "-m", "left behind"]);
        let logged = git(&other.path, &["rev-parse", "HEAD"]).trim().to_owned();
        git(&other.path, &["checkout", "--quiet", "--detach", "HEAD~1"]);
        git(&other.path, &["commit", "--quiet", "--allow-empty", "-m", "detached"]);
        let detached = git(&other.path, &["rev-parse", "HEAD"]).trim().to_owned();
        git(&other.path, &["update-ref", "refs/heads/qd/A-2.1", site.base.as_str()]);
        put(&site.create(&three).await.path, "kept", "preserved\n");
        let kept = site.remove(&three).await.unwrap();
        let old = blob(&site, "nobody knows this");
        age(&site.mirror().join("objects"));
        // What is made now and not named yet.
        put(&made.path, "later", "not on a branch yet\n");
        let young = site.candidate(&one).await.unwrap();
        site.trees.guard_before(site.name(), &one).await.unwrap();

        let (before, after) = site.trees.maintain(site.name(), effort).await.unwrap();
        assert!(before.loose > 10 && after.loose < before.loose, "{before:?} {after:?}");
        site.trees.maintain(site.name(), effort).await.unwrap();

        assert!(!has(&site, &old), "{effort:?}: what nobody names and is old goes");
        for id in [&candidate, &young, &kept] {
            let id: &CommitId = id;
            git(&site.mirror(), &["rev-list", "--objects", id.as_str()]);
        }
        assert!(has(&site, &logged) && has(&site, &detached), "{effort:?}");
        git(&made.path, &["checkout", "--quiet", "--", "staged"]);
        assert_eq!(read(&made.path, "staged"), "only in the index\n");
        git(&site.mirror(), &["fsck", "--strict", "--no-dangling"]);
        git(&made.path, &["commit", "--quiet", "-m", "goes on"]);
        assert_eq!(site.shown(&kept, "kept"), "preserved\n");
        assert_eq!(site.trees.guard_after(site.name(), &one).await.unwrap(), [], "it is no violation");
        assert_eq!(
            site.trees.preserve(site.name(), &two, "x", &stamp()).await.unwrap().unwrap().as_str(),
            detached
        );
    }
}

#[tokio::test]
async fn young_garbage_goes_when_it_is_old() {
    let site = Site::new().await;
    let young = blob(&site, "young");
    site.trees.maintain(site.name(), Effort::Light).await.unwrap();
    site.trees.maintain(site.name(), Effort::Thorough).await.unwrap();
    assert!(has(&site, &young));
    let pack = site.mirror().join("objects/pack");
    let packs = |end: &str| {
        let all = fs::read_dir(&pack).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.to_str().unwrap().ends_with(end)).count()
    };
    assert_eq!(packs(".mtimes"), 1, "it waits in a pack of its own");
    git(&site.mirror(), &["-c", "gc.cruftPacks=true", "repack", "-d", "--cruft", "--cruft-expiration=now"]);
    assert!(!has(&site, &young));
    let (_, after) = site.trees.maintain(site.name(), Effort::Thorough).await.unwrap();
    assert!(matches!(after, Objects { loose: 0, packs: 1, .. }), "{after:?}");
}

#[tokio::test]
async fn maintenance_beside_runs_at_work() {
    let site = Site::new().await;
    let maintain = async {
        for effort in [Effort::Light, Effort::Thorough, Effort::Light, Effort::Thorough] {
            site.trees.maintain(site.name(), effort).await.unwrap();
        }
    };
    let work = async {
        for number in 1..=6 {
            let run = run(&format!("A-{number}.1"));
            let made = site.create(&run).await;
            put(&made.path, "mine", &number.to_string());
            git(&made.path, &["add", "--all"]);
            git(&made.path, &["commit", "--quiet", "-m", "mine"]);
            site.forge_commit(&[("a", &number.to_string())]).await;
            site.trees.refresh(&site.spec).await.unwrap();
            let kept = site.remove(&run).await.unwrap();
            assert_eq!(site.shown(&kept, "mine"), number.to_string());
        }
    };
    tokio::join!(maintain, work);
    git(&site.mirror(), &["fsck", "--strict", "--no-dangling"]);
    site.assert_clean().await;
}
