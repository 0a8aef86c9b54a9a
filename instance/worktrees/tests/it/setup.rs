//! A fresh worktree gets what it lacks, nothing of it can be committed, and a script runs once.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use qd_worktrees::{Care, Due, Prepared, Setup, Shared, WorktreeError};

use crate::site::{Site, git, put, read, run};

struct Scene {
    site: Site,
    source: PathBuf,
    made: qd_worktrees::Worktree,
}

impl Scene {
    async fn new() -> Self {
        let mut site = Site::new().await;
        let ignores = "*.log\n.env\n/target\nnode_modules/\n*.local\nlinks/\n";
        site.base = site.forge_commit(&[("a", "1\n"), (".gitignore", ignores), ("Cargo.lock", "1\n")]).await;
        qd_worktrees::Worktrees::refresh(&site.trees, &site.spec).await.unwrap();
        let source = site.state().parent().unwrap().join("their own");
        git(&site.mirror(), &["clone", "--quiet", &site.spec.remote, source.to_str().unwrap()]);
        let made = site.create(&run("A-1.1")).await;
        Self { site, source, made }
    }

    async fn prepare(&self, setup: &Setup) -> Prepared {
        self.try_prepare(setup).await.unwrap()
    }

    async fn try_prepare(&self, setup: &Setup) -> Result<Prepared, WorktreeError> {
        self.site.trees.prepare(self.site.name(), &run("A-1.1"), setup, Some(&self.source)).await
    }
}

fn copies(patterns: &[&str]) -> Setup {
    Setup { copies: patterns.iter().map(|&pattern| pattern.to_owned()).collect(), ..Setup::default() }
}

#[tokio::test]
async fn declared_ignored_files_are_copied() {
    let scene = Scene::new().await;
    put(&scene.source, ".env", "KEY=1\n");
    put(&scene.source, "deep/er/my.local", "1\n");
    put(&scene.source, "deep/other.log", "not named\n");
    put(&scene.source, "untracked", "not ignored\n");
    let setup = copies(&[".env", "**/*.local", "untracked", "a"]);
    assert_eq!(scene.prepare(&setup).await.copied, [".env", "deep/er/my.local"]);
    assert_eq!(read(&scene.made.path, ".env"), "KEY=1\n");
    assert_eq!(read(&scene.made.path, "deep/er/my.local"), "1\n");
    assert!(!scene.made.path.join("deep/other.log").exists() && !scene.made.path.join("untracked").exists());
    put(&scene.made.path, ".env", "KEY=2\n");
    assert_eq!(scene.prepare(&setup).await, Prepared::default(), "nothing is overwritten");
    assert_eq!(read(&scene.made.path, ".env"), "KEY=2\n");
    assert_eq!(scene.site.candidate(&run("A-1.1")).await, None, "and nothing is committed");
}

