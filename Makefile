# Sendarix. Needs Python 3.11 or newer, make and a package index; everything else goes into .venv and var/.
# Another interpreter: make run PYTHON=/path/to/python3

SHELL := /bin/sh
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& command -v $$name && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check lint demo bench faults clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: .venv/runtime ## run everything in the foreground: PostgreSQL, web, worker, dispatcher (Ctrl-C ends it)
	@exec $(BIN)/python manage.py up

test: .venv/dev ## run the tests, two files at a time (ARGS="tests/house -k up" for some of them, one at a time)
	@exec $(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile)

check: lint test ## run everything the gate runs: format, lint, types, import contracts, Django, migrations, OpenAPI, tests

lint: .venv/dev ## run all of check but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy sendarix messaging suppressions webhooks analytics bench
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python -W 'ignore:Got an error checking:RuntimeWarning' manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py openapi --check

demo: .venv/runtime ## fill the demo account with a made-up month of 220,000 messages (ARGS="--messages 20000")
	@exec $(BIN)/python manage.py demo $(ARGS)

bench: .venv/dev ## measure; some parts only: ARGS="deliver relay", smaller: SCALE=0.1 (ARGS=--help lists the parts)
	@exec $(BIN)/python -m bench $(ARGS) $(if $(SCALE),--scale $(SCALE))

faults: .venv/dev ## run the fault tests in their long form
	@exec $(BIN)/python -m pytest tests/faults tests/messaging/test_idempotency.py tests/messaging/test_cancel.py \
	-m "long or not long" --timeout 3600 -s $(ARGS)

clean: ## remove what was built and downloaded; data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis staticfiles
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/pip:
	@test -n '$(PYTHON)' || { echo 'Sendarix needs Python 3.11 or newer with the venv module' \
	'(Debian: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3' >&2; exit 1; }
	'$(PYTHON)' -m venv .venv

.venv/runtime: requirements.txt | .venv/bin/pip
	$(PIP) -r requirements.txt
	@touch $@

.venv/dev: requirements.txt requirements-dev.txt | .venv/bin/pip
	$(PIP) -r requirements-dev.txt
	@touch .venv/runtime $@
