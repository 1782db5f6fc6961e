-- Bars as scaled integers, exact; `aggregated_data` shows them as people read them.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE symbols (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    price_scale INTEGER NOT NULL,
    size_scale  INTEGER NOT NULL,
    asset_class TEXT NOT NULL
) STRICT;

CREATE TABLE bars (
    symbol      INTEGER NOT NULL,
    -- Nanoseconds.
    width       INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    open        INTEGER NOT NULL,
    high        INTEGER NOT NULL,
    low         INTEGER NOT NULL,
    close       INTEGER NOT NULL,
    -- TEXT where it does not fit an INTEGER.
    volume      ANY NOT NULL,
    -- 9 decimals, whatever the symbol's price scale.
    vwap        INTEGER,
    trade_count INTEGER NOT NULL,
    state       TEXT NOT NULL,
    revision    INTEGER NOT NULL,
    coverage    REAL NOT NULL,
    late        INTEGER NOT NULL,
    duplicates  INTEGER NOT NULL,
    cancelled   INTEGER NOT NULL,
    seq         INTEGER NOT NULL,
    log_pos     INTEGER NOT NULL,
    PRIMARY KEY (symbol, width, start)
) STRICT, WITHOUT ROWID;

CREATE VIEW aggregated_data AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', (bars.start + bars.width) / 1000000000, 'unixepoch')
        || printf('.%06dZ', (bars.start + bars.width) % 1000000000 / 1000) AS time,
    symbols.name AS symbol,
    strftime('%Y-%m-%dT%H:%M:%S', bars.start / 1000000000, 'unixepoch')
        || printf('.%06dZ', bars.start % 1000000000 / 1000) AS window_start,
    strftime('%Y-%m-%dT%H:%M:%S', (bars.start + bars.width) / 1000000000, 'unixepoch')
        || printf('.%06dZ', (bars.start + bars.width) % 1000000000 / 1000) AS window_end,
    CASE
        WHEN bars.width % 86400000000000 = 0 THEN (bars.width / 86400000000000) || 'd'
        WHEN bars.width % 3600000000000 = 0 THEN (bars.width / 3600000000000) || 'h'
        WHEN bars.width % 60000000000 = 0 THEN (bars.width / 60000000000) || 'min'
        WHEN bars.width % 1000000000 = 0 THEN (bars.width / 1000000000) || 's'
        WHEN bars.width % 1000000 = 0 THEN (bars.width / 1000000) || 'ms'
        ELSE (bars.width) || 'ns'
    END AS window_duration,
    bars.open / CAST('1e' || symbols.price_scale AS REAL) AS open,
    bars.high / CAST('1e' || symbols.price_scale AS REAL) AS high,
    bars.low / CAST('1e' || symbols.price_scale AS REAL) AS low,
    bars.close / CAST('1e' || symbols.price_scale AS REAL) AS close,
    CAST(bars.volume AS REAL) / CAST('1e' || symbols.size_scale AS REAL) AS volume,
    bars.vwap / 1e9 AS vwap,
    bars.trade_count AS trade_count,
    bars.state AS state,
    bars.revision AS revision,
    bars.coverage AS coverage,
    bars.log_pos AS log_pos
FROM bars
JOIN symbols ON symbols.id = bars.symbol
WHERE bars.state <> 'void';
