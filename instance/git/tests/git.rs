//! Git through the public interface, on real repositories in throw-away folders.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may fail this way")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use qd_git::{
    At, Change, DiffStat, Git, GitError, Identity, Merge, NewCommit, Push, Repo, Swap, WorktreeState,
};
use qd_types::CommitId;
use tempfile::TempDir;

struct Site {
    folder: TempDir,
    repo: Repo,
}

impl Site {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let repo = Git::new().init_bare(&folder.path().join("origin.git"), "main").await.unwrap();
        Self { folder, repo }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// A commit of these files and no others.
    async fn commit(&self, parents: &[&CommitId], files: &[(&str, &str)]) -> CommitId {
        let source = TempDir::new().unwrap();
        for (path, text) in files {
            put(source.path(), path, text);
        }
        let tree = self.repo.write_tree(source.path(), None).await.unwrap();
        let parents: Vec<CommitId> = parents.iter().map(|&parent| parent.clone()).collect();
        let identity = Identity::new("Ines", "ines@example.org");
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let new = NewCommit { tree: &tree, parents: &parents, message: "A change", identity: &identity, at };
        self.repo.commit_tree(&new).await.unwrap()
    }

    async fn main(&self, files: &[(&str, &str)]) -> CommitId {
        let commit = self.commit(&[], files).await;
        assert_eq!(self.repo.update_ref("main", &commit, None).await.unwrap(), Swap::Done);
        commit
    }
}

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn the_same_commit_has_the_same_id() {
    let site = Site::new().await;
    let one = site.commit(&[], &[("a", "1\n")]).await;
    assert_eq!(one, site.commit(&[], &[("a", "1\n")]).await);
    insta::assert_snapshot!(one, @"2d74333d35b8f40ae2a3c38d1f67831fd1146a53");
    let read = site.repo.commit(&one).await.unwrap().unwrap();
    assert_eq!((read.message.as_str(), read.parents.len()), ("A change", 0));
    let unknown = "1".repeat(40).parse().unwrap();
    assert_eq!(site.repo.commit(&unknown).await.unwrap(), None);
}

#[tokio::test]
async fn references_move_by_compare_and_swap() {
    let site = Site::new().await;
    let one = site.main(&[("a", "1\n")]).await;
    let two = site.commit(&[&one], &[("a", "2\n")]).await;
    let repo = &site.repo;
    assert_eq!(repo.update_ref("main", &two, None).await.unwrap(), Swap::Lost { actual: Some(one.clone()) });
    assert_eq!(
        repo.update_ref("main", &two, Some(&two)).await.unwrap(),
        Swap::Lost { actual: Some(one.clone()) }
    );
    assert_eq!(repo.update_ref("main", &two, Some(&one)).await.unwrap(), Swap::Done);
    assert_eq!(repo.resolve("HEAD").await.unwrap(), Some(two.clone()));
    assert_eq!(repo.resolve("elsewhere").await.unwrap(), None);
    assert_eq!(repo.delete_ref("main", &one).await.unwrap(), Swap::Lost { actual: Some(two.clone()) });
    assert_eq!(repo.delete_ref("main", &two).await.unwrap(), Swap::Done);
    assert_eq!(repo.delete_ref("main", &two).await.unwrap(), Swap::Done);
    assert_eq!(repo.resolve("main").await.unwrap(), None);

    assert_eq!(repo.update_ref("refs/x/a/b", &one, None).await.unwrap(), Swap::Done);
    repo.point("refs/x/c", "gone").await.unwrap();
    assert_eq!(repo.names("refs/x/").await.unwrap(), ["refs/x/a/b", "refs/x/c"]);
    assert_eq!(repo.references("refs/x/").await.unwrap(), [("refs/x/a/b".to_owned(), one.clone())]);
    assert_eq!(repo.pointed("refs/x/c").await.unwrap().as_deref(), Some("refs/heads/gone"));
    repo.unpoint("refs/x/c").await.unwrap();
    repo.unpoint("refs/x/c").await.unwrap();
    assert_eq!(repo.pointed("refs/x/c").await.unwrap(), None);

    for bad in ["-x", "a..b", "a b", "", "refs/heads/-x", "a.lock"] {
        assert!(matches!(repo.resolve(bad).await, Err(GitError::Parse { .. })), "{bad:?}");
        assert!(matches!(repo.update_ref(bad, &one, None).await, Err(GitError::Parse { .. })), "{bad:?}");
    }
}

