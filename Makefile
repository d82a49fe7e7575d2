# `make train` and `make test` set everything up in .venv first; nothing is installed outside of it.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?= model=small trainer.max_epochs=5

.PHONY: train test test-slow lint format

train: .venv
	$(BIN)/python src/train.py $(ARGS)

test: lint
	$(BIN)/pytest -n auto --dist loadfile -m "not slow"

test-slow: .venv
	$(BIN)/pytest -m slow

lint: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Made anew when what it is made from changes; a half-made one is never taken for whole.
.venv: .venv/complete
.venv/complete: pyproject.toml constraints.txt
	rm -f $@
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
