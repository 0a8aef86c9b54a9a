//! From `init` in a stranger's repository to a merge, with any command line as the agent.

use crate::support::{Project, add, approve, finished, git, until};

/// Puts an agent into the file that `init` wrote, as a person would.
fn name_agent(project: &Project, command: &str) {
    let path = project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let first: String = text
        .lines()
        .map(|line| {
            if line.starts_with("# agent = ") || line.starts_with("agent = ") {
                "agent = \"shell\""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    let agent = format!("\n\n[agents.shell]\ncommand = [\"sh\", \"-c\", '''{command}''']\n");
    std::fs::write(path, first + &agent).unwrap();
}

async fn carry(project: &Project, checks: usize) {
    assert!(project.ok(&["config", "check"]).contains("holds"));
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    let view = add(&mut client, "Say hello").await;
    assert_eq!(view.feature.id.to_string(), "A-1");
    approve(&mut client, "A-1").await;
    let done = until(&mut client, "A-1", finished).await;
    assert_eq!(done.run.as_ref().unwrap().checks as usize, checks);
    let forge = project.forge("project");
    git(&project.folder(), &["pull", "--quiet", "--ff-only", &forge.display().to_string(), "main"]);
    assert!(project.folder().join("hello.txt").exists(), "the merged work is in the person's own check-out");
    let (status, took) = up.interrupt();
    assert!(status.success() && took.as_secs() < 5, "{status} after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cargo_project() {
    let manifest = "[package]\nname = \"project\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let lib = "#[test]\nfn adds() {\n    assert_eq!(1 + 1, 2);\n}\n";
    let project = Project::new(&[("Cargo.toml", manifest), ("src/lib.rs", lib), (".gitignore", "target\n")]);
    let said = project.ok(&["init"]);
    assert!(said.contains("Check cargo-test: cargo test"), "{said}");
    assert!(said.ends_with("Next: quarterdeck up\n"), "{said}");
    name_agent(&project, "echo hello > hello.txt");
    carry(&project, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_npm_project() {
    let npm = std::process::Command::new("npm")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default();
    if !npm || told.split(',').any(|suite| suite == "npm") {
        assert!(std::env::var_os("CI").is_none(), "CI has npm: the test command installs it");
        eprintln!("skipped: npm is not installed");
        return;
    }
    let package = r#"{"name":"project","version":"1.0.0","scripts":{"test":"node -e \"process.exit(0)\""}}"#;
    let project = Project::new(&[("package.json", package)]);
    let said = project.ok(&["init"]);
    assert!(said.contains("Check npm-test: npm test"), "{said}");
    name_agent(&project, "cat > /dev/null; echo hello > hello.txt");
    carry(&project, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_any_check_is_unverified_and_says_so() {
    let project = Project::new(&[("README.md", "# Notes\n")]);
    let said = project.ok(&["init"]);
    assert!(said.contains("No checks were found"), "{said}");
    name_agent(&project, "echo hello > hello.txt");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Say hello").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let view = loop {
        if let Some(view) = crate::support::open_approval(&mut client, "A-1").await {
            break view;
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(view.facts, "1 file, +1 −0. Unverified: the repository has no checks.");
    drop(up);
    carry_on(&project).await;
}

/// The open approval survived the restart, and still merges.
async fn carry_on(project: &Project) {
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    assert_eq!(git(&project.forge("project"), &["show", "main:hello.txt"]), "hello");
}