#[tokio::test]
async fn ancestry_is_told() {
    let site = Site::new().await;
    let one = site.main(&[("a", "1\n")]).await;
    let two = site.commit(&[&one], &[("a", "2\n")]).await;
    let three = site.commit(&[&one], &[("a", "3\n")]).await;
    let alone = site.commit(&[], &[("b", "\n")]).await;
    let repo = &site.repo;
    assert!(repo.is_ancestor(&one, &two).await.unwrap());
    assert!(repo.is_ancestor(&two, &two).await.unwrap());
    assert!(!repo.is_ancestor(&two, &three).await.unwrap());
    assert_eq!(repo.merge_base(&two, &three).await.unwrap(), Some(one.clone()));
    assert_eq!(repo.merge_base(&two, &alone).await.unwrap(), None);
    assert!(repo.has_more_than(std::slice::from_ref(&two), &["refs/heads/*"], &[]).await.unwrap());
    assert!(!repo.has_more_than(std::slice::from_ref(&one), &["refs/heads/*"], &[]).await.unwrap());
    assert!(!repo.has_more_than(std::slice::from_ref(&two), &[], std::slice::from_ref(&two)).await.unwrap());
}

#[tokio::test]
async fn merges_are_clean_or_name_the_files() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n"), ("b/ü x", "1\n"), ("c", "1\n")]).await;
    let one = site.commit(&[&base], &[("a", "2\n"), ("b/ü x", "2\n"), ("c", "1\n")]).await;
    let other = site.commit(&[&base], &[("a", "1\n"), ("b/ü x", "3\n"), ("c", "3\n")]).await;
    let apart = site.commit(&[&base], &[("a", "1\n"), ("b/ü x", "1\n"), ("c", "3\n")]).await;
    let Merge::Conflict { files, tree } = site.repo.merge_tree(&one, &other).await.unwrap() else {
        panic!("no conflict")
    };
    assert_eq!(files, ["b/ü x"]);
    let marked = site.repo.blob_at(&tree, "b/ü x").await.unwrap().unwrap();
    assert!(String::from_utf8(marked).unwrap().contains("=======\n3\n>>>>>>>"));
    assert_eq!(site.repo.blob_at(&tree, "nowhere").await.unwrap(), None);
    let Merge::Clean(tree) = site.repo.merge_tree(&one, &apart).await.unwrap() else { panic!("a conflict") };
    let changed = site.repo.changed_files(&base, &tree).await.unwrap();
    let paths: Vec<_> = changed.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["a", "b/ü x", "c"]);
    let alone = site.commit(&[], &[("d", "\n")]).await;
    let error = site.repo.merge_tree(&one, &alone).await.unwrap_err();
    assert!(error.to_string().contains("unrelated histories"), "{error}");
}

#[tokio::test]
async fn a_push_keeps_its_lease() {
    let site = Site::new().await;
    let one = site.main(&[("a", "1\n")]).await;
    let remote = site.path("origin.git").display().to_string();
    let clone = Git::new().clone_bare(&remote, &site.path("clone.git")).await.unwrap();
    let two = site.commit(&[&one], &[("a", "2\n")]).await;
    let three = site.commit(&[&one], &[("a", "3\n")]).await;
    assert_eq!(site.repo.update_ref("qd/x", &two, None).await.unwrap(), Swap::Done);
    assert_eq!(site.repo.update_ref("qd/y", &three, None).await.unwrap(), Swap::Done);
    clone.fetch(&remote, &["+refs/heads/*:refs/remotes/origin/*"], true).await.unwrap();
    assert_eq!(clone.resolve("refs/remotes/origin/qd/x").await.unwrap(), Some(two.clone()));

    let lost = |actual: &CommitId| Push::LeaseLost { actual: Some(actual.clone()) };
    assert_eq!(clone.push(&remote, &three, "qd/x", None).await.unwrap(), lost(&two));
    assert_eq!(clone.push(&remote, &three, "qd/x", Some(&one)).await.unwrap(), lost(&two));
    assert_eq!(clone.push(&remote, &three, "qd/x", Some(&two)).await.unwrap(), Push::Done);
    assert_eq!(
        clone.push(&remote, &three, "qd/x", Some(&two)).await.unwrap(),
        Push::Done,
        "is there already"
    );
    assert_eq!(clone.push(&remote, &three, "qd/new", None).await.unwrap(), Push::Done);
    assert_eq!(
        clone.push(&remote, &one, "qd/none", Some(&two)).await.unwrap(),
        Push::LeaseLost { actual: None }
    );
    assert_eq!(site.repo.resolve("qd/x").await.unwrap(), Some(three.clone()));
    assert_eq!(clone.remote_head(&remote, "qd/new").await.unwrap(), Some(three));

    assert_eq!(
        site.repo
            .delete_ref("qd/y", &clone.resolve("refs/remotes/origin/qd/y").await.unwrap().unwrap())
            .await
            .unwrap(),
        Swap::Done
    );
    clone.fetch(&remote, &["+refs/heads/*:refs/remotes/origin/*"], true).await.unwrap();
    assert_eq!(clone.resolve("refs/remotes/origin/qd/y").await.unwrap(), None);
    let config = fs::read_to_string(site.path("clone.git/config")).unwrap();
    assert!(!config.contains("origin"), "the remote is not remembered: {config}");
}

