# `make` lists the commands. Everything below installs what it needs, once.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
DATA ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint bench

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with everything in it (2 to 3 minutes, once)

$(READY): requirements.txt $(wildcard requirements/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --disable-pip-version-check -q -r requirements.txt -r requirements/dev.txt
	$(RUN) -m pip install --disable-pip-version-check -q --no-deps -r requirements/openmmlab.txt -r requirements/peers.txt
	@touch $@

demo: $(READY) ## render cars, train detector and keypoints, test, publish, draw; DATA=FOLDER for your own labelme files
	$(RUN) tools/demo.py $(if $(DATA),--data "$(DATA)")

# Two processes of one thread each: two threads of one test mostly wait for each other.
test: export OMP_NUM_THREADS = 1
test: lint ## lint and all tests
	$(RUN) -m pytest -n 2 --dist loadfile

test-fast: $(READY) ## the unit tests only
	$(RUN) -m pytest -m "not slow" -q

lint: $(READY) ## ruff
	$(RUN) -m ruff check .

bench: $(READY) ## measure against upstream and others; rewrites benchmarks/README.md (10 minutes)
	$(RUN) benchmarks/run_all.py --short
