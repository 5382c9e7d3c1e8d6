# hotrack: every target says what it does in `make help`. `make demo` and `make test` need no other
# target to have run before.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# One configuration for everything, so that the tests run the code that is shipped.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing
SWIFT := swift build $(SWIFT_FLAGS)
export SWIFT_FLAGS
BINARY := .build/release/hotrack
C_FILES := $(wildcard fuzz/*.c fuzz/Main/*.c bpf/*.h bpf/*.c bpf/*/*.c bpf/*/*.h Sources/C*/*.c Sources/C*/*.h Sources/C*/include/*.h Tests/C*/*.c Tests/C*/include/*.h)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

.PHONY: deps
deps: ## Install the Debian packages that are missing
	@dev/install-deps

.PHONY: build
build: deps ## Build the hotrack executable (release)
	$(SWIFT) --product hotrack

.PHONY: demo
demo: build ## Bring up a rack of 8 servers; compare plain hashing with the directory
	$(BINARY) demo

.PHONY: test
test: deps ## Run every test: units, packets, simulation, namespaces, a linearizability run
	dev/run-tests

.PHONY: models
models: deps ## Check the SPIN models of the protocol, and that each variant without a rule fails
	models/check

.PHONY: faults
faults: build ## Break a real rack in every way (about 25 minutes) and write docs/testing.md
	dev/run-faults

.PHONY: fuzz
fuzz: deps ## Fuzz every decoder for a minute each (dev/run-fuzzers says how for longer)
	dev/run-fuzzers

.PHONY: soak
soak: build ## Simulate 100,000 racks and stores, repeat the linearizability run, millions of packets on one key
	$(BINARY) simulate --seeds 1..100000 --jobs $$(nproc)
	$(BINARY) simulate store --seeds 1..100000 --jobs $$(nproc)
	for run in {1..10}; do $(BINARY) testbed run testbed/linearizability.toml; done
	$(BINARY) testbed run testbed/one-key.toml --operations 2000000

.PHONY: bench
bench: build ## Measure everything (about an hour) and write docs/performance.md
	dev/run-benchmarks

.PHONY: format
format: deps ## Format Swift and C in place
	swift format --in-place --parallel --recursive Package.swift Sources Tests Plugins fuzz/Targets
	clang-format -i $(C_FILES)

.PHONY: lint
lint: deps ## Check the formatting, without changing anything
	swift format lint --strict --parallel --recursive Package.swift Sources Tests Plugins fuzz/Targets
	clang-format --dry-run --Werror $(C_FILES)

.PHONY: dist
dist: deps ## Build one file to copy to a machine (needs libbpf1, libpcap0.8, libxxhash0, librocksdb7.8, libstdc++6 there)
	swift build -c release --static-swift-stdlib --scratch-path .build-dist --product hotrack
	install -D --strip .build-dist/release/hotrack dist/hotrack

.PHONY: deb
deb: dist ## Make a Debian package: dist/hotrack_*.deb
	dev/make-deb

.PHONY: deb-test
deb-test: deb ## Install that package on a clean Debian 12, use it, remove it: nothing is left
	@dev/install-deps mmdebstrap
	dev/test-deb

.PHONY: screenshots
screenshots: build ## Take the pictures of the README: a rack in a browser and in a terminal
	@dev/install-deps chromium pngquant
	dev/make-screenshots

.PHONY: clean
clean: ## Remove what was built
	rm -rf .build .build-dist dist