#[tokio::test]
async fn a_tree_has_what_is_there_and_nothing_hides() {
    let site = Site::new().await;
    let base =
        site.main(&[("kept", "1\n"), ("changed", "1\n"), ("gone", "1\n"), (".gitignore", "*.log\n")]).await;
    let folder = site.path("work");
    site.repo.worktree_add(&folder, &At::Detached(base.clone())).await.unwrap();
    put(&folder, "changed", "2\n");
    put(&folder, "sub/new", "1\n");
    put(&folder, "x.log", "noise\n");
    fs::remove_file(folder.join("gone")).unwrap();
    fs::write(folder.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("kept", folder.join("link")).unwrap();
    git(&folder, &["update-index", "--assume-unchanged", "changed"]);
    let index = site.repo.worktree_admin(&folder).await.unwrap().unwrap().join("index");
    let before = fs::read(&index).unwrap();

    let tree = site.repo.write_tree(&folder, Some(&base)).await.unwrap();
    let changed = site.repo.changed_files(&base, &tree).await.unwrap();
    let changed: Vec<_> = changed.iter().map(|file| (file.change, file.path.as_str())).collect();
    let expect = [
        (Change::Modified, "changed"),
        (Change::Deleted, "gone"),
        (Change::Added, "link"),
        (Change::Added, "run.sh"),
        (Change::Added, "sub/new"),
    ];
    assert_eq!(changed, expect);
    assert_eq!(fs::read(&index).unwrap(), before, "the worktree's own index is untouched");

    // A `.git` that somebody puts there is not followed.
    fs::remove_file(folder.join(".git")).unwrap();
    git(&folder, &["init", "--quiet"]);
    assert_eq!(site.repo.write_tree(&folder, Some(&base)).await.unwrap(), tree);
}

fn git(folder: &Path, args: &[&str]) {
    let mut command = std::process::Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env_remove("GIT_DIR").args(args);
    let done = command.output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Each addition reads all other registrations: with so many, one that is half written would be met.
const MANY: usize = 64;

#[tokio::test]
async fn many_worktrees_at_once() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n")]).await;
    let adds = (0..MANY).map(|n| {
        let (repo, folder, at) = (site.repo.clone(), site.path(&format!("w{n}")), At::Detached(base.clone()));
        tokio::spawn(async move { repo.worktree_add(&folder, &at).await })
    });
    for add in adds.collect::<Vec<_>>() {
        add.await.unwrap().unwrap();
    }
    let list = site.repo.worktree_list().await.unwrap();
    assert_eq!(list.len(), MANY + 1);
    assert!(list[0].bare);
    assert!(list[1..].iter().all(|entry| entry.head.as_ref() == Some(&base) && entry.branch.is_none()));
    for entry in &list[1..] {
        assert_eq!(site.repo.worktree_state(&entry.path).await.unwrap(), WorktreeState::Sound);
    }
}

#[tokio::test]
async fn a_lost_registration_comes_back_around_the_files() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n"), ("b", "1\n")]).await;
    let folder = site.path("work");
    assert_eq!(site.repo.update_ref("qd/x", &base, None).await.unwrap(), Swap::Done);
    site.repo.worktree_add(&folder, &At::Branch("qd/x".to_owned())).await.unwrap();
    put(&folder, "a", "2\n");
    let admin = site.repo.worktree_admin(&folder).await.unwrap().unwrap();
    fs::remove_dir_all(admin).unwrap();
    assert_eq!(site.repo.worktree_state(&folder).await.unwrap(), WorktreeState::Broken);
    site.repo.worktree_attach(&folder, "qd/x").await.unwrap();
    assert_eq!(site.repo.worktree_state(&folder).await.unwrap(), WorktreeState::Sound);
    assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "2\n");
    git(&folder, &["diff", "--quiet", "HEAD", "--", "b"]);
    let head = site.repo.worktree_head(&folder).await.unwrap().unwrap();
    assert_eq!((head.branch.as_deref(), head.commit), (Some("qd/x"), Some(base)));
}

