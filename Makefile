# wattrow: everything from a fresh clone with python3, pip and make. `make` alone says what there is.
# Nothing is installed outside this folder: uv goes to .tools, the environment to .venv.

UV_VERSION := 0.13.8
UV := .tools/bin/uv
PYTHON := .venv/bin/python
WATTROW := .venv/bin/wattrow
STAMP := .venv/.stamp

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## The environment, from uv.lock; every other target does this by itself

$(UV):
	python3 -m pip install --quiet --target .tools uv==$(UV_VERSION)

$(STAMP): uv.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing .venv
	$(UV) sync --quiet --frozen --compile-bytecode
	$(PYTHON) -m compileall -q pipeline
	@touch $@

.PHONY: run
run: $(STAMP) ## The example of the reference pages: run it, print its values and where they are, write a page about it
	$(WATTROW) run data/example --out out/example
	$(PYTHON) data/print_example.py out/example
	$(WATTROW) report out/example

OBSERVED := --servers data/observed/places.csv --horizon 2026-03-29T12:00:00Z --model build/observed

.PHONY: run-observed
run-observed: $(STAMP) ## UCloud, CryoSPARC and Slurm records to the same tables
	rm -rf build/observed
	mkdir -p build/observed
	cp data/observed/model/*.csv build/observed/
	$(WATTROW) import slurm data/observed/sacct.txt $(OBSERVED) --timezone Europe/Copenhagen
	$(WATTROW) import cryosparc data/observed/cryosparc_jobs.json $(OBSERVED)
	$(WATTROW) import ucloud data/observed/ucloud_jobs.jsonl $(OBSERVED)
	$(WATTROW) run build/observed --out out/observed
	$(WATTROW) query out/observed data/observed/who_used_what.sql --format table
	$(WATTROW) query out/observed data/observed/counted_twice.sql --format table

.PHONY: query
query: out/example/current ## SQL over the example: a prompt, or make query SQL="SELECT ..." (or a file)
	$(WATTROW) query out/example $(if $(SQL),"$(SQL)")

out/example/current:
	@$(MAKE) --no-print-directory run

.PHONY: test
test: $(STAMP) ## All tests but the deep ones
	$(PYTHON) -m pytest -m "not deep" -n 2 --dist loadfile

.PHONY: test-deep
test-deep: $(STAMP) ## The long runs too (many hours; WATTROW_EXAMPLES, WATTROW_MINUTES and WATTROW_SEED: tests/deep)
	$(UV) sync --quiet --frozen --group fuzz
	$(PYTHON) -m pytest

TARGET := slurm
MINUTES := 60

.PHONY: fuzz
fuzz: $(STAMP) ## Coverage-guided fuzzing of one reader: make fuzz TARGET=ucloud MINUTES=60 (findings go to build/fuzz)
	$(UV) sync --quiet --frozen --group fuzz
	$(PYTHON) -m tests.deep.fuzz $(TARGET) --minutes $(MINUTES)

.PHONY: check
check: $(STAMP) ## ruff and mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.PHONY: bench
bench: $(STAMP) ## Every size of the benchmark, as whole processes (minutes)
	$(PYTHON) -m compileall -q pipeline
	$(PYTHON) -m tests.bench

.PHONY: bench-small
bench-small: $(STAMP) ## The smallest size of the benchmark
	$(PYTHON) -m compileall -q pipeline
	$(PYTHON) -m tests.bench --small

.PHONY: mutants
mutants: $(STAMP) ## Mutation testing of pipeline/stages (hours; ARGS="--sample 600"; ARGS="--report" for what there is)
	UV_PROJECT_ENVIRONMENT=build/mutants/.venv $(UV) sync --quiet --frozen --group mutants
	nice -n 19 build/mutants/.venv/bin/python -m tests.mutants $(ARGS)

.PHONY: audit
audit: $(STAMP) ## The lock files agree with pyproject.toml and with each other
	$(UV) lock --check
	$(UV) export --quiet --frozen --all-extras --no-emit-project --format requirements-txt --no-header | diff -u requirements-dev.lock -

.PHONY: lock
lock: | $(UV) ## Resolve the dependencies again: uv.lock and requirements-dev.lock
	$(UV) lock
	$(UV) export --quiet --frozen --all-extras --no-emit-project --format requirements-txt --no-header --output-file requirements-dev.lock

.PHONY: clean
clean: ## Remove what was made: out, build, caches and the environment
	rm -rf out build bench-out .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
