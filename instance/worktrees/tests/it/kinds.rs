//! Kinds of repositories, each from creation to clean-up, through the port alone; or refused early, with the
//! command that mends it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use qd_git::Git;
use qd_types::CommitId;
use qd_worktrees::{
    Care, GitWorktrees, Merged, Obstacle, RepositorySpec, Worktree, WorktreeError, Worktrees, inspect,
};
use tempfile::TempDir;

use crate::site::{git, put, read, run, stamp};

/// A repository of somebody's, with a working tree, and an instance that works with it.
struct Home {
    folder: TempDir,
    spec: RepositorySpec,
    trees: GitWorktrees,
}

impl Home {
    /// `their` makes the repository at a path.
    async fn new(target: &str, their: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let remote = root.join("a path/für sie");
        fs::create_dir_all(&remote).unwrap();
        their(&remote);
        let spec = RepositorySpec {
            name: "sample".parse().unwrap(),
            remote: remote.display().to_string(),
            target: target.to_owned(),
        };
        let trees = GitWorktrees::open(Git::new(), &root.join("our state")).await.unwrap();
        Self { folder, spec, trees }
    }

    fn remote(&self) -> PathBuf {
        PathBuf::from(&self.spec.remote)
    }

    async fn obstacles(&self) -> Vec<Obstacle> {
        inspect(&Git::new(), &self.remote()).await.unwrap()
    }

    async fn create(&self, name: &str) -> Worktree {
        let base = self.trees.refresh(&self.spec).await.unwrap();
        self.trees.create(&self.spec.name, &run(name), &format!("qd/{name}"), &base).await.unwrap()
    }

    async fn candidate(&self, name: &str) -> Result<Option<CommitId>, WorktreeError> {
        self.trees.candidate(&self.spec.name, &run(name), "Do it\n", &stamp()).await
    }

    /// The whole way, twice: once to a merge on the forge's target branch, once to preserved work that is
    /// restored. `change` is an agent's work, `verify` looks at a check-out that has it.
    async fn whole_way(&self, change: impl Fn(&Path), verify: impl Fn(&Path)) -> CommitId {
        let (trees, name) = (&self.trees, &self.spec.name);
        let made = self.create("A-1.1").await;
        trees.guard_before(name, &run("A-1.1")).await.unwrap();
        change(&made.path);
        assert_eq!(trees.guard_after(name, &run("A-1.1")).await.unwrap(), []);
        let head = self.candidate("A-1.1").await.unwrap().unwrap();
        trees.commit(name, &run("A-1.1"), &head).await.unwrap();
        assert_eq!(git(&made.path, &["status", "--porcelain"]), "");
        let path = trees.checkout(name, &run("A-1.1"), &"checks".parse().unwrap(), &head).await.unwrap();
        verify(&path);
        trees.push(&self.spec, "qd/A-1.1", &head, None).await.unwrap();

        // The target moves meanwhile.
        put(&self.remote(), "theirs", "moved\n");
        git(&self.remote(), &["add", "theirs"]);
        git(&self.remote(), &["commit", "--quiet", "--no-verify", "-m", "Theirs"]);
        let onto = trees.refresh(&self.spec).await.unwrap();
        let merged = trees.merge_onto(name, &head, &onto, "Merge", &stamp()).await.unwrap();
        let Merged::Merged(merged) = merged else { panic!("{merged:?}") };
        git(&self.remote(), &["checkout", "--quiet", "--detach"]);
        trees.push(&self.spec, &self.spec.target, &merged, Some(&onto)).await.unwrap();
        git(&self.remote(), &["checkout", "--quiet", &self.spec.target]);
        verify(&self.remote());
        assert_eq!(trees.remove(name, &run("A-1.1"), &stamp()).await.unwrap(), None, "all is on the forge");

        let made = self.create("A-2.1").await;
        put(&made.path, "late", "work\n");
        let kept = trees.remove(name, &run("A-2.1"), &stamp()).await.unwrap().unwrap();
        let back = self.folder.path().join("given back");
        trees.restore_preserved(name, &run("A-2.1"), Some(&back)).await.unwrap();
        assert_eq!(read(&back, "late"), "work\n");
        verify(&back);
        assert_eq!(trees.list().await.unwrap(), []);
        git(&trees.layout().mirror(name), &["fsck", "--strict", "--no-dangling"]);
        kept
    }
}

