# `make demo` and `make test` set everything up by themselves; the others are for people who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check bench torture clean

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "bajka needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)

# torch alone first: the version in constraints.txt, before anything that depends on it
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	@touch $@

$(VENV)/.core: pyproject.toml constraints.txt $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(READY): pyproject.toml constraints.txt $(VENV)/.torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.core

demo: $(VENV)/.core
	$(BIN)/bajka demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 -m "not torture"

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

torture: $(READY)
	$(BIN)/python -m pytest -m torture

bench: $(READY)
	@test -n "$(TEXT)" || { echo "make bench TEXT=path/to/tinyshakespeare.txt NANOGPT=path/to/nanoGPT ROUNDS=3"; exit 2; }
	$(BIN)/python benchmarks/shakespeare.py --text "$(TEXT)" $(if $(NANOGPT),--nanogpt "$(NANOGPT)") --rounds $(or $(ROUNDS),1)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
