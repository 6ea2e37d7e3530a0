PYTHON ?= python3
BIN    := .venv/bin
KERNELS = $(wildcard functions/separate/kernels/*.?pp)
SONG   ?= examples/slow_motion_dream.mp3

# Of images and clusters. dev.local is no registry: Knative takes such images as they lie on its nodes.
REGISTRY ?= dev.local
# By content: other code is another tag and so a new revision, other manifests alone are not.
TAG      ?= $(shell find functions medley requirements.lock -type f ! -path '*/__pycache__/*' ! -name '*.so' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-12)
OVERLAY  ?= laptop
BUILDER  ?= $(firstword $(foreach tool,docker podman buildah,$(shell command -v $(tool))))
IMAGES    = $(patsubst functions/%/Dockerfile,%,$(wildcard functions/*/Dockerfile))

.DEFAULT_GOAL := help
.PHONY: help song up test unit lint format lock lock-benchmarks clean tag images push manifests deploy undeploy \
  cluster cluster-down test-cluster test-gpu

help:  ## What there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

song: .venv/kernels  ## Separate SONG=path (an example without it): everything from nothing to stems on disk
	$(BIN)/medley once "$(SONG)"

up: .venv/kernels  ## Run the service on this machine, at http://localhost:5000; ARGS="--port 5001"
	$(BIN)/medley up $(ARGS)

test: lint .venv/kernels  ## Everything the tests need, then all tests
	$(BIN)/pytest

unit: .venv/kernels  ## The quick tests, which need no server
	$(BIN)/pytest tests/unit

lint: .venv/ready  ## Style, types and layers
	$(BIN)/ruff format --check -q
	$(BIN)/ruff check -q
	$(BIN)/clang-format --dry-run -Werror $(KERNELS)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/ready  ## Bring the code into shape
	$(BIN)/ruff format -q
	$(BIN)/ruff check -q --fix
	$(BIN)/clang-format -i $(KERNELS)

# uv marks every line with the platforms of [tool.uv] in pyproject.toml; those marks that only say so are left out.
lock: .venv/ready  ## Pin the newest versions of all packages in requirements.lock
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --no-header --no-annotate -q \
	  --no-emit-index-url --no-emit-find-links \
	  | sed "s/ ; (platform_machine == 'arm64' and sys_platform == 'darwin') or sys_platform == 'linux'$$//" \
	  | sed "s/ and ((platform_machine == 'arm64' and sys_platform == 'darwin') or sys_platform == 'linux')$$//" > requirements.new
	mv requirements.new requirements.lock

# Only what requirements.lock does not pin already; for the oldest Python, whose packages the newer ones take too.
lock-benchmarks: .venv/ready  ## Pin what only benchmarks need in benchmarks/requirements.lock
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile pyproject.toml --extra benchmarks --constraint requirements.lock --python-version 3.11 --no-header \
	  --no-annotate -q --no-emit-index-url --no-emit-find-links --output-file requirements.new
	awk -F== 'NR == FNR { pinned[$$1]; next } !($$1 in pinned)' requirements.lock requirements.new > benchmarks/requirements.lock
	rm requirements.new

.venv/benchmarks: benchmarks/requirements.lock .venv/kernels
	$(BIN)/pip install --disable-pip-version-check -q -c requirements.lock -r benchmarks/requirements.lock
	touch $@

.PHONY: bench-http bench-separate bench-network bench-memory bench-coldstart bench-knative
ROUNDS_ = $(if $(ROUNDS),--rounds $(ROUNDS))
ONLY_   = $(if $(ONLY),--only $(ONLY))

bench-http: .venv/ready  ## Throughput, memory and start of the HTTP functions, beside the S3 server itself
	$(BIN)/python -m benchmarks.http

bench-separate: .venv/benchmarks  ## Separating SONG, beside stock Demucs; ROUNDS= of each, ONLY="whole warm quality writing"
	$(BIN)/python -m benchmarks.separate "$(SONG)" $(ROUNDS_) $(ONLY_)

