//! Which paths a change touches, and which of them are a matter for people.

use std::fs;

use qd_worktrees::{
    Care,
    care::sensitive::{Place, SENSITIVE, sensitive, why_sensitive},
};

use crate::site::{Site, put, run};

#[test]
fn sensitive_paths_are_found_wherever_they_may_stand() {
    let yes = [
        ".github/workflows/ci.yml",
        ".GitHub/CODEOWNERS",
        "sub/.gitlab-ci.yml",
        ".forgejo/workflows/x",
        ".gitea/x",
        ".circleci/config.yml",
        ".woodpecker.yaml",
        ".woodpecker/build.yml",
        "deploy/jenkinsfile",
        "azure-pipelines-release.yml",
        "quarterdeck.toml",
        ".quarterdeck/agents.toml",
        "policies/merge.cedar",
        "docs/CODEOWNERS",
        "a/b/.gitattributes",
    ];
    let no = ["github/x", "src/.github/x", "src/policies.rs", "docs/policies/x.md", "Jenkinsfile.md", "a"];
    let all: Vec<&str> = yes.iter().chain(&no).copied().collect();
    assert_eq!(sensitive(&all), yes);
    for rule in SENSITIVE {
        let path = match rule.place {
            Place::Folder(folder) => {
                assert!(folder.ends_with('/') && folder == folder.to_lowercase(), "{folder}");
                format!("{folder}x")
            }
            Place::Start(start) => {
                assert_eq!(start, start.to_lowercase());
                start.to_owned()
            }
            Place::Name(name) => format!("sub/{name}"),
        };
        assert_eq!(why_sensitive(&path), Some(rule), "{path}: no rule hides another");
    }
}

#[tokio::test]
async fn both_ends_of_a_move_are_touched() {
    let site = Site::new().await;
    let run = run("A-1.1");
    let made = site.create(&run).await;
    fs::create_dir_all(made.path.join(".github")).unwrap();
    fs::rename(made.path.join("b"), made.path.join(".github/b")).unwrap();
    put(&made.path, "ü x", "1\n");
    let head = site.candidate(&run).await.unwrap();
    let touched = site.trees.touches(site.name(), &site.base, &head).await.unwrap();
    assert_eq!(touched, [".github/b", "b", "ü x"]);
    assert_eq!(sensitive(&touched), [".github/b"]);
}
