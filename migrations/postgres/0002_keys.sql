-- One row a key: of bars that are there twice the one with the higher trade count stays, then the one with the higher
-- volume; of indicators the one that knows more, then the later one. `migrate --dry-run` says how many go.

UPDATE aggregated_data SET window_duration = CASE
        WHEN window_start IS NULL THEN '1min'
        WHEN extract(epoch FROM time - window_start)::bigint % 86400 = 0 THEN extract(epoch FROM time - window_start)::bigint / 86400 || 'd'
        WHEN extract(epoch FROM time - window_start)::bigint % 3600 = 0 THEN extract(epoch FROM time - window_start)::bigint / 3600 || 'h'
        WHEN extract(epoch FROM time - window_start)::bigint % 60 = 0 THEN extract(epoch FROM time - window_start)::bigint / 60 || 'min'
        ELSE extract(epoch FROM time - window_start)::bigint || 's'
    END
WHERE window_duration IS NULL;

-- As rows of now have it.
UPDATE aggregated_data SET window_end = time WHERE window_end IS NULL;
UPDATE aggregated_data SET window_start = time - window_duration::interval
WHERE window_start IS NULL AND window_duration ~ '^[0-9]+(ms|s|min|h|d)$';
UPDATE technical_indicators SET window_duration = '1min' WHERE window_duration IS NULL;
UPDATE aggregated_data SET log_pos = 0 WHERE log_pos IS NULL;
UPDATE technical_indicators SET log_pos = 0 WHERE log_pos IS NULL;

DELETE FROM aggregated_data AS bars USING (
    SELECT tableoid AS of_table, ctid AS place, row_number() OVER (
        PARTITION BY symbol, window_duration, time
        ORDER BY trade_count DESC NULLS LAST, volume DESC NULLS LAST, ctid DESC
    ) AS nth FROM aggregated_data
) AS ranked
WHERE ranked.nth > 1 AND bars.ctid = ranked.place AND bars.tableoid = ranked.of_table;

DELETE FROM technical_indicators AS points USING (
    SELECT tableoid AS of_table, ctid AS place, row_number() OVER (
        PARTITION BY symbol, window_duration, time
        ORDER BY num_nonnulls(sma_20, sma_50, sma_200, ema_12, ema_26, rsi, macd, macd_signal, macd_histogram, bb_upper, bb_middle, bb_lower) DESC,
            ctid DESC
    ) AS nth FROM technical_indicators
) AS ranked
WHERE ranked.nth > 1 AND points.ctid = ranked.place AND points.tableoid = ranked.of_table;

CREATE UNIQUE INDEX aggregated_data_key ON aggregated_data (symbol, window_duration, time);
CREATE UNIQUE INDEX technical_indicators_key ON technical_indicators (symbol, window_duration, time);
CREATE INDEX tick_data_by_symbol ON tick_data (symbol, time);

-- What was never told is taken for the usual: 9 decimals of prices, 8 of sizes.
INSERT INTO symbols
SELECT symbol, 9, 8, 'unknown' FROM (
    SELECT symbol FROM aggregated_data UNION SELECT symbol FROM tick_data UNION SELECT symbol FROM technical_indicators
) AS known
ON CONFLICT DO NOTHING;
