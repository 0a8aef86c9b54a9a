//! What an agent must not touch, as it is at one moment: small files with their content, and every
//! reference. Objects are not looked at: their names are their contents' hashes.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Files up to this size are kept whole, so that they can be put back.
const KEPT: u64 = 256 * 1024;

/// Files of a mirror that git obeys, whoever wrote them.
const OBEYED: [&str; 8] = [
    "HEAD",
    "config",
    "config.worktree",
    "commondir",
    "gitdir",
    "shallow",
    "objects/info/alternates",
    "objects/info/http-alternates",
];

/// Folders of the same kind.
const OBEYED_FOLDERS: [&str; 2] = ["hooks", "info"];

/// Written by `git gc`, which agents' own git starts by itself, and obeyed by nobody here.
const INDIFFERENT: [&str; 1] = ["info/refs"];

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Held {
    File {
        mode: u32,
        sha256: String,
        /// Hex; none for a file that is too large to be kept.
        content: Option<String>,
    },
    Link {
        to: PathBuf,
    },
    Folder,
    Other,
}

/// A path that is watched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    pub(super) path: PathBuf,
    /// The registration that it belongs to, by its folder's name.
    pub(super) admin: Option<String>,
    pub(super) held: Held,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shot {
    /// By the name that people are told.
    pub(super) files: BTreeMap<String, Watched>,
    pub(super) references: BTreeMap<String, String>,
    /// Registrations, with the folder that each is for.
    pub(super) admins: BTreeMap<String, Option<PathBuf>>,
}

impl Shot {
    /// The files' part; `own` is the registration of the worktree whose agent may move its `HEAD`.
    pub(super) fn of_files(mirror: &Path, own: &str) -> io::Result<Self> {
        let mut shot = Self::default();
        for name in OBEYED {
            shot.watch(name.to_owned(), mirror.join(name), None)?;
        }
        for name in OBEYED_FOLDERS {
            shot.watch_all(name, &mirror.join(name))?;
        }
        let all = mirror.join("worktrees");
        if let Some(Held::Link { .. }) = held(&all)? {
            shot.watch("worktrees".to_owned(), all, None)?;
            return Ok(shot);
        }
        for name in names_in(&all)? {
            let folder = all.join(&name);
            let at = read_line(&folder.join("gitdir"));
            let at = at.and_then(|line| Path::new(&line).parent().map(Path::to_owned));
            for file in ["commondir", "gitdir", "config.worktree", "HEAD"] {
                if file != "HEAD" || name != own {
                    shot.watch(format!("worktrees/{name}/{file}"), folder.join(file), Some(&name))?;
                }
            }
            if let Some(at) = &at {
                let of = if name == own { ".git".to_owned() } else { format!(".git of {name}") };
                shot.watch(of, at.join(".git"), Some(&name))?;
            }
            shot.admins.insert(name, at);
        }
        Ok(shot)
    }

    fn watch(&mut self, name: String, path: PathBuf, admin: Option<&str>) -> io::Result<()> {
        if let Some(held) = held(&path)? {
            self.files.insert(name, Watched { path, admin: admin.map(str::to_owned), held });
        }
        Ok(())
    }

    fn watch_all(&mut self, name: &str, path: &Path) -> io::Result<()> {
        match held(path)? {
            Some(Held::Folder) => {
                for inner in names_in(path)? {
                    let name = format!("{name}/{inner}");
                    if !INDIFFERENT.contains(&name.as_str()) {
                        self.watch_all(&name, &path.join(inner))?;
                    }
                }
                Ok(())
            }
            Some(_) => self.watch(name.to_owned(), path.to_owned(), None),
            None => Ok(()),
        }
    }
}

fn held(path: &Path) -> io::Result<Option<Held>> {
    let about = match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other?,
    };
    if about.is_symlink() {
        return Ok(Some(Held::Link { to: fs::read_link(path)? }));
    }
    if !about.is_file() {
        return Ok(Some(if about.is_dir() { Held::Folder } else { Held::Other }));
    }
    let mode = about.permissions().mode() & 0o777;
    let bytes = match fs::read(path) {
        // Made unreadable: that it is so is what differs.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Vec::new(),
        other => other?,
    };
    let content = (bytes.len() as u64 <= KEPT).then(|| hex(&bytes));
    Ok(Some(Held::File { mode, sha256: hex(&Sha256::digest(&bytes)), content }))
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn read_line(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let pairs = digits?;
    let pairs = pairs.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    pairs.collect()
}
