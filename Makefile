# Each target does all of its own set-up: Python 3.11 or newer, make and a network are enough.
# A Python of your own: make test PYTHON=/path/to/python3.12 (after make clean, if .venv is of another).

# A command may be on PATH and still not run (version managers leave such shims), so each is tried.
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo $$python; break; fi; done)
endif

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/stamp
RUN := @$(PY)

# A process for each core; a file's tests stay together, as they share what is slow to start.
PARALLEL := -n auto --dist loadfile

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore

.PHONY: help setup demo test test-clients test-node test-sam test-pythons check format bench \
	bench-runtime clean

help:
	@echo "make demo           the FastAPI example on AWS's Lambda emulator, behind every front door"
	@echo "make test           all tests, and the installed wheel"
	@echo "make test-clients   curl, httpx and a browser against a real server (installs Debian's)"
	@echo "make test-node      AWS's Node.js client on the local Runtime API (npm and cmake build it)"
	@echo "make test-sam       the template with AWS SAM's tools: lint, build, emulator, sam local"
	@echo "make test-pythons   the tests on every other Python from 3.11 to 3.14 found here"
	@echo "make check          formatting, lint, types"
	@echo "make format         put the formatting right"
	@echo "make bench          the benchmarks"
	@echo "make bench-runtime  the runtime against AWS's own client (Linux)"
	@echo "make clean          remove what the others made"

setup: $(STAMP)

$(STAMP): pyproject.toml scripts/setup_venv.py
	@if [ -z "$(PYTHON)" ]; then \
		echo "penstock needs Python 3.11 or newer, and none was found on PATH."; \
		echo "On Debian and Ubuntu: sudo apt-get install python3 python3-venv; or set PYTHON=/path/to/python3"; \
		exit 1; fi
	@$(PYTHON) scripts/setup_venv.py $(VENV) dev

demo: $(STAMP)
	$(RUN) scripts/demo.py

test: $(STAMP)
	@echo "==> tests"
	@$(VENV)/bin/pytest -q $(PARALLEL)
	@echo "==> wheel"
	$(RUN) scripts/test_wheel.py

test-clients: $(STAMP)
	$(RUN) scripts/install_clients.py
	@$(VENV)/bin/pytest -q tests/clients

test-node: $(STAMP)
	@$(PY) scripts/fetch_node_client.py >/dev/null
	@$(VENV)/bin/pytest -q -m node

# An environment of its own, of Debian's Python where there is one.
test-sam: $(STAMP)
	$(RUN) scripts/test_sam.py

test-pythons: $(STAMP)
	$(RUN) scripts/test_pythons.py

check: $(STAMP)
	@echo "==> lint"
	$(RUN) -m ruff check --quiet --output-format concise .
	@echo "==> formatting"
	$(RUN) -m ruff format --quiet --check .
	@echo "==> types"
	$(RUN) -m mypy -p penstock.adapter -p penstock.handler -p penstock.infra
	$(RUN) -m mypy tests benchmarks scripts examples

format: $(STAMP)
	$(RUN) -m ruff check --quiet --fix-only .
	$(RUN) -m ruff format --quiet .

bench: $(STAMP)
	$(RUN) benchmarks/run.py
	$(RUN) benchmarks/handler.py

bench-runtime: $(STAMP)
	$(RUN) benchmarks/runtime.py

clean:
	@rm -rf $(VENV) $(VENV)-* .dev .cache .aws-sam build dist *.egg-info
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
