"""Samples on the way in Weights & Biases and MLflow, by the real libraries where they are installed; no server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.core.errors import UserError
from assent.core.trackers import open_tracker

ANSWERS = [("# What?\nNow", "*So*"), ("Why <b>?", "")]


def test_wandb_keeps_a_table_of_what_a_policy_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed: pip install assent[wandb]")
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(name, value)
    tracker = open_tracker("wandb", tmp_path)
    for step in (0, 5):
        tracker.record(step, {"train/loss": 1.0 / (1 + step)})
        tracker.show(step, ANSWERS)
    tracker.rewind(5)
    tracker.show(5, ANSWERS)
    tracker.close()
    tables = sorted(tmp_path.rglob("media/table/answers_*.table.json"))
    assert tables
    for path in tables:
        table = json.loads(path.read_text(encoding="utf-8"))
        assert table["columns"] == ["prompt", "answer"] and table["data"] == [list(one) for one in ANSWERS]
    again = open_tracker("wandb", tmp_path)  # a run that goes on has the same curves
    again.close()
    assert len({path.suffix and path.stem for path in tmp_path.rglob("run-*.wandb")}) == 1


def test_mlflow_keeps_a_text_for_each_look_and_one_of_the_same_step_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: pip install assent[mlflow]")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions want to be told
    tracker = open_tracker("mlflow", tmp_path)
    tracker.record(0, {"train/loss": 1.0, "eval/accuracy": 0.5})
    tracker.show(0, [("first", "other")])
    tracker.show(0, ANSWERS)
    tracker.show(5, ANSWERS)
    tracker.close()
    client = mlflow.MlflowClient()
    [run] = client.search_runs([client.get_experiment_by_name("assent").experiment_id])
    assert run.info.status == "FINISHED" and run.data.metrics["train/loss"] == 1.0
    names = [one.path for one in client.list_artifacts(run.info.run_id, "answers")]
    assert names == ["answers/step-000000.txt", "answers/step-000005.txt"]
    text = Path(client.download_artifacts(run.info.run_id, names[0], str(tmp_path))).read_text(encoding="utf-8")
    assert text == "prompt: # What?\nNow\nanswer: *So*\n\nprompt: Why <b>?\nanswer: \n"
    open_tracker("mlflow", tmp_path).close()
    assert len(client.search_runs([run.info.experiment_id])) == 1, "a run that goes on has the same curves"


def test_what_a_tracker_cannot_begin_with_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed: pip install assent[mlflow]")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at-all")
    with pytest.raises(UserError, match=r"^log.trackers: mlflow cannot begin: .*nowhere[^\n]*$"):
        open_tracker("mlflow", tmp_path)
