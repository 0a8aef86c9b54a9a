//! Single files and folders, always by the handle of the folder they are in. Nothing here follows a symbolic
//! link, wherever an agent may have put one.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::{
    fs::{self, AtFlags, Dir, FileType, Mode, OFlags},
    io::{self, Errno},
};

use super::{
    Unfit,
    index::Stat,
    plan::{File, Form},
};

/// Paths in messages.
fn failed<'a>(what: &'a str, path: &'a [u8]) -> impl FnOnce(Errno) -> Unfit + 'a {
    let then = Unfit::io(what, path);
    move |error| then(error.into())
}

const AS_FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a folder; what else stands in its place is no folder.
pub(super) fn open(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    fs::openat(parent, name, AS_FOLDER, Mode::empty())
}

/// Makes a folder that is not there.
pub(super) fn make(parent: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Unfit> {
    fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)).map_err(failed("making the folder", name))?;
    open(parent, name).map_err(failed("opening the folder", name))
}

/// Opens a folder that may be there, or makes it; says whether it is new. What stands in its place goes.
pub(super) fn open_or_make(
    parent: BorrowedFd<'_>,
    name: &[u8],
    like: Option<&About>,
) -> Result<(OwnedFd, bool), Unfit> {
    match (open(parent, name), like) {
        (Ok(folder), Some(like)) => {
            like.settle(&folder, name)?;
            Ok((folder, false))
        }
        (Err(Errno::NOENT), _) => Ok((make(parent, name)?, true)),
        (Ok(_), None) | (Err(Errno::NOTDIR | Errno::LOOP | Errno::ACCESS | Errno::PERM), _) => {
            wipe(parent, name)?;
            Ok((make(parent, name)?, true))
        }
        (Err(error), _) => Err(failed("opening the folder", name)(error)),
    }
}

/// What all folders have in common: those that are new get it from the system.
pub(super) struct About {
    dev: u64,
    mode: u32,
}

impl About {
    /// As of a folder that is made for this beside another one, and goes again.
    pub(super) fn of_new(beside: &OwnedFd) -> Result<Self, Unfit> {
        let above = open(beside, b"..").map_err(failed("opening the folder", b".."))?;
        let name = format!("probe-{}", std::process::id());
        wipe(above.as_fd(), name.as_bytes())?;
        let made = make(above.as_fd(), name.as_bytes())?;
        let about = Self::of(&made);
        wipe(above.as_fd(), name.as_bytes())?;
        about
    }

    fn of(folder: &OwnedFd) -> Result<Self, Unfit> {
        let stat = fs::fstat(folder).map_err(failed("looking at the folder", b"."))?;
        #[allow(clippy::useless_conversion, reason = "the type differs between systems")]
        Ok(Self { dev: stat.st_dev.into(), mode: u32::from(stat.st_mode) & 0o7777 })
    }

    /// Makes a folder that was there as a new one would be. Refuses what can't be seen to be so: another file
    /// system put there, and attributes such as access lists that files in it would inherit.
    pub(super) fn settle(&self, folder: &OwnedFd, name: &[u8]) -> Result<(), Unfit> {
        let found = Self::of(folder)?;
        let refused = |what| Err(Unfit::new(format!("{:?} {what}", String::from_utf8_lossy(name))));
        if found.dev != self.dev {
            return refused("is on another file system");
        }
        let mut list = [0; 4096];
        let own = match fs::flistxattr(folder, &mut list) {
            Ok(length) => list.get(..length).unwrap_or_default(),
            Err(Errno::OPNOTSUPP) => &[],
            Err(error) => return Err(failed("looking at the folder", name)(error)),
        };
        let mut own = own.split(|byte| *byte == 0).filter(|attribute| !attribute.is_empty());
        if own.any(|attribute| !attribute.starts_with(b"security.")) {
            return refused("has attributes");
        }
        if found.mode != self.mode {
            let mode = Mode::from_raw_mode(self.mode);
            fs::fchmod(folder, mode).map_err(failed("setting the mode of", name))?;
        }
        Ok(())
    }
}

/// The names in a folder.
pub(super) fn names(folder: &OwnedFd, path: &[u8]) -> Result<Vec<Vec<u8>>, Unfit> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder).map_err(failed("listing", path))? {
        let entry = entry.map_err(failed("listing", path))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Removes whatever has this name, with all that is in it.
pub(super) fn wipe(parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), Unfit> {
    match fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM | Errno::ACCESS) => {}
        Err(error) => return Err(failed("removing", name)(error)),
    }
    let folder = match open(parent, name) {
        Err(Errno::ACCESS) => {
            let mode = Mode::from_raw_mode(0o700);
            fs::chmodat(parent, name, mode, AtFlags::empty()).map_err(failed("opening up", name))?;
            open(parent, name)
        }
        other => other,
    }
    .map_err(failed("removing", name))?;
    let inside = names(&folder, name)?;
    if !inside.is_empty() {
        fs::fchmod(&folder, Mode::from_raw_mode(0o700)).map_err(failed("opening up", name))?;
    }
    for inner in inside {
        wipe(folder.as_fd(), &inner)?;
    }
    fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed("removing", name))
}

/// What stands at a name; none if nothing does.
pub(super) fn look(folder: BorrowedFd<'_>, name: &[u8]) -> Result<Option<(Stat, u32)>, Unfit> {
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(cut(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(failed("looking at", name)(error)),
    }
}

/// The numbers as git's index has them, and the mode that it would give.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "the index has 32 bits for each; types differ between systems"
)]
fn cut(stat: &fs::Stat) -> (Stat, u32) {
    let mode = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 == 0 => Form::Plain.mode(),
        FileType::RegularFile => Form::Executable.mode(),
        FileType::Symlink => Form::Link.mode(),
        _ => 0,
    };
    let stat = Stat {
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
        dev: stat.st_dev as u32,
        ino: stat.st_ino as u32,
        uid: stat.st_uid as u32,
        gid: stat.st_gid as u32,
        size: stat.st_size as u32,
    };
    (stat, mode)
}

/// Writes a file that is not there.
pub(super) fn write(folder: BorrowedFd<'_>, file: &File, data: &[u8]) -> Result<Stat, Unfit> {
    let mode = match file.form {
        Form::Plain => 0o666,
        Form::Executable => 0o777,
        Form::Link => {
            fs::symlinkat(data, folder, file.name()).map_err(failed("making the link", &file.path))?;
            let found = look(folder, file.name())?;
            let gone = || Unfit::new(format!("{:?} is gone", String::from_utf8_lossy(&file.path)));
            return found.map(|(stat, _)| stat).ok_or_else(gone);
        }
    };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = fs::openat(folder, file.name(), flags, Mode::from_raw_mode(mode));
    let open = open.map_err(failed("making the file", &file.path))?;
    let mut rest = data;
    while !rest.is_empty() {
        let written = io::retry_on_intr(|| io::write(&open, rest));
        let written = written.map_err(failed("writing the file", &file.path))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    let stat = fs::fstat(&open).map_err(failed("looking at the file", &file.path))?;
    Ok(cut(&stat).0)
}
