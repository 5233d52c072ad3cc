# make demo | test | lint | slow | mutants | package | audit | sbom | clean
# Each works on a fresh machine: it makes .venv and installs first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test fast slow mutants lint format package audit sbom clean
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
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy

fast: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"

slow: $(INSTALLED)
	$(BIN)/pytest -m "slow and not gpu"

mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutants

package: $(INSTALLED)
	$(BIN)/python -m build --no-isolation
	$(BIN)/pytest tests/environments/test_package.py

# --strict: without it pip-audit calls a package that no database was asked about free of holes.
audit: $(INSTALLED)
	$(BIN)/pytest tests/environments/test_supply.py
	grep -v '^torch==' constraints.txt > .venv/audited.txt; grep '^torch==' constraints.txt | cut -d+ -f1 >> .venv/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r .venv/audited.txt \
		|| { echo "Holes were found, or no database was reached (then only the known ones of the test above are excluded)."; exit 1; }

sbom: $(INSTALLED)
	@mkdir -p dist
	$(BIN)/python -m cyclonedx_py environment --pyproject pyproject.toml --mc-type application --sv 1.6 \
		--output-reproducible -o dist/sbom.json $(BIN)/python

format: $(INSTALLED)
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
