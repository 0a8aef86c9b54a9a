//! The schema as migrations, forward only. An old file is upgraded when it is opened; a test does it.

use qd_sqlite::{Migration, outbox};

/// All versions, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[V1, outbox::SCHEMA];

const V1: &str = "
CREATE TABLE features (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    repository TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    priority INTEGER NOT NULL,
    labels TEXT NOT NULL,
    stage TEXT NOT NULL,
    held TEXT,
    author TEXT NOT NULL,
    editors TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX features_stage ON features (stage, number);
CREATE TABLE dependencies (
    feature TEXT NOT NULL REFERENCES features (id),
    needs TEXT NOT NULL REFERENCES features (id),
    PRIMARY KEY (feature, needs)
) WITHOUT ROWID;
CREATE INDEX dependencies_needs ON dependencies (needs);
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    feature TEXT,
    run TEXT,
    version INTEGER,
    fields TEXT,
    text TEXT NOT NULL
);
CREATE INDEX events_feature ON events (feature, seq);
CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    feature TEXT NOT NULL REFERENCES features (id),
    attempt INTEGER NOT NULL,
    agent TEXT NOT NULL,
    branch TEXT NOT NULL,
    round INTEGER NOT NULL DEFAULT 0,
    base TEXT,
    commit_id TEXT,
    pushed TEXT,
    pull_request INTEGER,
    approval TEXT,
    approved_by TEXT NOT NULL DEFAULT '[]',
    words TEXT,
    stop TEXT,
    ending TEXT,
    process TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (feature, attempt)
);
CREATE INDEX runs_active ON runs (id) WHERE ended_at IS NULL;
CREATE INDEX runs_started ON runs (started_at);
CREATE TABLE steps (
    run TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    state TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    note TEXT,
    PRIMARY KEY (run, step)
) WITHOUT ROWID;
CREATE TABLE checks (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    passed INTEGER NOT NULL,
    round INTEGER NOT NULL,
    millis INTEGER NOT NULL,
    reason TEXT,
    UNIQUE (run, name, commit_id, round)
);
CREATE TABLE forge_requests (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT
);
CREATE TABLE approvals (
    key TEXT PRIMARY KEY,
    feature TEXT NOT NULL,
    run TEXT NOT NULL,
    open INTEGER NOT NULL,
    deciding INTEGER NOT NULL,
    at INTEGER NOT NULL,
    card TEXT NOT NULL
);
CREATE INDEX approvals_feature ON approvals (feature) WHERE open = 1;
CREATE INDEX approvals_at ON approvals (open, at);
";
