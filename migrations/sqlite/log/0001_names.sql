-- What the log is called, and the names that its integers stand for.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Names the log for ever, so that a position of another log is never taken for one of this.
INSERT INTO meta (key, value) VALUES ('epoch', random());

CREATE TABLE symbols (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    price_scale INTEGER NOT NULL,
    size_scale  INTEGER NOT NULL,
    asset_class TEXT NOT NULL
) STRICT;

CREATE TABLE sources (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
