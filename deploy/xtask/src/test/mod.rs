//! The test command: one list of steps for developers and for CI. It knows no test by name; what a suite needs beyond
//! the toolchain is in [`needs`], what is run is in [`plan`].

mod agents;
mod emulate;
mod github;
mod install;
mod needs;
mod npm;
mod plan;
mod report;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    outcome::{Failure, Outcome},
    process, tidy,
    workspace::Workspace,
};
use agents::Agents;
use emulate::Emulate;
use github::Described;
use plan::{Action, Facts, Scope};
use report::Report;

/// cargo-deny's own `maximum-db-staleness` (its default, `P90D`).
const MAXIMUM_DATABASE_AGE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// What was asked for on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    scope: Scope,
    allow_skips: bool,
}

/// `cargo xtask test [--quick|--full] [--allow-skips]`.
pub(crate) fn run(args: &[String]) -> Outcome {
    let options = parse(args)?;
    let missing = match options.scope {
        Scope::Quick => Vec::new(),
        Scope::Usual | Scope::Full => needs::missing(&is_installed),
    };
    let mut report = Report::start(options.scope);
    let skipped = install::provide(missing, options.allow_skips, &mut report)?;
    let workspace = Workspace::load()?;
    let facts = Facts {
        nextest: is_installed("cargo-nextest"),
        failpoints: workspace
            .package("quarterdeck")
            .is_some_and(|binary| binary.features.iter().any(|feature| feature == "failpoints")),
        end_to_end: workspace
            .packages
            .iter()
            .any(|package| package.tests.iter().any(|test| test == plan::END_TO_END)),
        advisories: cargo_home().is_some_and(|home| has_advisory_database(&home)),
        skipped: skipped.iter().map(|need| need.suite).collect(),
    };
    for note in plan::notes(options.scope, &facts) {
        report.note(note);
    }
    for need in &skipped {
        report.skip(need.suite, need.reason);
    }
    let agents = match options.scope {
        Scope::Quick => None,
        Scope::Usual | Scope::Full => agents::provide(&mut report, options.allow_skips)?,
    };
    let described = github::provide(&mut report, options.scope, options.allow_skips)?;
    let emulate = emulate::provide(&mut report, options.scope, options.allow_skips)?;
    for step in plan::steps(options.scope, &facts) {
        report.step(step.name, &step.shown(), || {
            carry_out(&step.action, &facts, agents.as_ref(), (described.as_ref(), emulate.as_ref()))
        })?;
    }
    report.finish();
    Ok(())
}

fn carry_out(
    action: &Action,
    facts: &Facts,
    agents: Option<&Agents>,
    (described, emulate): (Option<&Described>, Option<&Emulate>),
) -> Outcome {
    match action {
        Action::Tidy => tidy::run(),
        Action::Cargo(args) => {
            let mut cargo = process::cargo();
            cargo.args(args);
            // What was installed is used for certain: a suite that finds no engine then fails, and is not left out.
            if !facts.skipped.contains(&"docker") && is_installed("dockerd") {
                cargo.env("QUARTERDECK_DOCKERD", "required");
            }
            if !facts.skipped.is_empty() {
                cargo.env("QUARTERDECK_SKIP", facts.skipped.join(","));
            }
            match agents {
                Some(agents) => agents.tell(&mut cargo),
                None => drop(cargo.env_remove("QUARTERDECK_TEST_AGENTS")),
            }
            if let Some(described) = described {
                described.tell(&mut cargo);
            }
            if let Some(emulate) = emulate {
                emulate.tell(&mut cargo);
            }
            process::succeed(&mut cargo)
        }
    }
}

fn parse(args: &[String]) -> Outcome<Options> {
    let mut options = Options { scope: Scope::Usual, allow_skips: false };
    for arg in args {
        let scope = match arg.as_str() {
            "--quick" => Scope::Quick,
            "--full" => Scope::Full,
            "--allow-skips" => {
                options.allow_skips = true;
                continue;
            }
            unknown => {
                return Err(Failure::Usage(format!(
                    "cargo xtask test does not know {unknown:?}: it takes --quick or --full, and --allow-skips."
                )));
            }
        };
        if options.scope != Scope::Usual && options.scope != scope {
            return Err(Failure::Usage("cargo xtask test takes --quick or --full, not both.".to_owned()));
        }
        options.scope = scope;
    }
    Ok(options)
}

/// Cargo finds its tools in its own folder too, when that is not on the search path.
fn is_installed(program: &str) -> bool {
    process::find(program).is_some()
        || cargo_home().is_some_and(|home| home.join("bin").join(program).is_file())
}

fn cargo_home() -> Option<PathBuf> {
    let usual = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(usual)
}

/// Whether a database was fetched in the last 90 days. cargo-deny makes its folder also when a fetch fails, and refuses
/// a database that is older (`maximum-db-staleness`): neither says anything about this tree.
fn has_advisory_database(cargo_home: &Path) -> bool {
    let Ok(databases) = cargo_home.join("advisory-dbs").read_dir() else { return false };
    databases.flatten().any(|database| {
        let fetched = ["FETCH_HEAD", "HEAD"]
            .iter()
            .find_map(|name| database.path().join(".git").join(name).metadata().ok()?.modified().ok());
        fetched.is_some_and(|at| at.elapsed().is_ok_and(|age| age < MAXIMUM_DATABASE_AGE))
    })
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::{Duration, SystemTime},
    };

    use super::{MAXIMUM_DATABASE_AGE, Options, Scope, has_advisory_database, parse};

    fn parsed(args: &[&str]) -> Result<Options, u8> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(&args).map_err(|failure| failure.code())
    }

    #[test]
    fn options_are_read_in_any_order() {
        assert_eq!(parsed(&[]), Ok(Options { scope: Scope::Usual, allow_skips: false }));
        assert_eq!(
            parsed(&["--allow-skips", "--full"]),
            Ok(Options { scope: Scope::Full, allow_skips: true })
        );
        assert_eq!(parsed(&["--quick", "--quick"]), Ok(Options { scope: Scope::Quick, allow_skips: false }));
        assert_eq!(parsed(&["--quick", "--full"]), Err(2));
        assert_eq!(parsed(&["quick"]), Err(2));
    }

    #[test]
    fn a_folder_that_a_failed_fetch_left_is_no_advisory_database_and_an_old_one_is_none_either() {
        let home = std::env::temp_dir().join(format!("advisories-{}", std::process::id()));
        let git = home.join("advisory-dbs/advisory-db-1/.git");
        assert!(!has_advisory_database(&home));
        fs::create_dir_all(home.join("advisory-dbs")).unwrap();
        assert!(!has_advisory_database(&home));
        fs::create_dir_all(&git).unwrap();
        assert!(!has_advisory_database(&home));
        let head = File::create(git.join("HEAD")).unwrap();
        assert!(has_advisory_database(&home));
        head.set_modified(SystemTime::now() - MAXIMUM_DATABASE_AGE - Duration::from_secs(60)).unwrap();
        assert!(!has_advisory_database(&home));
        fs::remove_dir_all(&home).unwrap();
    }
}
