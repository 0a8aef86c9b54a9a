//! The schema as migrations, forward only.

use qd_sqlite::{Migration, outbox};

/// All versions, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    V1,
    outbox::SCHEMA,
    qd_approvals::SCHEMA,
    qd_audit::SCHEMA,
    V5,
    qd_audit::WITNESSES,
    qd_approvals::SCHEMA_TERMS,
    V8,
    V9,
    outbox::UNREAD,
    ENROLMENT,
    MESSAGES,
    PRESENCE,
    OUTSIDE,
    LIVING_ACTS,
    MACHINES,
    LINKS,
];

const V1: &str = "
CREATE TABLE features (
    team TEXT NOT NULL,
    id TEXT NOT NULL,
    report TEXT NOT NULL,
    PRIMARY KEY (team, id)
) WITHOUT ROWID;
CREATE TABLE approvals (
    key TEXT PRIMARY KEY,
    desk TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE alerts (
    team TEXT NOT NULL,
    cause TEXT NOT NULL,
    alert TEXT NOT NULL,
    PRIMARY KEY (team, cause)
) WITHOUT ROWID;
CREATE TABLE messages (
    key TEXT PRIMARY KEY,
    channel TEXT NOT NULL,
    message TEXT NOT NULL,
    pending INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    delivered TEXT,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX messages_pending ON messages (channel, changed) WHERE pending = 1;
CREATE TABLE acts (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    call TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    changed INTEGER NOT NULL
);
CREATE INDEX acts_pending ON acts (id) WHERE state = 'pending';
CREATE TABLE grants (
    approval TEXT NOT NULL,
    item TEXT NOT NULL,
    act TEXT NOT NULL,
    digest TEXT NOT NULL,
    spent_at INTEGER NOT NULL,
    PRIMARY KEY (approval, item)
) WITHOUT ROWID;
";

/// Approvals are kept by `qd-approvals`, in its tables; here is what stands beside them. What was kept before lies in
/// `approvals_before` until it was carried over.
const V5: &str = "
ALTER TABLE approvals RENAME TO approvals_before;
DROP TABLE grants;
CREATE TABLE desks (
    approval TEXT PRIMARY KEY,
    filed TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE trailed (
    approval TEXT PRIMARY KEY,
    state TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE surface_keys (
    public BLOB PRIMARY KEY CHECK (length(public) = 32),
    instance TEXT NOT NULL
) WITHOUT ROWID;
";

/// A key that another one of its instance took the place of signs no more.
const V8: &str = "
ALTER TABLE surface_keys ADD COLUMN revoked_at INTEGER;
";

/// Approvals that instances keep, and what people said here on them.
const V9: &str = "
CREATE TABLE foreign_approvals (
    key TEXT PRIMARY KEY,
    foreign_approval TEXT NOT NULL
) WITHOUT ROWID;
";

/// How instances join: the keys that are sealed to, beside those that sign; invitations, by the hash of their secret; and who
/// has said yes to one, where two have to.
const ENROLMENT: &str = "
ALTER TABLE surface_keys ADD COLUMN sealing BLOB;
ALTER TABLE surface_keys ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
CREATE TABLE instance_invitations (
    hash TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER
) WITHOUT ROWID;
CREATE TABLE instance_invited (
    instance TEXT NOT NULL,
    person TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (instance, person)
) WITHOUT ROWID;
";

/// Who was heard, as of their last beat; and what people are to be told the next time that they say something.
const PRESENCE: &str = "
CREATE TABLE presence (
    team TEXT PRIMARY KEY,
    seen TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE untold (
    person TEXT PRIMARY KEY,
    lines TEXT NOT NULL
) WITHOUT ROWID;
";

/// What a forge delivers, until it is worked off, and its ids after that; what was told once; issues and threads that are
/// followed; words of an adapter's own.
const OUTSIDE: &str = "
CREATE TABLE deliveries (
    place INTEGER PRIMARY KEY,
    delivery TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    body BLOB,
    state TEXT NOT NULL DEFAULT 'waiting',
    attempts INTEGER NOT NULL DEFAULT 0,
    became TEXT,
    taken_at INTEGER NOT NULL
);
CREATE INDEX deliveries_waiting ON deliveries (place) WHERE state = 'waiting';
CREATE INDEX deliveries_ignored ON deliveries (place) WHERE state = 'ignored' AND body IS NOT NULL;
CREATE TABLE told_once (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE forge_notes (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE issues (
    spot TEXT PRIMARY KEY,
    issue TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE threads (
    spot TEXT PRIMARY KEY,
    threads TEXT NOT NULL
) WITHOUT ROWID;
";

/// Acts that are living states wait for calm: none of them is carried out before it is due.
const LIVING_ACTS: &str = "
ALTER TABLE acts ADD COLUMN living INTEGER NOT NULL DEFAULT 0;
ALTER TABLE acts ADD COLUMN due INTEGER NOT NULL DEFAULT 0;
DROP INDEX acts_pending;
CREATE INDEX acts_pending ON acts (living, id) WHERE state = 'pending';
";

/// Orders for machines of teams, each until it is over.
const MACHINES: &str = "
CREATE TABLE machines (
    id TEXT PRIMARY KEY,
    call TEXT NOT NULL,
    over INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
";

/// Codes that link accounts, by their hashes.
const LINKS: &str = "
CREATE TABLE link_codes (
    hash TEXT PRIMARY KEY,
    code TEXT NOT NULL
) WITHOUT ROWID;
";

/// Messages wait by class, and some can wait for calm; what digests are built from.
const MESSAGES: &str = "
ALTER TABLE messages ADD COLUMN class INTEGER NOT NULL DEFAULT 2;
ALTER TABLE messages ADD COLUMN calm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN delivered_at INTEGER;
UPDATE messages SET class = CASE channel WHEN 'approvals' THEN 0 WHEN 'dev' THEN 2 ELSE 1 END;
DROP INDEX messages_pending;
CREATE INDEX messages_due ON messages (channel, class, since) WHERE pending = 1;
CREATE TABLE facts (
    key TEXT PRIMARY KEY,
    fact TEXT NOT NULL
) WITHOUT ROWID;
";
