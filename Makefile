# Every target sets up .venv first, when it is missing or older than what it is made from.
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready
# Every run and every worker starts from compiled modules: a second less for each.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup claims sample test lint bench calibration faults fuzz clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; pass PYTHON=python3.12, for instance."; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# The shipped matrix, compared with claims/expected.json. ARGS='--sets 20' adds options.
claims: $(READY)
	$(PY) -m pytest claims/ -n auto -q $(ARGS)

# The committed sample of what a run writes.
sample: $(READY)
	$(PY) -m pytest claims/ -n auto -q --reports reports/sample $(ARGS)

# The instrument's own tests.
test: $(READY)
	$(PY) -m pytest tests/ -n auto --dist worksteal -q --ignore=tests/benchmarks $(ARGS)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Speed beside peers, written to reports/benchmarks; without workers, because
# pytest-benchmark disables itself beside them. PROBES_QUICK=1 proves it in small.
bench: .venv/.bench
	$(PY) -m pytest tests/benchmarks -n 0 -q $(ARGS)

.venv/.bench: $(READY)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

# How often verdicts are wrong, on worlds of known truth.
calibration: $(READY)
	$(PY) -m probes calibrate $(ARGS)

# Whatever bytes the parsers are given: 12,000 inputs and more to each of seven.
fuzz: $(READY)
	PROBES_FUZZ=12000 $(PY) -m pytest tests/test_fuzz.py -n 0 -q -s $(ARGS)

# Faults injected into real runs on every engine, and how large and fast they go, about a
# quarter of an hour; writes reports/faults/. ARGS=--quick plays it in small.
faults: $(READY)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[ray]'
	$(PY) -m tests.faults $(ARGS)

clean:
	rm -rf .venv .store reports/latest build .pytest_cache .mypy_cache .ruff_cache
