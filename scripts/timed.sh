#!/usr/bin/env bash
# Runs `cargo test`, and then names the tests that took longest, so that nobody has to guess where the time goes.
#
#   scripts/timed.sh cargo test --locked
#
# Cargo has each binary of tests run by this script as well (a "runner"), which asks it for the time of each test. Stable
# toolchains hide that behind a variable, which is set for these binaries alone: set for cargo, it would build everything anew.
set -euo pipefail

if [ -n "${TICKWIRE_TEST_TIMES:-}" ]; then
    RUSTC_BOOTSTRAP=1 "$@" -Z unstable-options --report-time | tee -a "$TICKWIRE_TEST_TIMES"
    exit
fi

here=$(cd "$(dirname "$0")" && pwd)
host=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
TICKWIRE_TEST_TIMES=$(mktemp)
trap 'rm -f "$TICKWIRE_TEST_TIMES"' EXIT
export TICKWIRE_TEST_TIMES "CARGO_TARGET_${host}_RUNNER=$here/timed.sh"

status=0
"$@" || status=$?
printf '\nThe slowest tests, in seconds:\n'
# test name ... ok <1.234s>
sed -n 's/^test \(.*\) \.\.\. [a-zA-Z]* <\([0-9.]*\)s>$/\2 \1/p' "$TICKWIRE_TEST_TIMES" | sort -rn |
    awk 'NR <= 10 { printf "%9.1f  %s\n", $1, $2 }'
exit "$status"
