# The one list of tasks. `make help` prints it from the comments behind `##`.

SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
APT_BUILD := python3 python3-venv python3-dev gcc g++ make git
APT_TEST := tmux valgrind curl systemd debootstrap busybox-static qemu-system-x86 e2fsprogs cpio buildah chromium firefox-esr
APT_BUNDLE := squashfs-tools libappimage1.0abi1 minisign qemu-user-static gcc-aarch64-linux-gnu g++-aarch64-linux-gnu iproute2
ONLY ?=
QUICK ?=

.DEFAULT_GOAL := help
.PHONY: help system-deps check-tools setup setup-dev setup-bench demo test lint fmt bench e2e soak model lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system-deps: ## install the system packages that the tasks need (apt, as root)
	@if [ "$$(id -u)" != 0 ]; then echo "make system-deps runs apt and needs root: sudo make system-deps" >&2; exit 1; fi
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $(APT_BUILD) $(APT_TEST) $(APT_BUNDLE)

check-tools:
	@missing=""; for tool in gcc g++ make git; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$(PYTHON)" ]; then missing="$$missing python3 python3-venv"; \
	else $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; fi; \
	if [ -n "$$missing" ]; then echo "missing tools; install them with: sudo apt-get install -y$$missing" >&2; exit 1; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	{ echo "Python 3.11 or newer is needed; give one with PYTHON=/path/to/python3" >&2; exit 1; }

setup: $(VENV)/.setup ## make .venv with the package and llama.cpp (never uses sudo)

$(VENV)/.setup: requirements/base.lock requirements/llama.lock packaging/llama/build.py pyproject.toml | check-tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/base.lock
	$(BIN)/python packaging/llama/build.py lib --into $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup-dev: $(VENV)/.setup-dev ## add the tests' and linters' tools to .venv

$(VENV)/.setup-dev: $(VENV)/.setup requirements/dev.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

setup-bench: $(VENV)/.setup-bench

$(VENV)/.setup-bench: $(VENV)/.setup-dev requirements/bench.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bench.lock
	$(BIN)/python packaging/llama/build.py server --into $(VENV)
	@touch $@

demo: setup ## set everything up and let the embedded model answer a real agent file
	@echo
	@echo '$$ tea run examples/llm/local-chat.yaml --input '"'"'{"question": "What is 2+2?"}'"'"
	@$(BIN)/tea run examples/llm/local-chat.yaml --input '{"question": "What is 2+2?"}'

# On a noisy two-core machine a real process can miss a real deadline: what fails is run once more, alone, and named. It fails
# the task when it fails twice.
define pytest_twice
	$(BIN)/python -m pytest -q $(1) || { [ $$? = 1 ] && echo "== what failed, once more and alone:" && \
	$(BIN)/python -m pytest -q $(1) --last-failed --last-failed-no-failures none && echo "== passed at the second try only; see above"; }
endef

test: setup-dev lint ## set everything up, lint, and pass the tests (long checks: few rounds)
	export ROUNDS=small; $(call pytest_twice,-m "not e2e" $(if $(ONLY),tests/$(ONLY)))

lint: setup-dev ## ruff, pyright (strict), import contracts; workflows, container, scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/basedpyright --level error
	$(BIN)/zizmor -q --offline .github/workflows
	$(BIN)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/hadolint packaging/docker/Dockerfile
	$(BIN)/shellcheck .ci/run $(shell git ls-files '*.sh') packaging/vm/guest/initramfs

fmt: setup-dev ## format the code
	$(BIN)/ruff check --fix -q . || true
	$(BIN)/ruff format .

e2e: setup-dev ## real processes, servers and terminals; long checks with middle rounds (ONLY=area)
	export ROUNDS=middle; $(call pytest_twice,-m "e2e or long" $(if $(ONLY),-k "$(ONLY)"))

soak: setup-dev ## the long checks in full (ONLY=area)
	ROUNDS=full $(BIN)/python -m pytest -q -m "long" --timeout 7200 $(if $(ONLY),-k "$(ONLY)")

bench: setup-bench ## figures as ratios against named peers (ONLY=engine|inference|store|..., QUICK=1)
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

model: setup ## train the embedded model again, from data to scores (about two hours; models/tiny/README.md)
	@test -x .venv-train/bin/python || $(PYTHON) -m venv .venv-train
	.venv-train/bin/python -m pip install -q --disable-pip-version-check -r models/tiny/requirements.txt
	.venv-train/bin/python models/tiny/make.py $(if $(MINUTES),--minutes $(MINUTES))

lock: ## write requirements/*.lock from pyproject.toml (needs uv)
	uv -q pip compile $(LOCK_FLAGS) pyproject.toml --group build -o requirements/base.lock
	uv -q pip compile $(LOCK_FLAGS) pyproject.toml --group dev -c requirements/base.lock -o requirements/dev.lock
	uv -q pip compile $(LOCK_FLAGS) pyproject.toml --extra runtime --extra mcp --extra memory -c requirements/dev.lock -o requirements/bundle.lock
	uv -q pip compile $(LOCK_FLAGS) pyproject.toml -c requirements/dev.lock -o requirements/bundle-lite.lock
	uv -q pip compile $(LOCK_FLAGS) pyproject.toml --group dev --group bench -c requirements/dev.lock -o requirements/bench.lock

LOCK_FLAGS := --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --no-annotate

clean: ## remove .venv and what tools left behind
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist
