//! The tables, to be part of a migration of the executor's database. Triggers refuse what would break the chain by
//! mistake; against intent there are the hashes and the other side's signatures.

/// The chain, its segments, the signatures and the names.
pub const SCHEMA: &str = "
CREATE TABLE audit_chain (
    seq INTEGER PRIMARY KEY CHECK (seq > 0),
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    issue TEXT,
    feature TEXT,
    run TEXT,
    call TEXT,
    approval TEXT,
    payload TEXT NOT NULL,
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE audit_head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    chain TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE audit_segments (
    first INTEGER PRIMARY KEY CHECK (first > 0),
    last INTEGER NOT NULL CHECK (last >= first),
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    newest INTEGER NOT NULL,
    file TEXT NOT NULL,
    archived_at INTEGER NOT NULL,
    dropped_at INTEGER
) STRICT;

CREATE TABLE audit_signatures (
    signer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (seq, signer)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_witnessed (
    chain TEXT PRIMARY KEY,
    signer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_names (
    person TEXT PRIMARY KEY,
    pseudonym TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_chain_insert BEFORE INSERT ON audit_chain
WHEN NOT EXISTS (SELECT 1 FROM audit_head WHERE seq + 1 = NEW.seq AND hash = NEW.previous)
BEGIN SELECT RAISE(ABORT, 'an audit row is only appended to the head of its chain'); END;
CREATE TRIGGER audit_chain_update BEFORE UPDATE ON audit_chain
BEGIN SELECT RAISE(ABORT, 'an audit row is never changed'); END;
CREATE TRIGGER audit_chain_delete BEFORE DELETE ON audit_chain
WHEN NOT EXISTS (SELECT 1 FROM audit_segments WHERE OLD.seq BETWEEN first AND last)
BEGIN SELECT RAISE(ABORT, 'an audit row is only deleted after it was archived'); END;

CREATE TRIGGER audit_head_insert BEFORE INSERT ON audit_head
WHEN EXISTS (SELECT 1 FROM audit_head)
BEGIN SELECT RAISE(ABORT, 'a database holds one audit chain'); END;
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head
WHEN NEW.one <> OLD.one OR NEW.chain <> OLD.chain
  OR NOT EXISTS (SELECT 1 FROM audit_chain
                 WHERE seq = NEW.seq AND seq = OLD.seq + 1 AND previous = OLD.hash AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'the head of the audit chain only moves to the next row'); END;
CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the head of the audit chain is never deleted'); END;

CREATE TRIGGER audit_segments_insert BEFORE INSERT ON audit_segments
WHEN NEW.first <> (SELECT coalesce(max(last), 0) + 1 FROM audit_segments)
BEGIN SELECT RAISE(ABORT, 'an archived segment follows the one before'); END;
CREATE TRIGGER audit_segments_update BEFORE UPDATE ON audit_segments
WHEN OLD.dropped_at IS NOT NULL OR NEW.dropped_at IS NULL
  OR (NEW.first, NEW.last, NEW.previous, NEW.hash, NEW.newest, NEW.file, NEW.archived_at)
     <> (OLD.first, OLD.last, OLD.previous, OLD.hash, OLD.newest, OLD.file, OLD.archived_at)
BEGIN SELECT RAISE(ABORT, 'an archived segment keeps its head'); END;
CREATE TRIGGER audit_segments_delete BEFORE DELETE ON audit_segments
BEGIN SELECT RAISE(ABORT, 'an archived segment keeps its head'); END;

CREATE TRIGGER audit_signatures_insert BEFORE INSERT ON audit_signatures
WHEN EXISTS (SELECT 1 FROM audit_signatures WHERE seq = NEW.seq AND signer = NEW.signer)
BEGIN SELECT RAISE(ABORT, 'a signature on the audit chain is never changed'); END;
CREATE TRIGGER audit_signatures_update BEFORE UPDATE ON audit_signatures
BEGIN SELECT RAISE(ABORT, 'a signature on the audit chain is never changed'); END;
CREATE TRIGGER audit_signatures_delete BEFORE DELETE ON audit_signatures
BEGIN SELECT RAISE(ABORT, 'a signature on the audit chain is never deleted'); END;
";

/// What came later: whose signatures count, and heads of the other side that were signed before the last one. To be a
/// migration after [`SCHEMA`].
pub const WITNESSES: &str = "
CREATE TABLE audit_signers (
    name TEXT NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    PRIMARY KEY (name, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_witnessed_before (
    chain TEXT NOT NULL,
    signer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    at INTEGER NOT NULL,
    key BLOB NOT NULL CHECK (length(key) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    PRIMARY KEY (chain, seq, hash)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_witnessed_before_update BEFORE UPDATE ON audit_witnessed_before
BEGIN SELECT RAISE(ABORT, 'what was witnessed is never changed'); END;
CREATE TRIGGER audit_witnessed_before_delete BEFORE DELETE ON audit_witnessed_before
BEGIN SELECT RAISE(ABORT, 'what was witnessed is never deleted'); END;
";
