PYTHON ?= python3
BIN := .venv/bin
RUN := runs/digits

.PHONY: quickstart test check format clean

# Trains on real handwritten digits, scores the run and draws a grid. Stopped, it goes on.
quickstart: .venv/installed
	$(BIN)/python -m keras_sagan.train --flagfile=keras_sagan/configs/sagan_digits.flags --run_dir=$(RUN)
	$(BIN)/python -m keras_sagan.evaluate --run_dir=$(RUN)
	$(BIN)/python -m keras_sagan.sample --run_dir=$(RUN) --output=$(RUN)/grid.png
	@echo "grid:        $(RUN)/grid.png (one row per class)"
	@echo "records:     $(RUN)/train.jsonl, $(RUN)/metrics.jsonl, $(RUN)/samples/"
	@echo "tensorboard: $(BIN)/tensorboard --logdir=$(RUN)/tensorboard"

test: .venv/installed
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
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@
