# Two commands matter: `make demo` runs the whole job, `make test` every test. Both install first.

VENV ?= .venv
ARGS ?=
JOBS ?= 2
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
STAMP := $(VENV)/installed
UV := UV_NATIVE_TLS=1 $(BIN)/uv pip install --quiet --python $(PYTHON)

.PHONY: help install java demo test down lint format types docs atlas bench \
	bench-attribution bench-components bench-jobs bench-chaos bench-circuits

help:
	@echo "make demo     install, start services, trace the packaged prompts, show what they share"
	@echo "make test     install, run all tests on services of their own (ARGS='-k name' picks some)"
	@echo "make down     stop what make demo started"
	@echo "make install  $(VENV) with everything, Neo4j fetched and verified"
	@echo "make lint, format, types, docs, atlas    for those who change the code"
	@echo "make bench, bench-attribution, bench-components, bench-jobs, bench-chaos, bench-circuits    what is measured"

demo: install
	$(BIN)/circuitbase demo $(ARGS)

# Files of tests run two at a time, each half with services of its own; JOBS=0 runs them one after the other.
test: install
	$(PYTHON) -m pytest -n $(JOBS) --dist loadfile $(ARGS)

down:
	@if [ -x $(BIN)/circuitbase ]; then $(BIN)/circuitbase down; else echo "Nothing is installed in $(VENV)"; fi

install: $(STAMP) java

# The stamp is written last, so an installation that was interrupted is taken up again.
$(STAMP): pyproject.toml circuitbase/services/jars.lock.json
	@if ! $(PYTHON) -c 'import pip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then \
	  for candidate in python3 python3.13 python3.12 python3.11; do \
	    if $$candidate -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then echo "There is no Python 3.11 or newer on PATH: install one, then run make again" >&2; exit 1; fi; \
	  echo "Making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	fi
	@echo "Installing circuitbase into $(VENV)"
	@$(PYTHON) -m pip install --quiet 'uv>=0.4'
	@$(UV) --editable '.[trace,plot,dev]'
	@$(BIN)/circuitbase fetch
	@touch $@

# A suitable Java may come and go without this project, so it is looked for every time.
java: $(STAMP)
	@if ! $(PYTHON) -c 'from circuitbase.services.java import find_java; find_java()' 2>/dev/null; then \
	  echo "There is no Java 17 or 21: installing the extra that brings one, circuitbase[java]"; \
	  $(UV) --editable '.[java]'; \
	fi

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(PYTHON) -m circuitbase.schema.document
	$(PYTHON) -m circuitbase.queries.document
	$(PYTHON) -m circuitbase.cli.reference

atlas: $(STAMP)
	$(PYTHON) -m circuitbase.demo.make_atlas --out circuitbase/demo/atlas --page docs/atlas.md $(ARGS)

bench: install
	$(PYTHON) bench/first_light.py $(ARGS)

bench-jobs: install
	$(PYTHON) bench/jobs.py $(ARGS)

bench-components: install
	$(PYTHON) bench/components.py $(ARGS)

bench-chaos: install
	$(PYTHON) bench/chaos.py $(ARGS)

bench-circuits: install
	$(PYTHON) bench/global_circuits.py $(ARGS)

# Beside circuit-tracer, which it installs into an environment of its own.
bench-attribution: install
	$(PYTHON) bench/attribution.py $(ARGS)
