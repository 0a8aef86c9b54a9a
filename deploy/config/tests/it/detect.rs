//! What `init` finds.

use std::os::unix::fs::PermissionsExt as _;

use qd_config::detect;

use crate::support::Place;

fn found(files: &[(&str, &str)]) -> Vec<String> {
    let place = Place::new("");
    files.iter().for_each(|(name, text)| place.write(name, text));
    detect::checks(&place.here).into_iter().map(|check| check.command).collect()
}

#[test]
fn checks_by_the_files_that_declare_them() {
    let check =
        |file: &str, text: &str, expect: &[&str]| assert_eq!(found(&[(file, text)]), expect, "{file}");
    check("Cargo.toml", "", &["cargo test"]);
    check("go.mod", "", &["go test ./..."]);
    check("pytest.ini", "", &["python3 -m pytest -q"]);
    check("pyproject.toml", "[tool.pytest.ini_options]\n", &["python3 -m pytest -q"]);
    check("pyproject.toml", "[project]\nname = \"x\"\n", &[]);
    check("tests/test_words.py", "", &["python3 -m pytest -q"]);
    check("tests/words.rs", "", &[]);
    check("README.md", "", &[]);
}

#[test]
fn npm_installs_first_what_a_fresh_check_out_lacks() {
    let package = |rest: &str| format!("{{\"scripts\":{{\"test\":\"node --test\"}}{rest}}}");
    let depends = package(",\"devDependencies\":{\"y\":\"1\"}");
    let lock = ("package-lock.json", "{}");
    assert_eq!(found(&[("package.json", &package(""))]), ["npm test"]);
    assert_eq!(found(&[("package.json", &package("")), lock]), ["npm test"]);
    assert_eq!(found(&[("package.json", &depends), lock]), ["npm ci --ignore-scripts && npm test"]);
    assert_eq!(
        found(&[("package.json", &depends)]),
        ["npm install --ignore-scripts --no-audit --no-fund && npm test"]
    );
    let placeholder = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    assert!(found(&[("package.json", placeholder)]).is_empty());
    assert!(found(&[("package.json", "{ not json")]).is_empty());
}

#[test]
fn make_where_nothing_else_is() {
    let check = |text: &str, expect: &[&str]| assert_eq!(found(&[("Makefile", text)]), expect, "{text}");
    check("test: build\n\ttrue\n", &["make test"]);
    check("all test check: build\n", &["make check"]);
    check("test ::\n\ttrue\n", &["make test"]);
    check("test := 1\n", &[]);
    check("test ::= 1\n", &[]);
    check("testing: x\n", &[]);
    check("all:\n\ttest: x\n", &[]);
    assert_eq!(found(&[("Makefile", "test:\n"), ("Cargo.toml", "")]), ["cargo test"]);
}

#[test]
fn agents_are_programs_that_can_be_run() {
    let place = Place::new("");
    for (name, mode) in [("opencode", 0o755), ("codex", 0o755), ("gemini", 0o644), ("other", 0o755)] {
        place.write(&format!("bin/{name}"), "");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.here.join("bin").join(name), mode).unwrap();
    }
    std::fs::create_dir_all(place.here.join("bin/claude")).unwrap();
    let path = format!(":/nowhere:{}", place.here.join("bin").display());
    let found: Vec<String> = detect::agents(&path)
        .into_iter()
        .map(|(name, agent)| format!("{name}: {}", agent.command.unwrap_or_default().join(" ")))
        .collect();
    assert_eq!(found, ["codex: codex exec --sandbox workspace-write -", "opencode: opencode run"]);
}
