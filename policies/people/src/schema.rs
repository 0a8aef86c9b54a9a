//! The tables, to be part of a migration of the executor's database.

/// All tables of people.
pub const SCHEMA: &str = "
CREATE TABLE people (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('invited', 'active', 'disabled', 'removed')),
    configured INTEGER NOT NULL DEFAULT 0,
    left_by_configuration INTEGER NOT NULL DEFAULT 0,
    passphrase TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    attempted_at INTEGER,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person_roles (
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    scope TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (person, scope, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE person_identities (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    linked_at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX person_identities_person ON person_identities (person);

CREATE TABLE person_invitations (
    person TEXT PRIMARY KEY REFERENCES people (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE person_tokens (
    hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
    person TEXT NOT NULL REFERENCES people (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'token')),
    label TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX person_tokens_person ON person_tokens (person);
";

/// Tokens of service accounts, which act on behalf of the person who made them.
pub const SCHEMA_SERVICES: &str = "ALTER TABLE person_tokens ADD COLUMN service TEXT;";
