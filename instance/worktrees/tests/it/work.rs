//! From the files in a worktree to the forge: candidate, commit, check-out, push, merge.

use std::fs;

use qd_worktrees::{DiffStat, Merged, WorktreeError, Worktrees};

use crate::site::{Site, checks, git, put, read, run, stamp};

#[tokio::test]
async fn a_candidate_has_everything_that_is_not_ignored() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    assert_eq!(site.candidate(&run).await, None, "nothing differs");
    put(&made.path, "sub/new", "quite another text\n");
    put(&made.path, "x.log", "noise\n");
    fs::remove_file(made.path.join("b")).unwrap();
    let candidate = site.candidate(&run).await.unwrap();
    assert_eq!(site.candidate(&run).await.unwrap(), candidate, "the same again");
    let names = git(
        &site.mirror(),
        &["diff", "--no-renames", "--name-status", site.base.as_str(), candidate.as_str()],
    );
    assert_eq!(names, "D\tb\nA\tsub/new\n");
    let log = git(&site.mirror(), &["log", "-1", "--format=%P|%an|%ct|%s", candidate.as_str()]);
    assert_eq!(log, format!("{}|alpha|1700000000|Do it\n", site.base));
    let status = git(&made.path, &["status", "--porcelain"]);
    assert_eq!(status, " D b\n?? sub/\n", "neither branch nor index moved");
    assert_eq!(
        site.trees.stat(site.name(), &run).await.unwrap(),
        DiffStat { files: 2, insertions: 1, deletions: 1 }
    );
    let diff = site.trees.diff(site.name(), &run, 10_000).await.unwrap();
    assert!(diff.text.contains("+++ b/sub/new") && !diff.cut, "{}", diff.text);
}

#[tokio::test]
async fn an_agents_own_commits_are_in_the_candidate() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "forced.log", "wanted\n");
    git(&made.path, &["add", "--force", "forced.log"]);
    git(&made.path, &["commit", "--quiet", "-m", "mine"]);
    git(&made.path, &["checkout", "--quiet", "-b", "astray"]);
    put(&made.path, "more", "1\n");
    let candidate = site.candidate(&run).await.unwrap();
    assert_eq!(site.shown(&candidate, "forced.log"), "wanted\n");
    assert_eq!(site.shown(&candidate, "more"), "1\n");

    site.trees.commit(site.name(), &run, &candidate).await.unwrap();
    assert_eq!(git(&made.path, &["symbolic-ref", "HEAD"]), "refs/heads/qd/A-1.1\n", "back on its branch");
}

#[tokio::test]
async fn a_commit_moves_the_branch_and_no_file() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let candidate = site.candidate(&run).await.unwrap();
    put(&made.path, "late", "1\n");
    for _ in 0..2 {
        site.trees.commit(site.name(), &run, &candidate).await.unwrap();
        assert_eq!(
            git(&made.path, &["rev-parse", "HEAD", "qd/A-1.1"]),
            format!("{candidate}\n{candidate}\n")
        );
        assert_eq!(git(&made.path, &["status", "--porcelain"]), "?? late\n");
    }
    put(&made.path, "a", "3\n");
    let next = site.candidate(&run).await.unwrap();
    assert_eq!(git(&site.mirror(), &["log", "--format=%P", "-1", next.as_str()]), format!("{}\n", site.base));
    site.trees.commit(site.name(), &run, &next).await.unwrap();
    assert_eq!(git(&made.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_check_out_is_fresh_each_time() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let candidate = site.candidate(&run).await.unwrap();
    for _ in 0..2 {
        let path = site.trees.checkout(site.name(), &run, &checks(), &candidate).await.unwrap();
        assert_eq!(read(&path, "a"), "2\n");
        assert!(!path.join("dirt").exists());
        put(&path, "dirt", "1\n");
        put(&path, "a", "dirt\n");
    }
    let list = site.trees.list().await.unwrap();
    let shown: Vec<_> =
        list.iter().map(|found| (found.run.to_string(), found.purpose.clone(), found.on_disk)).collect();
    assert_eq!(shown, [("A-1.1".to_owned(), Some(checks()), true), ("A-1.1".to_owned(), None, true)]);
    for _ in 0..2 {
        site.trees.drop_checkout(site.name(), &run, &checks()).await.unwrap();
    }
    assert_eq!(site.trees.list().await.unwrap().len(), 1);
    assert!(
        "a b".parse::<qd_worktrees::Purpose>().is_err() && "../x".parse::<qd_worktrees::Purpose>().is_err()
    );
}

#[tokio::test]
async fn a_push_may_be_repeated_and_keeps_its_lease() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let one = site.candidate(&run).await.unwrap();
    for _ in 0..2 {
        site.trees.push(&site.spec, "qd/A-1.1", &one, None).await.unwrap();
    }
    assert_eq!(site.forge.resolve("qd/A-1.1").await.unwrap(), Some(one.clone()));
    put(&made.path, "a", "3\n");
    let two = site.candidate(&run).await.unwrap();
    for expected in [None, Some(&site.base)] {
        let error = site.trees.push(&site.spec, "qd/A-1.1", &two, expected).await.unwrap_err();
        let WorktreeError::RemoteMoved { actual, .. } = error else { panic!("{error}") };
        assert_eq!(actual, Some(one.clone()));
    }
    assert_eq!(site.forge.resolve("qd/A-1.1").await.unwrap(), Some(one.clone()), "nothing was changed");
    for _ in 0..2 {
        site.trees.push(&site.spec, "qd/A-1.1", &two, Some(&one)).await.unwrap();
    }
    assert_eq!(site.forge.resolve("qd/A-1.1").await.unwrap(), Some(two));
}

#[tokio::test]
async fn merges_have_both_sides_or_name_the_conflict() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    put(&made.path, "a", "2\n");
    let head = site.candidate(&run).await.unwrap();
    let merge =
        async |onto| site.trees.merge_onto(site.name(), &head, onto, "Merge", &stamp()).await.unwrap();
    assert_eq!(merge(&site.base).await, Merged::Merged(head.clone()), "onto what it has");

    let apart = site.forge_commit(&[("a", "1\n"), ("b", "9\n"), (".gitignore", "*.log\n")]).await;
    site.trees.refresh(&site.spec).await.unwrap();
    let Merged::Merged(merged) = merge(&apart).await else { panic!("a conflict") };
    assert_eq!(merge(&apart).await, Merged::Merged(merged.clone()), "the same again");
    assert_eq!((site.shown(&merged, "a"), site.shown(&merged, "b")), ("2\n".to_owned(), "9\n".to_owned()));
    let parents = git(&site.mirror(), &["log", "-1", "--format=%P", merged.as_str()]);
    assert_eq!(parents, format!("{apart} {head}\n"));

    // The digest of a change stays when the target moves beside it.
    let base = site.trees.merge_base(site.name(), &head, &apart).await.unwrap();
    assert_eq!(base, Some(site.base.clone()));
    let before = site.trees.diff_digest(site.name(), &site.base, &head).await.unwrap();
    assert_eq!(site.trees.diff_digest(site.name(), &apart, &merged).await.unwrap(), before);

    let against = site.forge_commit(&[("a", "8\n"), ("b", "9\n")]).await;
    site.trees.refresh(&site.spec).await.unwrap();
    assert_eq!(merge(&against).await, Merged::Conflict { files: vec!["a".to_owned()] });
}
