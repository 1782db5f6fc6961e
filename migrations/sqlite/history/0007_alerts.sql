-- What alerts are decided on and sent from. Times are nanoseconds UTC; `body` is JSON. The columns beside it are what is
-- looked for.

-- Anomalies that were written and not decided on, and incidents that somebody sees to.
CREATE TABLE alert_inbox (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    anomaly_id      TEXT NOT NULL,
    time            INTEGER NOT NULL,
    -- NULL of an anomaly.
    acknowledged_by TEXT
) STRICT;

CREATE TABLE incident_rows (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    time         INTEGER NOT NULL,
    symbol       TEXT NOT NULL,
    anomaly_type TEXT NOT NULL,
    severity     TEXT NOT NULL,
    state        TEXT NOT NULL,
    changed      INTEGER NOT NULL,
    sent         INTEGER,
    -- 1 while nothing more is to be done about it.
    is_done      INTEGER NOT NULL,
    body         TEXT NOT NULL,
    checksum     INTEGER
) STRICT;

CREATE INDEX incident_rows_by_time ON incident_rows (time, number);
CREATE INDEX incident_rows_by_symbol ON incident_rows (symbol, time, number);
CREATE INDEX incident_rows_by_state ON incident_rows (state, time, number);
CREATE INDEX incident_rows_to_do ON incident_rows (number) WHERE is_done = 0;
CREATE INDEX incident_rows_by_sent ON incident_rows (sent) WHERE sent IS NOT NULL;

CREATE VIEW incidents AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000000, 'unixepoch') || printf('.%06dZ', time % 1000000000 / 1000) AS time,
    id, symbol, anomaly_type, severity, state, body
FROM incident_rows;

CREATE TABLE silence_rows (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    start_time INTEGER NOT NULL,
    end_time   INTEGER NOT NULL,
    body       TEXT NOT NULL,
    checksum   INTEGER
) STRICT;

CREATE INDEX silence_rows_by_end ON silence_rows (end_time);

-- Messages. A row is there before it is tried, and marked when the channel has answered.
CREATE TABLE outgoing_rows (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    channel     TEXT NOT NULL,
    decided     INTEGER NOT NULL,
    -- waiting, sent or failed.
    state       TEXT NOT NULL,
    due         INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    body        TEXT NOT NULL,
    checksum    INTEGER
) STRICT;

CREATE INDEX outgoing_rows_waiting ON outgoing_rows (due) WHERE state = 'waiting';
CREATE INDEX outgoing_rows_by_decided ON outgoing_rows (decided);

CREATE INDEX alert_rows_by_anomaly ON alert_rows (anomaly_id, time, number);
