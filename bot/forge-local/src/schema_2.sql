-- Pull requests have drafts, labels and milestones as on GitHub; checks say more than how they ended.
ALTER TABLE pull_request ADD COLUMN draft INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pull_request ADD COLUMN milestone TEXT;
CREATE INDEX pull_request_milestone ON pull_request (repository, milestone) WHERE milestone IS NOT NULL;

ALTER TABLE check_run ADD COLUMN title TEXT;
ALTER TABLE check_run ADD COLUMN summary TEXT;

CREATE TABLE thread_label (
    repository TEXT NOT NULL,
    number INTEGER NOT NULL,
    label TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (repository, number, label),
    FOREIGN KEY (repository, number) REFERENCES thread,
    FOREIGN KEY (repository, label) REFERENCES label (repository, name)
) STRICT, WITHOUT ROWID;
INSERT INTO thread_label SELECT repository, number, label FROM issue_label;
DROP TABLE issue_label;
