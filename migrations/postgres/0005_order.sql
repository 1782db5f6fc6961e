-- Rows come in by time, so those of one symbol's day lie on as many pages as there are rows. Rewritten in the order of their
-- key they lie on a few, which is what a chart of that day reads.
--
-- Returns the partition that was rewritten; null when none is left, or somebody holds the next one. Only days that ended
-- a day ago, since the rewriting locks a partition for some seconds; one that is too large for that stays as it is.

CREATE FUNCTION tickwire_order(OUT part regclass)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    largest constant bigint := 256 * 1024 * 1024;
    key varchar;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('tickwire_order'), hashtext(current_schema())) THEN
        RETURN;
    END IF;
    SELECT bounds.part, pg_class.relname INTO part, key
    FROM (VALUES ('aggregated_data', 'aggregated_data_key'), ('technical_indicators', 'technical_indicators_key')) AS known (of_table, of_key)
    CROSS JOIN LATERAL tickwire_bounds(to_regclass(known.of_table)) AS bounds
    JOIN pg_index ON indrelid = bounds.part AND NOT indisclustered
    JOIN pg_inherits ON inhrelid = indexrelid AND inhparent = to_regclass(known.of_key)
    JOIN pg_class ON pg_class.oid = indexrelid
    WHERE bounds.to_time <= now() - interval '1 day' AND pg_relation_size(bounds.part) BETWEEN 1 AND largest
    ORDER BY bounds.to_time DESC
    LIMIT 1;
    IF part IS NOT NULL THEN
        EXECUTE format('CLUSTER %s USING %I', part, key);
        EXECUTE format('ANALYZE %s', part);
    END IF;
EXCEPTION WHEN lock_not_available THEN
    part := NULL;
END
$$;
