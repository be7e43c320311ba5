"""What guards see and training does not, and a run that a guard ended: its policy, result.json, verdict and page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from assent.artifacts.find import find_artifact
from assent.artifacts.store import ArtifactStore
from assent.core.errors import ConfigError, DataError
from assent.core.runlog import read_metrics
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.splits import split_key
from assent.pipeline.config import RunConfig
from assent.pipeline.guarding import part, set_apart
from assent.pipeline.run import run_project
from assent.report.run import report_of
from assent.training.guard_config import GuardsConfig

PROMPTS = [Prompt.of(f"What do I do with number {n}?") for n in range(60)]
GUARDS = GuardsConfig(prompts=10)
TINY = """
name: toy
base:
  kind: scratch
  vocab_size: 400
  shape: {hidden: 16, layers: 1, heads: 2, context: 128}
  pretrain: {epochs: 0.2, batch_size: 8, evals_per_epoch: 0, optimizer: {tokens_per_microbatch: 2048}}
data: {kind: lab, corpus: 60, demonstrations: 10, prompts: 60}
sft: null
sample: {prompts: 40, answers: 2, sampling: {max_new_tokens: 4}}
collect: {raters: {kind: simulated, number: 6}, overlap: 1}
reward: {raters: {kind: none}, batch_size: 8, eval_share: 0.3, optimizer: {tokens_per_microbatch: 2048}}
optimize:
  kind: reinforce++
  steps: 10
  prompts_per_step: 4
  samples_per_prompt: 2
  sampling: {max_new_tokens: 4}
  kl_limit: null
  optimizer: {learning_rate: 0.02, warmup: 0.0, tokens_per_microbatch: 2048}
evaluate: null
compute: {threads: 1, device: cpu}
log: {tensorboard: false}
"""
SCRIPT = """
calls = 0
def rises_and_falls(prompts, completions):
    global calls
    calls += 1
    return [[0.0, 1.0, 1.8, 2.2, 1.8, 1.0, -0.2, -1.6, -3.2, -5.0, -7.0][calls - 1]] * len(completions)
"""


def comparison(prompt: Prompt, raters: list[str]) -> Comparison:
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=f"{prompt.id}-{text}") for text in ("yes", "no"))
    ranking = Ranking(tiers=((answers[0].id,), (answers[1].id,)))
    judgments = tuple(Judgment(task_id=prompt.id, rater_id=rater, ranking=ranking) for rater in raters)
    return Comparison(prompt=prompt, completions=answers, judgments=judgments)


def test_the_two_parts_share_no_prompt_and_no_rater_and_nothing_is_lost_uncounted() -> None:
    given = [comparison(prompt, [f"r{n % 7}", f"r{(n + 3) % 7}"]) for n, prompt in enumerate(PROMPTS)]
    found = part(given, 0.4)
    sides = (found.train, found.gold)
    raters = [{j.rater_id for c in side for j in c.judgments} for side in sides]
    prompts = [{split_key(c) for c in side} for side in sides]
    assert not raters[0] & raters[1] and not prompts[0] & prompts[1]
    assert (len(raters[0]), len(raters[1])) == found.raters and sum(found.raters) == 7
    used = sum(len(c.judgments) for side in sides for c in side)
    assert used + found.unused == 2 * len(PROMPTS)
    assert len(found.gold) >= 5 and len(found.train) > len(found.gold)
    assert part(list(reversed(given)), 0.4).raters == found.raters


def test_judgments_that_cannot_be_parted_are_refused() -> None:
    with pytest.raises(DataError, match="two raters or more, and there are 1"):
        part([comparison(prompt, ["only"]) for prompt in PROMPTS], 0.4)
    with pytest.raises(DataError, match="no judgment is left"):
        part([comparison(PROMPTS[0], ["one", "other"])], 0.4)


def test_watched_prompts_are_asked_nowhere_else_and_the_same_in_every_order() -> None:
    twice = [*PROMPTS, *(Prompt.of(f"  {prompt.text.upper()}") for prompt in PROMPTS[:30])]
    left, watched = set_apart(GUARDS.prompts, twice, key="a")
    assert len(watched) == 10 and not {split_key(p) for p in left} & {split_key(p) for p in watched}
    again = set_apart(GUARDS.prompts, list(reversed(twice)), key="a")[1]
    assert {split_key(one) for one in again} == {split_key(one) for one in watched}
    assert set_apart(0, PROMPTS, key="a") == (PROMPTS, [])
    with pytest.raises(DataError, match="keeps 40 of 60 prompts apart"):
        set_apart(40, PROMPTS, key="optimize.guards.prompts")


def test_a_fitted_reward_without_a_reward_model_is_refused() -> None:
    values = yaml.safe_load(TINY) | {"reward": None}
    values["optimize"] |= {"guards": {}, "rewards": [{"kind": "python", "target": "scripted:rises_and_falls"}]}
    with pytest.raises(ConfigError, match="guards.gold kind fitted is a reward model"):
        RunConfig.parse(values, where="x")


@pytest.mark.slow
def test_a_guarded_run_fits_its_held_out_reward_and_one_that_was_ended_says_so_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("scripted.py").write_text(SCRIPT, encoding="utf-8")
    Path("assent.yaml").write_text(TINY, encoding="utf-8")
    guards = {"every": 1, "prompts": 6, "samples": 1, "gold": {"kind": "fitted", "share": 0.5}, "then": "warn"}
    list(
        run_project(Path("assent.yaml"), (), ("optimize.steps=2", f"optimize.guards={json.dumps(guards)}"), quiet=True)
    )
    policy = find_artifact("runs/toy")
    everything = ArtifactStore(Path("runs/artifacts"), say=print, read_only=True).all()
    parts = {a.manifest.config["part"]: a for a in everything if a.manifest.stage == "fit reward"}
    assert sorted(parts) == ["gold", "train"]
    assert (
        policy.manifest.parents["gold"] == parts["gold"].key and policy.manifest.parents["reward"] == parts["train"].key
    )
    assert all(one.notes["used_by_neither"] > 0 for one in parts.values())
    rows = [row for row in read_metrics(policy.folder) if row["kind"] == "guard"]
    assert [row["after"] for row in rows] == [0, 1, 2] and all("gold" in row and "null/empty" in row for row in rows)

    guards |= {"gold": {"kind": "python", "target": "scripted:rises_and_falls"}, "then": "stop"}
    said = list(run_project(Path("assent.yaml"), (), (f"optimize.guards={json.dumps(guards)}",), quiet=True))
    values = json.loads(Path("runs/toy/result.json").read_text(encoding="utf-8"))["rounds"][0]["guards"]
    assert values["kept_step"] == 3 and values["steps"] < 10 and values["past_peak"]
    assert "the held-out reward was best after step 3 (2.20)" in values["ended"]
    assert any("warning: step" in line and "over-optimization" in line for line in said)
    assert f"  training ended early, after {values['steps']} steps, and the policy is that after step 3" in said
    report_of(Path("runs/toy"))
    page = Path("runs/toy/report.html").read_text(encoding="utf-8")
    assert 'id="guards"' in page and "training ended early, after" in page
    assert "Both rewards over the square root of KL" in page
