"""Lineage: from any artifact back to the data files and the judgments it rests on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.artifacts.lineage import Origin, as_dict, lineage, origins, render
from assent.artifacts.stage import LogOptions, Runner, Stage, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config


def made(name: str) -> Stage:
    @stage(name=name, version=1)
    def make(ctx: StageContext, config: Config, **inputs: object) -> dict[str, str]:
        (ctx.output / "name.txt").write_text(name)
        return {"made": name}

    return make


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path, seed=0, logs=LogOptions(quiet=True, tensorboard=False))


def round_of(run: Runner) -> tuple[Artifact, Artifact]:
    sft = run(made("sft"), Config(), extra={"demonstrations.jsonl": "9c" * 32})
    judgments = run(made("collect"), Config(), extra={"store snapshot": "0b" * 32}, samples=sft)
    reward = run(made("reward"), Config(), start=sft, judgments=[judgments])
    return sft, reward


def test_the_walk_ends_at_the_data_files_and_the_judgments(run: Runner) -> None:
    _, reward = round_of(run)
    assert origins(lineage(reward, run.artifacts)) == [
        Origin("demonstrations.jsonl", "9c" * 32),
        Origin("store snapshot", "0b" * 32),
    ]


def test_the_text_opens_a_shared_ancestor_once(run: Runner) -> None:
    sft, reward = round_of(run)
    text = render(lineage(reward, run.artifacts))
    lines = text.splitlines()
    assert lines[0].startswith(f"{reward.name}  reward v1, ")
    assert lines[1].startswith(f"  start: {sft.name}  sft v1, ")
    assert lines[2] == "    demonstrations.jsonl: 9c9c9c9c9c9c"
    assert lines[3].startswith("  judgments[0]: collect-")
    assert lines[4] == "    store snapshot: 0b0b0b0b0b0b"
    assert lines[5].startswith(f"    samples: {sft.name}  sft v1") and lines[5].endswith("(see above)")
    assert len(lines) == 6


def test_an_ancestor_that_was_deleted_is_named_as_gone(run: Runner) -> None:
    sft, reward = round_of(run)
    (sft.folder / "manifest.json").unlink()
    assert f"start: {sft.key[:12]}  (no longer in the store)" in render(lineage(reward, run.artifacts))
    assert as_dict(lineage(reward, run.artifacts))["artifacts"][sft.key] is None


def test_the_report_gets_every_artifact_once_with_inputs_by_key(run: Runner) -> None:
    sft, reward = round_of(run)
    values = json.loads(json.dumps(as_dict(lineage(reward, run.artifacts))))
    assert values["root"] == reward.key
    assert len(values["artifacts"]) == 3
    assert values["artifacts"][reward.key]["inputs"]["start"] == sft.key
    assert values["artifacts"][sft.key]["notes"] == {"made": "sft"}
