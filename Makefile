# The house's commands. `make demo` and `make test` set up everything they need on a fresh machine.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: setup demo test check docs bench clean

setup: $(READY)  ## virtual environment with pinned packages, each file held to its hash

$(READY): pyproject.toml $(wildcard lock/*)
	$(PYTHON) -m venv $(VENV)
	lock/install.sh $(BIN)/python dev
	@touch $(READY)

demo: setup  ## the whole loop on the built-in lab: two rounds, a verdict and a report
	$(BIN)/assent run configs/demo.yaml

test: setup  ## style, types, floors, all tests
	$(MAKE) --no-print-directory check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: setup  ## style, types and floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup  ## the documentation as a site in site/, links held to be right
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "built: look at it with $(BIN)/python -m http.server --directory site"

# TRL stands on the packages of $(VENV): both sides compute with the same torch and transformers, and nothing large is fetched.
.venv-trl%/.ready: lock/bench-trl%.txt $(READY)
	$(BIN)/python -m venv $(@D)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/assent.pth
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

bench: .venv-trl-sft/.ready .venv-trl-ppo/.ready  ## beside TRL, A B A B: hours; `make bench CELLS="sft-5m dpo-5m"` for some
	$(BIN)/python benchmarks/bench.py --cells $(CELLS) --docs docs $(BENCH)

clean:  ## the virtual environment and builds; runs and the judgments in them stay (`assent clean` says what can go)
	rm -rf $(VENV) .venv-trl-sft .venv-trl-ppo build dist site
