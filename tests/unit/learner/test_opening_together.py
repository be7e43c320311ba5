"""Processes that part a model between them open it once: the first has it whole, the others get their parts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from process_ends import read

SCRIPT = Path(__file__).with_name("parallel_opening.py")
PARTED = [
    *("trained", "trained, tied", "trained, narrow", "only asked"),
    *("adapters on parts", "a new reward model", "a reward model", "a head of our own"),
    "layers with masks of their own",
]
Ends = list[tuple[dict[str, dict[str, torch.Tensor]], dict[str, dict[str, int]]]]
"""Of one process alone, and of both: tensors and facts by case."""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Ends:
    folder = tmp_path_factory.mktemp("opening")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, str(SCRIPT), str(folder)], env=environment, check=True, timeout=500)
    return [read(folder / "alone", 0), read(folder, 0), read(folder, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("case", [*PARTED, "whole on all"])
def test_two_processes_say_and_learn_what_one_does(ends: Ends, case: str) -> None:
    alone, *both = (tensors[case] for tensors, _ in ends)
    # Sums of products that are rounded come in another order.
    within = 2e-2 if "narrow" in case else 1e-5
    for found in both:
        assert found.keys() == alone.keys() and len(alone) > 1
        for key, wanted in alone.items():
            assert float(wanted.abs().max()) > 1e-4 or "lora_A" in key, key  # the other factor is zero at first
            torch.testing.assert_close(found[key], wanted, rtol=0, atol=within, msg=key)


@pytest.mark.parametrize("case", PARTED)
def test_only_the_first_has_the_weights_before_they_are_parted(ends: Ends, case: str) -> None:
    (_, alone), (_, first), (_, second) = ends
    assert first[case]["before"] == alone[case]["all"] > 10_000 and second[case]["before"] == 0
    kept = (1320 * 32 if case == "a head of our own" else 0) + 200  # what is not trained stays; a row is not cut
    for facts in (first, second):
        assert facts[case]["here"] <= alone[case]["all"] / 2 + kept


def test_what_is_not_parted_is_opened_by_all(ends: Ends) -> None:
    (_, alone), (_, first), (_, second) = ends
    case = "whole on all"
    assert first[case]["here"] == second[case]["here"] == alone[case]["all"]
