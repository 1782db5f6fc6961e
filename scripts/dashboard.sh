#!/usr/bin/env bash
# Runs one of the dashboard's npm scripts, with its packages installed as the lock file says. Where there is no
# dashboard, or no npm, it says so and succeeds: Tickwire builds without.
#
#   scripts/dashboard.sh build|types|lint|test
set -euo pipefail
cd "$(dirname "$0")/.."

script=$1
if [ ! -f dashboard/package.json ]; then
    exit 0
fi
if ! command -v npm >/dev/null 2>&1; then
    printf 'dashboard: npm is missing, skipped: %s\n' "$script" >&2
    exit 0
fi
cd dashboard
# npm leaves this file behind when it is done.
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error </dev/null
fi
if [ "$script" = build ] && [ -f dist/index.html ] &&
    [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer dist/index.html -print -quit)" ]; then
    exit 0
fi
exec npm run --silent "$script" </dev/null