fn init(path: &Path, branch: &str) {
    git(path, &["init", "--quiet", &format!("--initial-branch={branch}")]);
    git(path, &["config", "user.name", "Theo"]);
    git(path, &["config", "user.email", "theo@example.org"]);
    git(path, &["config", "protocol.file.allow", "always"]);
    put(path, "a", "1\n");
    commit_all(path);
}

fn commit_all(path: &Path) {
    git(path, &["add", "--all"]);
    git(path, &["commit", "--quiet", "--no-verify", "-m", "Theirs"]);
}

/// Runs a command that people are told to run.
fn shell(folder: &Path, command: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.current_dir(folder).args(["-c", command]).env("GIT_CONFIG_GLOBAL", "/dev/null");
    shell.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "protocol.file.allow");
    shell.env("GIT_CONFIG_VALUE_0", "always");
    shell.output().unwrap().status.success()
}

fn edit(folder: &Path) {
    put(folder, "a", "2\n");
    put(folder, "sub/new file ü", "1\n");
}

fn edited(folder: &Path) {
    assert_eq!((read(folder, "a").as_str(), read(folder, "sub/new file ü").as_str()), ("2\n", "1\n"));
}

#[tokio::test]
async fn paths_with_spaces_and_letters_and_another_target_branch() {
    let home = Home::new("trunk", |path| init(path, "trunk")).await;
    assert_eq!(home.obstacles().await, []);
    home.whole_way(edit, edited).await;
}

#[tokio::test]
async fn submodules_keep_their_pins() {
    let home = Home::new("main", |path| {
        let library = path.parent().unwrap().join("library");
        fs::create_dir(&library).unwrap();
        init(&library, "main");
        init(path, "main");
        let url = library.display().to_string();
        git(path, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "deps/lib"]);
        commit_all(path);
        put(&library, "a", "newer\n");
        commit_all(&library);
    })
    .await;
    let told = home.obstacles().await;
    assert!(matches!(&told[..], [Obstacle { stops: false, mend: None, .. }]), "{told:?}");
    insta::assert_snapshot!(told[0].what, @"it has submodules (deps/lib): worktrees keep their pinned commits, their folders are empty, and what is changed within them is not captured");
    let pin = |folder: &Path| git(folder, &["rev-parse", "HEAD:deps/lib"]);
    let before = pin(&home.remote());
    home.whole_way(edit, |folder| {
        edited(folder);
        assert_eq!(git(folder, &["rev-parse", "HEAD:deps/lib"]), before);
    })
    .await;

    // An agent that gets the submodule by itself may move its pin.
    let made = home.create("A-3.1").await;
    let library = home.remote().parent().unwrap().join("library");
    git(&made.path, &["clone", "--quiet", library.to_str().unwrap(), "deps/lib"]);
    let head = home.candidate("A-3.1").await.unwrap().unwrap();
    let mirror = home.trees.layout().mirror(&home.spec.name);
    let now = git(&mirror, &["rev-parse", &format!("{head}:deps/lib")]);
    assert_eq!(now, git(&library, &["rev-parse", "HEAD"]));
    assert_ne!(now, before);
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[tokio::test]
async fn lfs_files_stay_pointers_whatever_filters_there_are() {
    let home = Home::new("main", |path| {
        init(path, "main");
        put(path, ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
        put(path, "assets/one.bin", POINTER);
        commit_all(path);
        // What git-lfs sets up, as something that would be noticed.
        for (key, value) in [("smudge", "sed s/version/smudged/"), ("clean", "sed s/version/cleaned/")] {
            git(path, &["config", &format!("filter.lfs.{key}"), value]);
        }
        git(path, &["config", "filter.lfs.required", "true"]);
    })
    .await;
    let told = home.obstacles().await;
    assert!(matches!(&told[..], [Obstacle { stops: false, mend: None, .. }]), "{told:?}");
    insta::assert_snapshot!(told[0].what, @"some files are with git LFS: worktrees have their pointers, and their content can't be changed here");
    let moved = POINTER.replace("12345", "54321");
    home.whole_way(
        |folder| {
            edit(folder);
            assert_eq!(read(folder, "assets/one.bin"), POINTER);
            put(folder, "assets/two.bin", &moved);
        },
        |folder| {
            edited(folder);
            let kept = git(folder, &["show", "HEAD:assets/one.bin", "HEAD:assets/two.bin"]);
            assert_eq!(kept, format!("{POINTER}{moved}"));
        },
    )
    .await;

    let made = home.create("A-3.1").await;
    put(&made.path, "assets/one.bin", "content\n");
    let error = home.candidate("A-3.1").await.unwrap_err();
    insta::assert_snapshot!(error, @"assets/one.bin belongs to git LFS and is no pointer: its content can't be stored from here, so take the change back, or have a person commit it with git-lfs");
    let kept = home.trees.remove(&home.spec.name, &run("A-3.1"), &stamp()).await.unwrap().unwrap();
    let mirror = home.trees.layout().mirror(&home.spec.name);
    assert_eq!(
        git(&mirror, &["show", &format!("{kept}:assets/one.bin")]),
        "content\n",
        "not lost all the same"
    );
}

fn hook(folder: &Path, path: &str, text: &str) {
    put(folder, path, &format!("#!/bin/sh\n{text}\n"));
    let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.join(path), rights).unwrap();
}

