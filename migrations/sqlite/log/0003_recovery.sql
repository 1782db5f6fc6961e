-- What a restart goes on from.

CREATE TABLE progress (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE poison (
    pos INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE point_sets (
    slice   INTEGER NOT NULL,
    good_to INTEGER NOT NULL,
    context BLOB NOT NULL,
    PRIMARY KEY (slice, good_to)
) STRICT, WITHOUT ROWID;

CREATE TABLE points (
    symbol INTEGER NOT NULL,
    pos    INTEGER NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (symbol, pos)
) STRICT;
