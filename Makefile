# `make demo` and `make test` set everything up by themselves; the others are for people who change the code.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RESULTS ?= benchmarks/results.jsonl
ROUNDS ?= 3
BENCH := $(BIN)/python benchmarks
KEEP = --results "$(RESULTS)" --rounds $(ROUNDS)

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

# Everything of benchmarks/README.md, one after the other, on idle cores. What RESULTS already holds is not repeated.
bench: $(READY)
	@test -n "$(NANOGPT)" -a -n "$(SHAKESPEARE)" -a -n "$(ALICE)" -a -n "$(AUTHOR)" -a -n "$(ENGLISH)" || { echo \
	"make bench NANOGPT=checkout SHAKESPEARE=tinyshakespeare.txt ALICE=alice.txt AUTHOR=folder ENGLISH=folder-of-40-MB"; \
	echo "  [ROUNDS=3] [RESULTS=benchmarks/results.jsonl]; what each is: benchmarks/README.md"; exit 2; }
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BENCH)/shakespeare.py $(KEEP) --nanogpt "$(NANOGPT)" --text "$(SHAKESPEARE)"
	$(BENCH)/first_sample.py $(KEEP) --text "$(SHAKESPEARE)"
	$(BENCH)/speed.py $(KEEP) --nanogpt "$(NANOGPT)"
	$(BENCH)/speed.py $(KEEP) --nanogpt "$(NANOGPT)" --avx2
	$(BENCH)/speed.py --profile
	$(BENCH)/speed.py --profile --avx2
	$(BENCH)/memory.py $(KEEP) --nanogpt "$(NANOGPT)"
	$(BENCH)/plenty.py $(KEEP) --nanogpt "$(NANOGPT)" --texts "$(ENGLISH)" --rates 1e-3 2e-3 4e-3 \
		--peers nanogpt-fp32 nanogpt-bf16-compiled huggingface-fp32 book --ours n_layer=3 n_embd=128 context_length=128
	$(BENCH)/little_text.py --results "$(RESULTS)" --nanogpt "$(NANOGPT)" --texts "$(ALICE)" "$(SHAKESPEARE)" "$(AUTHOR)" --together
	$(BENCH)/table.py "$(RESULTS)"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
