//! The demo's scenes, with its own sample, script, check and git: each is what the demo says it is, in every order.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use qd_agents::{
    CheckEnd, CheckPlace, CheckResult, CheckSpec, Redactor, RunFolder,
    prompt::{Facts, FailingCheck, Outcome, build},
    run_check,
    scripted::{Played, Script},
    stop,
};
use serde::Deserialize;
use tempfile::TempDir;

use super::support::Keeper;

#[derive(Deserialize)]
struct Features {
    feature: Vec<Feature>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Feature {
    id: String,
    team: String,
    title: String,
    description: String,
    depends: Vec<String>,
    #[allow(dead_code, reason = "the fleet reads it")]
    agent: Option<String>,
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/quarterdeck/assets/demo")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A repository with the sample on `main`.
struct Scene {
    dir: TempDir,
    features: Vec<Feature>,
    script: Script,
}

impl Scene {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        copy(&assets().join("sample"), &dir.path().join("tree"));
        let features = fs::read_to_string(assets().join("features.toml")).unwrap();
        let features: Features = toml::from_str(&features).unwrap();
        let script = Script::load(&assets().join("script.toml")).unwrap();
        let scene = Self { dir, features: features.feature, script };
        scene.git(&["init", "--quiet", "--initial-branch=main"]);
        scene.commit("Sample");
        scene
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("tree")
    }

    fn git(&self, args: &[&str]) -> String {
        let out = Command::new("git")
            .args(["-c", "user.name=Demo", "-c", "user.email=demo@example.invalid"])
            .args(args)
            .current_dir(self.tree())
            .env_remove("GIT_DIR")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "-m", message]);
    }

    async fn play(&self, id: &str, failing: Option<&FailingCheck>) -> String {
        let find = |id: &str| self.features.iter().find(|feature| feature.id == id).unwrap();
        let feature = find(id);
        let depends = feature.depends.iter().map(|id| Outcome {
            id: id.parse().unwrap(),
            title: find(id).title.clone(),
            outcome: "Merged.".into(),
        });
        let facts = Facts {
            id: id.parse().unwrap(),
            title: feature.title.clone(),
            description: feature.description.clone(),
            depends: depends.collect(),
            checks: vec!["cargo test --offline --quiet".into()],
            plan: None,
            decided: vec![],
            lessons: vec![],
            context: vec![],
            attachments: vec![],
        };
        let mut script = self.script.clone();
        script.turns.iter_mut().for_each(|turn| turn.pause_ms = 0);
        let mut out = Vec::new();
        let played = script
            .play(
                &build(
                    &facts,
                    failing.map_or(qd_agents::prompt::Turn::Work, qd_agents::prompt::Turn::Repair),
                ),
                &self.tree(),
                &mut out,
            )
            .await
            .unwrap();
        assert_eq!(played, Played::Turn);
        String::from_utf8(out).unwrap()
    }

    async fn check(&self) -> CheckResult {
        let run = "A-1.1".parse().unwrap();
        let spec = CheckSpec {
            name: "tests".into(),
            command: "cargo test --offline --quiet".into(),
            limit: Duration::from_secs(120),
            env_allow: vec!["RUSTUP_TOOLCHAIN".into()],
            tail: 60,
        };
        let log_file = RunFolder::new(self.dir.path(), &run).check_log(1, "tests");
        let redactor = Redactor::default();
        let at = CheckPlace {
            cwd: &self.tree(),
            run: &run,
            log_file: &log_file,
            redactor: &redactor,
            confined: None,
        };
        run_check(&spec, at, &Keeper::default(), stop().1).await.unwrap()
    }

    async fn green(&self) {
        let result = self.check().await;
        assert!(result.passed(), "{result}\n{}", result.log_tail);
        assert_eq!(self.git(&["status", "--porcelain", "Cargo.lock", "target"]), "");
    }
}

fn failing(result: &CheckResult) -> FailingCheck {
    FailingCheck { name: result.name.clone(), command: result.command.clone(), log: result.log_tail.clone() }
}

#[tokio::test]
async fn the_red_check_is_repaired_by_its_log_and_not_without_it() {
    let scene = Scene::new();
    scene.green().await;
    let first = scene.play("B-1", None).await;
    let red = scene.check().await;
    assert_eq!(red.end, CheckEnd::Failed(101), "{}", red.log_tail);
    for part in ["rounds_half_up", "left: 62", "right: 63"] {
        assert!(red.log_tail.contains(part), "{part} is not in\n{}", red.log_tail);
    }

    // Told to repair without being given the log, it does what it did before, and stays red.
    let blind = FailingCheck { log: String::new(), ..failing(&red) };
    assert_eq!(scene.play("B-1", Some(&blind)).await, first);
    assert_eq!(scene.check().await.end, CheckEnd::Failed(101));

    let repair = scene.play("B-1", Some(&failing(&red))).await;
    assert!(repair.starts_with("The log says rounds_half_up got 62 and wanted 63."), "{repair}");
    scene.green().await;
}

#[tokio::test]
async fn the_dependency_is_a_real_one() {
    let scene = Scene::new();
    scene.play("A-2", None).await;
    let red = scene.check().await;
    assert!(!red.passed() && red.log_tail.contains("receipt"), "{}", red.log_tail);
}

#[tokio::test]
async fn the_features_merge_in_every_order_and_main_is_always_green() {
    for order in [["A-1", "A-2", "B-1"], ["A-1", "B-1", "A-2"], ["B-1", "A-1", "A-2"]] {
        let scene = Scene::new();
        // Both boards begin at once; A-2 begins when A-1 is merged.
        for (id, start) in [("B-1", "main"), ("A-1", "main")] {
            scene.git(&["switch", "--quiet", "-c", id, start]);
            scene.play(id, None).await;
            if id == "B-1" {
                let red = failing(&scene.check().await);
                scene.play(id, Some(&red)).await;
            }
            scene.green().await;
            scene.commit(id);
        }
        scene.git(&["switch", "--quiet", "main"]);
        for id in order {
            if id == "A-2" {
                scene.git(&["switch", "--quiet", "-c", id]);
                scene.play(id, None).await;
                scene.green().await;
                scene.commit(id);
                scene.git(&["switch", "--quiet", "main"]);
            }
            scene.git(&["merge", "--quiet", "--no-ff", "-m", &format!("Merge {id}"), id]);
            scene.green().await;
        }
        assert_eq!(scene.git(&["log", "--merges", "--format=%s"]).lines().count(), 3);
    }
}

#[test]
fn every_feature_has_a_team_and_a_turn() {
    let scene = Scene::new();
    let teams: Vec<&str> = scene.features.iter().map(|feature| feature.team.as_str()).collect();
    assert_eq!(teams, ["alpha", "alpha", "beta"]);
    for Feature { id, title, .. } in &scene.features {
        let heading = format!("# Feature {id}: {title}");
        assert!(scene.script.turns.iter().any(|turn| turn.prompt == heading), "{heading}");
    }
}
