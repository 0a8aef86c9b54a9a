//! What may be written is exactly what is beside what is sealed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use qd_confine::walls::beside;

#[test]
fn everything_but_the_way_to_what_is_sealed_is_open() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path();
    for folder in ["a", "b/c/state/deep", "b/d", "e"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("b/file"), "").unwrap();
    std::os::unix::fs::symlink(root.join("b/c/state"), root.join("link")).unwrap();
    let names = |sealed: &[&str]| -> Vec<String> {
        let sealed: Vec<_> = sealed.iter().map(|path| root.join(path)).collect();
        let shown = |path: std::path::PathBuf| path.strip_prefix(root).unwrap().display().to_string();
        beside(root, &sealed).into_iter().map(shown).collect()
    };
    assert_eq!(names(&["b/c/state"]), ["a", "b/d", "b/file", "e"]);
    assert_eq!(names(&["b/c/state", "e"]), ["a", "b/d", "b/file"]);
    assert_eq!(names(&[]), [""]);
    assert_eq!(beside(root, &[root.to_owned()]), Vec::<std::path::PathBuf>::new());
    assert_eq!(beside(root, &["/elsewhere".into()]), [root]);
}
