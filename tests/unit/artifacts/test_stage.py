"""Stages: each is run once, a changed config runs what hangs on it and no more, and a plan runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field
from safetensors.torch import save_file

from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.config import Config
from assent.core.errors import AwaitingJudgments, RunError, UserError
from assent.core.runlog import read_metrics


class SampleConfig(Config):
    count: int = 3
    checkpoint_seconds: float = Field(default=60.0, json_schema_extra={"affects_result": False})


class FitConfig(Config):
    rate: float = 0.5


@stage(name="sample", version=1, kind="samples")
def sample(ctx: StageContext, config: SampleConfig) -> dict[str, Any]:
    draws = seeds.stream(ctx.seed, "samples").normal(size=config.count)
    (ctx.output / "samples.json").write_text(json.dumps(draws.tolist()))
    return {"count": config.count}


@stage(name="fit", version=1)
def fit(ctx: StageContext, config: FitConfig, *, samples: Artifact, older: list[Artifact]) -> dict[str, Any]:
    values = [v for one in [samples, *older] for v in json.loads(one.file("samples.json").read_text())]
    ctx.log.rewind(0)
    ctx.log.record(1, {"sum": sum(values)})
    (ctx.output / "sum.txt").write_text(f"{config.rate * sum(values)!r}")
    return {"sum": sum(values)}


def runner(folder: Path, *, seed: int = 0, planning: bool = False) -> Runner:
    return Runner(folder, seed=seed, planning=planning, logs=LogOptions(quiet=True, tensorboard=False))


def two_stages(run: Runner, *, count: int = 3, rate: float = 0.5, **extra: str) -> Artifact:
    with run.within("round", 1):
        first = run(sample, SampleConfig(count=count), extra=extra)
    with run.within("round", 2):
        second = run(sample, SampleConfig(count=count))
        return run(fit, FitConfig(rate=rate), samples=second, older=[first])


def states(run: Runner) -> list[str]:
    return [step.state for step in run.steps]


def test_a_second_run_finds_everything_and_gives_the_same_artifact(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        first = two_stages(run)
        assert states(run) == ["ran", "ran", "ran"]
    with runner(tmp_path) as run:
        assert two_stages(run) == first
        assert states(run) == ["done", "done", "done"]


def test_only_what_hangs_on_a_change_is_run_again(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        two_stages(run)
    with runner(tmp_path) as run:
        two_stages(run, rate=0.25)
        assert states(run) == ["done", "done", "ran"]
    with runner(tmp_path) as run:
        two_stages(run, data="00" * 32)
        assert states(run) == ["ran", "done", "ran"]
    with runner(tmp_path, seed=1) as run:
        two_stages(run)
        assert states(run) == ["ran", "ran", "ran"]


def test_a_setting_that_changes_no_result_runs_nothing_again(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        run(sample, SampleConfig())
        run(sample, SampleConfig(checkpoint_seconds=5.0))
        assert states(run) == ["ran", "done"]


def test_a_raised_version_runs_the_stage_again(tmp_path: Path) -> None:
    newer = stage(name="sample", version=2, kind="samples")(sample.function)
    with runner(tmp_path) as run:
        run(sample, SampleConfig())
        run(newer, SampleConfig())
        assert states(run) == ["ran", "ran"]


def test_a_plan_knows_the_whole_chain_and_touches_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    plan = runner(folder, planning=True)
    planned = two_stages(plan)
    assert states(plan) == ["would run"] * 3
    last = plan.steps[-1]
    assert (last.scope, last.stage, last.state, last.artifact.name) == (("round", 2), "fit", "would run", planned.name)
    assert not folder.exists()
    with pytest.raises(RunError, match="planned but not made yet"):
        planned.file("sum.txt")
    with runner(folder) as run:
        made = two_stages(run)
    assert made.folder == planned.folder
    plan = runner(folder, planning=True)
    two_stages(plan, rate=0.1)
    assert states(plan) == ["done", "done", "would run"]


def test_rounds_draw_from_different_streams_and_the_same_round_from_the_same(tmp_path: Path) -> None:
    with runner(tmp_path / "a") as run:
        with run.within("round", 1):
            one = run(sample, SampleConfig())
        with run.within("round", 2):
            two = run(sample, SampleConfig())
    assert one.manifest.seed == seeds.derive(0, "sample", "round", 1)
    assert one.file("samples.json").read_text() != two.file("samples.json").read_text()
    with runner(tmp_path / "b") as run, run.within("round", 2):
        again = run(sample, SampleConfig())
    assert again.file("samples.json").read_text() == two.file("samples.json").read_text()


def test_a_damaged_artifact_is_made_again_with_the_same_content(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        made = two_stages(run)
    content = made.file("sum.txt").read_text()
    made.file("sum.txt").write_text("0.0")
    with runner(tmp_path) as run:
        again = two_stages(run)
        assert states(run) == ["done", "done", "ran"]
    assert again.file("sum.txt").read_text() == content


def test_metrics_and_notes_are_part_of_the_artifact(tmp_path: Path) -> None:
    with runner(tmp_path) as run:
        made = two_stages(run)
    (line,) = read_metrics(made.folder)
    assert line["sum"] == made.notes["sum"]
    assert "metrics.jsonl" in made.manifest.files


def test_inputs_that_are_absent_do_not_enter_the_key(tmp_path: Path) -> None:
    @stage(name="open", version=1)
    def open_ended(ctx: StageContext, config: Config, *, new: Artifact | None = None) -> None:
        (ctx.output / "x").write_text("x")

    with runner(tmp_path) as run:
        assert run(open_ended, Config()).key == run(open_ended, Config(), new=None).key


def test_an_interrupted_stage_keeps_its_scratch_loses_its_output_and_counts_its_time(tmp_path: Path) -> None:
    attempts: list[list[str]] = []

    @stage(name="slow", version=1)
    def slow(ctx: StageContext, config: Config) -> None:
        attempts.append(sorted(p.name for p in [*ctx.output.iterdir(), *ctx.scratch.iterdir()]))
        (ctx.output / "half").write_text("half of it")
        (ctx.scratch / "checkpoint").write_text("step 5")
        time.sleep(0.05)
        if len(attempts) == 1:
            raise AwaitingJudgments(1, 2, where="here")
        (ctx.output / "whole").write_text("all of it")

    with runner(tmp_path) as run, pytest.raises(AwaitingJudgments):
        run(slow, Config())
    plan = runner(tmp_path, planning=True)
    plan(slow, Config())
    assert states(plan) == ["would resume"]
    with runner(tmp_path) as run:
        made = run(slow, Config())
    assert attempts == [[], ["checkpoint"]]
    assert 0.1 <= made.manifest.seconds < 1.0
    assert list((tmp_path / "work").iterdir()) == []


def test_a_removed_artifact_leaves_nothing_of_its_old_curves_in_the_new_ones(tmp_path: Path) -> None:
    made = []

    @stage(name="curve", version=1)
    def curve(ctx: StageContext, config: Config) -> None:
        made.append(1)
        ctx.log.record(len(made), {"x": 1.0})

    for _ in range(2):
        with runner(tmp_path) as run:
            artifact = run(curve, Config())
        assert [line["step"] for line in read_metrics(artifact.folder)] == [len(made)]
        (artifact.folder / "manifest.json").unlink()


def test_two_runs_at_once_in_one_folder_are_refused_by_process_number(tmp_path: Path) -> None:
    with (
        runner(tmp_path),
        pytest.raises(UserError, match=rf"another run \(process {os.getpid()}\) is working in") as caught,
    ):
        runner(tmp_path)
    assert "\n" not in str(caught.value)
    runner(tmp_path).close()  # free again


def test_a_killed_run_does_not_keep_the_folder_locked(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from assent.artifacts.stage import Runner\n"
        f"run = Runner(pathlib.Path({str(tmp_path)!r}), seed=0)\nos.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    runner(tmp_path).close()


def test_notes_that_are_not_json_are_refused_by_the_name_of_the_stage(tmp_path: Path) -> None:
    @stage(name="careless", version=1)
    def careless(ctx: StageContext, config: Config) -> dict[str, Any]:
        return {"loss": float("nan")}

    with runner(tmp_path) as run, pytest.raises(TypeError, match="stage 'careless' returned notes"):
        run(careless, Config())


def test_a_full_disk_inside_a_stage_is_one_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    target = [Path("/dev/full")]

    @stage(name="big", version=1)
    def big(ctx: StageContext, config: Config) -> None:
        target[0].write_text("x") if target[0].exists() else (ctx.output / "x").write_text("x")

    with runner(tmp_path) as run, pytest.raises(RunError, match=r"^disk full while writing .*big-") as caught:
        run(big, Config())
    assert "\n" not in str(caught.value)
    target[0] = tmp_path / "free"
    with runner(tmp_path) as run:
        assert run(big, Config()).file("x").read_text() == "x"


def test_a_full_disk_is_recognised_behind_the_words_of_safetensors(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")

    @stage(name="weights", version=1)
    def weights(ctx: StageContext, config: Config) -> None:
        save_file({"w": torch.zeros(200_000)}, ctx.output / "w.safetensors")

    try:
        with runner(disk / "run") as run, pytest.raises(RunError, match=r"^disk full while writing"):
            run(weights, Config())
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_run_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*choose another folder") as caught:
        runner(tmp_path / "file" / "run")
    assert "\n" not in str(caught.value)


def test_a_planned_input_is_never_run_upon(tmp_path: Path) -> None:
    planned = runner(tmp_path, planning=True)(sample, SampleConfig())
    with runner(tmp_path) as run, pytest.raises(ValueError, match="inputs that are only planned: \\['samples'\\]"):
        run(fit, FitConfig(), samples=planned, older=[])
