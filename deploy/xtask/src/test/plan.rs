//! Which steps a test run has, as data. Pure: what is installed comes in as [`Facts`].

/// The binary that holds the end-to-end tests, whatever crate it is in.
pub(super) const END_TO_END: &str = "e2e";

/// How much is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The inner loop.
    Quick,
    /// What CI runs.
    Usual,
    /// Ignored tests too: soaks and slow real peers.
    Full,
}

/// What the plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// Whether `cargo nextest` is installed.
    pub(super) nextest: bool,
    /// Whether the binary has the feature that lets a test stop it at a named step.
    pub(super) failpoints: bool,
    /// Whether there are end-to-end tests.
    pub(super) end_to_end: bool,
    /// Whether cargo-deny's advisory database is at hand, and not too old to be believed.
    pub(super) advisories: bool,
    /// Suites that are left out.
    pub(super) skipped: Vec<&'static str>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Its name in the summary.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Runs cargo.
    Cargo(Vec<String>),
    /// Runs tidy, in this process.
    Tidy,
}

impl Step {
    /// The step as a person would type it.
    pub(super) fn shown(&self) -> String {
        match &self.action {
            Action::Tidy => "cargo xtask tidy".to_owned(),
            Action::Cargo(args) => crate::process::shown(std::process::Command::new("cargo").args(args)),
        }
    }
}

