"""Artifacts that the runs of a project share: made once, waited for, in every run's logs, known by who uses them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.lineage import lineage, render
from assent.artifacts.locks import nobody_else
from assent.artifacts.project import RunFolder, all_runs, run_of, unused, write_steps
from assent.artifacts.round import Made, write_round
from assent.artifacts.stage import LogOptions, Runner, StageContext, stage
from assent.artifacts.store import Artifact
from assent.core.config import Config
from assent.core.errors import UserError
from assent.core.runlog import read_metrics

QUIET = LogOptions(quiet=True)
RUNS = Path("runs")


class Settings(Config):
    rate: float = 1.0


@stage(name="base", version=1, kind="policy")
def base(ctx: StageContext, config: Settings) -> dict[str, Any]:
    for step in range(1, 4):
        ctx.log.record(step, {"loss": 1 / step})
    (ctx.output / "weights").write_text(str(config.rate))
    return {}


@stage(name="optimize", version=1, kind="policy")
def better(ctx: StageContext, config: Settings, *, start: Artifact) -> dict[str, Any]:
    (ctx.output / "weights").write_text(start.file("weights").read_text() + str(config.rate))
    return {}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def begin(name: str) -> Runner:
    run = Runner(RUNS / name, seed=0, logs=QUIET, home=RUNS)
    (RUNS / name / "run.yaml").write_text("{}\n")
    run.noted = lambda steps: write_steps(RUNS / name, steps)
    return run


def made_by(name: str, rate: float) -> tuple[Artifact, Artifact]:
    with begin(name) as run:
        start = run(base, Settings())
        with run.within("round", 1):
            policy = run(better, Settings(rate=rate), start=start)
    found = Made("optimize", "policy", policy.name, policy.key)
    write_round(RUNS / name, 1, [found])
    return start, policy


def test_a_run_of_another_name_finds_what_the_first_has_made_and_shows_its_curves() -> None:
    (start, ppo), (same, dpo) = made_by("ppo", 2.0), made_by("dpo", 3.0)
    assert start == same and ppo.key != dpo.key
    assert sorted(one.name for one in Path("runs/artifacts").iterdir()) == sorted({start.name, ppo.name, dpo.name})
    assert (find_artifact("runs/ppo").key, find_artifact("runs/dpo/round-1").key) == (ppo.key, dpo.key)
    for name in ("ppo", "dpo"):
        log = RUNS / name / "logs" / start.name
        assert [line["loss"] for line in read_metrics(log)] == [1.0, 0.5, 1 / 3]
        assert list((log / "tensorboard").iterdir())


def test_work_that_another_run_began_is_ended_with_the_whole_curve() -> None:
    has_to_fail = True

    @stage(name="long", version=1)
    def long(ctx: StageContext, config: Settings) -> dict[str, Any]:
        done = ctx.scratch / "step-2"
        ctx.log.rewind(2 if done.exists() else 0)
        for step in range(3 if done.exists() else 1, 5):
            ctx.log.record(step, {"loss": float(step)})
            if step == 2:
                done.touch()
            if step == 3 and has_to_fail:
                raise RuntimeError("killed")
        return {}

    with begin("first") as run, pytest.raises(RuntimeError):
        run(long, Settings())
    [work] = RunFolder(RUNS / "first").works()
    assert unused(RUNS).works == () and RunFolder(RUNS / "second").works() == []
    has_to_fail = False
    with begin("second") as run:
        made = run(long, Settings())
    assert not work.exists()
    for folder in (made.folder, RUNS / "second" / "logs" / made.name):
        assert [line["loss"] for line in read_metrics(folder)] == [1.0, 2.0, 3.0, 4.0]


def test_the_second_of_two_runs_waits_says_so_and_uses_what_the_first_makes(capfd: pytest.CaptureFixture[str]) -> None:
    program = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from assent.artifacts.stage import LogOptions, Runner, stage
        from assent.core.config import Config

        @stage(name="slow", version=1)
        def slow(ctx, config):
            pathlib.Path(sys.argv[1] + ".begun").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            (ctx.output / "by").write_text(sys.argv[1])
            return {}

        with Runner(pathlib.Path("runs", sys.argv[1]), seed=0, logs=LogOptions(), home=pathlib.Path("runs")) as run:
            print((run(slow, Config()).folder / "by").read_text(), run.steps[0].state)
        """
    )

    def start(name: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for(*paths: str) -> None:
        while not any(Path(path).exists() for path in paths):
            os.sched_yield()

    killed = start("killed")
    wait_for("killed.begun")
    waiting = start("waiting")
    assert waiting.stderr is not None
    assert f"is being made by another run (process {killed.pid}); waiting for it" in waiting.stderr.readline()
    killed.send_signal(signal.SIGKILL)  # which lets go: the other makes it
    wait_for("waiting.begun")
    third = start("third")
    assert third.stderr is not None and f"process {waiting.pid}" in third.stderr.readline()
    Path("go").touch()
    assert waiting.communicate(timeout=60)[0] == "waiting ran\n"
    assert third.communicate(timeout=60)[0] == "waiting done\n"
    killed.communicate(timeout=60)
    assert not Path("third.begun").exists()
    assert [one.name for one in Path("runs/work").iterdir()] == []


def test_a_run_of_an_older_version_is_still_found_and_gone_on_with() -> None:
    with Runner(RUNS / "old", seed=0, logs=QUIET) as run:
        start = run(base, Settings())
    (RUNS / "old" / "run.yaml").write_text("{}\n")
    assert start.folder == Path("runs/old/artifacts") / start.name
    again, policy = made_by("old", 2.0)
    assert again == start and policy.folder.parent == Path("runs/artifacts")
    assert find_artifact("runs/old").key == policy.key
    assert start.name in render(lineage(policy, store_at(policy.folder.parent))), "across both folders"
    assert {one.key for one in RunFolder(RUNS / "old").artifacts()} == {start.key, policy.key}
    assert unused(RUNS).artifacts == ()


def test_what_no_run_refers_to_is_known() -> None:
    (start, ppo), (_, dpo) = made_by("ppo", 2.0), made_by("dpo", 3.0)
    (RUNS / "dpo").rename(RUNS / "dpo@1")
    _, newer = made_by("dpo", 4.0)
    assert [(one.name, one.version) for one in all_runs(RUNS)] == [("dpo", 1), ("dpo", None), ("ppo", None)]
    assert find_artifact("runs/dpo@1/round-1").key == dpo.key
    assert {one.key for one in RunFolder(RUNS / "dpo").artifacts()} == {start.key, newer.key}
    assert unused(RUNS).artifacts == () and run_of(ppo) == RUNS / "ppo"
    shutil.rmtree(RUNS / "ppo")
    Path("runs", "work", "policy-0123456789ab").mkdir(parents=True)
    assert [one.key for one in unused(RUNS).artifacts] == [ppo.key]
    assert unused(RUNS).works == (Path("runs", "work", "policy-0123456789ab"),)


def test_nothing_may_be_deleted_while_a_run_is_at_work() -> None:
    with begin("first"), pytest.raises(UserError, match="a run is at work in runs"), nobody_else(RUNS):
        pass
    with nobody_else(RUNS):
        pass
