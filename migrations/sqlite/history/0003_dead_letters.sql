-- What was not accepted. Entries are known by their place in the log, other input by where it stood; so a repeat
-- adds nothing.

CREATE TABLE dead_letters (
    id          INTEGER PRIMARY KEY,
    reason      TEXT NOT NULL,
    symbol      TEXT,
    provider    TEXT NOT NULL,
    -- Nanoseconds UTC.
    received_at INTEGER NOT NULL,
    payload     TEXT NOT NULL,
    pos         INTEGER,
    origin      TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX dead_letters_by_pos ON dead_letters (pos) WHERE pos IS NOT NULL;
CREATE UNIQUE INDEX dead_letters_by_origin ON dead_letters (provider, origin) WHERE pos IS NULL AND origin <> '';
CREATE INDEX dead_letters_by_time ON dead_letters (received_at);
