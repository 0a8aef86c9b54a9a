//! A bare repository made of raw trees, and folders to compare.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use qd_git::{Git, Repo};
use qd_types::CommitId;
use tempfile::TempDir;

/// A file's mode as git has it, and its content.
pub(crate) type Files = BTreeMap<Vec<u8>, (&'static str, Vec<u8>)>;

pub(crate) const PLAIN: &str = "100644";
pub(crate) const EXECUTABLE: &str = "100755";
pub(crate) const LINK: &str = "120000";

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) repo: Repo,
    commits: std::cell::Cell<u32>,
}

impl Site {
    pub(crate) async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let repo = Git::new().init_bare(&folder.path().join("origin.git"), "main").await.unwrap();
        Self { folder, repo, commits: std::cell::Cell::new(0) }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(self.repo.folder(), args)
    }

    /// A commit of exactly these files, on these parents.
    pub(crate) fn commit_on(&self, parents: &[&CommitId], files: &Files) -> CommitId {
        let number = self.commits.get();
        self.commits.set(number + 1);
        let mut stream = format!(
            "commit refs/scratch/{number}\ncommitter T <t@example.org> 1700000000 +0000\ndata 1\nx\n"
        )
        .into_bytes();
        for (at, parent) in parents.iter().enumerate() {
            stream.extend(format!("{} {parent}\n", if at == 0 { "from" } else { "merge" }).bytes());
        }
        stream.extend(b"deleteall\n");
        for (path, (mode, data)) in files {
            let quoted: String = path.iter().map(|byte| format!("\\{byte:03o}")).collect();
            if *mode == "160000" {
                stream.extend(format!("M {mode} {} \"{quoted}\"\n", "1".repeat(40)).bytes());
                continue;
            }
            stream.extend(format!("M {mode} inline \"{quoted}\"\ndata {}\n", data.len()).bytes());
            stream.extend(data);
            stream.push(b'\n');
        }
        self.feed(&["fast-import", "--quiet", "--force"], &stream);
        self.git(&["rev-parse", &format!("refs/scratch/{number}")]).trim().parse().unwrap()
    }

    pub(crate) fn commit(&self, files: &Files) -> CommitId {
        self.commit_on(&[], files)
    }

    pub(crate) fn feed(&self, args: &[&str], input: &[u8]) -> String {
        let mut command = command(self.repo.folder());
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{args:?}");
        String::from_utf8(done.stdout).unwrap()
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.env_remove("GIT_DIR").env("GIT_OPTIONAL_LOCKS", "0").env_remove("HOME");
    command
}

pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let done = command(folder).args(args).output().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// Everything in a folder but `.git`: kind and permissions, and content.
pub(crate) fn shown(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let content = if about.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if about.is_symlink() {
                fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(folder).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            all.insert(name, (about.permissions().mode(), content));
        }
    }
    all.remove(".git");
    all
}

/// What git makes of a worktree: its index, and whether that is right about files and `HEAD`.
pub(crate) fn verdict(folder: &Path) -> String {
    [
        &["ls-files", "--stage"][..],
        // Neither of these looks at contents if the index is right about the rest.
        &["diff-files"],
        &["diff-index", "--cached", "HEAD"],
        &["status", "--porcelain", "--ignored"],
        &["write-tree"],
    ]
    .map(|args| git(folder, args))
    .join("--\n")
}

pub(crate) fn files(all: &[(&str, &'static str, &str)]) -> Files {
    all.iter()
        .map(|(path, mode, data)| (path.as_bytes().to_vec(), (*mode, data.as_bytes().to_vec())))
        .collect()
}
