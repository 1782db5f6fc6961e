-- Drops chunks that are older than `postgres.retention_ticks` and `postgres.retention_bars`.

DO $$
DECLARE
    kept record;
BEGIN
    FOR kept IN
        SELECT known.table_name, settings.value::interval AS span
        FROM (VALUES ('tick_data', 'retention_ticks'), ('aggregated_data', 'retention_bars'), ('technical_indicators', 'retention_bars')) AS known (table_name, setting)
        JOIN tickwire_settings AS settings ON settings.name = known.setting
    LOOP
        PERFORM remove_retention_policy(kept.table_name::regclass, if_exists => true);
        PERFORM add_retention_policy(kept.table_name::regclass, drop_after => kept.span, if_not_exists => true);
    END LOOP;
END
$$;
