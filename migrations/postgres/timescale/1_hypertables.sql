-- Makes the large tables hypertables with chunks of a day; nothing where they are. Rows that are there move into chunks.

SELECT create_hypertable('tick_data', 'time', chunk_time_interval => INTERVAL '1 day', migrate_data => true, if_not_exists => true);
SELECT create_hypertable('aggregated_data', 'time', chunk_time_interval => INTERVAL '1 day', migrate_data => true, if_not_exists => true);
SELECT create_hypertable('technical_indicators', 'time', chunk_time_interval => INTERVAL '1 day', migrate_data => true, if_not_exists => true);
