# Every check runs here the same way as in CI. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
SOURCES := crds/src operator/src trainer/src
DEMO := .cupola/demo
DECIDING := cupola_api cupola_operator/build cupola_operator/cost cupola_operator/decide

.PHONY: help
help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready ## install everything that the other targets need (uv included)

.venv/.ready: uv.lock pyproject.toml crds/pyproject.toml operator/pyproject.toml trainer/pyproject.toml
	@scripts/uv sync --locked --all-packages --all-extras --compile-bytecode
	@touch $@

.PHONY: demo
demo: setup ## four resources, from raw text to a measured model, on this machine
	@scripts/demo $(DEMO)

.PHONY: test
test: lint types contracts crds-check ## everything that CI checks
	@$(BIN)/pytest -n auto --dist loadscope --no-loadscope-reorder

.PHONY: soak
soak: setup ## real trainings, killed at random times, here and then on a cluster (half an hour)
	@$(BIN)/pytest -n 0 -m soak -s tests/main_job tests/trainer/curate
	@e2e/run -m soak -s

.PHONY: bench-curation
bench-curation: setup ## curation beside datatrove, on text of Debian packages (half an hour)
	@$(BIN)/python bench/curation/compare.py

.PHONY: e2e
e2e: setup ## the tests that need a cluster: one is started, and taken down again
	@e2e/run

.PHONY: cluster-up
cluster-up: setup ## a Kubernetes cluster on this machine, as root (docs/how-to/cluster.md)
	@e2e/cluster/up

.PHONY: cluster-down
cluster-down: setup ## take it down, without a trace
	@e2e/cluster/down

.PHONY: images
images: ## container images, with buildah or docker (docs/how-to/images.md)
	@images/build

.PHONY: lint
lint: setup ## style and common mistakes
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/hadolint --config images/hadolint.yaml images/Containerfile

.PHONY: types
types: setup ## mypy --strict
	@$(BIN)/mypy $(SOURCES)
	@MYPYPATH=e2e/cluster $(BIN)/mypy --explicit-package-bases e2e/cluster/testbed

.PHONY: contracts
contracts: setup ## who may import whom
	@$(BIN)/lint-imports

.PHONY: crds
crds: setup ## generate CRDs, references, chart schema and dashboard from the types
	@$(BIN)/python -m cupola_api.crd crds
	@$(BIN)/python -m cupola_api.reference docs/reference/api.md
	@$(BIN)/python -m cupola_operator.measure.reference docs/reference/metrics.md
	@$(BIN)/python -m cupola_operator.plan.answers.guide docs/explanation/guide.md
	@$(BIN)/python -m cupola_operator.plan.speed.published_page docs/explanation/published-runs.md
	@$(BIN)/python scripts/chart.py
	@$(BIN)/python scripts/dashboard.py

.PHONY: crds-check
crds-check: setup ## fail if what is generated differs from the types; tests check docs/explanation/published-runs.md
	@$(BIN)/python -m cupola_api.crd crds --check
	@$(BIN)/python -m cupola_api.reference docs/reference/api.md --check
	@$(BIN)/python -m cupola_operator.measure.reference docs/reference/metrics.md --check
	@$(BIN)/python -m cupola_operator.plan.answers.guide docs/explanation/guide.md --check
	@$(BIN)/python scripts/chart.py --check
	@$(BIN)/python scripts/dashboard.py --check

.PHONY: coverage
coverage: setup ## branch coverage of what decides, builds and charges: at least 95 % each
	@$(BIN)/pytest -q -n auto --cov --cov-report= --cov-fail-under=0 tests/api tests/operator
	@for package in $(DECIDING); do \
		echo; echo "$$package"; $(BIN)/coverage report --include="*/$$package/*"; \
	done

.PHONY: mutants
mutants: setup ## changes to that code which no test notices; at most 10 % in each package
	@nice -n 19 $(BIN)/python scripts/mutants.py

.PHONY: format
format: setup ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## remove what the targets made, the demo's work directory included
	rm -rf .cupola .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
