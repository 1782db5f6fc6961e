-- Makes the large tables partitioned by day, for servers without TimescaleDB; nothing where they are. A table that is there
-- becomes a partition itself, up to the end of today, so that no row is copied; what is later goes to the default partition.

CREATE OR REPLACE FUNCTION pg_temp.partition_by_day(table_name varchar) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    old varchar := table_name || '_before';
    named varchar;
    until timestamptz := ((now() AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC';
    has_rows boolean;
    grants varchar;
    views varchar[] := '{}';
    seen record;
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = table_name::regclass) = 'p' THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', table_name);
    -- Views of others go on to show the whole, not the rows of before alone.
    FOR seen IN
        SELECT DISTINCT pg_class.oid::regclass AS name, relkind FROM pg_depend
        JOIN pg_rewrite ON pg_rewrite.oid = objid AND classid = 'pg_rewrite'::regclass
        JOIN pg_class ON pg_class.oid = ev_class
        WHERE refobjid = table_name::regclass AND pg_class.oid <> refobjid
    LOOP
        IF seen.relkind = 'v' THEN
            views := views || format('CREATE OR REPLACE VIEW %s AS %s', seen.name, pg_get_viewdef(seen.name));
        ELSE
            RAISE WARNING '% keeps to the rows that % has now: drop it and make it again', seen.name, table_name;
        END IF;
    END LOOP;
    -- Rows that come later would break keys that were made for others.
    FOR named IN SELECT conname FROM pg_constraint WHERE conrelid = table_name::regclass AND contype IN ('p', 'u') LOOP
        EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', table_name, named);
    END LOOP;
    FOR named IN SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = table_name::regclass LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', named, named || '_before');
    END LOOP;
    SELECT coalesce(string_agg(format('GRANT %s ON %I TO %s', privilege_type, table_name, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END), '; '), '')
        INTO grants FROM pg_class, aclexplode(relacl) WHERE oid = table_name::regclass AND grantee <> relowner;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', table_name, old);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS) PARTITION BY RANGE (time)', table_name, old);
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', table_name || '_default', table_name);
    EXECUTE grants;
    EXECUTE format('WITH moved AS (DELETE FROM %I WHERE time >= %L RETURNING *) INSERT INTO %I SELECT * FROM moved', old, until, table_name || '_default');
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', old) INTO has_rows;
    IF has_rows THEN
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (MINVALUE) TO (%L)', table_name, old, until);
    END IF;
    FOREACH named IN ARRAY views LOOP
        EXECUTE named;
    END LOOP;
    IF NOT has_rows THEN
        EXECUTE format('DROP TABLE %I', old);
    END IF;
END
$$;

SELECT pg_temp.partition_by_day('tick_data');
SELECT pg_temp.partition_by_day('aggregated_data');
SELECT pg_temp.partition_by_day('technical_indicators');

-- A partition that has such an index keeps it as its part.
CREATE UNIQUE INDEX IF NOT EXISTS aggregated_data_key ON aggregated_data (symbol, window_duration, time);
CREATE UNIQUE INDEX IF NOT EXISTS technical_indicators_key ON technical_indicators (symbol, window_duration, time);
CREATE INDEX IF NOT EXISTS tick_data_by_symbol ON tick_data (symbol, time);
