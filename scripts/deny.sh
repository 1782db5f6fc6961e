#!/usr/bin/env bash
# Checks licences, banned crates and sources of the dependencies with cargo-deny, always of one version: another one judges
# otherwise. With CI=true it is built where it is missing, once, into target/tools, and it is a failure if that cannot be
# done; elsewhere a line says how to get it.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools
PATH="$tools/bin:$PATH"
is_there() { [ "$(cargo deny --version 2>/dev/null || true)" = "cargo-deny $version" ]; }

if ! is_there; then
    if [ "${CI:-}" = true ]; then
        cargo install --locked --quiet --root "$tools" --version "$version" cargo-deny
    else
        printf 'cargo-deny %s is missing, licences not checked: cargo install --locked cargo-deny@%s\n' "$version" "$version" >&2
        exit 0
    fi
fi
exec cargo deny --locked check licenses bans sources
