# dlc: every common task. `make` alone lists them.
PYTHON ?= python3
PY := .venv/bin/python
STAMP := .venv/.setup-stamp
PYTEST_ARGS ?= -q -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test fast check bench bless docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with dlc (editable) and all that the tests need

$(STAMP): pyproject.toml
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --editable '.[test]'
	touch $@

demo: $(STAMP) ## trains on real trees, then classifies in a C program without Python
	$(PY) -m demo

test: $(STAMP) ## all tests, the long ones included
	$(PY) -m pytest $(PYTEST_ARGS) --full

fast: $(STAMP) ## the tests of the fast tier
	$(PY) -m pytest $(PYTEST_ARGS)

check: $(STAMP) ## ruff, and pyright strict on dlc/
	.venv/bin/ruff check
	.venv/bin/pyright

bench: $(STAMP) ## speed, against the peers that are installed
	$(PY) -m bench

bless: $(STAMP) ## accept what the compiler prints now as the expected texts; look at the diff
	$(PY) -m pytest $(PYTEST_ARGS) --bless tests/text tests/diagnostics

docs: $(STAMP) ## regenerate what is derived: parser tables, the pages of docs/ that come from data
	$(PY) tools/generate.py

clean: ## remove what builds leave behind, but not .venv
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
	find dlc tests -name __pycache__ -type d -prune -exec rm -rf {} +
