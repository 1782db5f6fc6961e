#!/usr/bin/env bash
# Runs the dashboard's browser tests against the built program. Where there is no browser or no npm it says so and
# succeeds, except with CI=true.
#
#   scripts/browser.sh              tests the debug build that `cargo test` has made
#   scripts/browser.sh --picture    and keeps the page it saw as docs/dashboard.png
set -euo pipefail
cd "$(dirname "$0")/.."

program=${CARGO_TARGET_DIR:-target}/debug/tickwire
program=$(cd "$(dirname "$program")" && pwd)/tickwire
browser=${CHROMIUM:-/usr/bin/chromium}

skip() {
    printf 'browser tests: skipped: %s\n' "$1" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}
command -v npm >/dev/null 2>&1 || skip "npm is missing"
[ -x "$browser" ] || skip "$browser is missing: install chromium and a font, such as fonts-dejavu-core, or name one in CHROMIUM"
[ -d dashboard/node_modules ] || skip "dashboard/node_modules is missing: run \`make dashboard\`"

work=$(mktemp -d)
stop() { if [ -f "$work/pid" ]; then kill -TERM "$(cat "$work/pid")" 2>/dev/null || true; fi; }
trap 'stop; sleep 1; rm -rf "$work"' EXIT

# Starts the program on the port it had before, and waits until it is ready.
cat >"$work/start" <<START
#!/usr/bin/env bash
set -eu
cd "$work"
port=\$(cat port 2>/dev/null || echo 0)
env -i PATH="\$PATH" TICKWIRE__SERVER__REST=127.0.0.1:0 TICKWIRE__SERVER__WEBSOCKET=127.0.0.1:0 \
    TICKWIRE__SERVER__METRICS=127.0.0.1:0 TICKWIRE__SERVER__DASHBOARD=127.0.0.1:\$port \
    "$program" run --rate 200 --data-dir data >log 2>&1 </dev/null &
echo \$! >pid
for _ in \$(seq 300); do
    if grep -q 'ready\$' log; then
        sed -n 's|.*dashboard listens on http://[^:]*:||p' log | head -n 1 >port
        exit 0
    fi
    kill -0 "\$(cat pid)" || break
    sleep 0.1
done
cat log >&2
exit 1
START
cat >"$work/stop" <<STOP
#!/usr/bin/env bash
pid=\$(cat "$work/pid")
kill -TERM "\$pid"
while kill -0 "\$pid" 2>/dev/null; do sleep 0.05; done
STOP
chmod +x "$work/start" "$work/stop"

"$work/start"
cd dashboard
TICKWIRE_URL="http://127.0.0.1:$(cat "$work/port")/" TICKWIRE_STOP="$work/stop" TICKWIRE_START="$work/start" \
    npm run --silent e2e </dev/null
if [ "${1:-}" = --picture ]; then
    cp screenshots/desktop-dark.png ../docs/dashboard.png
fi
