//! What of the host may be mounted: parts of the roots, by their real places, and never a way to the engine.
//!
//! Between this look and the engine's own the place may still be swapped by whoever may write beside it. That is why a root
//! is a folder beside whose content nobody but people may write, and why places are looked at again at every start.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Component, Path, PathBuf},
};

use qd_guard::Fault;

use crate::names::shown;

/// Sockets of engines, wherever ours is.
const SOCKETS: [&str; 4] = [
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
];

/// Places in which a container keeps what is its own.
const OWN: [&str; 4] = ["/proc", "/sys", "/dev", "/run/docker.sock"];

/// What may be mounted, and what has to stay out of it.
#[derive(Debug)]
pub(crate) struct Allowed {
    roots: Vec<PathBuf>,
    /// Real places that no mount may hold, lie in, or be.
    closed: Vec<PathBuf>,
}

impl Allowed {
    /// `closed`: the engine's socket and its own folder. A root that is not there allows nothing.
    pub(crate) fn new(roots: &[PathBuf], closed: &[PathBuf]) -> Self {
        let real = |path: &PathBuf| fs::canonicalize(path).ok();
        let closed = closed.iter().cloned().chain(SOCKETS.map(PathBuf::from));
        Self {
            roots: roots.iter().filter_map(real).collect(),
            // What is not there now may be there later: it stays closed by its name.
            closed: closed.flat_map(|path| [real(&path), Some(path)]).flatten().collect(),
        }
    }

    /// The real place of a path on the host, if it may be mounted.
    pub(crate) fn source(&self, text: &str) -> Result<PathBuf, Fault> {
        let path = named(text)?;
        let real = fs::canonicalize(&path).map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::NotFound => "is not there".to_owned(),
                _ => format!("can't be looked at ({error})"),
            };
            refused(text, &why, "Name a file or folder that is there.")
        })?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            let roots: Vec<String> = self.roots.iter().map(|root| root.display().to_string()).collect();
            let way_out = match roots.as_slice() {
                [] => {
                    "Nothing of the host may be mounted: a person names `roots` in [mcp.docker].".to_owned()
                }
                _ => format!("Name something in {}.", roots.join(" or ")),
            };
            return Err(refused(text, "lies outside the folders that may be mounted", &way_out));
        }
        if self.closed.iter().any(|closed| closed.starts_with(&real) || real.starts_with(closed)) {
            return Err(refused(text, "leads to the engine itself", "Mount a folder that does not hold it."));
        }
        let kind = fs::symlink_metadata(&real)
            .map_err(|error| refused(text, &format!("can't be looked at ({error})"), "Try again."))?
            .file_type();
        if kind.is_socket() || kind.is_fifo() || kind.is_block_device() || kind.is_char_device() {
            return Err(refused(
                text,
                "is no file or folder",
                "Sockets, pipes and devices are never mounted.",
            ));
        }
        Ok(real)
    }

    /// Whether a container may still be started with what it mounts: the same real place as when it was made.
    pub(crate) fn still_holds(&self, source: &str) -> Result<(), Fault> {
        let real = self.source(source)?;
        if real == Path::new(source) {
            return Ok(());
        }
        Err(refused(source, "has come to mean another place", "Make the container anew."))
    }
}

/// A whole path on the host, whether or not it may be mounted.
pub(crate) fn named(text: &str) -> Result<PathBuf, Fault> {
    whole(text).ok_or_else(|| {
        let way_out = "Name it from / on, without . and .. and with plain characters only.";
        refused(text, "is no whole path", way_out)
    })
}

/// Where in the container something is mounted.
pub(crate) fn target(text: &str) -> Result<PathBuf, Fault> {
    match whole(text) {
        Some(path) if path.parent().is_some() && !OWN.iter().any(|own| path.starts_with(own)) => Ok(path),
        _ => Err(refused(
            text,
            "is no place for a mount in a container",
            "Name a whole path without . and .., outside /proc, /sys and /dev.",
        )),
    }
}

