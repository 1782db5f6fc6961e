# The front door. Everything works without a terminal and without questions; `make help` lists what there is.

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# rustup puts cargo here, and a shell that was open before does not know.
export PATH := $(HOME)/.cargo/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup dashboard build run test check bench fuzz fix clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## check for the tools a build needs, install them where allowed
	@scripts/setup.sh

dashboard: ## build the dashboard, where it has changed
	@scripts/dashboard.sh build

build: ## build for release
	@scripts/setup.sh --quiet
	@scripts/dashboard.sh build
	$(CARGO) build --release --locked

run: build ## set up, build, run; ARGS="--rate 200" passes flags
	@exec $(TARGET)/release/tickwire run --embedded $(ARGS)

test: ## run every test
	@scripts/setup.sh --quiet --tests
	@scripts/dashboard.sh build
	@scripts/timed.sh scripts/services.sh $(CARGO) test --locked
	@scripts/timescale.sh
	@scripts/dashboard.sh test
	@scripts/browser.sh

check: ## formatting, lints, docs, licences; warnings are errors
	@scripts/setup.sh --quiet
	@scripts/dashboard.sh build
	$(CARGO) fmt --check
	$(CARGO) clippy --lib --bins --tests --bench '*' --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked
	@scripts/dashboard.sh types
	@scripts/dashboard.sh lint
	@scripts/deny.sh

bench: build ## run the benchmarks, write docs/benchmarks.md; ARGS="--quick" for fewer
	$(CARGO) bench --locked
	@if command -v python3 >/dev/null 2>&1; then python3 -B scripts/bench/run.py $(ARGS); \
	else echo "python3 is missing, whole processes not measured: install Python 3.11 or newer" >&2; fi

fuzz: ## fuzz the parsers of venues, ten million inputs each; INPUTS=1000 for fewer, SEED=2 for others
	TICKWIRE_FUZZ_INPUTS=$(or $(INPUTS),10000000) TICKWIRE_FUZZ_SEED=$(or $(SEED),1) \
		$(CARGO) test --profile fuzz --locked --test it venues::fuzz::no_input -- --nocapture

fix: ## format, and mend what the lints can mend
	$(CARGO) fmt
	$(CARGO) clippy --all-targets --fix --allow-dirty --allow-staged
	$(CARGO) fmt

clean: ## remove what builds have made; data stays
	$(CARGO) clean
	rm -rf dashboard/dist dashboard/node_modules
