"""Every stage of a run: its name, its version, what it makes, and the function that does it, loaded when it runs.

Raise a version when the results of the stage change: it enters the key.
"""

from __future__ import annotations

from assent.artifacts.stage import Stage
from assent.pipeline.stages.since import told_since, tried_since

_HERE = "assent.pipeline.stages"
_PEOPLE = {"lab": "data", "people_seed": "seed"}
_JUDGES = _PEOPLE | {"raters": "collect.raters"}
_SUITE = {"suite": "suites", "judge": "suites_judge", "items_seed": "seed"}

run_gather = Stage("gather", 1, "data", f"{_HERE}.gather:run_gather", tried_since, {"eval_prompts": "evaluate.prompts"})
run_base = Stage("base", 1, "policy", f"{_HERE}.base:run_base")
run_sft = Stage("sft", 1, "policy", f"{_HERE}.sft:run_sft")
run_revise = Stage("revise", 2, "revisions", f"{_HERE}.revise:run_revise", None, {"revise": "constitution"})
run_sample = Stage("sample", 2, "samples", f"{_HERE}.sample:run_sample")
run_collect = Stage("collect", 2, "judgments", f"{_HERE}.collect:run_collect", told_since, _PEOPLE)
run_fit_reward = Stage("fit reward", 3, "reward", f"{_HERE}.fit_reward:run_fit_reward")
run_optimize = Stage("optimize", 4, "policy", f"{_HERE}.optimize:run_optimize")
run_evaluate = Stage("evaluate", 3, "evaluation", f"{_HERE}.evaluate:run_evaluate", None, _JUDGES)
run_measure = Stage("measure", 2, "measurement", f"{_HERE}.measure:run_measure", None, _SUITE)
run_gate = Stage("gate", 1, "gate", f"{_HERE}.gate:run_gate")

STAGES = (
    run_gather,
    run_base,
    run_sft,
    run_revise,
    run_sample,
    run_collect,
    run_fit_reward,
    run_optimize,
    run_evaluate,
    run_measure,
    run_gate,
)
"""In the order in which a round comes to them."""