#[tokio::test]
async fn hooks_are_skipped_and_can_be_respected() {
    let home = Home::new("main", |path| {
        init(path, "main");
        hook(path, ".githooks/pre-commit", "! git diff --cached --name-only | grep -q forbidden");
        hook(path, ".githooks/commit-msg", "grep -q '^Do' \"$1\"");
        hook(path, ".githooks/post-checkout", "touch \"$(git rev-parse --show-toplevel)/ran\"; exit 1");
        put(path, ".githooks/README", "not executable\n");
        commit_all(path);
        git(path, &["config", "core.hooksPath", ".githooks"]);
    })
    .await;
    assert_eq!(home.obstacles().await, []);
    // Skipped: nothing that any of these would refuse, or leave behind, is to be seen.
    let forbid = |folder: &Path| {
        edit(folder);
        put(folder, "forbidden", "1\n");
        assert!(!folder.join("ran").exists());
    };
    git(&home.remote(), &["config", "--unset", "core.hooksPath"]);
    home.whole_way(forbid, edited).await;

    // Respected: the caller runs what the base has, in a check-out of the candidate.
    let (trees, name) = (&home.trees, &home.spec.name);
    let made = home.create("A-3.1").await;
    let hooks = trees.hooks(name, &made.base).await.unwrap();
    let found: Vec<_> = hooks.iter().map(|hook| (hook.name, hook.path.as_str())).collect();
    assert_eq!(found, [("pre-commit", ".githooks/pre-commit"), ("commit-msg", ".githooks/commit-msg")]);
    let judge = async |message: &str| {
        let candidate = trees.candidate(name, &run("A-3.1"), message, &stamp()).await.unwrap().unwrap();
        let mut verdicts = Vec::new();
        for hook in &hooks {
            let path =
                trees.checkout(name, &run("A-3.1"), &"hooks".parse().unwrap(), &candidate).await.unwrap();
            verdicts.push(shell(&path, &hook.command));
        }
        verdicts
    };
    // The run's own idea of the hooks doesn't count.
    hook(&made.path, ".githooks/pre-commit", "exit 1");
    assert_eq!(judge("Do it\n").await, [true, true]);
    assert_eq!(judge("Done\n").await, [true, true]);
    assert_eq!(judge("It is done\n").await, [true, false]);
    hook(&made.path, ".githooks/pre-commit", "exit 0");
    put(&made.path, "forbidden more", "1\n");
    assert_eq!(judge("Do it\n").await, [false, true]);
    trees.remove(name, &run("A-3.1"), &stamp()).await.unwrap();
    assert_eq!(trees.list().await.unwrap(), []);
}

