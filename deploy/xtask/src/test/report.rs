//! What a test run says: a line before and after each step, and a last line that tells the whole truth. A skipped suite
//! is never hidden behind the word "passed".

use std::time::{Duration, Instant};

use super::plan::Scope;
use crate::outcome::{Failure, Outcome};

/// The run so far.
#[derive(Debug)]
pub(super) struct Report {
    scope: Scope,
    started: Instant,
    done: Vec<(&'static str, Duration)>,
    skipped: Vec<String>,
}

impl Report {
    /// Starts the clock.
    pub(super) fn start(scope: Scope) -> Self {
        Self { scope, started: Instant::now(), done: Vec::new(), skipped: Vec::new() }
    }

    /// Something to know, which is neither a failure nor a skipped suite.
    pub(super) fn note(&self, text: &str) {
        println!("note: {text}");
    }

    /// A suite that will not run.
    pub(super) fn skip(&mut self, suite: &str, reason: &str) {
        println!("skipped: {suite} ({reason})");
        self.skipped.push(format!("{suite} ({reason})"));
    }

    /// Announces a step, runs it, says how long it took.
    pub(super) fn step(
        &mut self,
        name: &'static str,
        shown: &str,
        action: impl FnOnce() -> Outcome,
    ) -> Outcome {
        println!("── {name}: {shown}");
        let started = Instant::now();
        let outcome = action();
        let took = started.elapsed();
        match outcome {
            Ok(()) => {
                println!("── {name}: ok, {} s", seconds(took));
                self.done.push((name, took));
                Ok(())
            }
            Err(failure) => Err(Failure::failed(format!(
                "── {name}: {failure}\n{} FAILED in {name} after {} s. To repeat this step: {shown}",
                self.title(),
                seconds(self.started.elapsed())
            ))),
        }
    }

    /// The last line.
    pub(super) fn finish(&self) {
        println!("{}", self.summary(self.started.elapsed()));
    }

    fn summary(&self, total: Duration) -> String {
        let steps: Vec<String> =
            self.done.iter().map(|(name, took)| format!("{name} {}", seconds(*took))).collect();
        let (title, total, steps) = (self.title(), seconds(total), steps.join(", "));
        if self.skipped.is_empty() {
            return format!("{title} passed in {total} s ({steps}).");
        }
        let (count, what) = (self.skipped.len(), self.skipped.join(", "));
        let suites = if count == 1 { "suite" } else { "suites" };
        format!(
            "{title} INCOMPLETE in {total} s: {count} {suites} skipped: {what}; the rest passed ({steps})."
        )
    }

    fn title(&self) -> &'static str {
        match self.scope {
            Scope::Quick => "cargo xtask test --quick:",
            Scope::Usual => "cargo xtask test:",
            Scope::Full => "cargo xtask test --full:",
        }
    }
}

fn seconds(duration: Duration) -> u64 {
    (duration.as_millis() as u64 + 500) / 1000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Report, Scope};
    use crate::outcome::Failure;

    #[test]
    fn the_last_line_says_what_passed_and_how_long_it_took() {
        let mut report = Report::start(Scope::Usual);
        report.step("format", "cargo fmt", || Ok(())).expect("passes");
        assert_eq!(
            report.summary(Duration::from_millis(61_600)),
            "cargo xtask test: passed in 62 s (format 0)."
        );
    }

    #[test]
    fn a_run_with_skipped_suites_never_looks_green() {
        let mut report = Report::start(Scope::Usual);
        report.skip("browser", "no chromium");
        report.skip("deny", "no cargo-deny");
        report.step("tests", "cargo test", || Ok(())).expect("passes");
        let line = report.summary(Duration::from_secs(9));
        assert_eq!(
            line,
            "cargo xtask test: INCOMPLETE in 9 s: 2 suites skipped: browser (no chromium), deny (no cargo-deny); \
             the rest passed (tests 0)."
        );
    }

    #[test]
    fn a_failing_step_ends_the_run_with_the_way_to_repeat_it() {
        let mut report = Report::start(Scope::Quick);
        let failure = report
            .step("clippy", "cargo clippy", || Err(Failure::failed("`cargo clippy` ended with 101.")))
            .expect_err("fails");
        assert_eq!(
            failure.to_string(),
            "── clippy: `cargo clippy` ended with 101.\n\
             cargo xtask test --quick: FAILED in clippy after 0 s. To repeat this step: cargo clippy"
        );
        assert_eq!(failure.code(), 1);
    }
}
