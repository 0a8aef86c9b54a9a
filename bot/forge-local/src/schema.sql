CREATE TABLE repository (
    name TEXT NOT NULL PRIMARY KEY,
    target TEXT NOT NULL,
    source TEXT
) STRICT, WITHOUT ROWID;

-- What pull requests and issues share, first of all their numbers.
CREATE TABLE thread (
    repository TEXT NOT NULL REFERENCES repository,
    number INTEGER NOT NULL CHECK (number > 0),
    kind TEXT NOT NULL CHECK (kind IN ('pull_request', 'issue')),
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    marker TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    PRIMARY KEY (repository, number),
    UNIQUE (repository, kind, marker)
) STRICT, WITHOUT ROWID;

-- head: where the branch stood when it was last written down; read from git while the pull request is open.
CREATE TABLE pull_request (
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    branch TEXT NOT NULL,
    target TEXT NOT NULL,
    head TEXT NOT NULL,
    merged TEXT,
    PRIMARY KEY (repository, number),
    FOREIGN KEY (repository, number) REFERENCES thread
) STRICT, WITHOUT ROWID;

-- A commit that is about to become a target branch. At most one per repository.
CREATE TABLE merge_intent (
    repository TEXT NOT NULL PRIMARY KEY,
    number INTEGER NOT NULL,
    head TEXT NOT NULL,
    made TEXT NOT NULL,
    FOREIGN KEY (repository, number) REFERENCES pull_request
) STRICT, WITHOUT ROWID;

CREATE TABLE check_run (
    repository TEXT NOT NULL REFERENCES repository,
    commit_id TEXT NOT NULL,
    name TEXT NOT NULL,
    conclusion TEXT NOT NULL CHECK (conclusion IN ('pending', 'success', 'failure')),
    PRIMARY KEY (repository, commit_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE comment (
    id INTEGER PRIMARY KEY,
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    marker TEXT NOT NULL,
    body TEXT NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (repository, number, marker),
    FOREIGN KEY (repository, number) REFERENCES thread
) STRICT;

CREATE TABLE milestone (
    repository TEXT NOT NULL REFERENCES repository,
    title TEXT NOT NULL,
    closed_at INTEGER,
    PRIMARY KEY (repository, title)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue (
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    milestone TEXT,
    PRIMARY KEY (repository, number),
    FOREIGN KEY (repository, number) REFERENCES thread,
    FOREIGN KEY (repository, milestone) REFERENCES milestone
) STRICT, WITHOUT ROWID;
CREATE INDEX issue_milestone ON issue (repository, milestone);

-- "Bug" and "bug" are one label, as on GitHub.
CREATE TABLE label (
    repository TEXT NOT NULL REFERENCES repository,
    name TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (repository, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue_label (
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    label TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (repository, number, label),
    FOREIGN KEY (repository, number) REFERENCES issue,
    FOREIGN KEY (repository, label) REFERENCES label (repository, name)
) STRICT, WITHOUT ROWID;
