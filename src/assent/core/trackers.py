"""Where metrics are drawn: TensorBoard by default, Weights & Biases and MLflow as extras."""

from __future__ import annotations

import importlib
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, Protocol, runtime_checkable

from assent.core.errors import UserError
from assent.core.files import write_text

TrackerName = Literal["wandb", "mlflow"]
_ERRORS = {"wandb": ("wandb", "Error"), "mlflow": ("mlflow.exceptions", "MlflowException")}
"""Module and name of the errors that each raises on purpose."""


@runtime_checkable
class Tracker(Protocol):
    """Someone who draws numbers over steps. Names come as "train/loss"."""

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Draw these values at this step."""

    def show(self, step: int, answers: Sequence[tuple[str, str]]) -> None:
        """Show what a policy answered after so many steps, prompt by prompt. Both are untrusted text."""

    def rewind(self, step: int) -> None:
        """What was drawn after `step` will be drawn again."""

    def close(self) -> None:
        """Write what is pending."""


def open_tracker(name: TrackerName, folder: Path) -> Tracker:
    """The tracker of that name for the run logged in `folder`.

    Raises UserError when its package is not installed, or what it says when it cannot begin: no key, no such server.
    """
    if name not in _ERRORS:
        raise UserError(f"unknown tracker {name!r}; known: wandb, mlflow")
    module, own = _ERRORS[name]
    _import(name)
    try:
        return WandbTracker(folder) if name == "wandb" else MlflowTracker(folder)
    except getattr(_import(module), own) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"log.trackers: {name} cannot begin: {said}") from error


class TensorBoardTracker:
    """Event files for `tensorboard --logdir`.

    Uses tensorboard's own messages and record format, so that logging does not load torch, but writes them itself:
    the package's writer works in a thread, which a fork loses and which reports a full disk with a traceback.
    The import is late because it takes a quarter of a second that a command without metrics need not pay.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._folder, self._events, self._summaries = folder, event_pb2, summary_pb2
        self._record_writer = RecordWriter
        self._open()

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Draw these values at this step."""
        points = [self._summaries.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step, summary=self._summaries.Summary(value=points))

    def show(self, step: int, answers: Sequence[tuple[str, str]]) -> None:
        """A text for each prompt; as code, so that nothing in it is read as Markdown."""
        from tensorboard.compat.proto import tensor_pb2, types_pb2

        plugin = self._summaries.SummaryMetadata.PluginData(plugin_name="text")
        values = []
        for number, (prompt, answer) in enumerate(answers, start=1):
            lines = [*(f"    {line}" for line in prompt.splitlines()), "", "answers", ""]
            text = "\n".join([*lines, *(f"    {line}" for line in answer.splitlines())])
            tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[text.encode()])
            metadata = self._summaries.SummaryMetadata(plugin_data=plugin)
            values.append(self._summaries.Summary.Value(tag=f"answers/{number}", tensor=tensor, metadata=metadata))
        self._write(step, summary=self._summaries.Summary(value=values))

    def rewind(self, step: int) -> None:
        """Start a new event file that tells readers to forget everything after `step`."""
        self.close()
        self._open()
        restart = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(step + 1, session_log=restart)

    def close(self) -> None:
        """Write what is pending."""
        self._stream.close()

    def _open(self) -> None:
        # Readers take files in the order of their names; nanoseconds keep that the order of writing.
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._stream = path.open("ab", buffering=0)
        self._writer = self._record_writer(self._stream)
        self._write(0, file_version="brain.Event:2")

    def _write(self, step: int, **what: Any) -> None:
        # Wall time only labels the point; nothing of ours reads it back.
        event = self._events.Event(step=step, wall_time=time.time(), **what)
        self._writer.write(event.SerializeToString())


class WandbTracker:
    """One Weights & Biases run per log folder; project from WANDB_PROJECT, else "assent"."""

    def __init__(self, folder: Path) -> None:
        wandb = _import("wandb")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "assent"),
            id=_remembered(folder / "wandb-run.txt", lambda: uuid.uuid4().hex[:12]),
            name=_title(folder),
            dir=str(folder),
            resume="allow",
            reinit="create_new",
        )
        # wandb's own step may only rise; ours goes back after a resume, so it is a metric and the x axis.
        self._run.define_metric("*", step_metric="step")

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Draw these values at this step."""
        self._run.log({**values, "step": step})

    def show(self, step: int, answers: Sequence[tuple[str, str]]) -> None:
        """A table of prompts and answers."""
        table = _import("wandb").Table(columns=["prompt", "answer"], data=[list(one) for one in answers])
        self._run.log({"answers": table, "step": step})

    def rewind(self, step: int) -> None:
        """Nothing: points drawn again fall on the same place, since a resumed run repeats its numbers."""

    def close(self) -> None:
        """Write what is pending."""
        self._run.finish()


class MlflowTracker:
    """One MLflow run per log folder, at MLFLOW_TRACKING_URI; experiment from MLFLOW_EXPERIMENT_NAME, else "assent"."""

    def __init__(self, folder: Path) -> None:
        client = _import("mlflow").MlflowClient()

        def create() -> str:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "assent")
            known = client.get_experiment_by_name(name)
            experiment = known.experiment_id if known else client.create_experiment(name)
            return str(client.create_run(experiment, run_name=_title(folder)).info.run_id)

        self._client, self._run_id = client, _remembered(folder / "mlflow-run.txt", create)

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Draw these values at this step."""
        for name, value in values.items():
            self._client.log_metric(self._run_id, name, value, step=step)

    def show(self, step: int, answers: Sequence[tuple[str, str]]) -> None:
        """A text file among the run's artifacts; the same step again replaces it."""
        text = "\n\n".join(f"prompt: {prompt}\nanswer: {answer}" for prompt, answer in answers)
        self._client.log_text(self._run_id, text + "\n", f"answers/step-{step:06d}.txt")

    def rewind(self, step: int) -> None:
        """Nothing: points drawn again fall on the same place, since a resumed run repeats its numbers."""

    def close(self) -> None:
        """Mark the run finished."""
        self._client.set_terminated(self._run_id)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise UserError(
            f"the tracker {name!r} needs a package that is not installed: pip install assent[{name}]"
        ) from None


def _remembered(path: Path, make: Callable[[], str]) -> str:
    """The run id written in `path`, made on first use, so that a resumed run goes on with the same curves."""
    if not path.exists():
        write_text(path, make() + "\n")
    return path.read_text(encoding="utf-8").strip()


def _title(folder: Path) -> str:
    return "/".join(folder.resolve().parts[-3:])
