//! What a commit's files are: all folders and files of its tree, in the order of git's index. Reads objects,
//! touches no folder.

use gix_hash::ObjectId;
use gix_object::Kind;
use qd_types::CommitId;

use super::{
    Unfit,
    fit::{Objects, Reader, attributes},
};

/// What a file is, by the three modes that git knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Executable,
    Link,
}

impl Form {
    /// As the index has it.
    pub(super) fn mode(self) -> u32 {
        match self {
            Self::Plain => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Link => 0o120_000,
        }
    }
}

/// A file or symbolic link.
pub(super) struct File {
    /// From the root.
    pub(super) path: Vec<u8>,
    /// Where its own name begins.
    pub(super) at: usize,
    pub(super) form: Form,
    pub(super) id: ObjectId,
}

impl File {
    pub(super) fn name(&self) -> &[u8] {
        self.path.get(self.at..).unwrap_or_default()
    }
}

/// A folder.
pub(super) struct Folder {
    /// Its own name; empty for the root.
    pub(super) name: Vec<u8>,
    /// From the root, without a slash at its end.
    pub(super) path: Vec<u8>,
    pub(super) tree: ObjectId,
    /// Which of the files are directly in it, by name.
    pub(super) files: Vec<u32>,
    /// Which of the folders are directly in it, in the tree's order.
    pub(super) folders: Vec<u32>,
    /// How many files are in it at any depth.
    pub(super) total: u32,
}

/// All that a commit has.
pub(super) struct Plan {
    /// In the order of the index.
    pub(super) files: Vec<File>,
    /// The root first, each before what is in it.
    pub(super) folders: Vec<Folder>,
}

/// Longer paths than any real repository has; git's own limit depends on where the folder is.
const LONGEST_PATH: usize = 3000;
const DEEPEST: usize = 200;
/// Against trees that were made to be endless.
const MOST_FILES: usize = 4_000_000;

impl Plan {
    pub(super) fn read(objects: &Objects, commit: &CommitId) -> Result<Self, Unfit> {
        let reader = objects.reader();
        let mut buffer = Vec::new();
        let id = object_id(commit.as_str().as_bytes())?;
        let commit = reader.read(&id, Kind::Commit, &mut buffer)?;
        let tree = commit.strip_prefix(b"tree ").and_then(|rest| rest.get(..40));
        let tree = object_id(tree.ok_or_else(|| Unfit::new(format!("the commit {id} has no tree")))?)?;
        let mut plan = Self { files: Vec::new(), folders: Vec::new() };
        plan.add(&reader, Vec::new(), 0, tree, 0)?;
        if !plan.files.is_sorted_by(|one, other| one.path < other.path) {
            return Err(Unfit::new(format!("the tree {tree} is out of order")));
        }
        Ok(plan)
    }

