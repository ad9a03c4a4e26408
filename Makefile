# Every target sets up .venv first, if it is missing or out of date.
PYTHON ?= python3
PY := .venv/bin/python
READY := .venv/.ready
# Keep compiled modules: each run and each worker starts a second faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup claims sample natural test lint docs bench calibration calibration-full \
  faults fuzz clean

setup: $(READY)

$(READY): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; pass PYTHON=python3.12, for instance."; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv .venv
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# Judge the shipped matrix and compare it with claims/expected.json. ARGS='--sets 20'
# adds options.
claims: $(READY)
	$(PY) -m pytest claims/ -n auto -q $(ARGS)

# Write the sample report that is committed.
sample: $(READY)
	$(PY) -m pytest claims/ -n auto -q --reports reports/sample $(ARGS)

# Judge pretrained models on tasks of words, the most telling cells first, into
# reports/natural. It takes hours, and goes on where it stopped: a finished part of a cell
# stays in reports/natural/cells, also without the store. The parts of a cell follow each
# other, because they share trainings. ARGS=--plan tells how long;
# PARTS=W_V NATURAL=smollm2_135m:antonym:8 judges other cells; SIZES= judges at the
# default sizes, which takes about five times as long.
SIZES ?= --effort quick --sets 10 --orders 3
WORDS := singular_plural present_past country_capital capitalise
NATURAL ?= $(foreach n,4 8,$(WORDS:%=smollm2_135m:%:$n)) \
  gemma3_270m:singular_plural:4 gemma3_270m:present_past:4 \
  smollm2_135m:nonce_categories:16
# Claims on one W_V; on what GD of all weights answers, on single demonstrations and
# labels, on weights, on updates and activations, on facts asked in reverse (which take 30
# demonstrations). Then those that train most: on demonstrations left out, on
# representations, on curves over the number of demonstrations, on updates that reproduce
# ICL, on the nearest algorithm, and on SGD and Adam.
PARTS ?= W_V gd single weights updates reverse leave_one_out representations curve \
  reproduces algorithm sgd
MORE := efficiency or leave_one_out or curve or priors or reproduces or representations \
  or which_algorithm
USUAL := not (W_V or sgd or adam or $(MORE))
CELLS := reports/natural/cells
natural: $(READY)
	@for step in $(NATURAL); do for part in $(PARTS); do \
	  case $$part in \
	    W_V) only="W_V";; \
	    gd) only="(test_output or test_order or test_calibration) and $(USUAL)";; \
	    single) only="(test_demonstrations or test_labels or test_ciphers) and $(USUAL)";; \
	    weights) only="(test_weights or test_identities) and $(USUAL)";; \
	    updates) only="test_updates and $(USUAL)";; \
	    leave_one_out|representations|reproduces) only="$$part and not (W_V or sgd or adam)";; \
	    reverse) only="test_reversals";; \
	    curve) only="(curve or efficiency or priors) and not (W_V or sgd or adam)";; \
	    algorithm) only="which_algorithm";; \
	    sgd) only="sgd or adam";; \
	    *) echo "There is no part $$part. Expected one of: $(PARTS)."; exit 2;; \
	  esac; \
	  set -- $$(echo $$step | tr : ' '); cell=$$1-$$2-$$3-$$part; new=build/natural/$$cell; \
	  if [ -f $(CELLS)/$$cell/run.json ]; then echo "$$cell is finished"; continue; fi; \
	  echo "$$1 on $$2, $$3 demonstrations: $$only"; rm -rf $$new; \
	  $(PY) -m pytest claims/ -n auto -q --raw $(SIZES) --models $$1 --datasets $$2 \
	    --demos $$3 -k "$$only" --reports $$new $(ARGS); \
	  case $$? in 0|1) ;; 5) echo "$$cell has no claims";; *) exit 1;; esac; \
	  if grep -qs '"complete": true' $$new/run.json; then \
	    mkdir -p $(CELLS)/$$cell; cp $$new/results.jsonl $$new/run.json $(CELLS)/$$cell; \
	  fi; \
	done; done
	@if [ -d $(CELLS) ]; then $(PY) -m probes report join reports/natural $(CELLS)/*; fi

# Run the instrument's own tests.
test: $(READY)
	$(PY) -m pytest tests/ -n auto --dist worksteal -q --ignore=tests/benchmarks $(ARGS)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

# Build README, docs/ and reports/ into static pages, build/site/index.html. They need no
# server and no network. A link that leads nowhere is an error.
docs: .venv/.docs
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet $(ARGS)

.venv/.docs: $(READY)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[docs]'
	@touch $@

# Measure speed against peers, into reports/benchmarks. There are no workers, because
# pytest-benchmark disables itself with them. PROBES_QUICK=1 makes a short trial run.
bench: .venv/.bench
	$(PY) -m pytest tests/benchmarks -n 0 -q -rs $(ARGS)

.venv/.bench: $(READY)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[bench]'
	@touch $@

# Measure how often verdicts are wrong: on simulated data, and with the main planted
# truths on two seeds. By the time of its parts, less than twenty minutes on two cores.
calibration: $(READY)
	$(PY) -m probes calibrate $(ARGS)

# The same with all planted truths and claims on twenty seeds. By the time of its parts,
# about a day on two cores; a second call goes on where the first one stopped.
calibration-full: $(READY)
	$(PY) -m probes calibrate --seeds 20 --long $(ARGS)

# Feed at least 12,000 damaged inputs to each of the seven parsers.
fuzz: $(READY)
	PROBES_FUZZ=12000 $(PY) -m pytest tests/test_fuzz.py -n 0 -q -s $(ARGS)

# Inject faults into real runs on every engine, and measure scale and speed, into
# reports/faults. It takes a quarter of an hour; ARGS=--quick makes a short trial run.
faults: $(READY)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install --quiet -c constraints.txt -e '.[ray]'
	$(PY) -m tests.faults $(ARGS)

clean:
	rm -rf .venv .store reports/latest build .pytest_cache .mypy_cache .ruff_cache
