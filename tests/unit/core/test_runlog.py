"""The run log: what was recorded survives kills and resumes, and a full disk says so in one line."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import pytest

from assent.core.errors import DataError, RunError, UserError
from assent.core.runlog import METRICS, RunLog, read_metrics


def quiet_log(folder: Path, *, tensorboard: bool = False) -> RunLog:
    return RunLog(folder, quiet=True, tensorboard=tensorboard)


def test_what_is_recorded_is_read_back_in_order(tmp_path: Path) -> None:
    with quiet_log(tmp_path) as log:
        log.record(1, {"loss": 2.5, "tokens": 100})
        log.record(1, {"loss": 3.0}, kind="eval")
    assert read_metrics(tmp_path) == [
        {"step": 1, "kind": "train", "loss": 2.5, "tokens": 100.0},
        {"step": 1, "kind": "eval", "loss": 3.0},
    ]


def test_a_line_is_on_disk_before_the_log_is_closed(tmp_path: Path) -> None:
    log = quiet_log(tmp_path)
    log.record(1, {"loss": 2.5})
    assert len(read_metrics(tmp_path)) == 1
    log.close()


def test_numbers_that_are_not_finite_come_back_as_nan_and_the_file_stays_json(tmp_path: Path) -> None:
    with quiet_log(tmp_path) as log:
        log.record(1, {"loss": math.inf, "gap": math.nan})
    assert (tmp_path / METRICS).read_text() == '{"step": 1, "kind": "train", "loss": null, "gap": null}\n'
    (line,) = read_metrics(tmp_path)
    assert math.isnan(line["loss"]) and math.isnan(line["gap"])


@pytest.mark.parametrize("torn", ['{"step": 3, "ki', '{"step": 3}', "\x00\x00\x00"])
def test_a_line_torn_by_a_kill_is_forgotten_and_the_next_one_starts_on_its_own(tmp_path: Path, torn: str) -> None:
    with quiet_log(tmp_path) as log:
        log.record(1, {"loss": 1.0})
        log.record(2, {"loss": 2.0})
    with (tmp_path / METRICS).open("a") as stream:
        stream.write(torn)
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2]
    with quiet_log(tmp_path) as log:
        log.record(3, {"loss": 3.0})
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3]


def test_rewinding_and_recording_again_gives_the_bytes_of_an_undisturbed_run(tmp_path: Path) -> None:
    def record(log: RunLog, first: int, last: int) -> None:
        for step in range(first, last + 1):
            log.record(step, {"loss": 1 / step})
            log.record(step, {"reward": step}, kind="eval")

    with quiet_log(tmp_path / "whole") as log:
        record(log, 1, 9)
    with quiet_log(tmp_path / "resumed") as log:
        record(log, 1, 7)
    with quiet_log(tmp_path / "resumed") as log:
        log.rewind(5)
        assert {line["step"] for line in read_metrics(tmp_path / "resumed")} == {1, 2, 3, 4, 5}
        record(log, 6, 9)
    assert (tmp_path / "whole" / METRICS).read_bytes() == (tmp_path / "resumed" / METRICS).read_bytes()


def test_a_garbled_line_in_the_middle_is_named_with_its_number(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text('{"step": 1}\nrubbish\n{"step": 2}\n')
    with pytest.raises(DataError, match=r"metrics\.jsonl:2: "):
        read_metrics(tmp_path)


def test_a_log_that_only_talks_leaves_no_files(tmp_path: Path) -> None:
    stream = io.StringIO()
    with RunLog(tmp_path / "log", stream=stream) as log:
        log.say("hello")
        log.rewind(0)
    assert stream.getvalue() == "hello\n"
    assert not (tmp_path / "log").exists()


def test_tensorboard_shows_each_step_once_after_a_rewind(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with quiet_log(tmp_path, tensorboard=True) as log:
        for step in range(1, 6):
            log.record(step, {"loss": float(step)})
    with quiet_log(tmp_path, tensorboard=True) as log:
        log.rewind(3)
        log.record(4, {"loss": 40.0})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train/loss")] == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 40.0)]


def test_logging_to_tensorboard_does_not_load_torch(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from assent.core.runlog import RunLog\n"
        f"with RunLog(pathlib.Path({str(tmp_path)!r})) as log: log.record(1, {{'loss': 1.0}})\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_tracker_says_what_to_install(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # makes `import` fail also where the package is installed
    log = RunLog(tmp_path, quiet=True, tensorboard=False, trackers=(name,))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"pip install assent\[{name}\]"):
        log.record(1, {"loss": 1.0})


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / METRICS).symlink_to("/dev/full")
    log = quiet_log(tmp_path)
    with pytest.raises(RunError, match=r"^disk full while writing .*metrics\.jsonl") as caught:
        log.record(1, {"loss": 1.0})
    assert "\n" not in str(caught.value)


def test_a_disk_that_fills_up_under_tensorboard_is_one_clear_line_too(tmp_path: Path, capfd) -> None:  # type: ignore[no-untyped-def]
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        with pytest.raises(RunError, match=r"^disk full while writing"), quiet_log(tmp_path, tensorboard=True) as log:
            for step in range(10_000):
                log.record(step, {"loss": 1.0})
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert capfd.readouterr() == ("", "")


def test_an_unwritable_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*choose another folder") as caught:
        quiet_log(tmp_path / "file" / "log").record(1, {"loss": 1.0})
    assert "\n" not in str(caught.value)


def test_a_stage_has_its_name_above_its_first_line_and_says_the_same_thing_once(tmp_path: Path) -> None:
    stream = io.StringIO()
    told: set[str] = set()
    for title in ("data prompts", "data corpus", "sft"):
        log = RunLog(tmp_path / title, stream=stream)
        log.title, log.told = title, told
        log.say_once("a.jsonl: 40 rows")
        if title == "sft":
            log.say("one")
            log.say("two")
    assert stream.getvalue() == "data prompts\n  a.jsonl: 40 rows\nsft\n  one\n  two\n"