#[tokio::test]
async fn a_worktree_goes_even_if_it_resists() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n")]).await;
    let folder = site.path("work");
    site.repo.worktree_add(&folder, &At::Detached(base.clone())).await.unwrap();
    put(&folder, "cache/module", "1\n");
    fs::set_permissions(folder.join("cache"), fs::Permissions::from_mode(0o500)).unwrap();
    site.repo.worktree_remove(&folder).await.unwrap();
    site.repo.worktree_remove(&folder).await.unwrap();
    assert!(!folder.exists());
    assert_eq!(site.repo.worktree_list().await.unwrap().len(), 1);

    site.repo.worktree_add(&folder, &At::Detached(base)).await.unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(site.repo.worktree_state(&folder).await.unwrap(), WorktreeState::Missing);
    site.repo.worktree_prune().await.unwrap();
    assert_eq!(site.repo.worktree_list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn changes_are_counted_shown_and_hashed() {
    let site = Site::new().await;
    let long: String = (0..40).map(|n| format!("line {n}\n")).collect();
    let (before, after) = (format!("{long}2\n{long}"), format!("{long}3\n4\n{long}"));
    let base = site.main(&[("a", &before), ("old", &long), ("bin", "\0\u{1}")]).await;
    let head = site.commit(&[&base], &[("a", &after), ("new", &long), ("bin", "\0\u{2}")]).await;
    let stat = site.repo.diff_stat(&base, &head).await.unwrap();
    assert_eq!(stat, DiffStat { files: 3, insertions: 2, deletions: 1 });
    let whole = site.repo.diff_text(&base, &head, 10_000).await.unwrap();
    insta::assert_snapshot!(whole.text, @r#"
    diff --git a/a b/a
    index bd1cae8..8b40dc9 100644
    --- a/a
    +++ b/a
    @@ -38,7 +38,8 @@ line 36
     line 37
     line 38
     line 39
    -2
    +3
    +4
     line 0
     line 1
     line 2
    diff --git a/bin b/bin
    index bdc955b..8835708 100644
    Binary files a/bin and b/bin differ
    diff --git a/old b/new
    similarity index 100%
    rename from old
    rename to new
    "#);
    assert!(!whole.cut);
    let part = site.repo.diff_text(&base, &head, 60).await.unwrap();
    assert!(
        part.cut && part.text.len() <= 60 && part.text.ends_with('\n') && whole.text.starts_with(&part.text)
    );
    assert!(site.repo.diff_text(&base, &head, whole.text.len() - 1).await.unwrap().cut);
    assert!(!site.repo.diff_text(&base, &head, whole.text.len()).await.unwrap().cut);

    let digest = site.repo.diff_sha256(&base, &head).await.unwrap();
    insta::assert_snapshot!(digest, @"c87b4d08a5ea2cfd992ea6fc0fe3de3aa1012712a140c1ca66ea8418f94eeb31");
    // Nothing that somebody sets in the repository sways what an approval binds.
    for (key, value) in [
        ("diff.noprefix", "true"),
        ("diff.context", "9"),
        ("diff.algorithm", "patience"),
        ("diff.renames", "copies"),
    ] {
        git(site.repo.folder(), &["config", key, value]);
    }
    assert_eq!(site.repo.diff_sha256(&base, &head).await.unwrap(), digest);
    let other = site.commit(&[&base], &[("a", &after), ("new", &long), ("bin", "\0\u{3}")]).await;
    assert_ne!(site.repo.diff_sha256(&base, &other).await.unwrap(), digest, "binary content counts");

    assert_eq!(site.repo.update_ref("main", &head, Some(&base)).await.unwrap(), Swap::Done);
    insta::assert_snapshot!(site.repo.log_graph("main", 5).await.unwrap(), @r#"
    * 68bcc1e (HEAD -> main) A change
    * 5d5911c A change
    "#);
}

#[tokio::test]
async fn hooks_do_not_run() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n")]).await;
    let mark = site.path("ran");
    let hook = format!("#!/bin/sh\ntouch {}\n", mark.display());
    for name in ["post-checkout", "reference-transaction", "pre-push"] {
        put(site.repo.folder(), &format!("hooks/{name}"), &hook);
        let path = site.repo.folder().join("hooks").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    site.repo.worktree_add(&site.path("work"), &At::Detached(base.clone())).await.unwrap();
    assert_eq!(site.repo.update_ref("x", &base, None).await.unwrap(), Swap::Done);
    assert!(!mark.exists());
}

fn script(site: &Site, text: &str) -> PathBuf {
    let path = site.path("slow-git");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn what_takes_too_long_is_ended_with_all_it_started() {
    let site = Site::new().await;
    let pid = site.path("pid");
    let program =
        script(&site, &format!("trap '' TERM; sleep 600 & echo $! > {}; wait; wait", pid.display()));
    let slow = Git::new().with_program(program).with_limit(Duration::from_millis(300));
    let start = Instant::now();
    let error = slow.version().await.unwrap_err();
    assert!(matches!(error, GitError::Timeout { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
    insta::assert_snapshot!(error, @"git --version was ended after 0.3 s without an answer");
    let child = fs::read_to_string(pid).unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while alive(child.trim()) {
        assert!(Instant::now() < end, "what git started still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_dropped_call_ends_git() {
    let site = Site::new().await;
    let pid = site.path("pid");
    let program = script(&site, &format!("echo $$ > {}; sleep 600", pid.display()));
    let slow = Git::new().with_program(program);
    tokio::time::timeout(Duration::from_millis(300), slow.version()).await.unwrap_err();
    let process = fs::read_to_string(pid).unwrap();
    let end = Instant::now() + Duration::from_secs(5);
    while alive(process.trim()) {
        assert!(Instant::now() < end, "git still runs");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Packing beside it takes an object's folder away while the object is written, now and then twice.
#[tokio::test]
async fn an_object_whose_folder_went_away_is_written_again() {
    let site = Site::new().await;
    let tries = site.path("tries");
    let gone = "error: unable to create temporary file: No such file or directory";
    let program = script(
        &site,
        &format!(
            "case \"$*\" in *commit-tree*) echo >> {tries}; if [ $(wc -l < {tries}) -lt 3 ]; then echo '{gone}' >&2; \
             exit 128; fi;; esac; exec git \"$@\"",
            tries = tries.display()
        ),
    );
    let folder = site.path("origin.git");
    let again =
        Site { repo: Git::new().with_program(program).open(&folder).await.unwrap(), folder: site.folder };
    let commit = again.commit(&[], &[("a.txt", "a\n")]).await;
    assert_eq!(fs::read_to_string(&tries).unwrap().lines().count(), 3);
    assert!(again.repo.commit(&commit).await.unwrap().is_some());
}

fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie has ended; whoever adopted it has not looked yet.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn errors_name_the_call_and_no_secret() {
    let site = Site::new().await;
    let error = Git::new().with_program("/nowhere/git").version().await.unwrap_err();
    insta::assert_snapshot!(error, @"/nowhere/git could not be started: is git installed, and on PATH?");
    let error = Git::new().open(&site.path("nothing")).await.unwrap_err();
    assert!(matches!(error, GitError::Parse { .. }), "{error}");
    let error = site.repo.fetch("https://ines:s3cret@localhost:1/x.git", &["main"], false).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("https://***@localhost:1/x.git") && !text.contains("s3cret"), "{text}");
    let error = site.repo.fetch("--upload-pack=touch /tmp/x", &["main"], false).await.unwrap_err();
    assert!(matches!(error, GitError::Failed { .. }), "{error}");
}

#[tokio::test]
async fn many_trial_merges_at_once_name_the_conflicts_of_each_pair() {
    let site = Site::new().await;
    let base = site.main(&[("a", "1\n"), ("b/x", "1\n"), ("c", "1\n")]).await;
    let one = site.commit(&[&base], &[("a", "2\n"), ("b/x", "2\n"), ("c", "1\n")]).await;
    let other = site.commit(&[&base], &[("a", "3\n"), ("b/x", "3\n"), ("c", "3\n")]).await;
    let apart = site.commit(&[&base], &[("a", "1\n"), ("b/x", "1\n"), ("c", "1\n"), ("d", "1\n")]).await;
    let alone = site.commit(&[], &[("d", "\n")]).await;
    let pair = |one: &CommitId, other: &CommitId| (one.clone(), other.clone());
    let pairs =
        [pair(&one, &other), pair(&one, &apart), pair(&one, &alone), pair(&one, &one), pair(&other, &one)];
    let found = site.repo.conflicts(&pairs).await.unwrap();
    assert_eq!(found, [vec!["a", "b/x"], vec![], vec![], vec![], vec!["a", "b/x"]]);
    let folders = site.repo.changed_folders(&[one.clone(), apart.clone()], &base).await.unwrap();
    assert!(folders[&one].contains("b") && folders[&apart].contains(""));
    let set = |folders: &[&str]| folders.iter().map(|folder| (*folder).to_owned()).collect();
    assert!(qd_git::radar::may_meet(&set(&["src"]), &set(&["src/deep"])));
    assert!(!qd_git::radar::may_meet(&set(&["src"]), &set(&["srcs", ""])));
}
