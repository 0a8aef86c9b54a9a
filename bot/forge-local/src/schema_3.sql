-- Checks remark on lines.

ALTER TABLE check_run ADD COLUMN annotations TEXT NOT NULL DEFAULT '[]';
