# Everything runs in .venv, which the first target that needs it creates. Python 3.11 or newer: make PYTHON=python3.12 ...
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
export HF_HUB_OFFLINE ?= 1

.PHONY: help demo test test-slow check format install regression references test-regression clean

help:
	@echo "make demo    train, evaluate and report both experiments on the micro worlds (two CPU cores)"
	@echo "make test    run the tests, offline, without those marked slow"
	@echo "make test-slow  run those: 200 topics with a judge, laptop rungs from plan to report, saved adapters, and others"
	@echo "make check   lint, format check, types"
	@echo "make format  rewrite the code in the project's format"
	@echo "make regression       check the saved adapters against their references (two CPU cores, a minute or two)"
	@echo "make test-regression  every test of that check, the slow ones too"
	@echo "make references RUNS=FOLDER  copy adapters out of the studies there, and make their references anew"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/mst demo

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow and not gpu' -n 2

test-slow: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not gpu' -n 2

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One process an experiment: micro models do not gain from a second thread.
regression: $(INSTALLED)
	$(MAKE) --no-print-directory -j2 regression-bias regression-sycophancy

regression-%: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/mst check training/adapters/$*-* --against logs/reference --junit runs/check/$*.xml

test-regression: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/test_regression*.py tests/test_check_*.py

# A reference keeps what is asked, so the numbers of rows and tokens matter only for adapters that have none yet.
RUNS ?= runs
references: $(INSTALLED)
	$(BIN)/python -m mst_evals.regression.save training/adapters $(RUNS)/micro-bias $(RUNS)/micro-sycophancy
	$(BIN)/python -m mst_evals.regression.save tests/adapters $(RUNS)/micro-bias $(RUNS)/micro-sycophancy --seed 1 --arms mst
	OMP_NUM_THREADS=1 $(BIN)/mst check training/adapters/bias-* --against logs/reference --update --rows 64 --max-tokens 160
	OMP_NUM_THREADS=1 $(BIN)/mst check training/adapters/sycophancy-* --against logs/reference --update
	$(BIN)/python -m mst_evals.regression.power logs/reference docs/regression.md

clean:
	rm -rf .venv
