"""`assent runs`: the runs of a project, each in a line; two of them side by side, from what their folders hold."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.layout import LOGS, RUN_SETTINGS, RUNS
from assent.artifacts.locks import is_locked
from assent.artifacts.project import RESULT, RunFolder, all_artifacts, all_runs, is_run, read_steps
from assent.artifacts.round import read_round
from assent.artifacts.store import Artifact
from assent.core.config import read_yaml
from assent.core.errors import UserError
from assent.core.files import size_of
from assent.core.runlog import read_metrics

ASKING = ("collect", "evaluate")
"""Stages in which a run waits for people."""


@dataclass(frozen=True)
class Told:
    """A run as its folder tells of it, finished or not."""

    run: RunFolder
    settings: Mapping[str, Any]
    result: Mapping[str, Any] | None
    """result.json; None where the run has not ended."""
    started: datetime.datetime
    artifacts: tuple[Artifact, ...]
    """All that it rests on, oldest first."""
    own: tuple[Path, ...]
    """Folders of artifacts and unfinished work that no other run refers to."""

    @property
    def name(self) -> str:
        """As commands take it: first, first@1."""
        return self.run.path.name

    @property
    def state(self) -> str:
        """done; running; waits for people; or where it stopped."""
        made, steps = {one.name for one in self.artifacts}, self.steps
        left = [one for one in steps if one["artifact"] not in made]
        if self.run.version is None and is_locked(self.run.path):
            return f"running ({_where(left[0])})" if left else "running"
        if self.result is not None and not _is_behind(self.run.path):
            return "done" if not left else f"done; {len(left)} of {len(steps)} artifacts are gone"
        if not left:
            return f"stopped after {_where(steps[-1])}" if steps else "stopped before it made anything"
        raters = ((self.settings.get("collect") or {}).get("raters") or {}).get("kind")
        if raters == "people" and left[0]["stage"] in ASKING:
            return f"waits for people ({_where(left[0])})"
        return f"stopped at {_where(left[0])}"

    @property
    def num_bytes(self) -> int:
        """Disk that is its own: its folder, and what no other run refers to."""
        outside = [one for one in self.own if not one.is_relative_to(self.run.path)]
        return size_of(self.run.path) + sum(map(size_of, outside))

    @property
    def method(self) -> str:
        """What moves its policy: dpo, ppo; none where nothing does."""
        return str((self.settings.get("optimize") or {}).get("kind", "none"))

    @property
    def rounds(self) -> str:
        """How many have made something, of how many."""
        done = len([one for one in self.run.rounds if one.name != "round-0"])
        return f"{done} of {self.settings.get('rounds', 1)}"

    @property
    def deciding(self) -> Mapping[str, Any]:
        """The numbers of the comparison that decides: over all rounds, else of the last round that passed its gate."""
        if self.result is None:
            return {}
        rounds = list(self.result.get("rounds") or ())
        kept = [one for one in rounds if (one.get("gate") or {}).get("promoted", True)] or rounds
        last = kept[-1] if kept else {}
        return {**last, **(self.result.get("final") or {})}

    @property
    def verdict(self) -> str:
        """How often its policy is preferred to its start, with the interval; or what else it reached."""
        found = self.deciding
        rate = (found.get("policy") or {}).get("win_rate")
        if rate is not None:
            doubts = len(found.get("warnings") or ())
            said = f", but {doubts} warning{'s' if doubts > 1 else ''}" if doubts else ""
            return f"{share(rate)} preferred{said}"
        sft = ((self.result or {}).get("setup") or {}).get("sft")
        if found.get("reward") and self.method == "none":
            return f"reward model right on {share(found['reward'].get('heldout_accuracy'))}"
        if not found and sft and sft.get("best_eval_loss") is not None:
            return f"held-out loss {sft['best_eval_loss']:.3g}"
        return "–" if self.result is None else "not compared"

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Every stage that it asked for, in order; of a run of an older version, those that it finished."""
        if steps := read_steps(self.run.path):
            return steps
        found: list[dict[str, Any]] = []
        for folder in self.run.rounds:
            number = folder.name.removeprefix("round-")
            scope = [] if number == "0" else ["round", int(number)]
            found += [{"stage": one.stage, "scope": scope, "artifact": one.artifact} for one in read_round(folder)]
        return found

    def metrics(self, stage: str) -> list[list[dict[str, Any]]]:
        """What a stage logged, once for each time that the run has it; of an unfinished one as far as it came."""
        made = {one.name: one for one in self.artifacts}
        names = [str(one["artifact"]) for one in self.steps if one["stage"] == stage]
        logs = [made[n].folder if n in made else self.run.newest / LOGS / n for n in dict.fromkeys(names)]
        return [found for folder in logs if (found := read_metrics(folder))]


