PYTHON ?= python3
BIN    := .venv/bin
SONG   ?= examples/slow_motion_dream.mp3

.DEFAULT_GOAL := help
.PHONY: help song up test unit lint format lock bench-http clean

help:  ## What there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

song: .venv/ready  ## Separate SONG=path (an example without it): everything from nothing to stems on disk
	$(BIN)/medley once "$(SONG)"

up: .venv/ready  ## Run the service on this machine, at http://localhost:5000
	$(BIN)/medley up

test: lint  ## Everything the tests need, then all tests
	$(BIN)/pytest

unit: .venv/ready  ## The quick tests, which need no server
	$(BIN)/pytest tests/unit

lint: .venv/ready  ## Style, types and layers
	$(BIN)/ruff format --check -q
	$(BIN)/ruff check -q
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready  ## Bring the code into shape
	$(BIN)/ruff format -q
	$(BIN)/ruff check -q --fix

# uv marks every line with the platforms of [tool.uv] in pyproject.toml; those marks that only say so are left out.
lock: .venv/ready  ## Pin the newest versions of all packages in requirements.lock
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --no-header --no-annotate -q \
	  --no-emit-index-url --no-emit-find-links \
	  | sed "s/ ; (platform_machine == 'arm64' and sys_platform == 'darwin') or sys_platform == 'linux'$$//" \
	  | sed "s/ and ((platform_machine == 'arm64' and sys_platform == 'darwin') or sys_platform == 'linux')$$//" > requirements.new
	mv requirements.new requirements.lock

bench-http: .venv/ready  ## Throughput, memory and start of the HTTP functions, beside the S3 server itself
	$(BIN)/python benchmarks/http.py

clean:  ## Remove what was built here; songs and stems stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "medley needs Python 3.11 or newer; say which with PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python cannot make virtual environments here: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	touch $@
