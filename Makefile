# make demo | test | test-all | lint | docs | slow | test-avx2 | mutants | package | audit | sbom | clean
# Each works on a fresh machine: it makes .venv first and installs what it needs; demo needs nothing of the developers'.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
FOR_USERS := .venv/.for-users
FOR_DEVELOPERS := .venv/.for-developers

.PHONY: demo test test-all fast rest docs slow test-avx2 mutants lint format package audit sbom clean
.DEFAULT_GOAL := demo

# torch first and by exact version: asked for through a range, pip may fetch several gigabytes of another build.
$(FOR_USERS): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Snellen needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) -c constraints.txt -e '.[view]'
	@touch $@

$(FOR_DEVELOPERS): $(FOR_USERS)
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(FOR_USERS)
	@$(BIN)/snellen demo

# All in this one process and its twin: five minutes on two cores. `test-all` adds what starts processes, and what is long.
test: lint fast

test-all: test rest

lint: $(FOR_DEVELOPERS)
	$(BIN)/ruff format --check src tests benchmarks docs/site
	$(BIN)/ruff check src tests benchmarks docs/site
	$(BIN)/mypy

fast: $(FOR_DEVELOPERS)
	$(BIN)/pytest -n 2 --dist loadfile -m "not processes and not long and not slow and not gpu"

rest: $(FOR_DEVELOPERS)
	$(BIN)/pytest -n 2 --dist loadfile -m "(processes or long) and not slow and not gpu"

# The site, for a browser: site/index.html. A link or anchor that leads nowhere fails; tests/test_site.py builds it too.
# No --quiet: it hides the warnings that --strict counts.
docs: $(FOR_DEVELOPERS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

slow: $(FOR_DEVELOPERS)
	$(BIN)/pytest -m "slow and not gpu"

# The same on the other family of processors: without AVX-512 other kernels answer, in int8 with other rounding.
test-avx2: export ATEN_CPU_CAPABILITY = avx2
test-avx2: export ONEDNN_MAX_CPU_ISA = AVX2
test-avx2: fast

mutants: $(FOR_DEVELOPERS)
	$(BIN)/python -m tests.mutants

package: $(FOR_DEVELOPERS)
	$(BIN)/python -m build --no-isolation
	$(BIN)/pytest tests/environments/test_package.py

# --strict: without it pip-audit calls a package that no database was asked about free of holes.
audit: $(FOR_DEVELOPERS)
	$(BIN)/pytest tests/environments/test_supply.py
	grep -v '^torch==' constraints.txt > .venv/audited.txt; grep '^torch==' constraints.txt | cut -d+ -f1 >> .venv/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r .venv/audited.txt \
		|| { echo "Holes were found, or no database was reached (then only the known ones of the test above are excluded)."; exit 1; }

sbom: $(FOR_DEVELOPERS)
	@mkdir -p dist
	$(BIN)/python -m cyclonedx_py environment --pyproject pyproject.toml --mc-type application --sv 1.6 \
		--output-reproducible -o dist/sbom.json $(BIN)/python

format: $(FOR_DEVELOPERS)
	$(BIN)/ruff format src tests benchmarks docs/site
	$(BIN)/ruff check --fix src tests benchmarks docs/site

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist site
