//! The tables, as migrations of the executor's own database. Their names begin with `approval_`, so that they stand
//! beside whatever else it keeps.

use qd_sqlite::Migration;

/// To be put into the executor's list of migrations. It never changes; what comes later is another constant.
///
/// Times that end in `_at` are wall clock, milliseconds since 1970, for people to read. Times that end in `_from` and
/// `opened` are milliseconds of [`crate::clock`], for deadlines.
pub const SCHEMA: Migration = "
CREATE TABLE approval_clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    wall INTEGER NOT NULL,
    elapsed INTEGER NOT NULL
);
CREATE TABLE approval_requests (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    run TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    asked TEXT NOT NULL,
    digest TEXT NOT NULL,
    subject TEXT NOT NULL,
    words TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    requested_at INTEGER NOT NULL,
    decided_at INTEGER,
    opened INTEGER,
    decide_from INTEGER,
    execute_from INTEGER,
    decide_ms INTEGER NOT NULL,
    execute_ms INTEGER NOT NULL,
    escalated INTEGER NOT NULL DEFAULT 0,
    alerted INTEGER NOT NULL DEFAULT 0,
    reopens TEXT UNIQUE REFERENCES approval_requests (id),
    CHECK (decide_from IS NULL OR opened IS NOT NULL)
);
CREATE INDEX approval_requests_run ON approval_requests (run, action, target);
CREATE INDEX approval_requests_live ON approval_requests (seq) WHERE state IN ('requested', 'granted', 'executing');
CREATE TABLE approval_items (
    approval TEXT NOT NULL REFERENCES approval_requests (id),
    item TEXT NOT NULL,
    digest TEXT NOT NULL,
    subject TEXT NOT NULL,
    PRIMARY KEY (approval, item)
) WITHOUT ROWID;
CREATE TABLE approval_votes (
    seq INTEGER PRIMARY KEY,
    approval TEXT NOT NULL REFERENCES approval_requests (id),
    hash TEXT NOT NULL UNIQUE,
    envelope TEXT NOT NULL,
    person TEXT NOT NULL,
    arrived_at INTEGER NOT NULL,
    dropped_at INTEGER
);
CREATE INDEX approval_votes_of ON approval_votes (approval, seq);
CREATE TABLE approval_cards (
    approval TEXT NOT NULL REFERENCES approval_requests (id),
    surface TEXT NOT NULL,
    recipient TEXT NOT NULL,
    rank INTEGER NOT NULL,
    state TEXT NOT NULL,
    receipt TEXT,
    problem TEXT,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (approval, surface, recipient),
    CHECK ((receipt IS NOT NULL) = (state IN ('delivered', 'closed')))
) WITHOUT ROWID;
CREATE INDEX approval_cards_due ON approval_cards (state, approval) WHERE state IN ('pending', 'delivered');
CREATE TABLE approval_effects (
    approval TEXT NOT NULL REFERENCES approval_requests (id),
    item TEXT NOT NULL,
    effect TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    outcome TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    spent_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (approval, item)
) WITHOUT ROWID;
CREATE INDEX approval_effects_open ON approval_effects (state) WHERE state IN ('planned', 'under_way');
CREATE TABLE approval_denials (
    approval TEXT PRIMARY KEY REFERENCES approval_requests (id),
    run TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX approval_denials_of ON approval_denials (run, action, target);
CREATE TABLE approval_continuations (
    approval TEXT NOT NULL REFERENCES approval_requests (id),
    waiter TEXT NOT NULL,
    resumed_at INTEGER,
    PRIMARY KEY (approval, waiter)
) WITHOUT ROWID;
CREATE INDEX approval_continuations_due ON approval_continuations (approval) WHERE resumed_at IS NULL;
";

/// The terms of the policy that asked, beside each request; after [`SCHEMA`]. What was asked before has none of its own.
/// `decide_until_at` is for people to read; the deadline is `decide_from` and `decide_ms`.
pub const SCHEMA_TERMS: Migration = "
ALTER TABLE approval_requests ADD COLUMN way TEXT;
ALTER TABLE approval_requests ADD COLUMN local_votes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE approval_requests ADD COLUMN decide_until_at INTEGER;
";
