-- Bars of an hour and of a day UTC, made of those of a minute. A minute's `time` is its end, so a bucket begins a minute after
-- the hour: it holds the minutes that end from then up to the next hour, and `window_start` and `window_end` say of which
-- minutes it is made.
--
-- The policies look back less far than rows are kept: to refresh what was dropped would empty it here too.

CREATE MATERIALIZED VIEW IF NOT EXISTS aggregated_1h_utc WITH (timescaledb.continuous) AS
SELECT
    time_bucket(INTERVAL '1 hour', time, "offset" => INTERVAL '1 minute') AS bucket,
    symbol,
    min(window_start) AS window_start,
    max(window_end) AS window_end,
    first(open, time) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, time) AS close,
    sum(volume) AS volume,
    sum(vwap * volume) / nullif(sum(volume), 0) AS vwap,
    sum(trade_count) AS trade_count
FROM aggregated_data
WHERE window_duration = '1min'
GROUP BY bucket, symbol
WITH NO DATA;

CREATE MATERIALIZED VIEW IF NOT EXISTS aggregated_1d_utc WITH (timescaledb.continuous) AS
SELECT
    time_bucket(INTERVAL '1 day', time, "offset" => INTERVAL '1 minute') AS bucket,
    symbol,
    min(window_start) AS window_start,
    max(window_end) AS window_end,
    first(open, time) AS open,
    max(high) AS high,
    min(low) AS low,
    last(close, time) AS close,
    sum(volume) AS volume,
    sum(vwap * volume) / nullif(sum(volume), 0) AS vwap,
    sum(trade_count) AS trade_count
FROM aggregated_data
WHERE window_duration = '1min'
GROUP BY bucket, symbol
WITH NO DATA;

SELECT add_continuous_aggregate_policy('aggregated_1h_utc', start_offset => INTERVAL '3 days', end_offset => INTERVAL '1 hour',
    schedule_interval => INTERVAL '30 minutes', if_not_exists => true);
SELECT add_continuous_aggregate_policy('aggregated_1d_utc', start_offset => INTERVAL '7 days', end_offset => INTERVAL '1 day',
    schedule_interval => INTERVAL '6 hours', if_not_exists => true);