/// A repository that somebody cloned with this option, from one that has three commits.
fn cloned(path: &Path, option: &str) {
    let origin = path.parent().unwrap().join("origin");
    fs::create_dir(&origin).unwrap();
    init(&origin, "main");
    for text in ["2\n", "3\n", "1\n"] {
        put(&origin, "a", text);
        put(&origin, "only here", text);
        commit_all(&origin);
    }
    git(&origin, &["config", "uploadpack.allowFilter", "true"]);
    let url = format!("file://{}", origin.display().to_string().replace(' ', "%20"));
    git(path.parent().unwrap(), &["clone", "--quiet", option, &url, path.to_str().unwrap()]);
    git(path, &["config", "user.name", "Theo"]);
}

#[tokio::test]
async fn a_shallow_clone_is_refused_and_mended() {
    let home = Home::new("main", |path| cloned(path, "--depth=1")).await;
    let told = home.obstacles().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].stops);
    insta::assert_snapshot!(told[0].what, @"its history is cut short, as a shallow clone's");
    let mend = told[0].mend.clone().unwrap();
    insta::assert_snapshot!(mend, @"git fetch --unshallow");
    assert!(shell(&home.remote(), &mend));
    assert_eq!(home.obstacles().await, []);
    home.whole_way(edit, edited).await;
}

#[tokio::test]
async fn a_partial_clone_is_refused_and_mended() {
    let home = Home::new("main", |path| cloned(path, "--filter=blob:none")).await;
    let told = home.obstacles().await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].stops);
    insta::assert_snapshot!(told[0].what, @"some of its objects are not here, as a partial clone's");
    let mend = told[0].mend.clone().unwrap();
    insta::assert_snapshot!(mend, @"git config --unset-all remote.origin.partialclonefilter; git fetch --refetch origin");
    assert!(home.trees.refresh(&home.spec).await.is_err(), "it would not have worked");
    assert!(shell(&home.remote(), &mend));
    assert_eq!(home.obstacles().await, []);
    home.whole_way(edit, edited).await;
}

#[tokio::test]
async fn what_is_no_repository_yet_is_mended() {
    let folder = TempDir::new().unwrap();
    for expect in ["git init --initial-branch=main", "git commit --allow-empty --message \"First commit\""] {
        let told = inspect(&Git::new(), folder.path()).await.unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        let mend = told[0].mend.clone().unwrap();
        assert_eq!((mend.as_str(), told[0].stops), (expect, true));
        let identity = "GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@x GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@x";
        assert!(shell(folder.path(), &format!("env {identity} {mend}")));
    }
    assert_eq!(inspect(&Git::new(), folder.path()).await.unwrap(), []);
}

#[tokio::test]
async fn ids_of_another_kind_are_refused_and_mended() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("theirs");
    fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--object-format=sha256", "--initial-branch=main"]);
    put(&path, "a", "1\n");
    commit_all(&path);
    let told = inspect(&Git::new(), &path).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    insta::assert_snapshot!(told[0].what, @"its objects have sha256 ids, which can't be read here");
    assert!(shell(&path, told[0].mend.as_deref().unwrap()));
    let other = folder.path().join("with-sha1");
    assert_eq!(inspect(&Git::new(), &other).await.unwrap(), []);
    assert_eq!(git(&other, &["show", "main:a"]), "1\n");
}
