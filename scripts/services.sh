#!/usr/bin/env bash
# Runs a command with the services beside it that tests need, on free ports of this machine, and stops them after it. A
# service that is not installed is left out, and the tests that need it say that they are skipped; with CI=true that is
# a failure.
#
#   scripts/services.sh COMMAND...     sets TICKWIRE_TEST_REDIS to the address of a Redis without data,
#                                      TICKWIRE_TEST_POSTGRES to that of a PostgreSQL, with a superuser,
#                                      TICKWIRE_TEST_INFLUXDB to that of an InfluxDB, whose organization is `tickwire` and
#                                      whose token, which may do everything, is TICKWIRE_TEST_INFLUXDB_TOKEN, and
#                                      TICKWIRE_TEST_KAFKA to that of a Kafka broker without topics
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

work=$(mktemp -d)
pids=()
kafka=
stop() {
    # At any other signal it would first hand its partitions on to brokers that are not there.
    if [ -n "$kafka" ]; then kill -KILL "$kafka" 2>/dev/null || true; fi
    if [ "${#pids[@]}" -gt 0 ]; then
        # PostgreSQL would wait for its clients at SIGTERM; Redis takes both as the end.
        kill -INT "${pids[@]}" 2>/dev/null || true
        wait "${pids[@]}" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

leave_out() {
    printf 'services: %s\n' "$1" >&2
    if [ "${CI:-}" = true ]; then exit 1; fi
}

start_redis() {
    if ! command -v redis-server >/dev/null 2>&1; then
        leave_out "redis-server is missing, so tests of Redis are skipped: install it"
        return
    fi
    local port pid
    for _ in $(seq 20); do
        # A port that is taken is found by the server.
        port=$((20000 + RANDOM % 12000))
        redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no --dir "$work" >"$work/redis.log" 2>&1 </dev/null &
        pid=$!
        for _ in $(seq 200); do
            if grep -q 'Ready to accept connections' "$work/redis.log"; then
                pids+=("$pid")
                export TICKWIRE_TEST_REDIS="redis://127.0.0.1:$port/0"
                return
            fi
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cat "$work/redis.log" >&2
    leave_out "redis-server does not start"
}

# Debian keeps the server's programs out of the path.
postgres_bin() {
    local dir
    for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(dirname "$(command -v initdb 2>/dev/null || echo /)")"; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then
            printf '%s\n' "$dir"
            return
        fi
    done
}

start_postgres() {
    local bin port pid data="$work/postgres" as=(env)
    bin=$(postgres_bin)
    if [ -z "$bin" ]; then
        leave_out "PostgreSQL is missing, so tests of it are skipped: install postgresql"
        return
    fi
    mkdir "$data"
    if [ "$(id -u)" = 0 ]; then
        chmod 711 "$work"
        chown postgres "$data"
        # It refuses to run as root.
        as=(setpriv --reuid=postgres --regid=postgres --clear-groups --)
    fi
    if ! "${as[@]}" "$bin/initdb" -D "$data/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$work/initdb.log" 2>&1; then
        cat "$work/initdb.log" >&2
        leave_out "PostgreSQL cannot make its files, so tests of it are skipped"
        return
    fi
    for _ in $(seq 20); do
        port=$((20000 + RANDOM % 12000))
        # Nothing here outlives the tests, so the disk is not waited for.
        "${as[@]}" "$bin/postgres" -D "$data/data" -p "$port" -c listen_addresses=127.0.0.1 \
            -c unix_socket_directories="$data" -c fsync=off -c max_connections=300 >"$work/postgres.log" 2>&1 </dev/null &
        pid=$!
        for _ in $(seq 400); do
            if grep -q 'database system is ready to accept connections' "$work/postgres.log"; then
                pids+=("$pid")
                export TICKWIRE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
                return
            fi
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cat "$work/postgres.log" >&2
    leave_out "PostgreSQL does not start"
}

start_influxdb() {
    local server port pid
    if ! server=$("$here/influxdb.sh"); then
        leave_out "InfluxDB cannot be built, so tests of it are skipped"
        return
    fi
    export TICKWIRE_TEST_INFLUXDB_TOKEN=token-of-the-tests
    for _ in $(seq 20); do
        port=$((20000 + RANDOM % 12000))
        "$server" --http-bind-address "127.0.0.1:$port" --bolt-path "$work/influxdb.bolt" --sqlite-path "$work/influxdb.sqlite" \
            --engine-path "$work/influxdb" --reporting-disabled >"$work/influxdb.log" 2>&1 </dev/null &
        pid=$!
        # It waits for the server, makes user and token, and gives up where the server ends: the port was taken.
        if python3 "$here/influxdb_setup.py" "http://127.0.0.1:$port" "$TICKWIRE_TEST_INFLUXDB_TOKEN" "$pid"; then
            pids+=("$pid")
            export TICKWIRE_TEST_INFLUXDB="http://127.0.0.1:$port"
            return
        fi
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    tail -n 30 "$work/influxdb.log" >&2
    leave_out "InfluxDB does not start"
}

start_kafka() {
    local port pid
    if ! "$here/kafka.sh" >/dev/null; then
        leave_out "Kafka cannot be had, so tests of it are skipped"
        return
    fi
    for try in $(seq 20); do
        # Two ports together, which others rarely take in the same moment.
        port=$((20000 + RANDOM % 12000))
        "$here/kafka.sh" run "$work/kafka-$try" "$port" "$((port + 1))" >"$work/kafka.log" 2>&1 </dev/null &
        pid=$!
        for _ in $(seq 1200); do
            if grep -qs 'Kafka Server started' "$work/kafka-$try/server.log"; then
                kafka=$pid
                export TICKWIRE_TEST_KAFKA="127.0.0.1:$port"
                return
            fi
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.05
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cat "$work/kafka.log" "$work/kafka-$try"/*.log >&2 || true
    leave_out "Kafka does not start"
}

start_redis
start_postgres
start_influxdb
start_kafka
"$@"
