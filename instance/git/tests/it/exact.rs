//! A worktree of ours is the same as one of git's.

use std::{fs, path::Path};

use proptest::prelude::*;
use qd_git::{At, Unfit};
use qd_types::CommitId;

use crate::site::{EXECUTABLE, Files, LINK, PLAIN, Site, files, git, shown, verdict};

/// Adds a worktree by both and compares.
async fn check(site: &Site, commit: &CommitId) -> Option<Unfit> {
    let (ours, theirs) = (site.path("ours"), site.path("theirs"));
    let unfit = site.repo.worktree_add_recorded(&ours, &At::Detached(commit.clone()), None).await.unwrap();
    git(
        site.repo.folder(),
        &[
            "-c",
            "advice.detachedHead=false",
            "worktree",
            "add",
            "--quiet",
            "--detach",
            theirs.to_str().unwrap(),
            commit.as_str(),
        ],
    );
    assert_eq!(shown(&ours), shown(&theirs), "{unfit:?}");
    assert_eq!(verdict(&ours), verdict(&theirs), "{unfit:?}");
    unfit
}

async fn unfit(all: &[(&str, &'static str, &str)]) -> String {
    let site = Site::new().await;
    let commit = site.commit(&files(all));
    check(&site, &commit).await.map_or("done".to_owned(), |unfit| unfit.to_string())
}

#[tokio::test]
async fn what_git_would_change_is_left_to_git() {
    let crlf = ("a.txt", PLAIN, "one\ntwo\n");
    insta::assert_snapshot!(unfit(&[crlf, (".gitattributes", PLAIN, "*.txt text eol=crlf\n")]).await, @"its attributes have eol=crlf");
    insta::assert_snapshot!(unfit(&[crlf, ("x/.gitattributes", PLAIN, "* ident\n")]).await, @"its attributes have ident");
    insta::assert_snapshot!(unfit(&[crlf, (".gitattributes", PLAIN, "[attr]big filter=lfs\n* big")]).await, @"its attributes define macros");
    insta::assert_snapshot!(unfit(&[crlf, ("sub", "160000", "")]).await, @"it has a submodule");
    insta::assert_snapshot!(unfit(&[crlf, ("a\\b", PLAIN, "1")]).await, @r#"it has the name "a\\b""#);
    let harmless = "# eol=crlf\n* text=auto eol=lf -diff\n*.png binary\n*.rs linguist-generated=true\n";
    insta::assert_snapshot!(unfit(&[crlf, (".gitattributes", PLAIN, harmless)]).await, @"done");
    insta::assert_snapshot!(unfit(&[]).await, @"done");
}

#[tokio::test]
async fn what_the_repository_sets_is_left_to_git() {
    for (name, value) in [
        ("core.autocrlf", "true"),
        ("core.eol", "crlf"),
        ("core.fileMode", "false"),
        ("filter.x.smudge", "rev"),
        ("include.path", "elsewhere"),
    ] {
        let site = Site::new().await;
        let commit = site.commit(&files(&[("a", PLAIN, "1\n"), ("b", EXECUTABLE, "1\n")]));
        site.git(&["config", name, value]);
        let unfit = check(&site, &commit).await.unwrap().to_string();
        assert!(unfit.ends_with(" is set"), "{unfit}");
    }
    let site = Site::new().await;
    let commit = site.commit(&files(&[("a", PLAIN, "1\n")]));
    let tree = site.git(&["rev-parse", &format!("{commit}:a")]);
    let other = site.feed(&["hash-object", "-w", "--stdin"], b"2\n");
    site.git(&["replace", tree.trim(), other.trim()]);
    insta::assert_snapshot!(check(&site, &commit).await.unwrap(), @"it has replaced objects");
}

#[tokio::test]
async fn a_large_tree_is_checked_out_on_several_threads() {
    let site = Site::new().await;
    let mut all = Files::new();
    for number in 0..3000_u32 {
        let path = format!("a{}/b{}/f{number}", number % 7, number % 13);
        all.insert(path.into_bytes(), (PLAIN, vec![b'x'; (number as usize * 37) % 5000]));
    }
    let commit = site.commit(&all);
    assert_eq!(check(&site, &commit).await, None);
}

#[tokio::test]
async fn packed_and_loose_objects_are_both_read() {
    let site = Site::new().await;
    let mut all = files(&[("a", PLAIN, &"line\n".repeat(5000)), ("b", PLAIN, &"line\n".repeat(5001))]);
    site.commit(&all);
    site.git(&["repack", "-adfq", "--depth=50"]);
    let id = site.feed(&["hash-object", "-w", "--stdin"], b"loose\n");
    all.insert(b"c".to_vec(), (PLAIN, b"loose\n".to_vec()));
    let commit = site.commit(&all);
    assert!(!id.is_empty());
    assert_eq!(check(&site, &commit).await, None);
}

#[tokio::test]
async fn trees_that_git_would_not_make_do_no_harm() {
    let site = Site::new().await;
    let outside = site.path("outside");
    fs::create_dir(&outside).unwrap();
    let blob = site.feed(&["hash-object", "-w", "--stdin"], b"1\n").trim().to_owned();
    let link = site.feed(&["hash-object", "-w", "--stdin"], outside.to_str().unwrap().as_bytes());
    let inner = raw_tree(&site, &[("100644", b"f", &blob)]);
    let trees: [&[(&str, &[u8], &str)]; 5] = [
        &[("100644", b"..", &blob)],
        &[("40000", b".git", &inner)],
        &[("120000", b"a", link.trim()), ("40000", b"a", &inner)],
        &[("100644", b"b", &blob), ("100644", b"a", &blob)],
        &[("40000", b"a", "4b825dc642cb6eb9a060e54bf8d69288fbee4904")],
    ];
    for entries in trees {
        let tree = raw_tree(&site, entries);
        let commit =
            site.git(&["-c", "user.name=T", "-c", "user.email=t@localhost", "commit-tree", "-m", "x", &tree]);
        let commit: CommitId = commit.trim().parse().unwrap();
        let ours = site.path("ours");
        // Git refuses some of them, and takes others as it can; it is git that decides.
        let _ = site.repo.worktree_add_recorded(&ours, &At::Detached(commit), None).await;
        site.repo.worktree_remove(&ours).await.unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(!site.path("f").exists());
    }
}

fn raw_tree(site: &Site, entries: &[(&str, &[u8], &str)]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend(mode.bytes());
        bytes.push(b' ');
        bytes.extend(*name);
        bytes.push(0);
        bytes.extend((0..40).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()));
    }
    site.feed(&["hash-object", "-w", "-t", "tree", "--literally", "--stdin"], &bytes).trim().to_owned()
}

/// Names that sort, quote or look oddly.
const NAMES: [&[u8]; 16] = [
    b"a",
    b"a.b",
    b"a-b",
    b"a0",
    b"b",
    b"B",
    b"c c",
    b"\xc3\xbc",
    b"\xff\xfe",
    b"-x",
    b".x",
    b".gitignore",
    b"x\ny",
    b"\"q\"",
    b".github",
    b"*",
];

const ATTRIBUTES: [&str; 5] =
    ["* text=auto\n", "*.rs -text\n", "a eol=crlf\n", "* ident\n", "b* filter=lfs diff=lfs\n"];

fn file() -> impl Strategy<Value = (&'static str, Vec<u8>)> {
    let text = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 1..40),
        Just(b"one\r\ntwo\r\n".to_vec()),
        Just(b"$Id$ one\ntwo\n".to_vec()),
    ];
    let target = prop_oneof![Just("a"), Just("../.."), Just("/nowhere"), Just("a/b c")];
    prop_oneof![
        6 => text.clone().prop_map(|text| (PLAIN, text)),
        2 => text.prop_map(|text| (EXECUTABLE, text)),
        2 => target.prop_map(|target| (LINK, target.as_bytes().to_vec())),
    ]
}

