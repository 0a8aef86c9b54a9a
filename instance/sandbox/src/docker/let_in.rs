//! A fleet that is root has containers whose user is nobody. What these may write is opened to them: folders and files that
//! nobody outside can get to, because a folder above them lets only us in. So are the files and folders that it may read,
//! but not what is in these.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
};

use crate::port::{Network, Spec};

/// Where a worktree says what it belongs to: nobody has to write there.
const GIT: &str = ".git";

/// Opens worktree, temporary folders and socket of `spec`. Folders that are not the fleet's are left as they are: who lists
/// one says by its mode who may write.
pub(super) fn let_in(spec: &Spec) -> io::Result<()> {
    for path in spec.writable() {
        if path.exists() && ours(spec, path)? {
            open(path, &spec.cwd.join(GIT))?;
        }
    }
    to_read(spec)
}

/// Only the socket, and what it reads.
pub(super) fn to_read(spec: &Spec) -> io::Result<()> {
    for path in &spec.read {
        if path.exists() && ours(spec, path)? {
            let about = fs::metadata(path)?.file_type();
            more(
                path,
                if about.is_dir() {
                    0o555
                } else if about.is_socket() {
                    0o666
                } else {
                    0o444
                },
            )?;
        }
    }
    if let Network::Forward { socket, .. } = &spec.network {
        if !ours(spec, socket)? {
            return Err(io::Error::other("the run's socket lies where others could reach it"));
        }
        more(socket, 0o666)?;
    }
    Ok(())
}

/// Whether a folder above it lets only us in.
fn ours(spec: &Spec, path: &Path) -> io::Result<bool> {
    let path = path.canonicalize()?;
    let mut above =
        path.ancestors().skip(1).filter(|folder| spec.hidden.iter().any(|h| folder.starts_with(h)));
    above.try_fold(false, |closed, folder| {
        Ok(closed || fs::metadata(folder)?.permissions().mode() & 0o001 == 0)
    })
}

/// Everything in it but `left`, without following links.
fn open(path: &Path, left: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(path)?;
    if about.is_symlink() || path == left {
        return Ok(());
    }
    if about.is_dir() {
        more(path, 0o777)?;
        for entry in fs::read_dir(path)? {
            open(&entry?.path(), left)?;
        }
        return Ok(());
    }
    let runs = if about.permissions().mode() & 0o100 == 0 { 0 } else { 0o111 };
    more(path, 0o666 | runs)
}

fn more(path: &Path, bits: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & bits == bits {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(mode | bits))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::let_in;
    use crate::port::{Limits, Network, Spec};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_what_nobody_else_gets_to_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().canonicalize().unwrap().join("state");
        let (cwd, outside) = (state.join("work"), folder.path().join("outside"));
        for path in [&cwd, &outside] {
            fs::create_dir_all(path.join("in")).unwrap();
            fs::write(path.join("in/run"), "").unwrap();
            fs::set_permissions(path.join("in/run"), fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(cwd.join(".git"), "").unwrap();
        let git = mode(&cwd.join(".git"));
        std::os::unix::fs::symlink(outside.join("in/run"), cwd.join("link")).unwrap();
        fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
        let spec = Spec {
            instance: "alpha".parse().unwrap(),
            run: "A-1.1".parse().unwrap(),
            cwd: cwd.clone(),
            home: state.join("home"),
            home_at: "/root".into(),
            write: vec![outside.clone(), state.join("none")],
            read: vec![],
            hidden: vec![state.clone()],
            limits: Limits::default(),
            network: Network::Closed,
            turn: None,
            adopt: None,
        };
        let_in(&spec).unwrap();
        assert_eq!((mode(&cwd), mode(&cwd.join("in")), mode(&cwd.join("in/run"))), (0o777, 0o777, 0o777));
        assert_eq!((mode(&outside.join("in/run")), mode(&cwd.join(".git"))), (0o700, git));
        // Where others get in, nothing is opened.
        fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&cwd, fs::Permissions::from_mode(0o755)).unwrap();
        let_in(&spec).unwrap();
        assert_eq!(mode(&cwd), 0o755);
    }
}
