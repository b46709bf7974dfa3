# ACCESS QA Control. `make` alone lists the targets.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do command -v $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo pilot test check snap shots bench clean

help:            ## this list
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*##/	/'

demo: .venv/.run ## set everything up and open the app on the embedded sandbox (headless without a terminal)
	@$(BIN)/qa model fetch smollm2-135m
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/qa app --host sandbox; else exec $(BIN)/qa pilot --host sandbox; fi

pilot: .venv/.run ## the four weeks of the pilot, headless, for real, with the small model
	@$(BIN)/qa model fetch smollm2-135m
	@exec $(BIN)/qa pilot --host sandbox

test: .venv/.dev ## every test; the few that fail once are run again alone, and must pass there
	@$(BIN)/qa model fetch smollm2-135m
	@$(BIN)/python -m pytest -n 2 --dist loadgroup || { [ $$? -eq 1 ] && \
	echo "== once more, alone: real daemons on a crowded machine ==" && \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none --maxfail 3 --snapshot-warn-unused; }

check: .venv/.dev ## lint, types, and the walls between the floors
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

snap: .venv/.dev ## redraw the screen snapshots, then look at the diff
	$(BIN)/python -m pytest tests/ui -n 2 --snapshot-update

shots: .venv/.dev ## PNG pictures of the real app after a pilot, into docs/images (needs chromium)
	$(BIN)/python -m tests.ui.tour docs/images

bench: .venv/.dev ## figures as ratios against a peer, one line each
	$(BIN)/python -m benchmarks all

clean:           ## remove the virtual environment and caches (never registry.db)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache build *.egg-info

.venv/.run: pyproject.toml constraints.txt
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ACCESS QA Control needs Python 3.11 or newer; found: $$($(PYTHON) --version 2>&1)."; \
	    echo "try: install python3.11 (Debian/Ubuntu: python3 python3-venv; macOS: brew install python), or make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 6; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv || \
	  { echo "could not create the virtual environment."; echo "try: install the venv module (Debian/Ubuntu: apt install python3-venv), or check free disk space"; exit 6; }
	@echo "installing the pinned packages (about a minute from a warm cache) …"
	@$(PIP) -e '.[train,sandbox,report]' || { echo "pip could not install the packages."; echo "try: check the network and free disk space (about 2 GB), then run make again; nothing is lost"; exit 6; }
	@touch $@

.venv/.dev: .venv/.run
	@$(PIP) -e '.[train,sandbox,report,dev]' && touch $@
