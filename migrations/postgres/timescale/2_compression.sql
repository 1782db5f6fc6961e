-- Compresses chunks that are older than `postgres.compress_after`. A table that is compressed already keeps its way.

DO $$
DECLARE
    compressed record;
BEGIN
    FOR compressed IN
        SELECT hypertable_name AS name, compression_enabled AS is_on,
            CASE hypertable_name WHEN 'tick_data' THEN 'symbol' ELSE 'symbol, window_duration' END AS segments
        FROM timescaledb_information.hypertables
        WHERE hypertable_schema = current_schema() AND hypertable_name IN ('tick_data', 'aggregated_data', 'technical_indicators')
    LOOP
        IF NOT compressed.is_on THEN
            EXECUTE format('ALTER TABLE %I SET (timescaledb.compress, timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
                compressed.name, compressed.segments, 'time DESC');
        END IF;
        PERFORM remove_compression_policy(compressed.name::regclass, if_exists => true);
        PERFORM add_compression_policy(compressed.name::regclass,
            compress_after => (SELECT value::interval FROM tickwire_settings WHERE name = 'compress_after'), if_not_exists => true);
    END LOOP;
END
$$;
