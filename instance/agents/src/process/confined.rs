//! A process within walls: our own program is started first, puts up the walls around itself, and becomes the program.

use std::path::PathBuf;

use qd_confine::Walls;

/// The exit code of a launcher that could not put up the walls. The program did not run then.
pub const NOT_CONFINED: i32 = 97;

/// Who puts up which walls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// Our program, which knows the verb `confine`.
    pub launcher: PathBuf,
    /// Where may be written.
    pub walls: Walls,
    /// A folder for what is temporary, within the walls; it is there.
    pub tmp: PathBuf,
}

impl Confined {
    /// The arguments with which the launcher becomes `program`.
    pub(crate) fn args(&self, program: &std::ffi::OsStr) -> Vec<std::ffi::OsString> {
        let mut args: Vec<std::ffi::OsString> = vec!["confine".into()];
        for path in &self.walls.writable {
            args.push("--write".into());
            args.push(path.into());
        }
        args.push("--".into());
        args.push(program.into());
        args
    }
}
