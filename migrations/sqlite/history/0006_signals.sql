-- Anomalies, predictions and alerts. `number` tells rows of one time apart, and stays with its row; times are nanoseconds
-- UTC, in whole microseconds. The views show the same as people read it, and as other databases hold it.

CREATE TABLE anomaly_rows (
    number         INTEGER PRIMARY KEY AUTOINCREMENT,
    id             TEXT NOT NULL UNIQUE,
    time           INTEGER NOT NULL,
    symbol         TEXT NOT NULL,
    anomaly_type   TEXT NOT NULL,
    severity       TEXT NOT NULL,
    description    TEXT NOT NULL,
    current_value  REAL,
    expected_value REAL,
    threshold      REAL,
    -- A JSON object.
    metadata       TEXT NOT NULL,
    state          TEXT NOT NULL,
    log_pos        INTEGER NOT NULL,
    checksum       INTEGER
) STRICT;

CREATE INDEX anomaly_rows_by_time ON anomaly_rows (time, number);
CREATE INDEX anomaly_rows_by_symbol ON anomaly_rows (symbol, time, number);

CREATE VIEW anomalies AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000000, 'unixepoch') || printf('.%06dZ', time % 1000000000 / 1000) AS time,
    symbol, anomaly_type, severity, description, current_value, expected_value, threshold, metadata, id, state, log_pos
FROM anomaly_rows;

-- The first of a key stays; only the price that came is added, once.
CREATE TABLE prediction_rows (
    number               INTEGER PRIMARY KEY AUTOINCREMENT,
    time                 INTEGER NOT NULL,
    symbol               TEXT NOT NULL,
    current_price        REAL NOT NULL,
    predicted_price      REAL NOT NULL,
    confidence           REAL NOT NULL,
    time_horizon_minutes INTEGER NOT NULL,
    model_version        TEXT NOT NULL,
    lower                REAL,
    upper                REAL,
    abstained            INTEGER NOT NULL,
    actual_price         REAL,
    skill                REAL,
    checksum             INTEGER,
    UNIQUE (symbol, time_horizon_minutes, time, model_version)
) STRICT;

CREATE INDEX prediction_rows_by_symbol ON prediction_rows (symbol, time, number);
CREATE INDEX prediction_rows_by_time ON prediction_rows (time);

CREATE VIEW predictions AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000000, 'unixepoch') || printf('.%06dZ', time % 1000000000 / 1000) AS time,
    symbol, current_price, predicted_price, confidence, time_horizon_minutes, model_version, lower, upper, abstained,
    actual_price, skill
FROM prediction_rows;

CREATE TABLE alert_rows (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    time         INTEGER NOT NULL,
    symbol       TEXT NOT NULL,
    anomaly_type TEXT NOT NULL,
    severity     TEXT NOT NULL,
    channel      TEXT NOT NULL,
    status       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    attempts     INTEGER NOT NULL,
    anomaly_id   TEXT NOT NULL,
    checksum     INTEGER
) STRICT;

CREATE INDEX alert_rows_by_time ON alert_rows (time, number);
CREATE INDEX alert_rows_by_symbol ON alert_rows (symbol, time, number);

CREATE VIEW alerts AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', time / 1000000000, 'unixepoch') || printf('.%06dZ', time % 1000000000 / 1000) AS time,
    id, symbol, anomaly_type, severity, channel, status, reason, attempts, anomaly_id
FROM alert_rows;
