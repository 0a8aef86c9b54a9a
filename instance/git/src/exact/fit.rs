//! Whether a repository is one whose files we can check out as git does. Whatever is not known to make no
//! difference makes one.

use std::{fs, io::ErrorKind, path::Path, sync::Arc};

use super::Unfit;

/// Access to a repository's objects, shared by threads.
pub(super) struct Objects(Arc<gix_odb::Store>);

/// One thread's access.
pub(super) struct Reader(gix_odb::Cache<gix_odb::store::Handle<Arc<gix_odb::Store>>>);

/// What each thread keeps of unpacked objects that others build on.
const CACHE_BYTES: usize = 24 * 1024 * 1024;

impl Objects {
    pub(super) fn reader(&self) -> Reader {
        let cache = gix_odb::Cache::from(gix_odb::Store::to_handle_arc(&self.0));
        Reader(
            cache.with_pack_cache(|| {
                Box::new(gix_odb::pack::cache::lru::MemoryCappedHashmap::new(CACHE_BYTES))
            }),
        )
    }
}

impl Reader {
    /// Reads an object of the kind that is expected there.
    pub(super) fn read<'a>(
        &self,
        id: &gix_hash::oid,
        kind: gix_object::Kind,
        buffer: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Unfit> {
        match gix_object::Find::try_find(&self.0, id, buffer) {
            Ok(Some(found)) if found.kind == kind => Ok(found.data),
            Ok(Some(found)) => Err(Unfit::new(format!("{id} is a {}, not a {kind}", found.kind))),
            Ok(None) => Err(Unfit::new(format!("the object {id} is missing"))),
            Err(error) => Err(Unfit::new(format!("the object {id} can't be read: {error}"))),
        }
    }
}

/// Keys of a repository's configuration that make no difference to a check-out. A key with a dot at its end
/// stands for all that start so.
const HARMLESS: [&str; 22] = [
    "advice.",
    "am.",
    "branch.",
    "commit.",
    "core.bare",
    "core.filemode",
    "core.hookspath",
    "core.logallrefupdates",
    "core.repositoryformatversion",
    "diff.",
    "fetch.",
    "gc.",
    "init.",
    "log.",
    "maintenance.",
    "merge.",
    "pack.",
    "pull.",
    "receive.",
    "remote.",
    "repack.",
    "user.",
];

/// Opens the objects of a repository whose settings we know.
pub(super) fn objects(git: &Path) -> Result<Objects, Unfit> {
    if fs::symlink_metadata(git.join("commondir")).is_ok() {
        return Err(Unfit::new("it is a worktree's git folder"));
    }
    settings(&git.join("config"))?;
    match fs::read(git.join("info/attributes")) {
        Ok(text) => attributes(&text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(Unfit::io("reading", b"info/attributes")(error)),
    }
    replacements(git)?;
    let store = gix_odb::Store::at_opts(
        git.join("objects"),
        gix_hash::Kind::Sha1,
        &mut std::iter::empty(),
        gix_odb::store::init::Options::default(),
    );
    store.map(|store| Objects(Arc::new(store))).map_err(Unfit::io("opening", b"objects"))
}

fn settings(path: &Path) -> Result<(), Unfit> {
    let text = |error: git2::Error| Unfit::new(format!("the configuration can't be read: {error}"));
    let config = git2::Config::open(path).map_err(text)?;
    let mut entries = config.entries(None).map_err(text)?;
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(text)?;
        let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        let known = |key: &&str| if key.ends_with('.') { name.starts_with(*key) } else { name == **key };
        let no_modes = name == "core.filemode" && !matches!(entry.value(), Ok("true"));
        if no_modes || !HARMLESS.iter().any(known) {
            return Err(Unfit::new(format!("{name} is set")));
        }
    }
    Ok(())
}

/// Git reads other objects in place of replaced ones; that is rare enough to be left to it.
fn replacements(git: &Path) -> Result<(), Unfit> {
    let loose = fs::read_dir(git.join("refs/replace")).is_ok_and(|mut found| found.next().is_some());
    let packed = match fs::read(git.join("packed-refs")) {
        Ok(text) => text.split(|byte| *byte == b'\n').any(|line| {
            line.splitn(2, |byte| *byte == b' ').nth(1).is_some_and(|name| name.starts_with(b"refs/replace/"))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(Unfit::io("reading", b"packed-refs")(error)),
    };
    if loose || packed { Err(Unfit::new("it has replaced objects")) } else { Ok(()) }
}

/// Refuses attributes that change what is written. `text` and `eol=lf` change what is read back, not that.
pub(super) fn attributes(text: &[u8]) -> Result<(), Unfit> {
    for line in text.split(|byte| *byte == b'\n') {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(pattern) = words.next() else { continue };
        // Git takes a byte order mark off the first line; so a comment is told by what follows it.
        let pattern = pattern.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pattern);
        if pattern.starts_with(b"#") {
            continue;
        }
        if pattern.starts_with(b"[attr]") {
            return Err(Unfit::new("its attributes define macros"));
        }
        for word in words {
            let name = word.strip_prefix(b"-").or_else(|| word.strip_prefix(b"!")).unwrap_or(word);
            let name = name.split(|byte| *byte == b'=').next().unwrap_or(name);
            let changes = match name {
                b"eol" => word != b"eol=lf",
                b"filter" | b"ident" | b"crlf" | b"working-tree-encoding" => true,
                _ => false,
            };
            if changes {
                let word = String::from_utf8_lossy(word);
                return Err(Unfit::new(format!("its attributes have {word}")));
            }
        }
    }
    Ok(())
}
