//! A used folder becomes equal to a commit again, whatever was done to it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use proptest::prelude::*;
use qd_git::{At, Restore};
use qd_types::CommitId;

use crate::{
    exact::tree,
    site::{EXECUTABLE, Files, LINK, PLAIN, Site, files, git, shown, verdict},
};

/// A filled folder with its record.
struct Used {
    site: Site,
    folder: PathBuf,
    record: PathBuf,
    commit: CommitId,
}

impl Used {
    async fn new(all: &Files) -> Option<Self> {
        let site = Site::new().await;
        let (commit, record) = (site.commit(all), site.path("record"));
        // Beside it and above it only what we make: as in a pool.
        fs::create_dir(site.path("pool")).unwrap();
        let folder = site.path("pool/files");
        let at = At::Detached(commit.clone());
        let unfit = site.repo.worktree_add_recorded(&folder, &at, Some(&record)).await.unwrap();
        unfit.is_none().then_some(Self { site, folder, record, commit })
    }

    async fn sample() -> Self {
        let sample = files(&[
            ("a", PLAIN, "one\n"),
            ("dir/b", PLAIN, "two\n"),
            ("dir/sub/c", EXECUTABLE, "three\n"),
            ("link", LINK, "dir/b"),
        ]);
        Self::new(&sample).await.unwrap()
    }

    async fn restore(&self, commit: &CommitId, keep: &[PathBuf]) -> Result<(), String> {
        let (record, new) = (Some(self.record.as_path()), self.site.path("record.new"));
        let restore = Restore { folder: &self.folder, commit, record, keep, new_record: Some(&new) };
        let index = self.site.repo.restore(&restore).await.map_err(|unfit| unfit.to_string())?;
        fs::rename(new, &self.record).unwrap();
        let _ = index;
        Ok(())
    }

    /// After a restore the folder is as a fresh one of git's.
    async fn check(&self, commit: &CommitId) {
        self.restore(commit, &[]).await.unwrap();
        self.compare(commit).await;
    }

