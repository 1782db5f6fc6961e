-- A row without a close stands for the indicators of a void bar: it keeps its place by `log_pos`, so that older
-- indicators that come again do not come back.

CREATE TABLE indicators (
    symbol         INTEGER NOT NULL,
    -- Nanoseconds.
    width          INTEGER NOT NULL,
    start          INTEGER NOT NULL,
    close          INTEGER,
    -- 9 decimals, whatever the symbol's price scale.
    vwap           INTEGER,
    sma_20         REAL,
    sma_50         REAL,
    sma_200        REAL,
    ema_12         REAL,
    ema_26         REAL,
    rsi_14         REAL,
    macd           REAL,
    macd_signal    REAL,
    macd_histogram REAL,
    bb_upper       REAL,
    bb_middle      REAL,
    bb_lower       REAL,
    log_pos        INTEGER NOT NULL,
    PRIMARY KEY (symbol, width, start)
) STRICT, WITHOUT ROWID;

CREATE VIEW technical_indicators AS
SELECT
    strftime('%Y-%m-%dT%H:%M:%S', (indicators.start + indicators.width) / 1000000000, 'unixepoch')
        || printf('.%06dZ', (indicators.start + indicators.width) % 1000000000 / 1000) AS time,
    symbols.name AS symbol,
    indicators.sma_20 AS sma_20,
    indicators.sma_50 AS sma_50,
    indicators.sma_200 AS sma_200,
    indicators.ema_12 AS ema_12,
    indicators.ema_26 AS ema_26,
    indicators.rsi_14 AS rsi,
    indicators.macd AS macd,
    indicators.macd_signal AS macd_signal,
    indicators.macd_histogram AS macd_histogram,
    indicators.bb_upper AS bb_upper,
    indicators.bb_middle AS bb_middle,
    indicators.bb_lower AS bb_lower,
    CASE
        WHEN indicators.width % 86400000000000 = 0 THEN (indicators.width / 86400000000000) || 'd'
        WHEN indicators.width % 3600000000000 = 0 THEN (indicators.width / 3600000000000) || 'h'
        WHEN indicators.width % 60000000000 = 0 THEN (indicators.width / 60000000000) || 'min'
        WHEN indicators.width % 1000000000 = 0 THEN (indicators.width / 1000000000) || 's'
        WHEN indicators.width % 1000000 = 0 THEN (indicators.width / 1000000) || 'ms'
        ELSE (indicators.width) || 'ns'
    END AS window_duration,
    indicators.vwap / 1e9 AS vwap,
    indicators.log_pos AS log_pos
FROM indicators
JOIN symbols ON symbols.id = indicators.symbol
WHERE indicators.close IS NOT NULL;
