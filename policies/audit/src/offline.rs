//! A chain in a file, read beside the executor that writes it and without asking it: who is to be proven right is not the
//! one to ask.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::{AuditError, Countersignature, Of, Report, Signer, Told, chain, file, head, known, show, verify};

/// Where a database's archived segments lie: in the folder `audit` beside it.
pub fn segments_beside(database: &Path) -> PathBuf {
    database.with_file_name("audit")
}

/// An executor's database that holds a chain, opened to read.
pub struct ChainFile {
    connection: Connection,
    segments: PathBuf,
    name: String,
}

impl ChainFile {
    /// `None`: there is no such file, or no chain in it.
    pub fn open(database: &Path) -> Result<Option<Self>, AuditError> {
        if !database.exists() {
            return Ok(None);
        }
        let connection = qd_sqlite::read_only(database)?;
        if !head::has_table(&connection, "audit_head")? {
            return Ok(None);
        }
        let Some(noted) = chain::stored(&connection)? else { return Ok(None) };
        Ok(Some(Self { connection, segments: segments_beside(database), name: noted.chain }))
    }

    /// With its archived segments in another folder than beside it.
    pub fn with_segments(self, folder: PathBuf) -> Self {
        Self { segments: folder, ..self }
    }

    /// Whose chain: `bot`, or an instance's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// See [`crate::verify`].
    pub fn verify(&self, signers: &[Signer], witnesses: &[Countersignature]) -> Result<Report, AuditError> {
        verify::verify(&self.connection, &self.segments, signers, witnesses)
    }

    /// See [`crate::witnessed`].
    pub fn witnessed(&self, chain: &str) -> Result<Vec<Countersignature>, AuditError> {
        head::witnessed(&self.connection, chain)
    }

    /// See [`crate::signers`].
    pub fn signers(&self) -> Result<Vec<Signer>, AuditError> {
        if head::has_table(&self.connection, "audit_signers")? {
            known::signers(&self.connection)
        } else {
            Ok(Vec::new())
        }
    }

    /// The rows about `of`, told with the names of this file's map.
    pub fn tell(&self, of: &Of) -> Result<Vec<Told>, AuditError> {
        show::told(&self.connection, &self.name, show::select(&self.connection, &self.segments, of)?)
    }

    /// See [`crate::export`].
    pub fn export(&self, out: impl Write) -> Result<u64, AuditError> {
        file::export(&self.connection, &self.segments, out)
    }
}
