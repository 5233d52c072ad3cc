# make demo | test | lint | slow | mutants | clean — each works on a fresh machine: it makes .venv and installs first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test fast slow mutants lint format clean
.DEFAULT_GOAL := demo

# torch first and by exact version: asked for through a range, pip may fetch several gigabytes of another build.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Snellen needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/snellen demo

test: lint fast

lint: $(INSTALLED)
	$(BIN)/ruff format --check src tests
	$(BIN)/ruff check src tests
	$(BIN)/mypy

fast: $(INSTALLED)
	$(BIN)/pytest -m "not slow and not gpu"

slow: $(INSTALLED)
	$(BIN)/pytest -m "slow and not gpu"

mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutants

format: $(INSTALLED)
	$(BIN)/ruff format src tests
	$(BIN)/ruff check --fix src tests

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
