# make demo    install, animate the embedded photograph, say where the file lies
# make test    install, run the whole test suite       (ARGS="-k cache" narrows it, "-n 0" runs it in one process)
# make lint    install, run ruff and mypy
# make bench   install, run every measurement of bench/
# make clean   remove the environment and everything that was built

VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo "$$p" && break; done)
TORCH = torch==2.13.0
ARGS ?=

RUN = "$(VENV)/bin/python"
PIP = $(RUN) -m pip --disable-pip-version-check --no-input
STAMP = $(VENV)/.installed

# Installing leaves bytecode to the first import; where none may be written, every process would compile torch anew, for 20 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test lint bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

install: $(STAMP)

# torch alone is resolved, so that it gets the build of this machine (CPU or CUDA); the rest is pinned.
$(STAMP): requirements.lock pyproject.toml Makefile
	@if [ -z "$(PYTHON)" ]; then \
		echo "dreamactor: needs Python 3.11 or 3.12, and found neither; install one (apt-get install python3 python3-venv," \
			"or pyenv install 3.11) or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@if ! $(RUN) -m pip --version >/dev/null 2>&1; then \
		echo "Making $(VENV) with $(PYTHON)"; \
		"$(PYTHON)" -m venv --clear "$(VENV)" || { \
			echo "dreamactor: $(PYTHON) cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }; fi
	@echo "Installing into $(VENV), about 3 minutes the first time"
	@$(PIP) install --quiet --no-compile $(TORCH)
	@$(PIP) install --quiet --no-compile --no-deps -r requirements.lock
	@$(PIP) install --quiet --no-deps -e .
	@touch "$@"

demo: $(STAMP)
	@$(RUN) -m dreamactor_cli demo $(ARGS)

test: $(STAMP)
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(STAMP)
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: $(STAMP)
	@failed=0; for script in $(filter-out bench/common.py bench/lip_measures.py bench/body_frames.py,$(wildcard bench/*.py)); do \
		echo "== $$script"; $(RUN) "$$script" $(ARGS) || failed=1; done; exit $$failed

clean:
	rm -rf "$(VENV)" build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
