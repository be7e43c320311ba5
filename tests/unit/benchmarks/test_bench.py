"""The bench beside TRL: it resumes, names what does not count, and its ratios and floors are those of its numbers."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from assent.models.tiny import tiny_model, tiny_tokenizer

HERE = Path(__file__).parents[3] / "benchmarks"
sys.path.insert(0, str(HERE))

import bench_gate  # noqa: E402
import bench_heldout  # noqa: E402
import bench_process  # noqa: E402
import bench_report  # noqa: E402
from bench_cells import CELLS  # noqa: E402
from bench_floor import Shape, operations  # noqa: E402

RIVAL = """
import json, sys
job = json.load(open(sys.argv[1]))
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(job["variant"]) + "\\n")
if job["variant"]["accumulate"] == 1:
    sys.exit("no memory")
seconds = 8.0 / job["variant"]["accumulate"] + 10 * job["variant"]["packing"]
found = {{"seconds": seconds, "cpu_seconds": 1.0, "peak_mib": 9.0, "updates": job["updates"]}}
json.dump({{**found, "losses": [99.0], "held_out": {{"loss": 99.0}}}}, open(job["out"], "w"))
"""


def bench(folder: Path, *more: str) -> str:
    command = [sys.executable, str(HERE / "bench.py"), "--quick", "--cells", "sft-5m", "--out", str(folder)]
    rival = f"{sys.executable} {folder.parent / 'rival.py'}"
    command += ["--repeats", "1", "--threads", "1", "--priority", "0", "--rival", rival, *more]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout


@pytest.mark.slow
def test_a_stopped_bench_goes_on_and_a_cell_whose_gate_fails_is_void(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.touch()
    (tmp_path / "rival.py").write_text(RIVAL.format(calls=str(calls)))
    assert "goes on from here" in bench(tmp_path / "out", "--seconds", "0")
    bench(tmp_path / "out")
    [record] = json.loads((tmp_path / "out" / "bench.json").read_text())
    tried = [json.loads(line) for line in calls.read_text().splitlines()]
    # 4, 2 and 1 divide the quick batch of 4; then bf16 and packing at the best of them, then the run that counts.
    # Bf16 is not tried where the machine was measured to be slower with it.
    is_tried = record["rates"]["bf16 train"] >= record["rates"]["fp32 train"]
    assert is_tried or "not tried" in record["trials"]["accumulation 4, bf16"]["failed"]
    assert [(t["accumulate"], t["bf16"], t["packing"]) for t in tried] == [
        (4, False, False),
        (2, False, False),
        (1, False, False),
        *([(4, True, False)] if is_tried else []),
        (4, False, True),
        (4, False, False),
    ]
    assert "no memory" in record["trials"]["accumulation 1"]["failed"]
    assert [run["side"] for run in record["runs"]] == ["assent", "trl"] and record["done"]
    assert record["void"] and "first losses differ" in record["void"][0]
    assert "void: first losses differ" in (tmp_path / "out" / "bench.md").read_text()
    bench(tmp_path / "out")
    assert len(calls.read_text().splitlines()) == len(tried)


@pytest.mark.slow
def test_a_way_that_only_its_trial_survives_is_named_and_the_next_best_one_is_timed(tmp_path: Path) -> None:
    dies = 'if job["variant"]["accumulate"] == 4 and not job.get("is_trial"):\n    sys.exit("too much")\nseconds'
    calls = tmp_path / "calls"
    (tmp_path / "rival.py").write_text(RIVAL.format(calls=str(calls)).replace("seconds", dies, 1))
    assert "accumulation 4: ended with 1: too much, with all updates" in bench(tmp_path / "out")
    [record] = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert record["best"]["accumulate"] == 2 and record["trials"]["accumulation 4"]["failed"].endswith("all updates")
    assert [(run["side"], run["seconds"]) for run in record["runs"]][1] == ("trl", 4.0) and len(record["runs"]) == 2


def run_of(loss: float, held_out: float, updates: int = 16) -> dict[str, Any]:
    return {"losses": [loss, loss - 0.1, loss - 0.2, 0.0], "updates": updates, "held_out": {"loss": held_out}}


def test_the_gate_lets_the_same_work_through_and_names_each_difference() -> None:
    cell = asdict(CELLS["sft-5m"])
    same, other = run_of(2.0, 1.5), run_of(2.0 + 1e-3, 1.5)
    assert bench_gate.problems(cell, same, other, {}) == []
    assert "first losses" in bench_gate.problems(cell, same, run_of(2.01, 1.5), {})[0]
    assert bench_gate.problems(cell, same, run_of(2.01, 1.5), {"bf16": True}) == []
    assert "held-out loss" in bench_gate.problems(cell, run_of(2.0, 1.6), same, {})[0]
    assert "updates" in bench_gate.problems(cell, same, run_of(2.0, 1.5, updates=5), {"packing": True})[0]


def test_the_gate_of_rollouts_asks_for_draws_of_one_policy_and_a_reward_that_is_no_worse() -> None:
    cell = asdict(CELLS["grpo-5m"])

    def run(first: float, length: float, held_out: float) -> dict[str, Any]:
        rollouts = {"reward": [first], "reward_std": [0.1], "length": [length]}
        return {"updates": 4, "losses": [], "rollouts": rollouts, "held_out": {"reward": held_out, "error": 0.01}}

    ours = run(0.10, 50.0, 0.12)
    # Three standard errors of the difference of two means of 64: 3 · 0.1 · √(2/64) = 0.053.
    assert bench_gate.problems(cell, ours, run(0.15, 54.0, 0.14), {}) == []
    assert "no draws of one policy" in bench_gate.problems(cell, ours, run(0.16, 50.0, 0.12), {})[0]
    # Of 64 lengths up to 64 tokens, 45 on average: three standard errors are at most 3 · √(45 · 19 · 2/64) = 15.5.
    assert bench_gate.problems(cell, run(0.10, 52.0, 0.12), run(0.10, 38.0, 0.12), {}) == []
    assert "no draws of one policy" in bench_gate.problems(cell, run(0.10, 53.0, 0.12), run(0.10, 37.0, 0.12), {})[0]
    assert "tokens against" in bench_gate.problems(cell, run(0.10, 50.0, 0.12), run(0.10, 60.0, 0.12), {})[0]
    assert "held-out reward" in bench_gate.problems(cell, ours, run(0.10, 50.0, 0.16), {})[0]


def test_a_ratio_is_of_neighbouring_runs_and_printed_with_its_range() -> None:
    sides = [("assent", 2.0), ("trl", 8.0), ("assent", 4.0), ("trl", 12.0), ("assent", 2.0), ("trl", 10.0)]
    record = {"runs": [{"side": side, "seconds": seconds} for side, seconds in sides]}
    assert bench_report.ratios(record) == [4.0, 3.0, 5.0]
    assert bench_report.spread(bench_report.ratios(record)) == "4.0 (3.0–5.0)"


def test_a_report_leaves_what_it_did_not_measure() -> None:
    page = "\n".join(
        f"<!-- written by benchmarks/bench.py: {section} -->\nold {section}\n<!-- end of {section} -->\nprose"
        for section in ("5m", "135m", "growth")
    )
    written = bench_report.placed(page, {"135m": "new"})
    assert "old 5m" in written and "old growth" in written and "old 135m" not in written
    assert written.count("prose") == 3 and bench_report.placed(written, {"135m": "new"}) == written
    with pytest.raises(SystemExit, match="no <!-- written by benchmarks/bench.py: tiny"):
        bench_report.placed(page, {"tiny": "new"})
    of = {"5m": ("sft-5m", "ppo-5m"), "135m": ("sft-135m", "rm-135m-bf16"), "growth": ("grow-5m", "grow-k8-5m")}
    for section, names in of.items():
        assert {bench_report.section_of({"name": name, "cell": asdict(CELLS[name])}) for name in names} == {section}
    page = (Path(__file__).parents[3] / "docs/performance.md").read_text(encoding="utf-8")
    bench_report.placed(page, dict.fromkeys(of, ""))  # there is room for each of them


def test_operations_are_six_for_each_weight_and_token_and_four_under_lora() -> None:
    shape = Shape(layers=2, hidden=8, wide=16, heads=2, kv_width=8, vocabulary=32)
    body, head = 2 * (4 * 64 + 3 * 8 * 16), 8 * 32
    tokens = {"real": 10, "scored": 4}
    assert operations(asdict(CELLS["sft-5m"]), shape, tokens) == 6 * (body * 10 + head * 4)
    assert operations(asdict(CELLS["rm-5m"]), shape, tokens) == 6 * body * 10
    # The reference is one pass forward more.
    assert operations(asdict(CELLS["dpo-lora-135m"]), shape, tokens) == (4 + 2) * (body * 10 + head * 4)


def test_a_command_that_takes_too_much_memory_is_ended_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_process, "MEMORY_LIMIT", 2**20)
    endless = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(bench_process.Failed, match="of memory"):
        bench_process.run(endless, {}, tmp_path, threads=1, priority=bench_process.Priority(0))


def test_a_command_that_is_not_done_in_time_is_ended_and_named(tmp_path: Path) -> None:
    endless = [sys.executable, "-c", "import time; time.sleep(600)"]
    with pytest.raises(bench_process.Failed, match="was not done after [01] s"):
        bench_process.run(endless, {}, tmp_path, threads=1, priority=bench_process.Priority(0), limit=0.5)


def test_every_cell_has_a_name_of_its_own_and_an_own_mark() -> None:
    assert all(name == cell.name for name, cell in CELLS.items())
    assert len({cell.mark for cell in CELLS.values()}) == len(CELLS)
    assert all(cell.growth in CELLS for cell in CELLS.values() if cell.growth)


def test_held_out_answers_are_those_of_a_pass_over_the_whole_text_for_each_token() -> None:
    prompts = [list(range(5 + n, 25 + 3 * n)) for n in range(3)]
    tokenizer = tiny_tokenizer()
    model: Any = tiny_model("llama", tokenizer=tokenizer).eval()

    def plainly(eos: int) -> list[list[int]]:
        draws, answers = torch.Generator().manual_seed(0), []
        for prompt in prompts:
            ids = list(prompt)
            while len(ids) < len(prompt) + bench_heldout.NEW_TOKENS and ids[-1:] != [eos]:
                with torch.no_grad():
                    chance = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].softmax(-1)
                ids.append(int(torch.multinomial(chance, 1, generator=draws)))
            answers.append(ids[len(prompt) :])
        return answers

    for eos in (-1, plainly(-1)[1][4]):
        rewards = [bench_heldout.reward(tokenizer.decode(ids, skip_special_tokens=True)) for ids in plainly(eos)]
        work = SimpleNamespace(
            cell={"stage": "grpo"}, data={"eos": eos}, held_out_prompts=lambda: [{"ids": ids} for ids in prompts]
        )
        found = bench_heldout.rewarded(model, tokenizer, work)  # type: ignore[arg-type]
        assert len(set(rewards)) == 3 and found["reward"] == pytest.approx(sum(rewards) / 3)
    assert [len(ids) for ids in plainly(eos)][1] == 5