/// The steps, in the order in which a mistake is found soonest.
pub(super) fn steps(scope: Scope, facts: &Facts) -> Vec<Step> {
    let mut steps = vec![
        cargo("format", &["fmt", "--all", "--check"]),
        cargo(
            "clippy",
            &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"],
        ),
        Step { name: "tidy", action: Action::Tidy },
    ];
    if scope != Scope::Quick && !facts.skipped.contains(&"deny") {
        steps
            .push(cargo("deny", &["deny", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"]));
        if facts.advisories {
            steps.push(cargo("advisories", &["deny", "--offline", "check", "advisories"]));
        }
    }
    if scope != Scope::Quick && !facts.nextest {
        // Tests start them. `cargo test` with kinds of targets named builds none, and with `--examples` tests in place of programs.
        let mut examples = vec!["build", "--workspace", "--examples"];
        examples.extend(features(facts));
        steps.push(cargo("examples", &examples));
    }
    steps.push(Step { name: "tests", action: Action::Cargo(tests(scope, facts)) });
    if scope != Scope::Quick {
        let mut doc_tests = vec!["test", "--doc", "--workspace"];
        doc_tests.extend(features(facts));
        steps.push(cargo("doc tests", &doc_tests));
    }
    steps
}

/// What a person should know about this run before it starts. None of it is a skipped suite.
pub(super) fn notes(scope: Scope, facts: &Facts) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if !facts.nextest {
        notes.push(
            "cargo-nextest is not installed: the tests run with cargo test, one binary after the other.",
        );
    }
    if scope != Scope::Quick && !facts.advisories {
        notes.push("No advisory database of the last 90 days is at hand (`cargo deny fetch` brings it): advisories are not checked.");
    }
    if scope == Scope::Quick {
        notes.push("--quick leaves out deny, the end-to-end tests and the doc tests.");
    }
    notes
}

fn tests(scope: Scope, facts: &Facts) -> Vec<String> {
    let mut args =
        if facts.nextest { vec!["nextest", "run", "--workspace"] } else { vec!["test", "--workspace"] };
    args.extend(features(facts));
    match (scope, facts.nextest) {
        // Only when there is such a binary: nextest refuses a filter that can match nothing.
        (Scope::Quick, true) if facts.end_to_end => args.extend(["-E", "not binary(e2e)"]),
        (Scope::Quick, true) => {}
        (Scope::Quick, false) => args.extend(["--lib", "--bins"]),
        (Scope::Usual, true) => args.push("--no-fail-fast"),
        (Scope::Usual, false) => args.extend(["--no-fail-fast", "--lib", "--bins", "--tests"]),
        (Scope::Full, true) => args.extend(["--no-fail-fast", "--run-ignored", "all"]),
        (Scope::Full, false) => {
            args.extend(["--no-fail-fast", "--lib", "--bins", "--tests", "--", "--include-ignored"]);
        }
    }
    args.into_iter().map(str::to_owned).collect()
}

fn features(facts: &Facts) -> &'static [&'static str] {
    if facts.failpoints { &["--features", "quarterdeck/failpoints"] } else { &[] }
}

fn cargo(name: &'static str, args: &[&str]) -> Step {
    Step { name, action: Action::Cargo(args.iter().map(|arg| (*arg).to_owned()).collect()) }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Scope, notes, steps};

    fn facts() -> Facts {
        Facts { nextest: true, failpoints: true, end_to_end: true, advisories: false, skipped: vec![] }
    }

    fn shown(scope: Scope, facts: &Facts) -> Vec<String> {
        steps(scope, facts).iter().map(|step| format!("{}: {}", step.name, step.shown())).collect()
    }

    #[test]
    fn ci_runs_everything() {
        assert_eq!(
            shown(Scope::Usual, &facts()),
            [
                "format: cargo fmt --all --check",
                "clippy: cargo clippy --workspace --all-targets --all-features -- -D warnings",
                "tidy: cargo xtask tidy",
                "deny: cargo deny check --hide-inclusion-graph bans licenses sources",
                "tests: cargo nextest run --workspace --features quarterdeck/failpoints --no-fail-fast",
                "doc tests: cargo test --doc --workspace --features quarterdeck/failpoints",
            ]
        );
    }

    #[test]
    fn without_nextest_examples_are_built_before_the_tests_that_start_them() {
        let plain = Facts { nextest: false, skipped: vec!["deny"], ..facts() };
        assert_eq!(
            shown(Scope::Usual, &plain)[3..],
            [
                "examples: cargo build --workspace --examples --features quarterdeck/failpoints",
                "tests: cargo test --workspace --features quarterdeck/failpoints --no-fail-fast --lib --bins --tests",
                "doc tests: cargo test --doc --workspace --features quarterdeck/failpoints",
            ]
        );
    }

    #[test]
    fn the_inner_loop_leaves_out_the_slow_parts() {
        assert_eq!(
            shown(Scope::Quick, &facts())[3..],
            ["tests: cargo nextest run --workspace --features quarterdeck/failpoints -E 'not binary(e2e)'"]
        );
        assert_eq!(
            shown(Scope::Quick, &Facts { nextest: false, failpoints: false, ..facts() })[3..],
            ["tests: cargo test --workspace --lib --bins"]
        );
        assert_eq!(
            shown(Scope::Quick, &Facts { end_to_end: false, failpoints: false, ..facts() })[3..],
            ["tests: cargo nextest run --workspace"]
        );
    }

    #[test]
    fn a_full_run_includes_the_ignored_tests() {
        let nextest = shown(Scope::Full, &facts());
        assert!(nextest[4].ends_with("--run-ignored all"), "{nextest:?}");
        let plain = shown(Scope::Full, &Facts { nextest: false, ..facts() });
        assert!(plain[5].ends_with("--tests -- --include-ignored"), "{plain:?}");
    }

    #[test]
    fn deny_is_left_out_only_when_it_is_skipped_and_advisories_only_without_their_database() {
        let without = shown(Scope::Usual, &Facts { skipped: vec!["deny"], advisories: true, ..facts() });
        assert!(!without.iter().any(|step| step.contains("deny")), "{without:?}");
        let with = Facts { advisories: true, ..facts() };
        assert!(
            shown(Scope::Usual, &with)
                .contains(&"advisories: cargo deny --offline check advisories".to_owned())
        );
        assert!(notes(Scope::Usual, &with).is_empty());
        assert_eq!(notes(Scope::Usual, &facts()).len(), 1);
    }
}
