-- The tables, where they are not there: columns that users have known from before first, others behind them. A table that
-- is there keeps its rows and gets the columns that it lacks. How tables are partitioned stands apart, in `native` and
-- `timescale`.
--
-- Prices and volumes are of double precision, for people and their SQL. What a double does not give back to the last digit
-- stands in `exact` beside it, as scaled integers; of nearly all rows that is nothing.

CREATE TABLE IF NOT EXISTS tick_data (
    time      timestamptz NOT NULL,
    symbol    varchar NOT NULL,
    price     double precision,
    volume    double precision,
    tick_type varchar,
    bid       double precision,
    ask       double precision,
    bid_size  double precision,
    ask_size  double precision,
    exchange  varchar,
    metadata  jsonb
);

CREATE TABLE IF NOT EXISTS aggregated_data (
    -- The end of the window.
    time            timestamptz NOT NULL,
    symbol          varchar NOT NULL,
    window_start    timestamptz,
    window_end      timestamptz,
    window_duration varchar,
    open            double precision,
    high            double precision,
    low             double precision,
    close           double precision,
    volume          double precision,
    vwap            double precision,
    trade_count     bigint
);

CREATE TABLE IF NOT EXISTS technical_indicators (
    -- The end of the window.
    time           timestamptz NOT NULL,
    symbol         varchar NOT NULL,
    sma_20         double precision,
    sma_50         double precision,
    sma_200        double precision,
    ema_12         double precision,
    ema_26         double precision,
    rsi            double precision,
    macd           double precision,
    macd_signal    double precision,
    macd_histogram double precision,
    bb_upper       double precision,
    bb_middle      double precision,
    bb_lower       double precision
);

CREATE TABLE IF NOT EXISTS anomalies (
    time           timestamptz NOT NULL,
    symbol         varchar NOT NULL,
    anomaly_type   varchar,
    severity       varchar,
    description    varchar,
    current_value  double precision,
    expected_value double precision,
    threshold      double precision,
    metadata       jsonb
);

CREATE TABLE IF NOT EXISTS predictions (
    time                 timestamptz NOT NULL,
    symbol               varchar NOT NULL,
    current_price        double precision,
    predicted_price      double precision,
    confidence           double precision,
    time_horizon_minutes integer,
    model_version        varchar
);

-- Gives a table a column, or the column its type: integers of before become wider, and texts lose their limit. Nothing
-- where it is so already, since a hypertable that is compressed takes few changes.
CREATE FUNCTION pg_temp.have_column(of_table regclass, named name, typed regtype) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    here pg_attribute;
BEGIN
    SELECT * INTO here FROM pg_attribute
    WHERE attrelid = of_table AND attname = named AND attnum > 0 AND NOT attisdropped;
    IF NOT FOUND THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', of_table, named, typed);
    ELSIF here.atttypid <> typed OR here.atttypmod <> -1 THEN
        BEGIN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s', of_table, named, typed) || CASE
                WHEN typed = 'jsonb'::regtype THEN format(' USING %I::text::jsonb', named)
                -- A naive time is UTC.
                WHEN here.atttypid = 'timestamp'::regtype THEN format(' USING %I AT TIME ZONE ''UTC''', named)
                ELSE ''
            END;
        EXCEPTION WHEN feature_not_supported THEN
            -- Values are converted on their way in; those that do not fit become dead letters.
            RAISE WARNING 'column % of % stays % instead of %: %', named, of_table, format_type(here.atttypid, here.atttypmod), typed, SQLERRM;
        END;
    END IF;
END
$$;

DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('tick_data', 'time', 'timestamptz'), ('tick_data', 'symbol', 'varchar'),
            ('tick_data', 'price', 'double precision'), ('tick_data', 'volume', 'double precision'),
            ('tick_data', 'tick_type', 'varchar'), ('tick_data', 'bid', 'double precision'),
            ('tick_data', 'ask', 'double precision'), ('tick_data', 'bid_size', 'double precision'),
            ('tick_data', 'ask_size', 'double precision'), ('tick_data', 'exchange', 'varchar'),
            ('tick_data', 'metadata', 'jsonb'),
            ('tick_data', 'trade_id', 'varchar'), ('tick_data', 'ref_trade_id', 'varchar'),
            -- Accepted trades of the symbol, this one included; nothing of a cancel.
            ('tick_data', 'seq', 'bigint'),
            ('tick_data', 'updates', 'varchar'), ('tick_data', 'provider', 'varchar'),
            ('tick_data', 'conditions', 'varchar'), ('tick_data', 'received_at', 'timestamptz'),
            -- The event time, exact, in nanoseconds since 1970.
            ('tick_data', 'ts_ns', 'bigint'), ('tick_data', 'log_pos', 'bigint'),
            -- The venue's own number of the trade.
            ('tick_data', 'venue_seq', 'bigint'),
            -- Price and volume as scaled integers, with a comma between.
            ('tick_data', 'exact', 'varchar'),

            ('aggregated_data', 'time', 'timestamptz'), ('aggregated_data', 'symbol', 'varchar'),
            ('aggregated_data', 'window_start', 'timestamptz'), ('aggregated_data', 'window_end', 'timestamptz'),
            ('aggregated_data', 'window_duration', 'varchar'),
            ('aggregated_data', 'open', 'double precision'), ('aggregated_data', 'high', 'double precision'),
            ('aggregated_data', 'low', 'double precision'), ('aggregated_data', 'close', 'double precision'),
            ('aggregated_data', 'volume', 'double precision'), ('aggregated_data', 'vwap', 'double precision'),
            ('aggregated_data', 'trade_count', 'bigint'),
            ('aggregated_data', 'state', 'varchar'), ('aggregated_data', 'revision', 'bigint'),
            ('aggregated_data', 'coverage', 'double precision'), ('aggregated_data', 'log_pos', 'bigint'),
            ('aggregated_data', 'late', 'bigint'), ('aggregated_data', 'duplicates', 'bigint'),
            ('aggregated_data', 'cancelled', 'bigint'),
            -- trades, quotes or vendor: what the bar is made of.
            ('aggregated_data', 'origin', 'varchar'),
            -- Closed, amended and void bars of the symbol and window so far.
            ('aggregated_data', 'seq', 'bigint'),
            -- Open, high, low, close, volume and vwap as scaled integers, with commas between; no vwap is empty.
            ('aggregated_data', 'exact', 'varchar'),

            ('technical_indicators', 'time', 'timestamptz'), ('technical_indicators', 'symbol', 'varchar'),
            ('technical_indicators', 'sma_20', 'double precision'), ('technical_indicators', 'sma_50', 'double precision'),
            ('technical_indicators', 'sma_200', 'double precision'), ('technical_indicators', 'ema_12', 'double precision'),
            ('technical_indicators', 'ema_26', 'double precision'), ('technical_indicators', 'rsi', 'double precision'),
            ('technical_indicators', 'macd', 'double precision'), ('technical_indicators', 'macd_signal', 'double precision'),
            ('technical_indicators', 'macd_histogram', 'double precision'),
            ('technical_indicators', 'bb_upper', 'double precision'), ('technical_indicators', 'bb_middle', 'double precision'),
            ('technical_indicators', 'bb_lower', 'double precision'),
            ('technical_indicators', 'window_duration', 'varchar'), ('technical_indicators', 'vwap', 'double precision'),
            ('technical_indicators', 'log_pos', 'bigint'),
            -- The close that they step on.
            ('technical_indicators', 'close', 'double precision'),
            -- Close and vwap as scaled integers, with a comma between; no vwap is empty.
            ('technical_indicators', 'exact', 'varchar'),

            ('anomalies', 'time', 'timestamptz'), ('anomalies', 'symbol', 'varchar'),
            ('anomalies', 'anomaly_type', 'varchar'), ('anomalies', 'severity', 'varchar'),
            ('anomalies', 'description', 'varchar'), ('anomalies', 'current_value', 'double precision'),
            ('anomalies', 'expected_value', 'double precision'), ('anomalies', 'threshold', 'double precision'),
            ('anomalies', 'metadata', 'jsonb'),
            ('anomalies', 'id', 'varchar'), ('anomalies', 'state', 'varchar'),

            ('predictions', 'time', 'timestamptz'), ('predictions', 'symbol', 'varchar'),
            ('predictions', 'current_price', 'double precision'), ('predictions', 'predicted_price', 'double precision'),
            ('predictions', 'confidence', 'double precision'), ('predictions', 'time_horizon_minutes', 'integer'),
            ('predictions', 'model_version', 'varchar'),
            ('predictions', 'lower', 'double precision'), ('predictions', 'upper', 'double precision'),
            ('predictions', 'abstained', 'boolean'), ('predictions', 'actual_price', 'double precision')
        ) AS wanted (of_table, named, typed)
    LOOP
        PERFORM pg_temp.have_column(wanted.of_table::regclass, wanted.named::name, wanted.typed::regtype);
    END LOOP;
