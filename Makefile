# Python 3.11 or newer and make are all that must be there; the environment is made in .venv.

# The first Python on the path that is new enough; empty where there is none.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
UI ?= 1
DAYS ?= 90
PORT ?= 3000

READY := .venv/.ready
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo run test check docs bench

help:
	@echo "make demo    everything against emulated providers and Port; UI=0 ends after the summary, DAYS=$(DAYS) PORT=$(PORT)"
	@echo "make run     Dagster with the accounts in .env; PORT=$(PORT)"
	@echo "make test    the test suite"
	@echo "make check   lint, format, types"
	@echo "make bench   the benchmarks; exit 1 where a demand is missed"
	@echo "make docs    write docs/tables.md from the declarations"

# Made again only when what is installed has changed.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { \
		echo "Python 3.11 or newer is needed and was not found: install it, or make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, $(PYTHON) is older or missing: make PYTHON=/path/to/python" >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "the Python of .venv is older than 3.11: remove the folder .venv and start again" >&2; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/python -m usage_assets.demo --days $(DAYS) --port $(PORT) $(if $(filter 0,$(UI)),--no-ui)

run: $(READY)
	@$(BIN)/python -m usage_assets.local --port $(PORT)

test: $(READY)
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: $(READY)
	@$(BIN)/python -m benchmarks

docs: $(READY)
	@$(BIN)/python docs/generate_tables.py

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
