//! Killed with SIGKILL within steps of a run, and started again: the feature merges exactly once, and nothing is
//! left over. The failpoints are in the code of the saga and of the bot; see `qd-failpoint`.

use std::{os::unix::process::ExitStatusExt as _, path::Path};

use qd_api::RunSummary;

use crate::support::{Project, add, approve, config, finished, git, until};

/// A red check first, then its repair: every step is reached, and the loop as well.
const AGENT: &str = "if grep -q 'Failing check'; then echo good > out.txt; else echo bad > out.txt; fi";
const CHECK: &str = "grep -q good out.txt";

/// Processes that carry the mark of a run of this project.
fn processes(project: &Project) -> Vec<String> {
    let mark = project.state().canonicalize().unwrap().display().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let environ = std::fs::read(path.join("environ")).ok()?;
            let cwd = std::fs::read_link(path.join("cwd")).ok()?;
            let marked = environ.split(|byte| *byte == 0).any(|pair| pair.starts_with(b"QUARTERDECK_RUN="));
            (marked && cwd.starts_with(&mark)).then(|| path.display().to_string())
        })
        .collect()
}

fn entries(folder: &Path) -> Vec<String> {
    let list = std::fs::read_dir(folder)
        .map(|list| list.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect());
    list.unwrap_or_default()
}

async fn dies_and_recovers(failpoint: &str) {
    let project = Project::new(&[("README.md", "# Crash\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config(AGENT, Some(CHECK))).unwrap();
    let mut first = project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
    let mut client = first.client("alpha", None);
    add(&mut client, "Write out.txt").await;
    // Steps after the review are reached only if somebody approves; the process may die while being asked.
    let approving = tokio::spawn(async move { approve(&mut client, "A-1").await });
    let death = tokio::task::block_in_place(|| first.wait_death());
    approving.abort();
    assert_eq!(
        death.and_then(|status| status.signal()),
        Some(9),
        "{failpoint}: the process should have killed itself"
    );
    drop(first);

    let second = project.up(&[]);
    let mut client = second.client("alpha", None);
    approve(&mut client, "A-1").await;
    let done = until(&mut client, "A-1", finished).await;
    let runs: Vec<RunSummary> = client.get("runs").await.unwrap();
    assert_eq!(runs.len(), 1, "{failpoint}: the same run went on");
    assert_eq!(done.run.unwrap().id.to_string(), "A-1.1");
    let history = git(&project.forge("project"), &["log", "--first-parent", "--format=%s", "main"]);
    assert_eq!(history, "A-1: Write out.txt\nFirst", "{failpoint}: merged exactly once");
    assert_eq!(git(&project.forge("project"), &["show", "main:out.txt"]), "good");
    let branches = git(&project.forge("project"), &["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(branches, "refs/heads/main", "{failpoint}: the branch is gone");
    let team = project.state().join("instances/alpha");
    for folder in ["worktrees", "checkouts", "trash"] {
        assert_eq!(entries(&team.join(folder)), Vec::<String>::new(), "{failpoint}: {folder}");
    }
    let mirror = team.join("repos/project.git");
    assert_eq!(
        git(&mirror, &["worktree", "list", "--porcelain"]).matches("worktree ").count(),
        1,
        "{failpoint}"
    );
    assert_eq!(processes(&project), Vec::<String>::new(), "{failpoint}: processes");
    let (status, _) = second.interrupt();
    assert!(status.success());
}

macro_rules! killed_at {
    ($($name:ident),+ $(,)?) => {
        $(
            #[cfg(feature = "failpoints")]
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                dies_and_recovers(stringify!($name)).await;
            }
        )+

        #[cfg(not(feature = "failpoints"))]
        #[test]
        fn killed_at_every_step() {
            let _unused = dies_and_recovers;
            eprintln!("skipped: {} crash tests need --features quarterdeck/failpoints", [$(stringify!($name)),+].len());
        }
    };
}

// After each of the nine steps: see the matrix. These are between them.
killed_at!(agent_started, repair, authorised, merged, pushed);
