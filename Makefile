# Thin: every target is one script, so that each can be run, read and linted by itself.
.DEFAULT_GOAL := help
.PHONY: help build test test-cluster demo lab lab-down bench install lint fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

build: ## the plugin's rootfs and config for this machine's architecture, in bin/
	@scripts/build-plugin

test: ## everything: lint, unit tests, engine tests, lab tests, arm64 build (root; installs what is missing)
	@scripts/test

test-cluster: ## what takes hours: 200 kills, hand-overs and reboots of three machines, a NAS late, away or rolled back, 500 volumes (root)
	@scripts/test cluster

demo: ## see it work: a managed plugin on a real engine, a database that outlives its container (root)
	@scripts/demo

lab: ## a real storage lab that stays up: virtual machines, iSCSI, OCFS2, SMB3 (root)
	@scripts/lab up

lab-down: ## end the lab and remove everything it made
	@scripts/lab down

bench: ## the ratios of docs/benchmarks.md, measured on this machine (root)
	@scripts/bench

install: ## build the managed plugin and install it into the running engine
	@scripts/install

lint: ## formatting, golangci-lint, shellcheck, shfmt, tidy modules
	@scripts/lint

fmt: ## format Go and shell files in place
	@scripts/fmt

clean: ## remove what was built and cached in this folder
	@rm -rf bin .cache
