#!/usr/bin/env bash
# Makes sure that what a build, or a test run, needs is there. As root on a Debian-like machine it installs what is
# missing; otherwise it says, one line for each missing tool, what to install. Asks nothing.
#
#   scripts/setup.sh            for a build: fails when Rust or a C compiler is missing
#   scripts/setup.sh --tests    for the tests as well: a browser, Python for clients, Redis, PostgreSQL, Alertmanager and Java for Kafka
#   with --quiet                says nothing when everything is there
set -euo pipefail
cd "$(dirname "$0")/.."

quiet=no
tests=no
for flag in "$@"; do
    case $flag in
    --quiet) quiet=yes ;;
    --tests) tests=yes ;;
    *)
        printf 'setup: unknown flag: %s\n' "$flag" >&2
        exit 2
        ;;
    esac
done
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
# librdkafka is built from its sources with these, and finds OpenSSL and zlib by pkg-config.
has make || apt_install make || true
has make || need "make is missing: install it, librdkafka is built with it"
has_library() { has pkg-config && pkg-config --exists "$1"; }
has_library openssl || apt_install pkg-config libssl-dev || true
has_library openssl ||
    need "OpenSSL is missing: install pkg-config and OpenSSL with its headers, such as the package libssl-dev"
has_library zlib || apt_install zlib1g-dev || true
has_library zlib || need "zlib is missing: install it with its headers, such as the package zlib1g-dev"

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

# Without these the tests that need them say that they are skipped, or fail where CI=true.
if [ "$tests" = yes ]; then
    browser=${CHROMIUM:-/usr/bin/chromium}
    [ -x "$browser" ] || apt_install chromium fonts-dejavu-core || true
    [ -x "$browser" ] ||
        say "setup: $browser is missing, so the page is not tested: install chromium and a font, or name a browser in CHROMIUM"
    has_venv() { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; }
    has_venv || apt_install python3 python3-venv || true
    has redis-server || apt_install redis-server || true
    has redis-server || say "setup: redis-server is missing, so Redis is not tested: install it"
    has_postgres() { has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; }
    has_postgres || apt_install postgresql || true
    has_postgres || say "setup: PostgreSQL is missing, so it is not tested: install postgresql"
    if ! { has java && has mvn; }; then apt_install openjdk-17-jre-headless maven || true; fi
    { has java && has mvn; } ||
        say "setup: java or mvn is missing, so Kafka is not tested: install Java 17 and Maven"
    has_alertmanager() { has prometheus-alertmanager || has alertmanager; }
    has_alertmanager || apt_install prometheus-alertmanager || true
    has_alertmanager ||
        say "setup: prometheus-alertmanager is missing, so alerts to it are not tested: install it"
    has_venv || say "setup: python3 with venv is missing, so clients in Python are not tested: install both"
fi

[ "$missing" = 0 ] || exit 1
[ "$quiet" = yes ] || say "setup: everything needed is there"
