# Everything a developer or a newcomer runs. `make help` lists it; docs/cli.md holds what the program itself can do.
# Needs Python 3.11 or newer and make. Nothing is installed outside .venv.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOURCES := storage actors gateway migrate holdfast bench tests
SOAK_SEEDS ?= 10000
ARGS ?=

# The first of these that is 3.11 or newer and can make a virtual environment.
PYTHON ?= $(firstword $(foreach name,python3.11 python3 python3.12 python3.13 python3.14,$(shell \
	$(name) -c "import sys, ensurepip, venv; assert sys.version_info >= (3, 11); print(sys.executable)" 2>/dev/null)))
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# The project itself: no dependencies beyond the pins, built with the pinned back end, importable from this folder.
INSTALL_PROJECT := $(PIP_INSTALL) --no-deps --no-build-isolation --editable .

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev setup-bench run demo test test-fast lint check soak bench bench-full bench-peers pins docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

run: setup ## install what is missing and start the service on http://127.0.0.1:8700
	@exec $(BIN)/holdfast serve $(ARGS)

demo: setup ## a tour of at most a minute, in a temporary folder, that ends by itself
	@exec $(BIN)/holdfast demo $(ARGS)

test: setup-dev ## the whole test suite
	@exec $(BIN)/python -m pytest $(ARGS)

test-fast: setup-dev ## the tests that need neither real processes nor much time (lint runs the floors test)
	@exec $(BIN)/python -m pytest -m "not slow and not system" --ignore tests/architecture $(ARGS)

lint: setup-dev ## formatting, ruff, mypy --strict, the floors test
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy --strict
	$(BIN)/python -m pytest -q tests/architecture

check: lint test ## lint, then the whole test suite

soak: setup-dev ## the simulator over SOAK_SEEDS seeds (default 10000)
	@exec $(BIN)/python -m tests.simulation --seeds $(SOAK_SEEDS) $(ARGS)

bench: bench-peers ## ours beside two peers, short: at most 3 minutes (docs/performance)
	@exec $(BIN)/holdfast bench $(ARGS)

bench-full: bench-peers ## every contender, scenario and figure, with plots: some 30 minutes on a quiet machine
	@exec $(BIN)/holdfast bench --full --report docs/performance $(ARGS)

bench-peers: setup-bench ## install what the peers need into .venv and .bench (PostgreSQL comes from the system)
	@if [ ! -x .bench/workerd/node_modules/.bin/workerd ]; then \
		mkdir -p .bench/workerd && cp bench/peers/workerd/package*.json .bench/workerd/ \
		&& (cd .bench/workerd && npm install --no-save --no-audit --no-fund --silent) \
		|| echo "workerd could not be installed with npm: it will be left out" >&2; \
	fi

pins: setup-dev ## resolve the three files of pins anew, with hashes, from pyproject.toml
	$(BIN)/uv pip compile $(COMPILE) --extra build pyproject.toml --output-file constraints.txt
	$(BIN)/uv pip compile $(COMPILE) --extra build --extra dev --constraints constraints.txt pyproject.toml \
		--output-file constraints-dev.txt
	$(BIN)/uv pip compile $(COMPILE) --extra build --extra dev --extra bench --constraints constraints-dev.txt \
		pyproject.toml --output-file constraints-bench.txt

docs: setup-dev ## write docs/settings.md and docs/errors.md anew from the code
	@$(BIN)/python -m holdfast.settings_page > docs/settings.md
	@$(BIN)/python -m holdfast.errors_page > docs/errors.md

COMPILE := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(ARGS)

clean: ## remove the environment, caches and builds; user_data stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

setup: $(VENV)/installed
setup-dev: $(VENV)/installed-dev
setup-bench: $(VENV)/installed-bench

# A stamp is newer than the pins it was made from, so nothing is installed twice; the development pins are a superset.
$(VENV)/installed: constraints.txt pyproject.toml
	@$(MAKE) --no-print-directory .python
	@echo "installing the service into $(VENV) (once; some 150 MB)" >&2
	@$(PIP_INSTALL) --require-hashes --requirement constraints.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(VENV)/installed-dev: constraints.txt constraints-dev.txt pyproject.toml
	@$(MAKE) --no-print-directory .python
	@echo "installing the service and its tests into $(VENV) (once; some 400 MB)" >&2
	@$(PIP_INSTALL) --require-hashes --requirement constraints-dev.txt
	@$(INSTALL_PROJECT)
	@touch $(VENV)/installed $@

$(VENV)/installed-bench: constraints-bench.txt pyproject.toml
	@$(MAKE) --no-print-directory .python
	@echo "installing the service, its tests and the benchmarks into $(VENV) (once; some 450 MB)" >&2
	@$(PIP_INSTALL) --require-hashes --requirement constraints-bench.txt
	@$(INSTALL_PROJECT)
	@touch $(VENV)/installed $(VENV)/installed-dev $@

# An environment that was moved, or whose making was interrupted, is made anew.
.PHONY: .python
.python:
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "holdfast needs Python 3.11 or newer with venv (Debian: apt install python3 python3-venv)" >&2; exit 1; \
		fi; \
		rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); \
	fi
