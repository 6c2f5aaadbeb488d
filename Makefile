PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
EDITABLE := $(INSTALL) --no-deps --no-build-isolation --editable .

# A private authority of the machine's counts for npm too, as it does for pip and uv.
export NODE_USE_SYSTEM_CA := 1

.PHONY: demo test lint format types bench interop conformance gallery docs bundle dist install lock clean

install: .venv/run.stamp  ## The server and what it needs, in .venv
	@echo "Installed: $(CURDIR)/$(BIN)/layer-mcp"

demo: .venv/run.stamp  ## Make one simulated picture through the server, as a host would
	$(BIN)/layer-mcp demo

test: .venv/dev.stamp .venv/inspector.stamp .venv/gallery.stamp .venv/bundle.stamp  ## The whole suite
	$(BIN)/python -m pytest -n 4 tests

lint: .venv/dev.stamp  ## Lint and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: .venv/dev.stamp .venv/gallery.stamp  ## Strict type checking
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent --prefix gallery check

bench: .venv/dev.stamp  ## Measure against references; writes benchmarks/results.json and .png
	$(BIN)/python -m benchmarks

interop: .venv/dev.stamp  ## Other people's clients, each doing the whole job; fails on new results
	$(BIN)/python -m interop

conformance: .venv/conformance.stamp  ## The protocol's public suite, over HTTP, and its tasks scenarios
	$(BIN)/python -m conformance

gallery: .venv/gallery.stamp  ## Build the page that hosts show for a run
	$(BIN)/node gallery/build.mjs

docs: .venv/dev.stamp  ## The pages, into docs/_build; a warning is an error
	$(BIN)/python -m docs.generator
	$(BIN)/python -m sphinx -q -W --keep-going -n -b html -E -d docs/_build/.doctrees docs docs/_build/html
	@echo "Built: $(CURDIR)/docs/_build/html/index.html"

bundle: .venv/bundle.stamp  ## Pack the Claude Desktop bundle into dist/, and validate it
	$(BIN)/python -m bundle

dist: .venv/run.stamp  ## Build wheel and sdist into dist/
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

clean:
	rm -rf .venv .interop dist interop/node/node_modules interop/node/inspector/node_modules interop/hosts/*/node_modules conformance/node_modules gallery/node_modules bundle/node_modules docs/_build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements/run.txt
	$(EDITABLE)
	@touch $@

# uv installs in a tenth of pip's time, but does not know what pip is configured with.
.venv/dev.stamp: requirements/dev.txt requirements/uv.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements/uv.txt
	UV_SYSTEM_CERTS=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes \
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
