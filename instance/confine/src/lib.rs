#![doc = include_str!("../README.md")]

pub mod walls;

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus,
};

/// The oldest version of Landlock that is enough: it knows of truncating, and of moving files between folders.
const ENOUGH: ABI = ABI::V3;

/// Where a process may write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walls {
    /// Folders with everything in them, and files. What is not there is left out.
    pub writable: Vec<PathBuf>,
}

/// Why the walls could not be put up. Nothing runs then.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The kernel can't do it.
    #[error(
        "this kernel can't confine writes (Landlock, version 3): set sandbox.kind = \"none\" to go without, \
         and writes elsewhere are then found only afterwards"
    )]
    Unavailable(#[source] Option<RulesetError>),
    /// A folder can't be opened.
    #[error("{} can't be let through the walls", path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn ruleset() -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(ENOUGH))
}

/// Whether the kernel can confine.
pub fn available() -> bool {
    ruleset().and_then(Ruleset::create).is_ok()
}

/// Puts the walls around this process and all that it starts. There is no way back.
pub fn enter(walls: &Walls) -> Result<(), ConfineError> {
    let unavailable = |error| ConfineError::Unavailable(Some(error));
    let mut created = ruleset().and_then(Ruleset::create).map_err(unavailable)?;
    for path in &walls.writable {
        let Ok(about) = std::fs::metadata(path) else { continue };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ConfineError::Path {
            path: path.clone(),
            source,
        };
        let opened = PathFd::new(path).map_err(|error| failed(error.into()))?;
        let all = AccessFs::from_write(ENOUGH);
        let allowed = if about.is_dir() { all } else { all & AccessFs::from_file(ENOUGH) };
        created =
            created.add_rule(PathBeneath::new(opened, allowed)).map_err(|error| failed(error.into()))?;
    }
    let status = created.restrict_self().map_err(unavailable)?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err(ConfineError::Unavailable(None))
    }
}
