# The house's commands. `make demo` and `make test` set up everything they need on a fresh machine.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
VLLM   ?= .venv-vllm

# Tests start hundreds of processes: each would compile our modules anew where the environment forbids to keep what was compiled.
KEPT := PYTHONDONTWRITEBYTECODE=

.PHONY: setup demo real test test-slow test-vllm test-vllm-engine test-vllm-local vllm check style docs gpu-check bench clean

setup: $(READY)  ## virtual environment with pinned packages, each file held to its hash

$(READY): pyproject.toml $(wildcard lock/*)
	$(PYTHON) -m venv $(VENV)
	lock/install.sh $(BIN)/python dev
	$(BIN)/python -m pip install --quiet --upgrade --target $(VENV)/quantized --no-deps --require-hashes --requirement lock/quantized.txt
	@touch $(READY)

demo: setup  ## the whole loop on the built-in lab: two rounds, a verdict and a report
	$(BIN)/assent run configs/demo.yaml

REAL := build/real

real: setup  ## a real pretrained model (135M) on real human data from $$ASSENT_DATA: reward model, DPO, PPO, a judge apart; two to three hours on two cores
	$(BIN)/python benchmarks/real_model.py --to $(REAL)
	$(BIN)/python benchmarks/real_sides.py --to $(REAL)
	$(BIN)/assent run configs/real-smol-gold.yaml
	rm -rf $(REAL)/judge
	$(BIN)/assent export runs/real-smol-gold/round-1/reward --to $(REAL)/judge
	$(BIN)/assent run configs/real-smol.yaml
	$(BIN)/assent run configs/real-smol.yaml --with configs/overlays/real-smol-dpo.yaml
	$(BIN)/python benchmarks/real.py --runs runs > $(REAL)/report.md
	@echo "what it found: $(REAL)/report.md"

# Three at a time on two cores: a third of the time a test waits for a page, a server or a process.
PYTEST := $(KEPT) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# Types take a minute of one core, so they are checked while the tests begin, and told after them.
TYPES := $(VENV)/types.log

test: setup  ## style, types, floors, all tests but those marked slow
	$(MAKE) --no-print-directory style
	@$(BIN)/mypy > $(TYPES) 2>&1 & types=$$!; \
	echo '$(PYTEST) -m "not slow"'; $(PYTEST) -m "not slow"; tests=$$?; \
	wait $$types; known=$$?; cat $(TYPES); test $$tests -eq 0 -a $$known -eq 0
	@echo "tests marked slow: NOT RUN; make test-slow runs them (kills, several processes, first hour, tutorial)"
	@if [ -f $(VLLM)/.ready ]; then $(MAKE) --no-print-directory test-vllm; \
	else echo "tests with vLLM: NOT RUN, $(VLLM) is not there; make vllm makes it (2 GB)"; fi

test-slow: setup  ## the tests that make test leaves out because each takes more than ten seconds
	$(PYTEST) -m slow
	@if [ -f $(VLLM)/.ready ]; then $(MAKE) --no-print-directory test-vllm WHICH=slow; \
	else echo "slow tests with vLLM: NOT RUN, $(VLLM) is not there; make vllm makes it (2 GB)"; fi

vllm: $(VLLM)/.ready  ## an environment of its own with vLLM for a CPU

$(VLLM)/.ready: pyproject.toml lock/vllm.txt lock/torch-cpu.txt
	$(PYTHON) -m venv $(VLLM)
	lock/install-vllm.sh $(VLLM)/bin/python
	@touch $@

WHICH ?= not slow

# Two processes on two cores; the second has nothing that is slow.
test-vllm: vllm  ## the engine against vLLM itself, and our own with the transformers that vLLM wants; WHICH=slow: several processes of it
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target test-vllm-engine $(if $(filter not,$(WHICH)),test-vllm-local)

test-vllm-engine: vllm
	$(KEPT) OMP_NUM_THREADS=1 $(VLLM)/bin/python -m pytest -m "$(WHICH)" tests/with_vllm

test-vllm-local: vllm
	$(KEPT) OMP_NUM_THREADS=1 $(VLLM)/bin/python -m pytest -m "not slow" tests/unit/generation/test_generation_local.py

check: style  ## style, types and floors only
	$(BIN)/mypy

style: setup  ## style and floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

docs: setup  ## the documentation as a site in site/, links held to be right
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "built: look at it with $(BIN)/python -m http.server --directory site"

gpu-check: setup  ## on a machine with an NVIDIA GPU: parity, throughput and memory in nine minutes
	$(BIN)/python benchmarks/gpu_check.py

# TRL stands on the packages of $(VENV): both sides compute with the same torch and transformers, and nothing large is fetched.
.venv-trl%/.ready: lock/bench-trl%.txt $(READY)
	$(BIN)/python -m venv $(@D)
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $$($(@D)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/assent.pth
	$(@D)/bin/python -m pip install --quiet --require-hashes --no-deps --requirement $<
	@touch $@

bench: .venv-trl-sft/.ready .venv-trl-ppo/.ready  ## beside TRL, A B A B: hours; `make bench CELLS="sft-5m dpo-5m"` for some
	$(BIN)/python benchmarks/bench.py --cells $(CELLS) --docs docs $(BENCH)

clean:  ## the virtual environment and builds; runs and the judgments in them stay (`assent clean` says what can go)
	rm -rf $(VENV) $(VLLM) .venv-trl-sft .venv-trl-ppo build dist site