    /// Adds a folder and all that is in it; gives its number.
    fn add(
        &mut self,
        reader: &Reader,
        path: Vec<u8>,
        at: usize,
        tree: ObjectId,
        depth: usize,
    ) -> Result<u32, Unfit> {
        if depth > DEEPEST || self.files.len() > MOST_FILES {
            return Err(Unfit::new("its tree is too deep or too large"));
        }
        let number = count(self.folders.len())?;
        let mut folder = Folder {
            name: path.get(at..).unwrap_or_default().to_vec(),
            path,
            tree,
            files: Vec::new(),
            folders: Vec::new(),
            total: 0,
        };
        let before = self.files.len();
        // Its place comes before those of what is in it.
        self.folders.push(Folder {
            name: Vec::new(),
            path: Vec::new(),
            tree,
            files: Vec::new(),
            folders: Vec::new(),
            total: 0,
        });
        let mut buffer = Vec::new();
        let mut rest = reader.read(&tree, Kind::Tree, &mut buffer)?;
        while !rest.is_empty() {
            let broken = || Unfit::new(format!("the tree {tree} can't be read"));
            let (entry, after) = entry(rest).ok_or_else(broken)?;
            rest = after;
            check_name(entry.name)?;
            let mut path = folder.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            let at = path.len();
            path.extend_from_slice(entry.name);
            if path.len() > LONGEST_PATH {
                return Err(Unfit::new("it has a very long path"));
            }
            let form = match entry.mode {
                b"40000" => {
                    folder.folders.push(self.add(reader, path, at, entry.id, depth + 1)?);
                    continue;
                }
                b"100644" => Form::Plain,
                b"100755" => Form::Executable,
                b"120000" => Form::Link,
                b"160000" => return Err(Unfit::new("it has a submodule")),
                other => {
                    let mode = String::from_utf8_lossy(other);
                    return Err(Unfit::new(format!("it has a file of mode {mode}")));
                }
            };
            check_file(reader, &entry, form)?;
            folder.files.push(count(self.files.len())?);
            self.files.push(File { path, at, form, id: entry.id });
        }
        folder.total = count(self.files.len() - before)?;
        if !self.names_differ(&folder) {
            return Err(Unfit::new(format!("the tree {tree} has a name twice")));
        }
        if folder.total == 0 && number != 0 {
            return Err(Unfit::new("it has an empty folder"));
        }
        if let Some(place) = self.folders.get_mut(number as usize) {
            *place = folder;
        }
        Ok(number)
    }
}

impl Plan {
    /// Whether no name in a folder is there twice.
    fn names_differ(&self, folder: &Folder) -> bool {
        let files: Vec<&[u8]> =
            folder.files.iter().filter_map(|&number| Some(self.files.get(number as usize)?.name())).collect();
        let mut inner: Vec<&[u8]> = folder
            .folders
            .iter()
            .filter_map(|&number| Some(self.folders.get(number as usize)?.name.as_slice()))
            .collect();
        inner.sort_unstable();
        files.is_sorted_by(|one, other| one < other)
            && inner.is_sorted_by(|one, other| one < other)
            && inner.iter().all(|name| files.binary_search(name).is_err())
    }
}

struct Entry<'a> {
    mode: &'a [u8],
    name: &'a [u8],
    id: ObjectId,
}

fn entry(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (mode, rest) = (bytes.get(..space)?, bytes.get(space + 1..)?);
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let id = ObjectId::try_from(rest.get(..20)?).ok()?;
    Some((Entry { mode, name, id }, rest.get(20..)?))
}

fn object_id(hex: &[u8]) -> Result<ObjectId, Unfit> {
    ObjectId::from_hex(hex).map_err(|error| Unfit::new(error.to_string()))
}

fn count(number: usize) -> Result<u32, Unfit> {
    u32::try_from(number).map_err(|_| Unfit::new("its tree is too large"))
}

/// Git refuses some names, by rules that are its own. What comes near them is left to it.
fn check_name(name: &[u8]) -> Result<(), Unfit> {
    let lower = name.to_ascii_lowercase();
    let near_git =
        lower.strip_prefix(b".git").is_some_and(|rest| !rest.first().is_some_and(u8::is_ascii_alphanumeric));
    let bad = name.is_empty()
        || name == b"."
        || name == b".."
        || near_git
        || lower.starts_with(b"git~")
        || name.iter().any(|byte| matches!(byte, b'/' | b'\\'));
    if bad { Err(Unfit::new(format!("it has the name {:?}", String::from_utf8_lossy(name)))) } else { Ok(()) }
}

fn check_file(reader: &Reader, entry: &Entry<'_>, form: Form) -> Result<(), Unfit> {
    let lower = entry.name.to_ascii_lowercase();
    if form == Form::Link {
        // Git refuses links in place of its own files, by their short names on other systems too.
        let own = lower.starts_with(b".git") || lower.starts_with(b"gi") || lower.contains(&b'~');
        return if own { Err(Unfit::new("a link has a name near git's own")) } else { Ok(()) };
    }
    if lower == b".gitattributes" {
        let mut buffer = Vec::new();
        return attributes(reader.read(&entry.id, Kind::Blob, &mut buffer)?);
    }
    Ok(())
}
