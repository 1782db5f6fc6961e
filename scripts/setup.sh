#!/usr/bin/env bash
# Makes sure that what a build needs is there. As root on a Debian-like machine it installs what is missing;
# otherwise it says, one line for each missing tool, what to install. Asks nothing.
#
#   scripts/setup.sh            for a build: fails when Rust or a C compiler is missing
#   scripts/setup.sh --quiet    says nothing when everything is there
set -euo pipefail
cd "$(dirname "$0")/.."

quiet=${1:-}
missing=0

say() { printf '%s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
can_install() { [ "$(id -u)" = 0 ] && has apt-get; }

updated=no
apt_install() {
    can_install || return 1
    if [ "$updated" = no ]; then
        say "setup: installing $* with apt-get"
        DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null >&2 || return 1
        updated=yes
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null >&2
}

# True when version $1 is at least version $2.
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

need() {
    say "setup: $1"
    missing=1
}

# rustup puts cargo here, and a shell that was open before does not know.
[ -d "$HOME/.cargo/bin" ] && PATH="$HOME/.cargo/bin:$PATH"

rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! has cargo; then
    apt_install rustup ca-certificates && rustup default stable </dev/null >&2 || true
fi
if ! has cargo; then
    need "cargo is missing: install Rust $rust_wanted or newer from https://rustup.rs"
else
    rust_found=$(cargo --version | cut -d ' ' -f 2)
    at_least "$rust_found" "$rust_wanted" ||
        need "cargo is $rust_found: update Rust to $rust_wanted or newer, with \`rustup update stable\`"
fi

has cc || apt_install gcc libc6-dev || true
has cc || need "cc is missing: install a C compiler, such as the package gcc with libc6-dev"

# Without node everything builds but the dashboard's page.
if [ -f dashboard/package.json ]; then
    has npm || apt_install nodejs npm || true
    if ! has npm; then
        say "setup: npm is missing, so the dashboard is left out: install Node.js 20 or newer with npm"
    elif ! at_least "$(node --version | tr -d v)" 20; then
        say "setup: node is $(node --version), so the dashboard may not build: install Node.js 20 or newer"
    fi
fi

[ "$missing" = 0 ] || exit 1
[ "$quiet" = --quiet ] || say "setup: everything a build needs is there"
