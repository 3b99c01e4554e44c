# Two commands: `make run` (the whole loop) and `make test`. `make help` lists the rest.
# Each creates .venv and installs what it needs the first time.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=

export HF_HUB_DISABLE_TELEMETRY := 1
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help run test test-fast lab lint format clean clean-data
SHELL := /bin/bash
.DEFAULT_GOAL := help

help:            ## this list
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+: *##' $(MAKEFILE_LIST) | sed 's/:[^#]*##/\t/' | expand -t 14

run: $(STAMP)    ## the whole loop; settings from .env, ARGS="-p n_prompts 96" for parameters
	@$(BIN)/workbench run $(ARGS)

test: $(STAMP) browser sandbox  ## every test: pytest, with the notebooks under nbval
	@$(BIN)/python -m pytest $(ARGS)

test-fast: $(STAMP)  ## the tests that need seconds
	@$(BIN)/python -m pytest tests -m "not slow and not browser" -n 2 --dist loadfile $(ARGS)

lab: $(STAMP)    ## JupyterLab on notebooks/
	@$(BIN)/jupyter lab --notebook-dir=notebooks

lint: $(STAMP)   ## ruff, mypy, import-linter
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: $(STAMP) ## ruff format and fixes
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

clean:           ## remove the reports of runs; judgements, datasets and adapters stay
	rm -rf reports/*/

clean-data:      ## remove traces, judgements, datasets and adapters as well, if you say so
	@read -r -p "Remove people's judgements, traces, datasets and adapters for good? Type yes: " answer; \
	  [ "$$answer" = yes ] && rm -rf reports/*/ adapters/*/ datasets/traces datasets/ratings datasets/preferences \
	  || echo "Nothing was removed"

# llama-cpp-python has only a source package: pip compiles it once (about 10 minutes
# on two cores) and keeps the wheel in its own cache for the next environment.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "Creating $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing; the first time llama.cpp is compiled, about 10 minutes on two cores"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	CMAKE_BUILD_PARALLEL_LEVEL=$${CMAKE_BUILD_PARALLEL_LEVEL:-$$(nproc)} \
	  $(BIN)/python -m pip install --progress-bar=on -c constraints.txt -e ".[dev]"
	@touch $@

# The widget's tests drive Debian's chromium; elsewhere install a Chromium and set CHROMIUM.
.PHONY: browser
browser:
	@command -v $${CHROMIUM:-chromium} >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	  && echo "Installing chromium for the browser tests" && apt-get -qq update && apt-get -qq install -y chromium >/dev/null; } \
	  || echo "No chromium: install it for the browser tests, or set WORKBENCH_NO_BROWSER=1"

# Programs run in bubblewrap; without it they are refused, and the sandbox's tests fail.
.PHONY: sandbox
sandbox:
	@command -v bwrap >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	  && echo "Installing bubblewrap" && apt-get -qq update && apt-get -qq install -y bubblewrap >/dev/null; } \
	  || echo "No bubblewrap: apt install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap"
