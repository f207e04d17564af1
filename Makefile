# Skirmish. `make help` lists what there is to do.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export PYTHONPATH := $(CURDIR)

.DEFAULT_GOAL := help
.PHONY: help run demo test faults bench lint format protos lock clean
.NOTPARALLEL:

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.local skirmish/.built  ## Set up and run everything on this machine; Ctrl-C stops it.
	@exec $(BIN)/python -m local run $(ARGS)

demo: .venv/.local skirmish/.built  ## Against a running set: named players, 5,000 battles, the leaderboard.
	@exec $(BIN)/python -m local demo $(ARGS)

test: .venv/.dev skirmish/.built  ## Run the tests, two at a time (ARGS="-k name" narrows them down; JOBS=0 for one at a time).
	$(BIN)/python -m pytest -n $(or $(JOBS),2) --dist loadfile --no-loadscope-reorder $(ARGS)

faults: .venv/.dev skirmish/.built  ## Kill, pause and cut off real processes (MINUTES=2 DATABASE=sqlite|postgresql SEED=1).
	@exec $(BIN)/python -m tests.faults --minutes $(or $(MINUTES),2) --database $(or $(DATABASE),sqlite) \
		--workers $(or $(WORKERS),2) --replicas $(or $(REPLICAS),1) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: .venv/.local .venv/.bench skirmish/.built  ## Measure everything (ARGS="--quick", ARGS="--only boards", ARGS=--help).
	@exec $(BIN)/python -m bench $(ARGS)

lint: .venv/.dev skirmish/.built  ## Check code, types and contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python protos/build.py --lint

format: .venv/.dev  ## Format the code and mend what can be mended by itself.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

protos: .venv/.local  ## Build the stubs from protos/ into skirmish/.
	$(BIN)/python protos/build.py
	@touch skirmish/.built

lock: .venv/.dev  ## Bring requirements/*.lock up to date with pyproject.toml (needs uv on the PATH).
	@lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
		--no-emit-index-url --no-emit-find-links pyproject.toml "$$@"; }; \
	lock -o requirements/service.lock && \
	lock --extra local -c requirements/service.lock -o requirements/local.lock && \
	lock --extra dev -c requirements/local.lock -o requirements/dev.lock && \
	lock --extra bench -c requirements/dev.lock -o requirements/bench.lock

clean:  ## Remove the environment, the stubs and all data of `make run`.
	rm -rf .venv .data skirmish .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made without a pip of its own, so that a Python without ensurepip is enough.
# What an interrupted installation leaves behind may look complete without being it, so that one begins anew.
.venv/.%: requirements/%.lock
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Skirmish needs Python 3.11 or newer: make PYTHON=/path/to/it")'
	@[ ! -e .venv/.unfinished ] || rm -rf .venv
	@[ -e $(BIN)/python ] || $(PYTHON) -m venv --without-pip .venv
	@echo "installing $< into .venv; the first time takes about a minute"
	@touch .venv/.unfinished
	@$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-input --require-hashes -r $<
	@[ $* != dev ] || touch .venv/.local  # which is a part of it
	@mv .venv/.unfinished $@

# The grpcio in the environment decides what the stubs must look like, so they follow its lock file too.
skirmish/.built: $(shell find protos -name '*.proto') protos/build.py requirements/local.lock | .venv/.local
	$(BIN)/python protos/build.py
	@touch $@