bench-network: .venv/benchmarks  ## HTDemucs' forward alone, beside stock, onnxruntime and OpenVINO; ROUNDS=
	$(BIN)/python -m benchmarks.network $(ROUNDS_)

bench-memory: .venv/benchmarks  ## Memory by the length of songs, and after 200 of them; ONLY="tiny real many"
	$(BIN)/python -m benchmarks.memory $(ONLY_)

bench-coldstart: .venv/benchmarks  ## From the start of a process to its first segment, step by step; ROUNDS=
	$(BIN)/python -m benchmarks.coldstart $(ROUNDS_)

bench-knative: .venv/benchmarks  ## What Knative's parts and the stores take and cost (docs/scaling.md); ROUNDS=, ONLY="requests events burst"
	@bash -c '. tests/knative/cluster/settings.sh && exec $(BIN)/python -m benchmarks.knative $(ROUNDS_) $(ONLY_)'

clean: cluster-down  ## Remove what was built here; songs and stems stay
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info build benchmarks/out
	rm -f functions/separate/kernels/*.so

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "medley needs Python 3.11, 3.12 or 3.13; say which with PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "Python cannot make virtual environments here: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "installing packages into .venv: a minute or two"
	$(BIN)/pip install --disable-pip-version-check -q -r requirements.lock
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	touch $@

# After the packages: one of them is the compiler.
.venv/kernels: functions/separate/kernels/build.py $(KERNELS) .venv/ready
	@$(BIN)/python functions/separate/kernels/build.py && touch $@ \
	  || echo "layers are not compiled: PyTorch's operators do as well, more slowly on processors with AVX2 alone" >&2

tag:  ## Print the TAG of this code's images
	@echo $(TAG)

images:  ## Build REGISTRY/<function>:TAG with docker, podman or buildah; BASE= and PIP_ARGS= go to the Dockerfiles
	@test -n "$(BUILDER)" || { echo "none of docker, podman and buildah is here" >&2; exit 1; }
	set -e; for name in $(IMAGES); do $(BUILDER) build -f functions/$$name/Dockerfile -t $(REGISTRY)/$$name:$(TAG) \
	  $(if $(BASE),--build-arg BASE="$(BASE)") $(if $(PIP_ARGS),--build-arg PIP_ARGS="$(PIP_ARGS)") .; done

push:  ## Push the images that `make images` built
	set -e; for name in $(IMAGES); do $(BUILDER) push $(REGISTRY)/$$name:$(TAG); done

manifests:  ## Write the objects of OVERLAY with the images of REGISTRY into build/manifests, one file each
	sh knative/render.sh $(OVERLAY) $(REGISTRY) $(TAG) build/manifests

# Settings before what reads them when it starts.
deploy: manifests  ## Deploy OVERLAY with the images of REGISTRY to the cluster of kubectl; wait until it is ready
	sh knative/secrets.sh
	kubectl apply $$(printf -- '-f %s ' build/manifests/v1_*)
	kubectl apply -f build/manifests
	for file in build/manifests/apps_v1_*; do \
	  ! [ -e "$$file" ] || kubectl rollout status -f "$$file" --timeout=600s || exit 1; done
	kubectl -n medley wait ksvc --all --for=condition=Ready --timeout=1800s
	kubectl -n medley wait trigger --all --for=condition=Ready --timeout=300s
	kubectl -n medley get ksvc

undeploy: manifests  ## Remove what `make deploy` made; songs and secrets stay
	kubectl delete --ignore-not-found -f build/manifests

cluster:  ## Run a Kubernetes with Knative and medley on this machine, for tests; needs root, Debian and Go
	@tests/knative/cluster/up.sh

test-cluster: .venv/ready  ## The tests that take what `make cluster` runs
	@bash -c '. tests/knative/cluster/settings.sh && exec $(BIN)/pytest tests/knative/on_cluster'

test-gpu: .venv/ready  ## The tests that take an NVIDIA GPU
	$(BIN)/pytest tests/on_gpu

cluster-down:  ## Stop it and remove what it has stored
	@tests/knative/cluster/down.sh
