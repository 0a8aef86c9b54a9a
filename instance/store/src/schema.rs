//! The schema as migrations, forward only. An old file is upgraded when it is opened; a test does it.

use qd_approvals::trail;
use qd_sqlite::{Migration, outbox};

/// All versions, oldest first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    V1,
    outbox::SCHEMA,
    V3,
    V4,
    V5,
    V6,
    V7,
    qd_approvals::SCHEMA,
    qd_audit::SCHEMA,
    qd_audit::WITNESSES,
    qd_approvals::SCHEMA_TERMS,
    trail::SCHEMA,
    V13,
    SPENDING,
    V14,
    outbox::UNREAD,
    REPORTS,
    REQUESTS,
    SAID,
];

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

/// The board that plans: everything a person may say of a feature, operations, projects, plans, recurring features.
/// What only people read is JSON in `details`; what a query asks for is a column, generated from it where it can be.
const V3: &str = "
ALTER TABLE features ADD COLUMN details TEXT NOT NULL DEFAULT '{}';
ALTER TABLE features ADD COLUMN touched TEXT NOT NULL DEFAULT '[]';
ALTER TABLE features ADD COLUMN paused TEXT;
ALTER TABLE features ADD COLUMN not_before INTEGER;
ALTER TABLE features ADD COLUMN rung INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN retry_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE features ADD COLUMN epic TEXT GENERATED ALWAYS AS (details ->> '$.epic') VIRTUAL;
ALTER TABLE features ADD COLUMN project TEXT GENERATED ALWAYS AS (details ->> '$.project') VIRTUAL;
CREATE INDEX features_epic ON features (epic) WHERE epic IS NOT NULL;
CREATE INDEX features_project ON features (project) WHERE project IS NOT NULL;
ALTER TABLE dependencies ADD COLUMN until TEXT NOT NULL DEFAULT 'done';
ALTER TABLE events ADD COLUMN reason TEXT;
ALTER TABLE events ADD COLUMN changes TEXT;
ALTER TABLE runs ADD COLUMN model TEXT;
ALTER TABLE runs ADD COLUMN assigned_by TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN plan TEXT;
ALTER TABLE runs ADD COLUMN plan_accepted TEXT;
ALTER TABLE runs ADD COLUMN feedback TEXT;
ALTER TABLE runs ADD COLUMN round_from INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN returns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN worked_ms INTEGER NOT NULL DEFAULT 0;
CREATE TABLE comments (
    id INTEGER PRIMARY KEY,
    feature TEXT NOT NULL REFERENCES features (id),
    author TEXT NOT NULL,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX comments_feature ON comments (feature, id);
CREATE TABLE operations (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    feature TEXT,
    run TEXT,
    title TEXT NOT NULL,
    desired TEXT NOT NULL,
    observed TEXT NOT NULL,
    class TEXT,
    text TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 1,
    started_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    UNIQUE (kind, subject)
);
CREATE INDEX operations_open ON operations (observed, id);
CREATE INDEX operations_run ON operations (run);
CREATE TABLE clashes (
    repository TEXT NOT NULL,
    one TEXT NOT NULL,
    other TEXT NOT NULL,
    files TEXT NOT NULL,
    PRIMARY KEY (one, other)
) WITHOUT ROWID;
CREATE TABLE switches (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE passed_checks (
    key TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    millis INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE plans (
    id INTEGER PRIMARY KEY,
    goal TEXT NOT NULL,
    author TEXT NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    text TEXT NOT NULL DEFAULT '',
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE TABLE recurring (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
";

/// The search: one index over everything that people read. A row's number says what it is of (number * 8 and a digit), so
/// that it is found again without a scan; triggers keep it in the transaction of the change.
const V4: &str = "
CREATE TABLE documents (
    id INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    path TEXT NOT NULL,
    blob TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (repository, path)
);
CREATE VIRTUAL TABLE search USING fts5(
    kind UNINDEXED, place UNINDEXED, title, body, tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER search_feature AFTER INSERT ON features BEGIN
    INSERT INTO search (rowid, kind, place, title, body) VALUES (
        new.number * 8, 'feature', new.id, new.title,
        new.description || ' ' || new.labels || ' ' || coalesce(new.details ->> '$.milestone', ''));
END;
CREATE TRIGGER search_feature_edited AFTER UPDATE OF title, description, labels, details ON features BEGIN
    DELETE FROM search WHERE rowid = old.number * 8;
    INSERT INTO search (rowid, kind, place, title, body) VALUES (
        new.number * 8, 'feature', new.id, new.title,
        new.description || ' ' || new.labels || ' ' || coalesce(new.details ->> '$.milestone', ''));
END;
CREATE TRIGGER search_comment AFTER INSERT ON comments BEGIN
    INSERT INTO search (rowid, kind, place, title, body)
    VALUES (new.id * 8 + 1, 'comment', new.feature, 'Comment by ' || new.author, new.text);
END;
CREATE TRIGGER search_decision AFTER INSERT ON events WHEN new.kind IN ('vote', 'approval') BEGIN
    INSERT INTO search (rowid, kind, place, title, body) VALUES (
        new.seq * 8 + 2, 'decision', coalesce(new.feature, ''), 'Decision by ' || new.actor,
        new.text || ' ' || coalesce(new.reason, ''));
END;
CREATE TRIGGER search_run AFTER UPDATE OF words, plan, ending ON runs BEGIN
    DELETE FROM search WHERE rowid = old.rowid * 8 + 3;
    INSERT INTO search (rowid, kind, place, title, body) VALUES (
        new.rowid * 8 + 3, 'run', new.id, 'Run ' || new.id || ' by ' || new.agent,
        coalesce(new.words, '') || ' ' || coalesce(new.plan, '') || ' ' || coalesce(new.ending ->> '$.reason', ''));
END;
CREATE TRIGGER search_document AFTER INSERT ON documents BEGIN
    INSERT INTO search (rowid, kind, place, title, body)
    VALUES (new.id * 8 + 4, 'document', new.repository || ':' || new.path, new.path, new.text);
END;
CREATE TRIGGER search_document_gone AFTER DELETE ON documents BEGIN
    DELETE FROM search WHERE rowid = old.id * 8 + 4;
END;
INSERT INTO search (rowid, kind, place, title, body)
    SELECT number * 8, 'feature', id, title, description || ' ' || labels FROM features;
INSERT INTO search (rowid, kind, place, title, body)
    SELECT rowid * 8 + 3, 'run', id, 'Run ' || id || ' by ' || agent, coalesce(words, '') FROM runs;
INSERT INTO search (rowid, kind, place, title, body)
    SELECT seq * 8 + 2, 'decision', coalesce(feature, ''), 'Decision by ' || actor, text
    FROM events WHERE kind IN ('vote', 'approval');
";

/// A push that was begun, so that one that a crash cut short is brought to its end before the next.
const V5: &str = "ALTER TABLE runs ADD COLUMN pushing TEXT;";

/// What was imported, by what it is known by in its file, so that a second import skips it.
const V6: &str = "
CREATE TABLE imports (
    reference TEXT PRIMARY KEY,
    feature TEXT NOT NULL
) WITHOUT ROWID;
";

/// Approvals that a person does not want to see before some time.
const V7: &str = "
CREATE TABLE snoozes (
    person TEXT NOT NULL,
    approval TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (person, approval)
) WITHOUT ROWID;
";

/// Beside the instance's own approvals: answers that were given, and requests that people were alerted of.
const V13: &str = "
CREATE TABLE answers (
    approval TEXT PRIMARY KEY REFERENCES approval_requests (id),
    answers TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE escalations (
    approval TEXT PRIMARY KEY REFERENCES approval_requests (id)
) WITHOUT ROWID;
";

/// What runs spent on models, and limits that people have raised: of a run, a day, a month, the instance. A feature's own
/// limits are in its details.
const SPENDING: &str = "
ALTER TABLE runs ADD COLUMN spent TEXT;
CREATE TABLE raises (
    of TEXT NOT NULL,
    unit TEXT NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (of, unit)
) WITHOUT ROWID;
";

/// Own approvals in the bot's channels: what it was told of those that have not ended, and the keys by which it signs.
const V14: &str = "
CREATE TABLE cards_up (
    approval TEXT PRIMARY KEY REFERENCES approval_requests (id),
    card TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE surface_keys (
    public BLOB PRIMARY KEY CHECK (length(public) = 32),
    revoked INTEGER NOT NULL
) WITHOUT ROWID;
";

/// What the bot is told beside the features: causes that are not over, the size of each change, what each day has cost. And what
/// it says: words about a run's work, answers about the fleet.
const REPORTS: &str = "
CREATE TABLE alerts (
    key TEXT PRIMARY KEY,
    text TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO alerts SELECT 'held:' || id, id || ' ' || title || ': ' || held || ' Needs a person.' FROM features
    WHERE held IS NOT NULL AND stage NOT IN ('done', 'cancelled');
ALTER TABLE runs ADD COLUMN change_size TEXT;
CREATE TABLE costs (
    day TEXT PRIMARY KEY,
    spent TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE feedback (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    about TEXT NOT NULL,
    text TEXT NOT NULL,
    at INTEGER NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX feedback_due ON feedback (run, at) WHERE taken = 0;
CREATE TABLE fleet_queries (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    answer TEXT
) WITHOUT ROWID;
";

/// What people ordered from afar, each once: a bot that was restored from a copy may tell it again, under another number.
const SAID: &str = "
CREATE TABLE said (
    id INTEGER PRIMARY KEY,
    words TEXT NOT NULL UNIQUE,
    epoch INTEGER NOT NULL
);
";

/// What was asked of the bot, for one that has forgotten it.
const REQUESTS: &str = "
ALTER TABLE forge_requests ADD COLUMN request TEXT;
";
