PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo train-default test lint format type imports wheel docs bench check clean

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "nowcast needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "cannot make $(VENV): install your system's python3-venv package"; exit 1; }
	$(BIN)/python -m pip install --quiet --editable '.[dev,docs]'
	@touch $@

demo: install
	$(BIN)/nowcast demo

# FITS: files of `nowcast fit ARCHIVE --future 6 --every 1` of real storms.
train-default: install
	$(BIN)/python tools/train_default.py --output build/default --fits $(FITS)

test: install
	$(BIN)/pytest --numprocesses auto --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

wheel: install
	$(BIN)/python -m build --wheel --outdir build/wheel . >/dev/null
	$(BIN)/python tests/check_wheel.py build/wheel

docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The README's picture: of the demo's forecast, with fewer colours.
docs/images/forecast.png: demo
	$(BIN)/python -c "from PIL import Image; \
		Image.open('nowcast-demo/pictures/forecast.png').convert('RGB').quantize(256, method=1).save('$@', optimize=True)"

# DATA: the real volumes of data/README.md; what is not there is left out.
DATA ?= $(or $(NOWCAST_DATA),$(wildcard ../shared/data))

bench: install
	$(BIN)/python kernels/benchmarks/run.py --out build/bench
	$(BIN)/python tests/benchmarks/system.py --out build/bench $(if $(DATA),--data "$(DATA)")
	$(BIN)/python tests/benchmarks/throughput.py --out build/bench $(if $(DATA),--data "$(DATA)")
	$(BIN)/python tests/benchmarks/convergence.py --out build/bench
	$(BIN)/python tests/benchmarks/motion.py --out build/bench

check: lint type imports wheel docs test

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
