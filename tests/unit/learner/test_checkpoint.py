"""Checkpoints: bit for bit, whole or skipped, the last two kept, and a full disk costs nothing that was saved."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from assent.core.errors import RunError, UserError
from assent.learner.checkpoint import Cadence, latest, save


def some_tensors(step: int) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    return {
        "model.weight": torch.randn(5, 3, generator=draw),
        "model.half": torch.randn(4, generator=draw).to(torch.bfloat16),
        "adam.step": torch.tensor(float(step)),
        "adam.count": torch.tensor(step),
        "adam.transposed": torch.randn(2, 6, generator=draw).T,
        "empty": torch.zeros(0),
    }


def no_complaint(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_tensors_and_state_come_back_bit_for_bit(tmp_path: Path) -> None:
    save(tmp_path, step=7, tensors=some_tensors(7), state={"epoch": 1, "kl": {"coefficient": 0.1}})
    found = latest(tmp_path, say=no_complaint)
    assert found is not None
    assert (found.step, found.state) == (7, {"epoch": 1, "kl": {"coefficient": 0.1}})
    loaded = found.tensors()
    assert loaded.keys() == some_tensors(7).keys()
    for name, tensor in some_tensors(7).items():
        assert loaded[name].dtype == tensor.dtype and loaded[name].shape == tensor.shape
        assert torch.equal(loaded[name], tensor)


def test_the_newest_is_found_by_number_and_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 100, 1_000_000):
        save(tmp_path, step=step, tensors=some_tensors(step), state={})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-000100", "checkpoint-1000000"]
    found = latest(tmp_path, say=no_complaint)
    assert found is not None and found.step == 1_000_000


def test_saving_an_earlier_step_again_leaves_no_later_one_to_come_back(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step=step, tensors=some_tensors(step), state={})
    save(tmp_path, step=1, tensors=some_tensors(1), state={"again": True})
    found = latest(tmp_path, say=no_complaint)
    assert found is not None and (found.step, found.state) == (1, {"again": True})


def test_an_empty_or_missing_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert latest(tmp_path, say=no_complaint) is None
    assert latest(tmp_path / "missing", say=no_complaint) is None


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, Path.unlink])
@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "checksums.json"])
def test_a_damaged_checkpoint_is_reported_and_the_one_before_is_taken(tmp_path: Path, damage, name: str) -> None:  # type: ignore[no-untyped-def]
    save(tmp_path, step=1, tensors=some_tensors(1), state={"position": 10})
    save(tmp_path, step=2, tensors=some_tensors(2), state={"position": 20})
    damage(tmp_path / "checkpoint-000002" / name)
    said: list[str] = []
    found = latest(tmp_path, say=said.append)
    assert found is not None and (found.step, found.state) == (1, {"position": 10})
    assert len(said) == 1 and said[0].startswith("checkpoint-000002 is damaged")


def test_tensors_that_share_memory_are_refused_by_name(tmp_path: Path) -> None:
    tied = torch.zeros(3)
    with pytest.raises(ValueError, match="embed and head share memory"):
        save(tmp_path, step=1, tensors={"embed": tied, "head": tied}, state={})


def test_a_full_disk_is_one_line_and_keeps_the_checkpoint_before(small_disk: Path) -> None:
    save(small_disk, step=1, tensors={"w": torch.ones(1000)}, state={"position": 1})
    with pytest.raises(RunError, match=r"^disk full while writing .*checkpoint-000002") as caught:
        save(small_disk, step=2, tensors={"w": torch.ones(200_000)}, state={})
    assert "\n" not in str(caught.value)
    found = latest(small_disk, say=no_complaint)
    assert found is not None and found.step == 1
    assert [p.name for p in small_disk.iterdir()] == ["checkpoint-000001"]


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*choose another folder"):
        save(tmp_path / "file" / "checkpoints", step=1, tensors={"w": torch.ones(1)}, state={})


def test_killed_at_any_instant_of_a_write_a_whole_checkpoint_is_left(tmp_path: Path) -> None:
    code = """
        import sys, os, torch
        from pathlib import Path
        from assent.learner.checkpoint import save
        folder = Path(sys.argv[1])
        print("ready", flush=True)
        for step in range(1, 100_000):
            save(folder, step=step, tensors={"w": torch.full((20_000,), float(step))}, state={"step": step})
            print(step, flush=True)
    """
    for wait in (0.007, 0.031):
        folder = tmp_path / str(wait)
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), folder], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        for _ in range(3):  # "ready" and two checkpoints that are certainly finished
            worker.stdout.readline()
        time.sleep(wait)
        os.kill(worker.pid, signal.SIGKILL)
        finished = worker.stdout.read().split()
        worker.wait()
        found = latest(folder, say=no_complaint)
        assert found is not None and found.step >= max([2, *map(int, finished)])
        assert found.state == {"step": found.step}
        assert torch.equal(found.tensors()["w"], torch.full((20_000,), float(found.step)))


def test_a_checkpoint_is_due_by_the_clock_counted_from_the_last_one() -> None:
    now = [0.0]
    cadence = Cadence(60.0, clock=lambda: now[0])
    now[0] = 59.0
    assert not cadence.due()
    now[0] = 61.0
    assert cadence.due()
    now[0] = 75.0  # writing took 14 s
    cadence.saved()
    now[0] = 130.0
    assert not cadence.due()
    now[0] = 135.0
    assert cadence.due()
