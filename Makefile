PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EDITABLE := $(INSTALL) --no-deps --no-build-isolation --editable .

# npm trusts the machine's own certificate authorities, as pip and uv do.
export NODE_USE_SYSTEM_CA := 1
# The tests start hundreds of processes. None should compile again what the first one compiled.
unexport PYTHONDONTWRITEBYTECODE

PYTEST := $(BIN)/python -m pytest -n 6 tests
# Schemathesis makes its requests while pytest collects, once in every worker.
WITHOUT_SCHEMATHESIS := -p no:schemathesis --ignore=tests/sandbox/test_contract.py
# Tools that run on Node. Installing them mostly waits for the network.
NODE_STAMPS := .venv/gallery.stamp .venv/inspector.stamp .venv/bundle.stamp .venv/conformance.stamp

.PHONY: help install demo setup test test-rest test-all lint format types bench interop conformance gallery docs bundle dist lock clean

help:  ## List these targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
	    printf '%-12s %s\n' "$$target" "$$text"; done

install: .venv/run.stamp  ## Install the server and what it needs into .venv
	@echo "Installed: $(CURDIR)/$(BIN)/layer-mcp"

demo: .venv/run.stamp  ## Make a simulated picture through the server, as a client would
	$(BIN)/layer-mcp demo

setup: .venv/dev.stamp  ## Install everything a developer needs
	@$(MAKE) --no-print-directory --jobs=4 $(NODE_STAMPS)
	@echo "Ready. Run the tests with: make test"

test: .venv/dev.stamp .venv/gallery.stamp  ## Test the behavior of everything, in about three minutes
	$(PYTEST) -m "not rest" $(WITHOUT_SCHEMATHESIS)

test-rest: .venv/dev.stamp $(NODE_STAMPS)  ## Run the tests that make test leaves out
	$(PYTEST) -m rest

test-all: .venv/dev.stamp $(NODE_STAMPS)  ## Run the whole suite
	$(PYTEST)

lint: .venv/dev.stamp  ## Check style, formatting and what each package imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: .venv/dev.stamp  ## Fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/dev.stamp .venv/gallery.stamp  ## Check the types of Python and TypeScript
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent --prefix gallery check

bench: .venv/dev.stamp  ## Run the benchmarks and write benchmarks/results.json and .png
	$(BIN)/python -m benchmarks

interop: .venv/dev.stamp  ## Run the whole job with other clients, and fail on new results
	$(BIN)/python -m interop

conformance: .venv/conformance.stamp  ## Run the protocol's public conformance suite
	$(BIN)/python -m conformance

gallery: .venv/gallery.stamp  ## Build the page that clients show for a run
	$(BIN)/node gallery/build.mjs

docs: .venv/dev.stamp  ## Build the documentation into docs/_build
	$(BIN)/python -m docs.generator
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html -E -d docs/_build/.doctrees docs docs/_build/html
	@echo "Built: $(CURDIR)/docs/_build/html/index.html"

bundle: .venv/bundle.stamp  ## Pack the Claude Desktop bundle into dist/
	$(BIN)/python -m bundle

dist: .venv/run.stamp  ## Build the wheel and the sdist into dist/
	$(BIN)/python -m hatchling build --directory dist

lock: .venv/dev.stamp  ## Pin every requirement with its hashes
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header --group build pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header -c requirements/run.txt --group dev pyproject.toml -o requirements/dev.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate -c requirements/dev.txt - -o requirements/uv.txt
	for wanted in interop/*/requirements.in; do \
	    $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	        --no-header --python-version 3.11 $$wanted -o $${wanted%.in}.txt || exit 1; \
	done

clean:  ## Delete everything that was installed or built
	rm -rf .venv .interop dist interop/node/node_modules interop/node/inspector/node_modules interop/hosts/*/node_modules conformance/node_modules gallery/node_modules bundle/node_modules docs/_build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(EDITABLE)
	@touch $@

# uv installs ten times faster than pip, but doesn't read pip's configuration.
.venv/dev.stamp: requirements/dev.txt requirements/uv.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements/uv.txt
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	    -r requirements/dev.txt || $(INSTALL) --require-hashes -r requirements/dev.txt
	$(EDITABLE)
	@touch .venv/run.stamp $@

.venv/inspector.stamp: interop/node/inspector/package-lock.json .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix interop/node/inspector
	@touch $@

.venv/conformance.stamp: conformance/package-lock.json .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix conformance
	@touch $@

.venv/gallery.stamp: gallery/package-lock.json .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix gallery
	@touch $@

.venv/bundle.stamp: bundle/package-lock.json bundle/schemas.txt requirements/run.txt .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix bundle
	rm -rf .venv/schemas
	$(INSTALL) --no-deps --require-hashes --target .venv/schemas -r bundle/schemas.txt
	$(BIN)/python -m tests.support.offline_uv
	@touch $@
