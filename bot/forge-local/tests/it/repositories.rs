//! The bare repository: made once, from branches and tags alone, and brought up to date without losing anything.

use qd_core::forge::Forge as _;
use qd_forge_local::{Imported, LocalForge};

use crate::support::{World, checkout, commit, git};

#[tokio::test]
async fn only_branches_and_tags_are_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkout");
    let first = checkout(&source);
    git(&source, &["tag", "v1"]);
    git(&source, &["branch", "idea"]);
    git(&source, &["update-ref", "refs/quarterdeck/preserved/A-1.1", "HEAD"]);
    git(&source, &["checkout", "-q", "idea"]);
    let secret = source.join("secret.txt");
    std::fs::write(&secret, "never committed").unwrap();
    let secret = git(&source, &["hash-object", "-w", secret.to_str().unwrap()]);

    let forge = LocalForge::open(&folder.path().join("state")).await.unwrap();
    let name = "sample".parse().unwrap();
    forge.add_repository(&name, Some(&source), "main").await.unwrap();
    let bare = forge.git_dir(&name);
    let refs = git(&bare, &["for-each-ref", "--format=%(refname)"]);
    insta::assert_snapshot!(refs, @r"
    refs/heads/idea
    refs/heads/main
    refs/tags/v1
    ");
    assert_eq!(git(&bare, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    assert_eq!(git(&bare, &["rev-parse", "--is-bare-repository"]), "true");
    assert_eq!(forge.branch_head(&name, "main").await, Ok(first));
    assert!(!bare.join("objects").join(&secret[..2]).join(&secret[2..]).exists(), "no loose ends");
}

#[tokio::test]
async fn adding_again_changes_nothing() {
    let world = World::new().await;
    let opened = world.green("qd/one", "one.txt").await;
    let base = world.main().await;
    let merged = world.merge(&opened, &base).await.unwrap();
    let source = world.folder.path().join("checkout");
    world.forge.add_repository(&world.repository, Some(&source), "main").await.unwrap();
    assert_eq!(world.main().await, merged);
}

#[tokio::test]
async fn a_checkout_without_the_target_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("checkout");
    checkout(&source);
    let forge = LocalForge::open(&folder.path().join("state")).await.unwrap();
    let name = "sample".parse().unwrap();
    let error = forge.add_repository(&name, Some(&source), "trunk").await.unwrap_err().to_string();
    let error = error.replace(&source.display().to_string(), "<checkout>");
    insta::assert_snapshot!(error, @"<checkout> has no branch trunk: make a first commit on it, or set the repository's target to a branch that is there");
    assert!(!forge.git_dir(&name).exists());
    forge.add_repository(&name, Some(&source), "main").await.unwrap();
}

#[tokio::test]
async fn import_takes_over_what_is_strictly_ahead() {
    let world = World::new().await;
    let source = world.folder.path().join("checkout");
    let from = world.main().await;
    let import = || world.forge.import(&world.repository);
    assert_eq!(import().await.unwrap(), Imported::Unchanged);
    let to = commit(&source, "more.txt", "more\n");
    let advanced = Imported::Advanced { from: Some(from), to: to.clone() };
    assert_eq!(import().await.unwrap(), advanced);
    assert_eq!(world.main().await, to);
    assert_eq!(import().await.unwrap(), Imported::Unchanged);

    let opened = world.green("qd/one", "one.txt").await;
    let merged = world.merge(&opened, &to).await.unwrap();
    assert_eq!(import().await.unwrap(), Imported::Unchanged, "the forge is ahead");
    assert_eq!(world.main().await, merged);
}

#[tokio::test]
async fn what_has_diverged_is_told_with_a_command_that_mends_it() {
    let world = World::new().await;
    let source = world.folder.path().join("checkout");
    let base = world.main().await;
    let opened = world.green("qd/one", "one.txt").await;
    let merged = world.merge(&opened, &base).await.unwrap();
    let mine = commit(&source, "mine.txt", "mine\n");
    git(&source, &["checkout", "-q", "-b", "elsewhere"]);

    let result = world.forge.import(&world.repository).await.unwrap();
    let text = result.to_string();
    let Imported::Diverged { forge, source: theirs, mend } = result else { panic!("{text}") };
    assert_eq!((&forge, &theirs), (&merged, &mine));
    assert_eq!(world.main().await, merged, "nothing was changed");
    let folder = world.folder.path().display().to_string();
    let text =
        text.replace(&folder, "<folder>").replace(forge.short(), "<forge>").replace(mine.short(), "<mine>");
    insta::assert_snapshot!(text, @"the forge stands at <forge> and the checkout at <mine>, and neither holds the other. To put the checkout's commits on top: git -C <folder>/checkout fetch <folder>/state/repos/sample.git main && git -C <folder>/checkout rebase FETCH_HEAD main");

    let mended = std::process::Command::new("sh")
        .args(["-c", &mend])
        .env("GIT_COMMITTER_NAME", "Ines")
        .env("GIT_COMMITTER_EMAIL", "ines@example.org")
        .output()
        .unwrap();
    assert!(mended.status.success(), "{mend}: {mended:?}");
    let to = git(&source, &["rev-parse", "main"]).parse().unwrap();
    let advanced = Imported::Advanced { from: Some(merged), to };
    assert_eq!(world.forge.import(&world.repository).await.unwrap(), advanced);
}

#[tokio::test]
async fn a_repository_without_a_checkout_starts_empty() {
    let world = World::new().await;
    let name = "fresh".parse().unwrap();
    world.forge.add_repository(&name, None, "main").await.unwrap();
    assert_eq!(world.forge.import(&name).await.unwrap(), Imported::Unchanged);
    let told = world.forge.branch_head(&name, "main").await.unwrap_err().to_string();
    insta::assert_snapshot!(told, @"branch main of fresh is not there");
    let told = world.forge.import(&"gone".parse().unwrap()).await.unwrap_err().to_string();
    insta::assert_snapshot!(told, @r"the forge has no repository gone: add it to the configuration");
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let world = World::new().await;
    let Err(error) = LocalForge::open(&world.state()).await else { panic!("two at once") };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("in use by process"), "{error}: {cause}");
}
