# Everything here needs git, make and Python 3.11 or newer. The rest is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
ARGS ?=
WORKERS ?= 4
FIRST ?= 0
SEEDS ?= 10000

.PHONY: help demo test model check format clean

help:
	@echo "make demo     start the whole chat; open http://127.0.0.1:3001/ and stop it with Ctrl-C"
	@echo "make test     run every test; make test ARGS='tests/wire -x' passes options to pytest;"
	@echo "              WORKERS=4 run tests at the same time, 0 has one run after the other"
	@echo "make model    play simulated clusters through SEEDS=10000 schedules, from FIRST=0 on"
	@echo "make check    ruff, mypy and import-linter"
	@echo "make format   put the code into the form that make check asks for"
	@echo "make clean    remove .venv and everything else that was made here"
	@echo
	@echo "PYTHON=/path/to/python3 chooses the Python that .venv is made with."

demo: $(VENV)/.installed
	@exec $(BIN)/chatcore start --app examples/chat

test: $(VENV)/.installed-test
	@exec $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope $(ARGS) </dev/null

model: $(VENV)/.installed-test
	@cd tests && exec ../$(BIN)/python -m simulation play $(FIRST) $$(($(FIRST) + $(SEEDS)))

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info examples/*/.chatcore examples/*/web/node_modules
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name dropin.cache -type f -exec rm -f {} +

$(VENV)/.installed: setup.cfg pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	    echo "There is no $(PYTHON). Install Python 3.11 or newer (Debian package python3)," \
	        "or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "chatcore needs Python 3.11 or newer, and $(PYTHON) is" \
	        "$$($(PYTHON) -V 2>&1). Name another: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) can't make virtual environments. On Debian and Ubuntu:" \
	        "apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing chatcore into $(VENV); this is done once and takes about a minute."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need into $(VENV)."
	@$(PIP) -e '.[test]'
	@touch $@