END
$$;

DROP FUNCTION pg_temp.have_column(regclass, name, regtype);

-- Rows of before have neither.
ALTER TABLE aggregated_data ALTER COLUMN log_pos SET DEFAULT 0;
ALTER TABLE technical_indicators ALTER COLUMN log_pos SET DEFAULT 0;
-- What they were computed on.
ALTER TABLE technical_indicators ALTER COLUMN window_duration SET DEFAULT '1min';

-- What was not accepted. Entries are known by their place in the log, other input by where it stood; so a repeat adds
-- nothing.
CREATE TABLE dead_letters (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL,
    reason      varchar NOT NULL,
    symbol      varchar,
    provider    varchar NOT NULL,
    payload     text NOT NULL,
    origin      varchar NOT NULL DEFAULT '',
    log_pos     bigint,
    -- The time of receipt, exact, in nanoseconds since 1970.
    received_ns bigint NOT NULL,
    -- The log's partition that `log_pos` is of.
    partition   integer NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX dead_letters_by_pos ON dead_letters (partition, log_pos) WHERE log_pos IS NOT NULL;
CREATE UNIQUE INDEX dead_letters_by_origin ON dead_letters (provider, md5(origin)) WHERE log_pos IS NULL AND origin <> '';
CREATE INDEX dead_letters_by_time ON dead_letters (received_ns, id);

-- Bars that cancels have emptied: not in `aggregated_data`, since they are left out of every list. A bar or an indicator with
-- a lower `log_pos` that comes again stays away.
CREATE TABLE void_bars (LIKE aggregated_data INCLUDING DEFAULTS, PRIMARY KEY (symbol, window_duration, time));

-- What is fixed about a symbol: it gives the scales of the integers in `exact`, and says which symbols there are.
CREATE TABLE symbols (
    name        varchar PRIMARY KEY,
    price_scale smallint NOT NULL,
    size_scale  smallint NOT NULL,
    asset_class varchar NOT NULL
);

-- How far each partition of the log is done with. A writer moves it in the transaction of its rows, and only from where it
-- left it: who finds another `batch` has lost the partition to another writer.
CREATE TABLE progress (
    partition     integer PRIMARY KEY,
    generation    integer NOT NULL,
    -- Everything up to here is in the tables.
    pos           bigint NOT NULL,
    -- Symbols of which more is in `tick_data` than up to `pos`, and up to where.
    ahead_symbols varchar[] NOT NULL DEFAULT '{}',
    ahead_pos     bigint[] NOT NULL DEFAULT '{}',
    -- Counts the transactions that have moved it.
    batch         bigint NOT NULL,
    -- Whose the last one was.
    writer        varchar NOT NULL,
    -- The log: positions of two logs cannot be compared.
    epoch         varchar NOT NULL,
    moved_at      timestamptz NOT NULL DEFAULT now(),
    -- What the tables lack for good.
    missing_after   bigint,
    missing_through bigint,
    missing_until   bigint
);

-- What `migrate` was told, for the functions here.
CREATE TABLE tickwire_settings (
    name  varchar PRIMARY KEY,
    value varchar NOT NULL
);
