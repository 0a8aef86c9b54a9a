//! A chain in a file, read beside the executor that writes it and without asking it: who is to be proven right is not the
//! one to ask.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use qd_types::PersonId;
use rusqlite::Connection;

use crate::{
    AuditError, Countersignature, Of, Pseudonym, Report, Row, Signer, chain, file, head, known, names, show,
    verify,
};

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

    /// See [`crate::name_of`].
    pub fn name_of(&self, pseudonym: &Pseudonym) -> Result<Option<PersonId>, AuditError> {
        names::name_of(&self.connection, pseudonym)
    }

    /// See [`crate::select`].
    pub fn select(&self, of: &Of) -> Result<Vec<Row>, AuditError> {
        show::select(&self.connection, &self.segments, of)
    }

    /// See [`crate::timeline`].
    pub fn timeline(&self, rows: &[Row]) -> Result<String, AuditError> {
        show::timeline(&self.connection, rows)
    }

    /// See [`crate::export`].
    pub fn export(&self, out: impl Write) -> Result<u64, AuditError> {
        file::export(&self.connection, &self.segments, out)
    }
}
