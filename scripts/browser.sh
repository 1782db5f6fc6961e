#!/usr/bin/env bash
# Runs the dashboard's browser tests against the built program, then those that need a fake server. Where there is no
# browser or no npm it says so and succeeds, except with CI=true.
#
#   scripts/browser.sh              tests the debug build that `cargo test` has made
#   scripts/browser.sh --picture    makes docs/dashboard.png anew instead, which takes some minutes
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

# A lively venue that misbehaves: late trades and cancels amend a closed bar of the first symbol every five seconds or so,
# and the connection breaks now and then, so that some bars are not whole. Windows of five seconds close soon.
cat >"$work/tests.toml" <<'CONFIG'
[provider]
symbols = ["AAPL", "AMZN", "GOOGL", "JPM", "META", "MSFT", "NFLX", "NVDA", "ORCL", "SPY", "TSLA", "XOM"]
rate = 200.0

[provider.simulated.misbehaviour]
delay = { probability = 0.012, max = "8s" }
cancel = { probability = 0.008, max = "8s" }
duplicate = { probability = 0.002, max = "8s" }
disconnect = { every = "20s", length = "2s" }

[core]
windows = ["5s", "1min", "5min", "15min", "1h", "1d"]

# One symbol is found unusual all the time; the others are as unusual as they are.
[[detection.overrides]]
symbols = ["XOM"]
price_spike = { percent = 0.02 }
volume_spike = { factor = 1.1 }
rsi = { overbought = 51.0, oversold = 49.0, hysteresis = 0.5 }
CONFIG

# The same market at a pace that a picture can show: minutes, and bars amended a minute later.
sed -e 's/^rate = .*/rate = 60.0/' -e '/^windows = /d' -e 's/"8s"/"50s"/' \
    -e '/^disconnect/d' "$work/tests.toml" >"$work/picture.toml"

# A port below those that the system gives to connections: a test stops the program and starts it on the same port again,
# and nobody may have taken it meanwhile.
for _ in $(seq 100); do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
done
echo "$port" >"$work/port"

# Starts the program on its port, with the settings of that name, and waits until it is ready.
cat >"$work/start" <<START
#!/usr/bin/env bash
set -eu
cd "$work"
name=\${1:-tests}
port=\$(cat port)
# Emptied before the program runs: what it said the last time is no answer.
: >log
env -i PATH="\$PATH" TICKWIRE__SERVER__REST=127.0.0.1:0 TICKWIRE__SERVER__WEBSOCKET=127.0.0.1:0 \
    TICKWIRE__SERVER__METRICS=127.0.0.1:0 TICKWIRE__SERVER__DASHBOARD=127.0.0.1:\$port \
    "$program" run --config "\$name.toml" --data-dir "\$name" >>log 2>&1 </dev/null &
echo \$! >pid
for _ in \$(seq 1200); do
    grep -q 'ready\$' log && exit 0
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
cat >"$work/kill" <<KILL
#!/usr/bin/env bash
pid=\$(cat "$work/pid")
kill -KILL "\$pid"
while kill -0 "\$pid" 2>/dev/null; do sleep 0.05; done
KILL
chmod +x "$work/start" "$work/stop" "$work/kill"

cd dashboard
if [ "${1:-}" = --picture ]; then
    "$work/start" picture
    TICKWIRE_URL="http://127.0.0.1:$(cat "$work/port")/" node e2e/picture.mjs ../docs/dashboard.png </dev/null
    exit
fi
"$work/start"
TICKWIRE_URL="http://127.0.0.1:$(cat "$work/port")/" TICKWIRE_STOP="$work/stop" TICKWIRE_KILL="$work/kill" \
    TICKWIRE_START="$work/start" \
    npm run --silent e2e </dev/null
# What needs a server that can be bent. Each file has one of its own, so two run side by side, but for what measures.
npm run --silent e2e:faked </dev/null
