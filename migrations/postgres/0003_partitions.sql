-- Keeps the partitions and the retention. The service's role owns nothing and calls this: it makes the partitions of the
-- coming days and of those that are asked for, and drops what is past its retention.
--
-- Where the tables are hypertables their own policies do both, and this only deletes from what is small.

CREATE FUNCTION tickwire_partitions(wanted date[] DEFAULT '{}', OUT made integer, OUT dropped integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    today constant date := (now() AT TIME ZONE 'UTC')::date;
    of_table regclass;
    kept interval;
    day date;
    part varchar;
    default_part varchar;
    begins timestamptz;
    ends timestamptz;
    old record;
BEGIN
    made := 0;
    dropped := 0;
    -- One at a time: two callers would make the same partition.
    PERFORM pg_advisory_xact_lock(hashtext('tickwire_partitions'), hashtext(current_schema()));
    FOR of_table, kept IN
        SELECT known.table_name::regclass, settings.value::interval
        FROM (VALUES ('tick_data', 'retention_ticks'), ('aggregated_data', 'retention_bars'), ('technical_indicators', 'retention_bars')) AS known (table_name, setting)
        JOIN tickwire_settings AS settings ON settings.name = known.setting
        JOIN pg_class ON pg_class.oid = known.table_name::regclass
        WHERE relkind = 'p'
    LOOP
        default_part := quote_ident((SELECT relname FROM pg_class WHERE oid = of_table) || '_default');
        FOR day IN
            SELECT DISTINCT listed::date FROM (
                SELECT generate_series(today - 1, today + 7, interval '1 day') AS listed
                UNION ALL SELECT unnest(wanted)
            ) AS days
            -- What is far from now is a wrong clock, and stays in the default partition.
            WHERE listed BETWEEN now() - kept - interval '1 day' AND today + 30
            ORDER BY 1
        LOOP
            part := (SELECT relname FROM pg_class WHERE oid = of_table) || '_' || to_char(day, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(quote_ident(part)) IS NOT NULL;
            begins := day::timestamp AT TIME ZONE 'UTC';
            ends := (day + 1)::timestamp AT TIME ZONE 'UTC';
            -- Rows of a day that is another partition's already, as those that were taken over are.
            CONTINUE WHEN EXISTS (
                SELECT 1 FROM tickwire_bounds(of_table) AS bounds
                WHERE bounds.from_time < ends AND begins < bounds.to_time
            );
            EXECUTE format('CREATE TABLE %I (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, of_table);
            EXECUTE format('WITH moved AS (DELETE FROM %s WHERE time >= %L AND time < %L RETURNING *) INSERT INTO %I SELECT * FROM moved', default_part, begins, ends, part);
            EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', of_table, part, begins, ends);
            made := made + 1;
        END LOOP;
        FOR old IN SELECT bounds.part FROM tickwire_bounds(of_table) AS bounds WHERE bounds.to_time <= now() - kept LOOP
            EXECUTE format('DROP TABLE %s', old.part);
            dropped := dropped + 1;
        END LOOP;
        EXECUTE format('DELETE FROM %s WHERE time < %L', default_part, now() - kept);
    END LOOP;
    SELECT value::interval INTO kept FROM tickwire_settings WHERE name = 'retention_bars';
    IF FOUND THEN
        DELETE FROM void_bars WHERE time < now() - kept;
        DELETE FROM anomalies WHERE time < now() - kept;
        DELETE FROM predictions WHERE time < now() - kept;
        DELETE FROM alerts WHERE time < now() - kept;
        DELETE FROM dead_letters WHERE received_ns < extract(epoch FROM now() - kept) * 1000000000;
    END IF;
END
$$;

-- Returns the partitions of a table with their bounds; without the default one.
CREATE FUNCTION tickwire_bounds(of_table regclass, OUT part regclass, OUT from_time timestamptz, OUT to_time timestamptz) RETURNS SETOF record
LANGUAGE sql STABLE AS $$
    SELECT child, coalesce(bounds[1]::timestamptz, '-infinity'), coalesce(bounds[2]::timestamptz, 'infinity')
    FROM (
        SELECT oid::regclass AS child, regexp_match(pg_get_expr(relpartbound, oid), 'FROM \((?:''([^'']*)''|MINVALUE)\) TO \((?:''([^'']*)''|MAXVALUE)\)') AS bounds
        FROM pg_class JOIN pg_inherits ON inhrelid = oid
        WHERE inhparent = of_table
    ) AS parts
    WHERE bounds IS NOT NULL
$$;