    async fn compare(&self, commit: &CommitId) {
        let fresh = self.site.path("fresh");
        self.site.repo.worktree_add(&fresh, &At::Detached(commit.clone())).await.unwrap();
        assert_eq!(shown(&self.folder), shown(&fresh));
        self.site.repo.worktree_remove(&fresh).await.unwrap();
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// Which file stands there, and since when: a new one may get the number of the one that went.
fn standing(path: &Path) -> (u64, i64, i64) {
    let file = fs::symlink_metadata(path).unwrap();
    (file.ino(), file.ctime(), file.ctime_nsec())
}

/// Puts a file's times back, as an agent may.
fn backdate(path: &Path, like: &fs::Metadata) {
    let times =
        fs::FileTimes::new().set_modified(like.modified().unwrap()).set_accessed(like.accessed().unwrap());
    fs::File::options().append(true).open(path).unwrap().set_times(times).unwrap();
}

/// Waits until the clock of the file system has moved past every file.
async fn tick(used: &Used) {
    let probe = used.site.path("tick");
    let before = fs::metadata(&used.record).unwrap();
    loop {
        fs::write(&probe, "").unwrap();
        let now = fs::metadata(&probe).unwrap();
        if (now.ctime(), now.ctime_nsec()) > (before.ctime(), before.ctime_nsec()) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_was_not_touched_stays_and_the_rest_is_written() {
    let used = Used::sample().await;
    // A file that was written in the tick of its record is not trusted and written anew: soon none is.
    let mut before = (0, 0, 0);
    for _ in 0..5_000 {
        tick(&used).await;
        used.restore(&used.commit, &[]).await.unwrap();
        let now = standing(&used.folder.join("a"));
        if now == before {
            break;
        }
        before = now;
    }
    tick(&used).await;
    fs::write(used.folder.join("dir/b"), "changed\n").unwrap();
    used.check(&used.commit).await;
    assert_eq!(standing(&used.folder.join("a")), before);
}

#[tokio::test]
async fn an_edit_of_the_same_size_and_time_does_not_survive() {
    let used = Used::sample().await;
    tick(&used).await;
    let path = used.folder.join("a");
    let before = fs::metadata(&path).unwrap();
    fs::write(&path, "bad\n").unwrap();
    backdate(&path, &before);
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    assert_eq!((before.len(), before.ino()), (after.len(), after.ino()));
    // Its own index knows nothing of it.
    git(&used.folder, &["update-index", "--assume-unchanged", "a"]);
    git(&used.folder, &["update-index", "--add", "a"]);
    used.check(&used.commit).await;
}

#[tokio::test]
async fn an_edit_in_the_tick_of_the_record_does_not_survive() {
    for _ in 0..20 {
        let used = Used::sample().await;
        let path = used.folder.join("a");
        let before = fs::metadata(&path).unwrap();
        fs::write(&path, "bad\n").unwrap();
        backdate(&path, &before);
        used.check(&used.commit).await;
    }
}

#[tokio::test]
async fn nothing_done_to_the_folder_survives() {
    type Deed = fn(&Path, &Path);
    let deeds: [(&str, Deed); 12] = [
        ("a file more", |folder, _| fs::write(folder.join("dir/new"), "1").unwrap()),
        ("a file less", |folder, _| fs::remove_file(folder.join("dir/sub/c")).unwrap()),
        ("another mode", |folder, _| {
            fs::set_permissions(folder.join("a"), fs::Permissions::from_mode(0o777)).unwrap();
        }),
        ("a closed folder", |folder, _| {
            fs::create_dir_all(folder.join("x/y")).unwrap();
            fs::write(folder.join("x/y/z"), "1").unwrap();
            fs::set_permissions(folder.join("x/y"), fs::Permissions::from_mode(0o000)).unwrap();
            fs::set_permissions(folder.join("dir"), fs::Permissions::from_mode(0o555)).unwrap();
        }),
        ("a folder for a file", |folder, _| {
            fs::remove_file(folder.join("a")).unwrap();
            fs::create_dir_all(folder.join("a/b/c")).unwrap();
        }),
        ("a file for a folder", |folder, _| {
            fs::remove_dir_all(folder.join("dir")).unwrap();
            fs::write(folder.join("dir"), "1").unwrap();
        }),
        ("a link for a folder", |folder, outside| {
            fs::remove_dir_all(folder.join("dir")).unwrap();
            symlink(outside, folder.join("dir")).unwrap();
        }),
        ("a link for a file", |folder, outside| {
            fs::remove_file(folder.join("a")).unwrap();
            symlink(outside.join("b"), folder.join("a")).unwrap();
        }),
        ("a link elsewhere", |folder, outside| {
            fs::remove_file(folder.join("link")).unwrap();
            symlink(outside, folder.join("link")).unwrap();
        }),
        ("folders swapped", |folder, _| {
            fs::rename(folder.join("dir/sub"), folder.join("t")).unwrap();
            fs::rename(folder.join("dir"), folder.join("sub")).unwrap();
            fs::rename(folder.join("t"), folder.join("dir")).unwrap();
        }),
        ("a name swapped", |folder, _| {
            fs::rename(folder.join("a"), folder.join("t")).unwrap();
            fs::rename(folder.join("dir/b"), folder.join("a")).unwrap();
            fs::rename(folder.join("t"), folder.join("dir/b")).unwrap();
        }),
        ("a second name elsewhere", |folder, outside| {
            fs::hard_link(folder.join("a"), outside.join("handle")).unwrap();
        }),
    ];
    for (name, deed) in deeds {
        let used = Used::sample().await;
        let outside = used.site.path("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("b"), "precious\n").unwrap();
        tick(&used).await;
        deed(&used.folder, &outside);
        used.check(&used.commit).await;
        assert_eq!(fs::read_to_string(outside.join("b")).unwrap(), "precious\n", "{name}");
        if let Ok(handle) = fs::metadata(outside.join("handle")) {
            assert_ne!(handle.ino(), inode(&used.folder.join("a")), "{name}");
        }
    }
}

#[tokio::test]
async fn another_commit_is_put_in_place_of_the_first() {
    let used = Used::sample().await;
    let next = used.site.commit(&files(&[
        ("a", EXECUTABLE, "one\n"),
        ("dir", PLAIN, "no folder\n"),
        ("link/x", PLAIN, "1\n"),
    ]));
    used.check(&next).await;
    used.check(&used.commit).await;
}

#[tokio::test]
async fn what_may_stay_stays() {
    let used = Used::sample().await;
    for path in ["target/x", "dir/cache/y", "other/z"] {
        fs::create_dir_all(used.folder.join(path).parent().unwrap()).unwrap();
        fs::write(used.folder.join(path), "1").unwrap();
    }
    used.restore(&used.commit, &["target".into(), "dir/cache".into(), "a".into()]).await.unwrap();
    assert!(used.folder.join("target/x").exists() && used.folder.join("dir/cache/y").exists());
    assert!(!used.folder.join("other").exists());
    used.check(&used.commit).await;
}

#[tokio::test]
async fn a_damaged_record_is_refused() {
    let used = Used::sample().await;
    let mut bytes = fs::read(&used.record).unwrap();
    let place = bytes.len() / 2;
    bytes[place] ^= 1;
    fs::write(&used.record, bytes).unwrap();
    let refused = used.restore(&used.commit, &[]).await.unwrap_err();
    assert!(refused.contains("is damaged"), "{refused}");
}

#[tokio::test]
async fn a_restored_folder_has_an_index_to_match() {
    let used = Used::sample().await;
    let next = used.site.commit(&files(&[("a", PLAIN, "other\n"), ("n", PLAIN, "1\n")]));
    used.site.git(&["branch", "next", next.as_str()]);
    let record = Some(used.record.as_path());
    let restore = Restore { folder: &used.folder, commit: &next, record, keep: &[], new_record: None };
    let index = used.site.repo.restore(&restore).await.unwrap();
    let to = used.site.path("adopted");
    used.site.repo.worktree_adopt(&used.folder, &to, "next", &index).await.unwrap();
    let fresh = used.site.path("fresh");
    used.site.repo.worktree_add(&fresh, &At::Detached(next)).await.unwrap();
    assert_eq!(verdict(&to), verdict(&fresh));
    assert_eq!(git(&to, &["symbolic-ref", "HEAD"]), "refs/heads/next\n");
    assert_eq!(used.site.repo.worktree_state(&to).await.unwrap(), qd_git::WorktreeState::Sound);
    git(&to, &["fsck", "--strict"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_commit_follows_any_other((one, other, deeds) in (tree(), tree(), proptest::collection::vec(any::<(u8, u8)>(), 0..6))) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let Some(used) = Used::new(&one).await else { return };
            let mut there: Vec<PathBuf> = shown(&used.folder).into_keys().map(PathBuf::from).collect();
            there.retain(|path| used.folder.join(path).symlink_metadata().is_ok());
            for (which, how) in deeds {
                let Some(path) = there.get(usize::from(which) % there.len().max(1)) else { break };
                let path = used.folder.join(path);
                if path.is_symlink() {
                    // Nothing is made where it leads to: that may be anywhere.
                    fs::remove_file(&path).unwrap();
                }
                let _ = match how % 4 {
                    0 => fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)),
                    1 => fs::write(&path, "agent"),
                    2 => fs::rename(&path, used.folder.join("moved")),
                    _ => fs::create_dir_all(path.join("deep")),
                };
            }
            let next = used.site.commit(&other);
            if used.restore(&next, &[]).await.is_ok() {
                used.compare(&next).await;
            }
        });
    }
}