/// A whole path that means what it says. A colon would split it in two where engines write mounts in short; a percent sign
/// would be another letter to whoever decodes it.
fn whole(text: &str) -> Option<PathBuf> {
    let plain =
        text.len() <= 1024 && text.bytes().all(|b| (0x20..0x7f).contains(&b) && !b":,%\\".contains(&b));
    let path = Path::new(text);
    let straight = text.split('/').all(|part| part != ".." && part != ".");
    let whole = path.is_absolute()
        && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    (plain && straight && whole).then(|| path.to_owned())
}

fn refused(path: &str, why: &str, way_out: &str) -> Fault {
    Fault::failed(format!("The path {} {why}.", shown(path)), way_out)
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;

    struct Place {
        folder: tempfile::TempDir,
        allowed: Allowed,
    }

    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["root/work", "root/engine", "outside"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("root/file"), "x").unwrap();
        symlink("/", at("root/top")).unwrap();
        symlink(at("outside"), at("root/out")).unwrap();
        symlink(at("root/work"), at("root/in")).unwrap();
        drop(UnixListener::bind(at("root/engine/docker.sock")).unwrap());
        drop(UnixListener::bind(at("root/work.sock")).unwrap());
        let allowed = Allowed::new(&[at("root")], &[at("root/engine/docker.sock")]);
        Place { folder, allowed }
    }

    impl Place {
        fn check(&self, text: &str) -> String {
            let text = text.replace("ROOT", &self.folder.path().join("root").to_string_lossy());
            let base = fs::canonicalize(self.folder.path()).unwrap().to_string_lossy().into_owned();
            match self.allowed.source(&text) {
                Ok(path) => path.display().to_string().replace(&base, ""),
                Err(fault) => fault.problem.replace(&base, "BASE"),
            }
        }
    }

    #[test]
    fn what_lies_in_a_root_may_be_mounted_by_its_real_place() {
        let place = place();
        assert_eq!(place.check("ROOT/work"), "/root/work");
        assert_eq!(place.check("ROOT/file"), "/root/file");
        assert_eq!(place.check("ROOT/in"), "/root/work");
    }

    #[test]
    fn nothing_else_may() {
        let place = place();
        let tried = [
            "/",
            "/etc",
            "/var/run/docker.sock",
            "ROOT/..",
            "ROOT/work/../../outside",
            "ROOT/./work",
            "ROOT/top",
            "ROOT/top/etc",
            "ROOT/out",
            "ROOT",
            "ROOT/engine",
            "ROOT/engine/docker.sock",
            "ROOT/work.sock",
            "work",
            "",
            "-v",
            "ROOT/nothing",
            "ROOT/work:/x",
            "ROOT/work\0",
            "ROOT/wоrk",
            "~/x",
            "ROOT/work,readonly",
            "ROOT/%2e%2e/outside",
            "ROOT\\work",
        ];
        for path in tried {
            let said = place.check(path);
            assert!(said.starts_with("The path "), "{path}: {said}");
        }
        insta::assert_snapshot!(place.check("ROOT/work/../../outside"), @r#"The path "BASE/root/work/../../outside" is no whole path."#);
        insta::assert_snapshot!(place.check("ROOT/engine"), @r#"The path "BASE/root/engine" leads to the engine itself."#);
    }

    #[test]
    fn without_roots_nothing_may() {
        let fault = Allowed::new(&[], &[]).source("/tmp").unwrap_err();
        insta::assert_snapshot!(format!("{} {}", fault.problem, fault.way_out), @r#"The path "/tmp" lies outside the folders that may be mounted. Nothing of the host may be mounted: a person names `roots` in [mcp.docker]."#);
    }

    #[test]
    fn a_place_that_was_swapped_is_found() {
        let place = place();
        let work = fs::canonicalize(place.folder.path().join("root/work")).unwrap();
        let text = work.to_string_lossy().into_owned();
        assert!(place.allowed.still_holds(&text).is_ok());
        fs::remove_dir(&work).unwrap();
        symlink(place.folder.path().join("root/file"), &work).unwrap();
        assert!(
            place.allowed.still_holds(&text).is_err(),
            "it stays in the root, and is another place all the same"
        );
    }

    #[test]
    fn places_in_a_container_leave_its_own_alone() {
        assert!(target("/work").is_ok());
        for odd in ["/", "", "work", "/proc/1", "/sys", "/dev/mem", "/a/../proc", "/a:b", "/."] {
            assert!(target(odd).is_err(), "{odd}");
        }
    }
}