#[tokio::test]
async fn what_would_be_committed_or_leads_out_is_refused() {
    let scene = Scene::new().await;
    put(&scene.source, ".git/info/exclude", "secret\n");
    put(&scene.source, "secret", "1\n");
    put(&scene.source, "inner.local", "1\n");
    put(&scene.site.state(), "outside", "1\n");
    fs::create_dir(scene.source.join("links")).unwrap();
    symlink(scene.site.state().join("outside"), scene.source.join("links/absolute")).unwrap();
    symlink("../../state/outside", scene.source.join("links/relative")).unwrap();
    symlink("../inner.local", scene.source.join("links/within")).unwrap();
    put(&scene.source, "way/x.local", "1\n");
    symlink(scene.site.state(), scene.made.path.join("way")).unwrap();
    let prepared = scene.prepare(&copies(&["secret", "links/*", "way/*"])).await;
    assert_eq!(prepared.copied, ["links/within"]);
    let refused: Vec<String> =
        prepared.refused.iter().map(|refused| format!("{}: {}", refused.path, refused.why)).collect();
    insta::assert_snapshot!(refused.join("\n"), @r"
    links/absolute: it is a link that leads out of the check-out
    links/relative: it is a link that leads out of the check-out
    secret: git does not ignore it in the worktree, so it would be committed
    way/x.local: a folder on its way is a link in the worktree
    ");
    assert!(!scene.site.state().join("x.local").exists());
}

#[tokio::test]
async fn too_much_is_refused_whole() {
    let scene = Scene::new().await;
    put(&scene.source, "small.local", "1\n");
    fs::File::create(scene.source.join("big.local")).unwrap().set_len(64 * 1024 * 1024).unwrap();
    let error = scene.try_prepare(&copies(&["*.local"])).await.unwrap_err();
    insta::assert_snapshot!(error, @r#"the ignored files that "*.local" names have 67108866 bytes, and 67108864 are copied at most: name fewer, or share a folder in place of copying it"#);
    assert!(!scene.made.path.join("small.local").exists());
}

#[tokio::test]
async fn shared_folders_are_links_that_git_ignores() {
    let scene = Scene::new().await;
    let share = |name: &str, path: &str| Shared { name: name.to_owned(), path: path.to_owned() };
    let shared = vec![
        share("cargo", "target"),
        share("npm", "node_modules"),
        share("up", "../x"),
        share("git", ".git/hooks"),
        share("file", "a"),
    ];
    let setup = Setup { shared, ..Setup::default() };
    for _ in 0..2 {
        let prepared = scene.prepare(&setup).await;
        assert_eq!(prepared.shared, [scene.made.path.join("target")]);
        let refused: Vec<&str> = prepared.refused.iter().map(|refused| refused.path.as_str()).collect();
        assert_eq!(refused, ["node_modules", "../x", ".git/hooks", "a"]);
        assert!(prepared.refused[0].why.contains("without a slash"), "{}", prepared.refused[0].why);
    }
    put(&scene.made.path, "target/debug/x", "1\n");
    assert_eq!(scene.site.candidate(&run("A-1.1")).await, None);
    scene.site.remove(&run("A-1.1")).await;
    let cache = scene.site.trees.layout().caches().join("sample/cargo");
    assert_eq!(read(&cache, "debug/x"), "1\n", "it outlives the run");
    let setup = Setup { shared: vec![share("../x", "target")], ..Setup::default() };
    scene.site.create(&run("A-1.1")).await;
    let error = scene.try_prepare(&setup).await.unwrap_err();
    assert!(matches!(error, WorktreeError::Name { .. }), "{error}");
}

#[tokio::test]
async fn a_script_runs_once_for_each_key() {
    let scene = Scene::new().await;
    let site = &scene.site;
    let due = async |script: &str| -> Option<Due> {
        let setup = Setup { script: Some(script.to_owned()), ..Setup::default() };
        scene.prepare(&setup).await.due
    };
    let first = due("npm ci").await.unwrap();
    assert_eq!(due("npm ci").await.as_ref(), Some(&first), "until it succeeded");
    site.trees.set_up(site.name(), &run("A-1.1"), &first.key).await.unwrap();
    assert_eq!(due("npm ci").await, None);
    assert_ne!(due("npm ci --force").await.unwrap().key, first.key);
    put(&scene.made.path, "Cargo.lock", "2\n");
    assert_ne!(due("npm ci").await.unwrap().key, first.key);
    put(&scene.made.path, "Cargo.lock", "1\n");
    assert_eq!(due("npm ci").await, None);
    put(&scene.made.path, "a", "2\n");
    assert_eq!(due("npm ci").await, None, "other files don't count");

    site.remove(&run("A-1.1")).await;
    assert_eq!(fs::read_dir(site.trees.layout().setups()).unwrap().count(), 0);
    site.create(&run("A-1.1")).await;
    assert_eq!(due("npm ci").await, Some(first), "another folder");
}
