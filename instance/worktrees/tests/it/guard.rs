//! What an agent does outside of its worktree is found, said and mended; what it may do is not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use qd_git::Git;
use qd_worktrees::{Care, GitWorktrees, Violation, Worktree, WorktreeError, Worktrees};

use crate::site::{Site, checks, git, put, run, stamp};

/// Two runs side by side; the first one's agent is the one that trespasses.
struct Scene {
    site: Site,
    own: Worktree,
    other: Worktree,
}

impl Scene {
    async fn new() -> Self {
        let site = Site::new().await;
        let own = site.create(&run("A-1.1")).await;
        let other = site.create(&run("A-2.1")).await;
        site.trees.guard_before(site.name(), &run("A-1.1")).await.unwrap();
        Self { site, own, other }
    }

    async fn after(&self, name: &str) -> Vec<Violation> {
        self.site.trees.guard_after(self.site.name(), &run(name)).await.unwrap()
    }

    fn mirror(&self) -> std::path::PathBuf {
        self.site.mirror()
    }
}

fn told(found: &[Violation]) -> Vec<String> {
    let mark = |violation: &Violation| {
        let grave = if violation.grave { "" } else { " (its own name)" };
        let back = if violation.put_back { " (put back)" } else { "" };
        format!("{}{grave}{back}", violation.what)
    };
    found.iter().map(mark).collect()
}

type Trespass = fn(&Scene);

