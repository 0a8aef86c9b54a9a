//! What cargo knows about this workspace: its packages, their declared dependencies and features. Nothing is resolved
//! or downloaded for it.

use std::path::PathBuf;

use serde_json::Value;

use crate::{
    outcome::{Failure, Outcome},
    process,
};

/// The workspace, as `cargo metadata --no-deps` tells it.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Every member.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name, such as `qd-board`.
    pub(crate) name: String,
    /// Its folder under the root, such as `instance/board`.
    pub(crate) folder: String,
    /// What its manifest declares.
    pub(crate) dependencies: Vec<Dependency>,
    /// Names of its features.
    pub(crate) features: Vec<String>,
    /// Names of its integration tests, such as `e2e`.
    pub(crate) tests: Vec<String>,
}

/// One line under `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The crate's real name.
    pub(crate) name: String,
    /// Its folder under the root, for a member of the workspace.
    pub(crate) folder: Option<String>,
    /// Whether only tests use it.
    pub(crate) dev: bool,
}

/// The folder that holds the workspace's manifest: the one that cargo runs us in, as a build folder may serve several
/// check-outs.
pub(crate) fn root() -> PathBuf {
    let told = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let xtask = told.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    xtask.ancestors().nth(2).unwrap_or(&xtask).to_path_buf()
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Outcome<Self> {
        let text = process::output(process::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
        Self::parse(&text).ok_or_else(|| {
            Failure::failed("`cargo metadata` answered in a form that xtask does not know: see deploy/xtask/src/workspace.rs.")
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(text).ok()?;
        let root = json.get("workspace_root")?.as_str()?;
        let packages = json.get("packages")?.as_array()?.iter().map(|package| parse_package(package, root));
        let target = PathBuf::from(json.get("target_directory")?.as_str()?);
        Some(Self { packages: packages.collect::<Option<_>>()?, target })
    }

    /// The member of that name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

fn parse_package(json: &Value, root: &str) -> Option<Package> {
    let manifest = json.get("manifest_path")?.as_str()?;
    let is_test = |target: &&Value| {
        let kinds = target.get("kind").and_then(Value::as_array);
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"))
    };
    Some(Package {
        name: text(json, "name")?,
        folder: under(root, manifest.strip_suffix("/Cargo.toml")?)?,
        dependencies: json
            .get("dependencies")?
            .as_array()?
            .iter()
            .map(|dependency| {
                let path = dependency.get("path").and_then(Value::as_str);
                Some(Dependency {
                    name: text(dependency, "name")?,
                    folder: path.and_then(|path| under(root, path)),
                    dev: dependency.get("kind").is_some_and(|kind| kind == "dev"),
                })
            })
            .collect::<Option<_>>()?,
        features: json.get("features")?.as_object()?.keys().cloned().collect(),
        tests: json
            .get("targets")?
            .as_array()?
            .iter()
            .filter(is_test)
            .map(|target| text(target, "name"))
            .collect::<Option<_>>()?,
    })
}

fn text(json: &Value, key: &str) -> Option<String> {
    json.get(key)?.as_str().map(str::to_owned)
}

fn under(root: &str, path: &str) -> Option<String> {
    path.strip_prefix(root)?.strip_prefix('/').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{Dependency, Workspace};

    #[test]
    fn cargo_is_asked_about_this_workspace() {
        let workspace = Workspace::load().expect("cargo answers");
        let xtask = workspace.package("xtask").expect("this crate is a member");
        assert_eq!(xtask.folder, "deploy/xtask");
        assert_eq!(
            xtask.dependencies,
            [Dependency { name: "serde_json".to_owned(), folder: None, dev: false }],
            "xtask must compile in seconds on a fresh machine: weigh every dependency"
        );
        let store = workspace.package("qd-store").expect("the store is a member");
        let board =
            store.dependencies.iter().find(|dependency| dependency.name == "qd-board").expect("is declared");
        assert_eq!(board.folder.as_deref(), Some("instance/board"));
    }

    #[test]
    fn an_answer_in_another_form_is_refused() {
        assert!(Workspace::parse("{}").is_none());
        assert!(Workspace::parse("not json").is_none());
    }
}
