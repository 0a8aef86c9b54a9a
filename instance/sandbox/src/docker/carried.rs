//! Our own program inside a container. It needs a C library, and an image may have another one, or none: so its loader and
//! the libraries that it has loaded here go along, in a folder of their own, and it is started by that loader.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Where they are inside.
const FOLDER: &str = "/.quarterdeck";

/// How a loader's name begins: `ld-linux-x86-64.so.2`, `ld-musl-x86_64.so.1`.
const LOADER: &str = "ld-";

/// Files of this machine, with their places inside, and the command line that starts our program there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) files: Vec<(PathBuf, String)>,
    pub(super) argv: Vec<String>,
}

/// What `program` needs, judged by what this process has loaded: it is the same program. One that is linked statically needs
/// nothing.
pub(super) fn carried(program: &Path) -> io::Result<Carried> {
    Ok(from(program, &loaded(&fs::read_to_string("/proc/self/maps")?)))
}

/// The shared libraries of a process, from its `maps`.
fn loaded(maps: &str) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.find('/').and_then(|at| line.get(at..)))
        .filter(|path| !path.ends_with(" (deleted)"))
        .map(PathBuf::from)
        .filter(|path| name(path).is_some_and(|name| name.ends_with(".so") || name.contains(".so.")))
        .collect();
    all.sort();
    all.dedup();
    all
}

fn from(program: &Path, libraries: &[PathBuf]) -> Carried {
    let inside = |name: &str| format!("{FOLDER}/{name}");
    let own = inside("quarterdeck");
    let mut files = vec![(program.to_owned(), own.clone())];
    files.extend(libraries.iter().filter_map(|path| Some((path.clone(), inside(name(path)?)))));
    let loader = libraries.iter().find_map(|path| name(path).filter(|name| name.starts_with(LOADER)));
    let argv = match loader {
        Some(loader) => vec![inside(loader), "--library-path".to_owned(), FOLDER.to_owned(), own],
        None => vec![own],
    };
    Carried { files, argv }
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

/// Our own program once more, also where a loader has started it.
pub fn again() -> io::Result<Command> {
    let program = std::env::current_exe()?;
    if !name(&program).is_some_and(|name| name.starts_with(LOADER)) {
        return Ok(Command::new(program));
    }
    let own = std::env::args_os().next().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(&program);
    command.arg("--library-path").arg(program.parent().unwrap_or(Path::new("/"))).arg(own);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{from, loaded};

    #[test]
    fn what_is_loaded_goes_along() {
        let maps = "\
55d0-55d1 r-xp 00000000 fe:00 1 /opt/quarterdeck\n\
7f00-7f01 r--p 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
7f01-7f02 r-xp 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6\n\
7f02-7f03 r-xp 00000000 fe:00 3 /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\n\
7f04-7f05 rw-p 00000000 00:00 0 [heap]\n\
7f05-7f06 rw-s 00000000 fe:00 4 /state/board.db-shm\n";
        let carried = from(Path::new("/opt/quarterdeck"), &loaded(maps));
        insta::assert_snapshot!(carried.argv.join(" "), @"/.quarterdeck/ld-linux-x86-64.so.2 --library-path /.quarterdeck /.quarterdeck/quarterdeck");
        let files: Vec<String> =
            carried.files.iter().map(|(from, to)| format!("{} {to}", from.display())).collect();
        insta::assert_snapshot!(files.join("\n"), @"
        /opt/quarterdeck /.quarterdeck/quarterdeck
        /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 /.quarterdeck/ld-linux-x86-64.so.2
        /usr/lib/x86_64-linux-gnu/libc.so.6 /.quarterdeck/libc.so.6
        ");
        assert_eq!(from(Path::new("/opt/q"), &[]).argv, ["/.quarterdeck/quarterdeck"]);
    }
}
