#!/usr/bin/env bash
# Runs a command with the services beside it that tests need, on free ports of this machine, and stops them after it. A
# service that is not installed is left out, and the tests that need it say that they are skipped; with CI=true that is
# a failure.
#
#   scripts/services.sh COMMAND...     sets TICKWIRE_TEST_REDIS to the address of a Redis without data
set -euo pipefail

work=$(mktemp -d)
pids=()
stop() {
    if [ "${#pids[@]}" -gt 0 ]; then
        kill -TERM "${pids[@]}" 2>/dev/null || true
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

start_redis
"$@"
