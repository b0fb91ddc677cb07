PYTHON ?= python3
BIN := .venv/bin
RUN := runs/digits

.PHONY: quickstart test test-slow test-all check format clean

# Trains on real handwritten digits, draws a grid and scores the run. Stopped, it goes on.
quickstart: .venv/installed
	$(BIN)/python -m keras_sagan.train --flagfile=keras_sagan/configs/sagan_digits.flags --run_dir=$(RUN)
	$(BIN)/python -m keras_sagan.sample --run_dir=$(RUN) --output=$(RUN)/grid.png
	@echo "grid:        $(RUN)/grid.png (one row per class)"
	@echo "records:     $(RUN)/train.jsonl, $(RUN)/metrics.jsonl, $(RUN)/samples/"
	@echo "tensorboard: $(BIN)/tensorboard --logdir=$(RUN)/tensorboard"
	$(BIN)/python -m keras_sagan.evaluate --run_dir=$(RUN)

# At least one test of every promise, in minutes.
test: .venv/installed
	$(BIN)/pytest -m "not slow"

# What `make test` leaves out: more cases, larger networks, more kills.
test-slow: .venv/installed
	$(BIN)/pytest -m slow

test-all: .venv/installed
	$(BIN)/pytest

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest -q tests/test_imports.py

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv runs data

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
# The lock is complete, so nothing is resolved: TF-GAN asks for packages that its metrics do not need.
# Most modules are never imported, so Python compiles each when it is. That halves the time.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-compile --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
