"""The report of a run: one HTML page that needs nothing but itself."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from assent.artifacts.layout import RUN_SETTINGS
from assent.artifacts.lineage import lineage, render
from assent.artifacts.project import RunFolder
from assent.core import files
from assent.core.findings import Finding
from assent.pipeline.doctor.logs import examine_logs
from assent.report.cards import Svg
from assent.report.comparisons import comparison, reward_model, rounds_over_time
from assent.report.configuration import read_settings
from assent.report.diff import visible
from assent.report.examples import first_examples, largest_changes
from assent.report.figures import Bar, bars, percent
from assent.report.gate import gates
from assent.report.guards import alarms, gauge
from assent.report.lineage_plot import lineage_svg
from assent.report.on_the_way import ways
from assent.report.page import rendered
from assent.report.run_folder import Run, find_run, read_run
from assent.report.suites import suite_tables
from assent.report.training import fine_tuning, optimization
from assent.report.verdict import changes, verdict_of
from assent.stats.estimate import Estimate

REPORT = "report.html"


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page, with what it is and what to hold it against."""

    label: str
    value: str
    note: str


def report_of(run_folder: Path) -> str:
    """Write report.html into the folder of a finished run and say in one line where it is.

    Of a folder of runs the newest finished one is taken. Raises UserError where there is none.
    """
    folder = find_run(run_folder)
    path = folder / REPORT
    files.write_text(path, page_of(read_run(folder)))
    return f"report: {path}"


def page_of(run: Run) -> str:
    """The whole page. What models and people wrote is escaped, and what could turn or hide text is spelled out."""
    evaluation = run.headline
    return rendered(
        "page.html.jinja",
        run=run,
        verdict=verdict_of(run),
        tiles=_tiles(run),
        sections=[
            s
            for s in (
                comparison(run),
                gates(run),
                rounds_over_time(run),
                reward_model(run),
                optimization(run),
                gauge(run),
                fine_tuning(run),
            )
            if s.cards
        ],
        warnings=_warnings(run.folder),
        alarms=alarms(run),
        suites=suite_tables(run),
        ways=ways(run),
        examples=first_examples(evaluation) if evaluation else (),
        changed=largest_changes(evaluation) if evaluation else (),
        seconds=Svg(_seconds(run)),
        total=_duration(sum(a.manifest.seconds for a in run.artifacts)),
        lineage=Svg(lineage_svg(run.artifacts, run.labels)),
        tree=_tree(run),
        settings=read_settings(run.folder / RUN_SETTINGS),
        facts=_facts(run),
        percent=percent,
    )


def _warnings(folder: Path) -> list[Finding]:
    """Known failures that the logs show."""
    if not (folder / RUN_SETTINGS).is_file():
        return []
    return [found for found in examine_logs(folder) if found.level == "warning"]


def _tiles(run: Run) -> list[Tile]:
    tiles = _measured_tiles(run)
    reward = next((r.reward for r in reversed(run.rounds) if r.reward is not None), None)
    if reward is not None and reward.accuracy is not None:
        bounds = (("two raters agree", reward.rater_agreement), ("longer wins", reward.longer_wins))
        beside = " · ".join(f"{name} {percent(v.estimate)}" for name, v in bounds if v is not None)
        tiles.append(Tile("reward model right", percent(reward.accuracy.estimate), beside))
    judgments = run.rounds[-1].judgments if run.rounds else None
    rounds = f"{len(run.rounds)} round" + ("" if len(run.rounds) == 1 else "s")
    counted = "" if judgments is None else f" · {judgments:,} judgments"
    tiles.append(Tile("time", _duration(sum(a.manifest.seconds for a in run.artifacts)), rounds + counted))
    return tiles


def _measured_tiles(run: Run) -> list[Tile]:
    evaluation = run.headline
    if evaluation is None:
        return []
    tiles, report = [], evaluation.report
    if report.win_rate is not None:
        controlled = percent(report.win_rate.length_controlled.estimate)
        note = "hardly any were as long" if report.win_rate.is_extrapolated else "win rate if both were as long"
        tiles.append(Tile("at equal length", controlled, note))
    for change in changes(evaluation):
        if change.measure in ("helpful", "harm", "over_refusal"):
            note = f"clearly {'better' if change.is_better else 'worse'}" if change.is_clear else "no clear change"
            value = f"{percent(change.before.estimate)} → {percent(change.after.estimate)}"
            tiles.append(Tile(change.name.split(" on ")[0], value, note))
    if report.reward_before is not None and report.reward_after is not None:
        moved = f"{report.reward_before.estimate:.2f} → {report.reward_after.estimate:.2f}"
        tiles.append(Tile("reward", moved, "mean score of the reward model"))
    if (said := report.judge_scores) is not None:
        size = f"{said.change.estimate:+.2f}"
        tiles.append(Tile("judge's score", size, f"deviations of the start's answers{_range(said.change)}"))
    if (kl := report.kl_per_response) is not None:
        tiles.append(Tile("distance", f"{kl.estimate:.1f} nats", f"KL per answer{_range(kl)}"))
    if (best := report.best_of) is not None:
        tiles.append(Tile("answers", f"best of {best.n}", f"at most {best.kl_bound:.2f} nats more"))
    return tiles


def _range(value: Estimate) -> str:
    return f" [{value.low:.1f}–{value.high:.1f}]"


def _seconds(run: Run) -> str:
    rows = []
    for artifact in run.artifacts:
        label = run.labels[artifact.key]
        seconds = artifact.manifest.seconds
        rows.append(Bar(visible(label), seconds, _duration(seconds)))
    return bars(rows, "Seconds per stage") if rows else ""


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{int(minutes)} min {int(seconds % 60):02d} s"
    return f"{int(minutes / 60)} h {int(minutes % 60):02d} min"


def _tree(run: Run) -> str:
    """The lineage of the last policy as text."""
    last = next((r.artifacts["optimize"] for r in reversed(run.rounds) if "optimize" in r.artifacts), None)
    if last is None:
        return ""
    return render(lineage(last, RunFolder(run.folder).store()))


def _facts(run: Run) -> Sequence[tuple[str, str]]:
    made = max((a.manifest.created for a in run.artifacts), default="")
    machine = run.result.get("machine") or _machine()
    sources = dict.fromkeys(a.manifest.source[:12] for a in run.artifacts if a.manifest.source)
    known = (
        ("run", run.name),
        ("seed", str(run.result.get("seed", "not recorded"))),
        ("version", f"Assent {run.result.get('version', 'not recorded')}"),
        ("source", ", ".join(sources)),
        ("finished", made.replace("T", " ").replace("+00:00", " UTC")),
        ("not as given", _not_as_given(run.result.get("not_as_given", {}))),
        ("machine", machine if isinstance(machine, str) else ", ".join(f"{k} {v}" for k, v in machine.items())),
    )
    return [(name, value) for name, value in known if value]


def _not_as_given(stages: Mapping[str, Mapping[str, int]]) -> str:
    """What stages left out, cut or named anew, in words; empty where everything was taken as it was."""
    return "; ".join(
        f"{stage}: {', '.join(f'{count} {words}' for words, count in counts.items())}"
        for stage, counts in stages.items()
    )


def _machine() -> str:
    """The machine that writes the report, without its name."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers"))
    host = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{host}, Python {platform.python_version()}, {versions}"