def tell_all(runs: Path = RUNS) -> list[Told]:
    """Every run of a project, by name; earlier versions before what a run is now."""
    known, everything = all_runs(runs), all_artifacts(runs).all()
    resting = {one.path: one.artifacts(everything) for one in known}
    works = {one.path: one.works() for one in known}
    users: dict[Path, int] = {}
    for one in known:
        for folder in {*(a.folder for a in resting[one.path]), *works[one.path]}:
            users[folder] = users.get(folder, 0) + 1
    found = []
    for one in known:
        mine = [a.folder for a in resting[one.path]] + works[one.path]
        own = tuple(folder for folder in mine if users[folder] == 1)
        found.append(_tell(one, resting[one.path], own))
    return found


def tell(names: Sequence[str], runs: Path = RUNS) -> list[Told]:
    """The runs of these names, or folders. Raises UserError for one that is none, with the names that there are."""
    everything = tell_all(runs)
    found = []
    for name in names:
        path = Path(name)
        if is_run(path) and path.parent.resolve() != runs.resolve():
            fitting = [one for one in tell_all(path.parent) if one.name == path.name]
        else:
            fitting = [one for one in everything if one.name == (path.name if is_run(path) else name)]
        if not fitting:
            there = ", ".join(one.name for one in everything) or "none yet; make one with `assent run`"
            raise UserError(f"{name} is no run below {runs}; there is: {there}")
        found.append(fitting[0])
    return found


def list_runs(runs: Path = RUNS) -> Iterator[str]:
    """The table of `assent runs`, a line at a time."""
    told = tell_all(runs)
    if not told:
        yield f"there are no runs below {runs}; make one with `assent run`"
        return
    head = ("run", "when", "state", "method", "rounds", "verdict", "its own")
    rows = [
        (t.name, f"{t.started:%Y-%m-%d %H:%M}", t.state, t.method, t.rounds, t.verdict, shown_size(t.num_bytes))
        for t in told
    ]
    yield from table([head, *rows])
    yield (
        "A verdict is against the run's own start. NAME@1 is what NAME was before its settings changed."
        " Two side by side: assent runs A B; what can go: assent clean"
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of texts as aligned lines."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip()


def share(estimate: Mapping[str, Any] | None) -> str:
    """A share with its interval."""
    if estimate is None:
        return "not known"
    return f"{estimate['estimate']:.1%} [{estimate['low']:.1%}, {estimate['high']:.1%}]"


def shown_size(num_bytes: int) -> str:
    """Bytes as people say them."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.1f} {unit}"
    return f"{num_bytes} B"


def _tell(run: RunFolder, artifacts: Sequence[Artifact], own: tuple[Path, ...]) -> Told:
    settings, result = run.path / RUN_SETTINGS, _result(run.path)
    values = read_yaml(settings) if settings.is_file() else {}
    newest = run.path / RESULT if result is not None else settings if settings.is_file() else run.path
    when = datetime.datetime.fromtimestamp(newest.stat().st_mtime)
    return Told(run, values, result, when, tuple(artifacts), own)


def _is_behind(folder: Path) -> bool:
    """Whether the numbers are of an earlier start of the run: it went on since, and has not ended."""
    begun, ended = folder / "steps.json", folder / RESULT
    return begun.is_file() and begun.stat().st_mtime_ns > ended.stat().st_mtime_ns


def _where(step: Mapping[str, Any]) -> str:
    return " ".join(str(part) for part in (*step["scope"], step["stage"]))


def _result(folder: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
