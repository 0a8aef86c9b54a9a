-- Every call twice: as it was opened, and as it ended. Rows are only added.
CREATE TABLE entry (
    call INTEGER NOT NULL,
    closed INTEGER NOT NULL CHECK (closed IN (0, 1)),
    at INTEGER NOT NULL,             -- milliseconds since 1970
    day TEXT NOT NULL,               -- YYYY-MM-DD in the fleet's time zone
    run TEXT NOT NULL,
    provider TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    list TEXT NOT NULL,
    model TEXT NOT NULL,
    answered TEXT,
    reading TEXT NOT NULL CHECK (reading IN ('whole', 'partial', 'unknown')),
    counted TEXT,                    -- JSON, null when nothing was counted
    input INTEGER NOT NULL,          -- these are what is charged
    cached INTEGER NOT NULL,
    cache_write INTEGER NOT NULL,
    cache_write_hour INTEGER NOT NULL,
    output INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER,                    -- millionths of a dollar, null when the price is unknown
    outcome TEXT NOT NULL,
    detail TEXT,
    status INTEGER,
    attempts INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    first_byte_ms INTEGER,
    total_ms INTEGER NOT NULL,
    PRIMARY KEY (call, closed)
) WITHOUT ROWID;

CREATE TRIGGER entry_stays BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;
CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'entries are only added'); END;

-- What holds: the end where there is one.
CREATE VIEW call AS
SELECT * FROM entry AS one
WHERE closed = 1 OR NOT EXISTS (SELECT 1 FROM entry AS other WHERE other.call = one.call AND other.closed = 1);