const TRESPASSES: &[(Trespass, &[&str])] = &[
    (
        |scene| {
            git(&scene.own.path, &["config", "core.hooksPath", "/tmp/x"]);
        },
        &["config was changed (put back)"],
    ),
    (
        |scene| put(&scene.mirror(), "hooks/post-commit", "#!/bin/sh\n"),
        &["hooks/post-commit came (put back)"],
    ),
    (|scene| put(&scene.mirror(), "info/attributes", "* -diff\n"), &["info/attributes came (put back)"]),
    (|scene| put(&scene.mirror(), "info/exclude", "*\n"), &["info/exclude came (put back)"]),
    (
        |scene| put(&scene.mirror(), "objects/info/alternates", "/tmp\n"),
        &["objects/info/alternates came (put back)"],
    ),
    (|scene| put(&scene.mirror(), "HEAD", "ref: refs/heads/x\n"), &["HEAD was changed (put back)"]),
    (
        |scene| {
            fs::set_permissions(scene.mirror().join("config"), fs::Permissions::from_mode(0o666)).unwrap();
        },
        &["config has other permissions (put back)"],
    ),
    (
        |scene| {
            fs::rename(scene.mirror().join("config"), scene.own.path.join("config")).unwrap();
            symlink(scene.own.path.join("config"), scene.mirror().join("config")).unwrap();
        },
        &["config became a symbolic link (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["commit", "--quiet", "--allow-empty", "-m", "mine"]);
            git(&scene.own.path, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
        },
        &["refs/remotes/origin/main was moved to SHA (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["commit", "--quiet", "--allow-empty", "-m", "mine"]);
            git(&scene.own.path, &["update-ref", "refs/heads/qd/A-2.1", "HEAD"]);
        },
        &["refs/heads/qd/A-2.1 was moved to SHA (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["update-ref", "-d", "refs/heads/qd/A-2.1"]);
        },
        &["refs/heads/qd/A-2.1 went (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["symbolic-ref", "refs/quarterdeck/branch/A-2.1", "refs/heads/x"]);
        },
        &["refs/quarterdeck/branch/A-2.1 was moved to refs/heads/x (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["update-ref", "-d", "refs/quarterdeck/base/A-1.1"]);
        },
        &["refs/quarterdeck/base/A-1.1 went (put back)"],
    ),
    (
        |scene| {
            git(
                &scene.own.path,
                &["update-ref", "refs/replace/1111111111111111111111111111111111111111", "HEAD"],
            );
        },
        &["refs/replace/1111111111111111111111111111111111111111 came, at SHA (put back)"],
    ),
    (
        |scene| {
            git(&scene.own.path, &["tag", "mine"]);
            git(&scene.own.path, &["checkout", "--quiet", "-b", "astray"]);
            put(&scene.own.path, "a", "stashed\n");
            git(&scene.own.path, &["stash", "--quiet"]);
        },
        &[
            "refs/heads/astray came, at SHA (its own name)",
            "refs/stash came, at SHA (its own name)",
            "refs/tags/mine came, at SHA (its own name)",
        ],
    ),
    (
        |scene| {
            fs::remove_file(scene.own.path.join(".git")).unwrap();
            git(&scene.own.path, &["init", "--quiet"]);
        },
        &[".git became a folder (put back)"],
    ),
    (|scene| put(&scene.own.path, ".git", "gitdir: /tmp/elsewhere\n"), &[".git was changed (put back)"]),
    (
        |scene| put(&scene.other.path, ".git", "gitdir: /tmp/elsewhere\n"),
        &[".git of A-2.1 was changed (put back)"],
    ),
    (
        |scene| put(&scene.mirror(), "worktrees/A-1.1/commondir", "/tmp\n"),
        &["worktrees/A-1.1/commondir was changed (put back)"],
    ),
    (
        |scene| put(&scene.mirror(), "worktrees/A-1.1/config.worktree", "[core]\n"),
        &["worktrees/A-1.1/config.worktree came (put back)"],
    ),
    (
        |scene| put(&scene.mirror(), "worktrees/A-2.1/HEAD", "ref: refs/heads/x\n"),
        &["worktrees/A-2.1/HEAD was changed (put back)"],
    ),
    (|scene| fs::remove_dir_all(scene.mirror().join("worktrees/A-2.1")).unwrap(), &["worktrees/A-2.1 went"]),
    (
        |scene| {
            let path = scene.site.state().parent().unwrap().join("elsewhere");
            git(&scene.own.path, &["worktree", "add", "--quiet", "--detach", path.to_str().unwrap()]);
        },
        &["worktrees/elsewhere came, a worktree at FOLDER/elsewhere (its own name)"],
    ),
];

fn plain(text: &str, folder: &Path) -> String {
    let text = text.replace(&folder.display().to_string(), "FOLDER");
    let short = |word: &str| word.len() == 7 && word.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(' ').map(|word| if short(word) { "SHA" } else { word }).collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn every_trespass_is_found_and_put_back_where_that_is_safe() {
    for (number, (trespass, expect)) in TRESPASSES.iter().enumerate() {
        let scene = Scene::new().await;
        let folder = scene.site.state().parent().unwrap().to_owned();
        let before = scene.site.repo().await.raw_references().await.unwrap();
        trespass(&scene);
        let found = scene.after("A-1.1").await;
        let said: Vec<String> = told(&found).iter().map(|text| plain(text, &folder)).collect();
        assert_eq!(said, *expect, "trespass {number}");
        assert_eq!(scene.after("A-1.1").await, found, "trespass {number}: told again until it is forgotten");

        scene.site.trees.guard_forget(&run("A-1.1")).await.unwrap();
        scene.site.trees.guard_before(scene.site.name(), &run("A-1.1")).await.unwrap();
        assert_eq!(scene.after("A-1.1").await, [], "trespass {number}: a new guard, a new start");
        if found.iter().any(|violation| violation.put_back) {
            let after = scene.site.repo().await.raw_references().await.unwrap();
            let own = |all: &[(String, String)]| -> Vec<(String, String)> {
                all.iter().filter(|(name, _)| name != "refs/heads/qd/A-1.1").cloned().collect()
            };
            assert_eq!(own(&before), own(&after), "trespass {number}");
            assert!(!scene.mirror().join("hooks/post-commit").exists());
            git(&scene.own.path, &["status", "--porcelain"]);
            git(&scene.other.path, &["status", "--porcelain"]);
        }
    }
}

#[tokio::test]
async fn honest_runs_side_by_side_give_none() {
    let scene = Scene::new().await;
    let (site, trees) = (&scene.site, &scene.site.trees);
    let (one, two, three) = (run("A-1.1"), run("A-2.1"), run("A-3.1"));
    site.create(&three).await;
    trees.guard_before(site.name(), &two).await.unwrap();
    for made in [&scene.own, &scene.other] {
        put(&made.path, "mine", "1\n");
        git(&made.path, &["add", "--all"]);
        git(&made.path, &["commit", "--quiet", "-m", "mine"]);
        git(&made.path, &["checkout", "--quiet", "--detach"]);
        git(&made.path, &["reset", "--quiet", "--hard", "HEAD~1"]);
        git(&made.path, &["checkout", "--quiet", "-"]);
        git(&made.path, &["commit", "--quiet", "--amend", "-m", "again"]);
        git(&made.path, &["gc", "--quiet"]);
    }
    // The instance goes on beside them.
    site.forge_commit(&[("a", "9\n")]).await;
    let head = site.forge.resolve("main").await.unwrap().unwrap();
    assert_eq!(site.forge.update_ref("theirs", &head, None).await.unwrap(), qd_git::Swap::Done);
    trees.refresh(&site.spec).await.unwrap();
    assert_eq!(site.forge.delete_ref("theirs", &head).await.unwrap(), qd_git::Swap::Done);
    trees.refresh(&site.spec).await.unwrap();
    assert_eq!(trees.guard_after(site.name(), &two).await.unwrap(), []);
    trees.guard_forget(&two).await.unwrap();
    let candidate = site.candidate(&two).await.unwrap();
    trees.checkout(site.name(), &two, &checks(), &candidate).await.unwrap();
    trees.commit(site.name(), &two, &candidate).await.unwrap();
    trees.push(&site.spec, "qd/A-2.1", &candidate, None).await.unwrap();
    put(&trees.layout().worktree(&three), "kept", "1\n");
    site.remove(&three).await.unwrap();
    trees.restore_preserved(site.name(), &three, None).await.unwrap();
    let new = site.create(&run("A-4.1")).await;
    trees.guard_before(site.name(), &run("A-4.1")).await.unwrap();
    git(&new.path, &["commit", "--quiet", "--allow-empty", "-m", "mine"]);
    site.remove(&two).await;
    assert_eq!(told(&scene.after("A-1.1").await), [""; 0]);
    assert_eq!(told(&scene.after("A-4.1").await), [""; 0]);
    site.remove(&one).await;
    site.remove(&run("A-4.1")).await;
    assert_eq!(fs::read_dir(trees.layout().guards()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_branch_of_a_run_at_work_is_only_its_own_to_move() {
    let scene = Scene::new().await;
    let (site, trees) = (&scene.site, &scene.site.trees);
    trees.guard_before(site.name(), &run("A-2.1")).await.unwrap();
    git(&scene.own.path, &["commit", "--quiet", "--allow-empty", "-m", "mine"]);
    git(&scene.own.path, &["update-ref", "refs/heads/qd/A-2.1", "HEAD"]);
    let found = scene.after("A-1.1").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].what.starts_with("refs/heads/qd/A-2.1 was moved to ") && !found[0].put_back,
        "{found:?}"
    );
    assert_eq!(found[0].beside, [run("A-2.1")], "who it was can't be told for certain");
    assert_eq!(trees.guard_after(site.name(), &run("A-2.1")).await.unwrap(), []);
}

#[tokio::test]
async fn a_guard_outlives_the_process() {
    let scene = Scene::new().await;
    let site = &scene.site;
    put(&scene.mirror(), "hooks/pre-push", "#!/bin/sh\n");
    let later = GitWorktrees::open(Git::new(), &site.state()).await.unwrap();
    // What moves after the restart is the instance's, and what was done before is still found.
    later.guard_before(site.name(), &run("A-1.1")).await.unwrap();
    site.forge_commit(&[("a", "9\n")]).await;
    later.refresh(&site.spec).await.unwrap();
    let found = later.guard_after(site.name(), &run("A-1.1")).await.unwrap();
    assert_eq!(told(&found), ["hooks/pre-push came (put back)"]);
    let again = GitWorktrees::open(Git::new(), &site.state()).await.unwrap();
    assert_eq!(again.guard_after(site.name(), &run("A-1.1")).await.unwrap(), found);
    again.guard_before(site.name(), &run("A-1.1")).await.unwrap();
    git(&scene.own.path, &["tag", "mine"]);
    assert_eq!(again.guard_after(site.name(), &run("A-1.1")).await.unwrap().len(), 2, "both are told");
    again.guard_forget(&run("A-1.1")).await.unwrap();
    let error = again.guard_after(site.name(), &run("A-1.1")).await.unwrap_err();
    assert!(matches!(error, WorktreeError::NoGuard { .. }), "{error}");
}

/// Its process was killed after git moved the forge's branch and before that was noted. Another run's whole fetch then
/// finds the branch where it is.
#[tokio::test]
async fn a_fetch_that_was_killed_is_not_taken_for_the_agents_whatever_is_fetched_after_it() {
    let scene = Scene::new().await;
    let site = &scene.site;
    let head = site.forge_commit(&[("a", "9\n")]).await;
    let moves = site.state().join("guards/A-1.1.moves");
    let noted = fs::read_to_string(&moves).unwrap();
    let mirror = scene.mirror().file_name().unwrap().to_str().unwrap().to_owned();
    fs::write(&moves, format!("{noted}fetching {mirror} of-a-killed-process\n")).unwrap();
    git(&scene.mirror(), &["fetch", "--quiet", &site.spec.remote, "+refs/heads/*:refs/remotes/origin/*"]);
    assert_eq!(git(&scene.mirror(), &["rev-parse", "refs/remotes/origin/main"]).trim(), head.as_str());
    let later = GitWorktrees::open(Git::new(), &site.state()).await.unwrap();
    later.guard_before(site.name(), &run("A-1.1")).await.unwrap();
    later.refresh(&site.spec).await.unwrap();
    git(&scene.own.path, &["tag", "mine"]);
    let found = later.guard_after(site.name(), &run("A-1.1")).await.unwrap();
    assert_eq!(told(&found).len(), 1, "only what the agent did: {found:?}");
}

#[tokio::test]
async fn a_fetch_during_a_check_is_waited_for() {
    let scene = Scene::new().await;
    let (site, one) = (&scene.site, run("A-1.1"));
    for round in 0..5 {
        site.forge_commit(&[("a", &format!("{round}\n"))]).await;
        let (head, found) =
            tokio::join!(site.trees.refresh(&site.spec), site.trees.guard_after(site.name(), &one));
        head.unwrap();
        assert_eq!(found.unwrap(), []);
        site.trees.guard_before(site.name(), &one).await.unwrap();
    }
    assert_eq!(site.trees.preserve(site.name(), &one, "x", &stamp()).await.unwrap(), None);
}
