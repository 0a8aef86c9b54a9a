//! What a run's checks remarked on lines that its change touches, read from their logs: one line each, as compilers and linters
//! write them. It decides nothing; people see it at the lines.

use std::collections::BTreeSet;

use qd_wire::v1::Finding;

use super::{Here, StepError, checks::base, work};

/// Most findings of a change: more than anybody reads.
const MOST: usize = 50;

/// What the checks of the newest round remarked.
pub(super) async fn findings(here: &Here<'_>) -> Result<Vec<Finding>, StepError> {
    let name = &here.repository.spec.name;
    let touched = here.team.worktrees().touches(name, base(here)?, work::checked(here)?).await?;
    let touched: BTreeSet<String> = touched.into_iter().collect();
    let lines = here.team.options().runs.log_lines;
    let logs =
        here.run.newest_checks().into_iter().map(|fact| {
            work::log_tail(&here.team.folder(&here.run.id).check_log(fact.round, &fact.name), lines)
        });
    let mut found = Vec::new();
    for log in logs {
        for finding in read(&log, &touched) {
            if found.len() < MOST && !found.contains(&finding) {
                found.push(finding);
            }
        }
    }
    Ok(found)
}

/// Remarks in a log on lines of these files: `src/a.rs:3:5: unused`, or, as rustc has it, `--> src/a.rs:3:5` below the words.
fn read(log: &str, touched: &BTreeSet<String>) -> Vec<Finding> {
    let mut above = "";
    let mut found = Vec::new();
    for line in log.lines().map(str::trim) {
        let (place, is_below) = match line.strip_prefix("--> ") {
            Some(place) => (place, true),
            None => (line, false),
        };
        let mut parts = place.splitn(3, ':');
        let path = parts.next().unwrap_or_default().trim_start_matches("./");
        let number =
            parts.next().and_then(|number| number.trim().parse::<u32>().ok()).filter(|line| *line > 0);
        if let Some(number) = number.filter(|_| touched.contains(path)) {
            let rest = parts.next().unwrap_or_default();
            let words = match rest.split_once(':') {
                Some((column, words)) if column.trim().parse::<u32>().is_ok() => words,
                _ => rest,
            };
            let text = if is_below { above } else { words.trim() };
            if !text.is_empty() {
                found.push(Finding { path: path.to_owned(), line: number, text: text.into() });
            }
        }
        above = line;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_on_touched_lines_are_read_as_tools_write_them() {
        let log = "Checking qd v0.1.0\nwarning: unused variable: `x`\n  --> src/a.rs:3:9\n   |\n\
                   ./src/b.py:12:1: F401 `os` imported but unused\nsrc/c.c:7: warning: too long\n\
                   src/other.rs:1:1: not touched\nsrc/a.rs:0:1: no line\nsrc/a.rs:four: no number\n12:30:01 done\n";
        let touched = ["src/a.rs", "src/b.py", "src/c.c"].map(str::to_owned).into_iter().collect();
        let found = read(log, &touched);
        let shown: Vec<String> =
            found.iter().map(|one| format!("{}:{} {}", one.path, one.line, one.text.as_str())).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        src/a.rs:3 warning: unused variable: `x`
        src/b.py:12 F401 `os` imported but unused
        src/c.c:7 warning: too long
        ");
    }
}
