//! The policies, and what the configuration says about them, as they were last in force, kept across starts: a restart is no
//! way around the people who have to approve what widens rights. The first start trusts what is there.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use qd_engine::{Bundle, Engine, EngineError, Files, Source};
use serde::{Deserialize, Serialize};

use crate::{governed::Governed, policies::PolicyPlan};

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The bundle's files.
    pub files: Files,
    /// What of the files and of the configuration is not in force, and why, in a sentence.
    pub waits: Option<String>,
    /// The bundle came with the program: another program brings its own.
    #[serde(default)]
    pub embedded: bool,
    /// What the configuration says about rights. None was kept by a program of before: then the configuration is trusted once.
    #[serde(default)]
    pub governed: Option<Governed>,
}

/// Why it can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the policies that were last in force can't be had in {path}; only without that file what is in the folder is trusted",
    path = path.display()
)]
pub struct InForceError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn path(state: &Path) -> PathBuf {
    state.join("policies.json")
}

fn at(state: &Path) -> impl FnOnce(io::Error) -> InForceError {
    let path = path(state);
    move |source| InForceError { path, source }
}

/// What was last in force below `state`; none before the first start.
pub fn read(state: &Path) -> Result<Option<InForce>, InForceError> {
    match std::fs::read(path(state)) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|error| at(state)(io::Error::other(error)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(state)(error)),
    }
}

/// Keeps it, as a whole or not at all. What is kept already is not written again.
pub fn keep(state: &Path, in_force: &InForce) -> Result<(), InForceError> {
    let write = || {
        let bytes = serde_json::to_vec(in_force)?;
        if std::fs::read(path(state)).is_ok_and(|kept| kept == bytes) {
            return Ok(());
        }
        let mut file = tempfile::NamedTempFile::new_in(state)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path(state)).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(at(state))
}

/// The engine of a fleet that starts: with what was last in force. What the source holds now has to hold as well; it comes
/// into force by the first look at it, and waits for people if it may widen rights.
pub fn engine(plan: &PolicyPlan, before: Option<InForce>) -> Result<Engine, EngineError> {
    let there = plan.source.load()?;
    let bundle = match before {
        None => there,
        Some(before) if before.embedded && plan.source == Source::Embedded => there,
        Some(before) => Bundle::load(&before.files).map(Arc::new).unwrap_or_else(|error| {
            // This program's schema is another: what was in force means nothing to it.
            tracing::warn!(%error, "the policies that were last in force do not hold any more, those of the source count");
            there
        }),
    };
    Engine::guarded(plan.source.clone(), bundle, &plan.facts, &plan.rules)
}