pub(crate) fn tree() -> impl Strategy<Value = Files> {
    let name = || proptest::sample::select(&NAMES[..]);
    let path = proptest::collection::vec(name(), 1..4).prop_map(|parts| parts.join(&b'/'));
    let attributes = proptest::option::weighted(0.3, proptest::sample::select(&ATTRIBUTES[..]));
    (proptest::collection::btree_map(path, file(), 0..24), attributes).prop_map(|(mut all, attributes)| {
        if let Some(attributes) = attributes {
            all.insert(b".gitattributes".to_vec(), (PLAIN, attributes.as_bytes().to_vec()));
        }
        // Nothing is ignored or a file and a folder at once.
        let paths: Vec<Vec<u8>> = all.keys().cloned().collect();
        let below =
            |one: &[u8], other: &[u8]| other.strip_prefix(one).is_some_and(|rest| rest.starts_with(b"/"));
        all.retain(|path, _| !paths.iter().any(|other| below(other, path)));
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_checked_out_as_git_does_it(all in tree()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let site = Site::new().await;
            let commit = site.commit(&all);
            check(&site, &commit).await;
        });
    }
}

#[tokio::test]
async fn the_odd_names_are_done_by_us() {
    let site = Site::new().await;
    let all: Files = NAMES.iter().map(|name| (name.to_vec(), (PLAIN, b"1\n".to_vec()))).collect();
    let commit = site.commit(&all);
    assert_eq!(check(&site, &commit).await, None);
    assert!(Path::new(&site.path("ours")).join("x\ny").exists());
}
