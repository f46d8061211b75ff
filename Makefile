# The front door. `make help` lists the steps; CI runs the same ones. Longer logic lives in scripts/.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
export CARGO_TERM_PROGRESS_WHEN ?= never

HOST   := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
export LABWIRE_AGENT := $(TARGET)/$(HOST)/release/lab-agent
export LABWIRE_BIN ?= $(TARGET)/release

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

demo: ## everything, then the product with seeded data and a table of links (DEMO_BOTS=20 adds learners who type)
	@MAKE='$(MAKE)' scripts/steps 'tools: what it is built with' 'engine: an engine that runs containers' 'web: the pages' \
	  'build-release: the programs (the longest step)' 'images: the labs and the machines in them' \
	  $(if $(filter-out 0,$(DEMO_BOTS)),'bots: the learners who type')
	@scripts/demo

demo-stop: ## ends the demo's labs that still run after Ctrl-C (its data stays)
	@scripts/demo stop

test: tools-test tools-cluster engine images cluster web test-web lint test-rust test-browser ## every test; fails when a real part is missing

bench: tools-bench engine images web build-release ## speed and memory: a table, and target/bench/one-machine.json
	cargo run --release -p lab-e2e --bin labwire-bench

bench-cluster: tools-test tools-cluster cluster build-release ## the same on Kubernetes, and target/bench/cluster.json
	cargo run --release -p lab-e2e --bin labwire-bench-cluster

bench-door: tools-test web build-release ## launches, vouchers, statements and the ledger's histories, and target/bench/door.json
	cargo run --release -p lab-e2e --bin labwire-bench-door

build: agent web ## the binaries with debug assertions, for work on them (LABWIRE_BIN=target/debug has the tests use them)
	cargo build --workspace --bins

build-release: agent web ## the binaries, for use and for the tests
	cargo build --release -p labwire

bots: web ## the scripted learners of `make demo DEMO_BOTS=20`
	cargo build --release -p lab-e2e --bin labwire-bots

agent: ## lab-agent, static, as any image can run it
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --release -p lab-agent --target $(HOST)

web: web-terminal/node_modules/.made ## the pages
	@scripts/web

web-terminal/node_modules/.made: web-terminal/package-lock.json
	cd web-terminal && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

images: engine build-release ## base image, lab images, and the image of labwire
	@scripts/need base
	@scripts/base-image
	@scripts/images

engine: ## a Docker-compatible engine that answers (starts one as root where none runs)
	@scripts/need engine
	@scripts/engine start

cluster: images ## a real Kubernetes for the tests, built once, started in seconds (KUBECONFIG=… uses another)
	@scripts/cluster up

cluster-down: ## ends what `make cluster` started (its build stays)
	@scripts/cluster down

tools:
	@scripts/need build
tools-test: tools
	@scripts/s3 install
	@scripts/open-edx install
	@scripts/smtp install
	@scripts/oidc install
	@scripts/need browser db s3 bench labs rules
	@command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
tools-bench: tools
	@scripts/need browser bench
	@scripts/bench-peers

tools-cluster:
	@scripts/cluster tools

test-rust: build-release
	cargo nextest run --workspace

test-chart: tools-cluster images ## the chart and the image of labwire, on the test cluster (part of test-rust)
	cargo nextest run -p lab-chart

test-web: web
	cd web-terminal && npm run --silent check && npm test --silent && npm run --silent size

test-browser: build-release
	cd tests/browser && npm ci --no-audit --no-fund --loglevel=error && node --test --test-concurrency=2

lint: ## formatting and clippy, warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt: ## format
	cargo fmt --all

size: ## no source file over 800 lines
	@scripts/size

clean: ## what was built here (images, the engine and caches outside the checkout stay)
	rm -rf target web-terminal/dist web-terminal/node_modules tests/browser/node_modules

.PHONY: help demo demo-stop test bench bench-cluster bench-door build build-release bots agent web images engine cluster cluster-down tools tools-test tools-bench tools-cluster test-rust test-chart test-web test-browser lint fmt size clean
