-- The log is kept in parts: tables `log_NNNNNN` and `runs_NNNNNN`, which the program makes and drops. Dropping a
-- whole table is the cheap way to forget; an index on the entries would cost more than the entries.

CREATE TABLE parts (
    number    INTEGER PRIMARY KEY,
    -- Every position in the part is at or after this one.
    first_pos INTEGER NOT NULL,
    -- Nanoseconds UTC on the wall clock.
    created   INTEGER NOT NULL,
    finished  INTEGER
) STRICT;

-- A block is a stretch of the log whose ticks are indexed by symbol in `runs_NNNNNN`. The last, unfinished one is
-- kept in memory.
CREATE TABLE blocks (
    first_pos INTEGER PRIMARY KEY,
    last_pos  INTEGER NOT NULL,
    part      INTEGER NOT NULL,
    entries   INTEGER NOT NULL,
    -- Event times of its ticks; nothing where it has none.
    ts_min    INTEGER,
    ts_max    INTEGER,
    -- The newest event time that any of its entries knows.
    newest    INTEGER
) STRICT;
