"""`assent run`: everything that is not done yet, then the numbers, the rounds by name, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from assent.artifacts.layout import PROJECT, RUN_SETTINGS
from assent.artifacts.round import stage_name
from assent.artifacts.stage import LogOptions, Runner
from assent.artifacts.store import SpoiledArtifactError
from assent.core import files
from assent.core.errors import AwaitingJudgments
from assent.feedback.config import without_password
from assent.feedback.store import Store
from assent.feedback.terminal import note
from assent.pipeline.beforehand import refuse_absent, refuse_settings
from assent.pipeline.clock import date_identity, with_date
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.logs import examine_logs, lines
from assent.pipeline.latecomers import late_lines, take_late
from assent.pipeline.machines import on_machines
from assent.pipeline.memory_plan import MemoryPlan
from assent.pipeline.places import moved, open_project, out_of_reach
from assent.pipeline.plan import planning, with_skip_bad
from assent.pipeline.record import Record
from assent.pipeline.result import TRUTH_AXES, write_result
from assent.pipeline.rounds import run_all

_SAID = ("lab", "winrate")
_SHOWN = 4  # measures of one suite in the last lines; the report has all
"""Suites that the verdict has lines of their own for."""
Wait = Callable[[AwaitingJudgments], None]
"""Returns when the missing judgments are there."""


def run_project(
    path: Path,
    overlays: tuple[Path, ...] = (),
    settings: tuple[str, ...] = (),
    *,
    quiet: bool = False,
    skip_bad: bool = False,
    late: bool = False,
    wait: Wait | None = None,
) -> Iterator[str]:
    """Run a project to its end and yield the verdict, a line at a time.

    Writes run.yaml, steps.json, round-N/round.json and result.json into the run folder. Where people have to rate
    first, `wait` is given the store and what is missing, and returns when it is there; without it AwaitingJudgments is
    raised, and the same call goes on from there. With `late`, judgments that came in after the run had gone on count
    now.
    """
    project = open_project(path, overlays, settings)
    config = with_skip_bad(project.config) if skip_bad else project.config
    refuse_settings(config)
    if late:
        dated = with_date(config, project.run_folder)
        with planning(project.run_folder, dated) as run:
            yield from take_late(dated, run_all(run, dated))
    while True:
        try:
            values, came_late = run_once(project.run_folder, config, quiet=quiet)
            break
        except AwaitingJudgments as waiting:
            if wait is None:
                raise waiting.with_command(rate_command(path, config, is_as_written=not overlays + settings)) from None
            wait(waiting)
        except SpoiledArtifactError as spoiled:
            yield str(spoiled)
    yield from verdict(values)
    yield from lines(examine_logs(project.run_folder))
    yield from came_late
    if config.judges is None and config.evaluate is not None and config.fits_reward:
        yield "judged by each round's own reward model, which is no independent judge; set evaluate.raters for one"


def run_once(folder: Path, config: RunConfig, *, quiet: bool) -> tuple[dict[str, Any], list[str]]:
    """Do what is not done yet, of settings that `refuse_settings` let pass: the values of result.json, and what came
    in late, in words.

    Raises AwaitingJudgments, and ConfigError where something that the settings name is not there.
    """
    options = LogOptions(quiet=quiet, tensorboard=config.log.tensorboard, trackers=config.log.trackers)
    config = with_date(config, folder)
    also = partial(date_identity, config)
    with Runner(folder, seed=config.seed, logs=options, also=also, home=folder.parent) as run:
        refuse_absent(config)
        for line in out_of_reach(config):
            run.log.say(line)
        planned = within_memory(folder, config, run.log.say)
        record = Record.of(run, config)
        write_settings(folder, config)
        is_noted = note_run(config)
        try:
            with on_machines(config.compute, run, options):
                result = run_all(run, planned)
        finally:
            if not is_noted:
                note_run(config)
        record.end()
        return write_result(folder, config, result), list(late_lines(config, result))


def within_memory(folder: Path, config: RunConfig, say: Callable[[str], None]) -> RunConfig:
    """The settings with what the memory plan chose, which changes no result; the plan is said.

    Raises ConfigError where a stage that is still to be done cannot fit, with what would.
    """
    plan = MemoryPlan.of(config)
    for line in plan.brief():
        say(line)
    if plan.is_hopeless:
        with planning(folder, config) as look:
            run_all(look, config)
            plan.refuse(config, {stage_name((), step.stage) for step in look.steps if step.state != "done"})
    return plan.applied(config)


def note_run(config: RunConfig) -> bool:
    """Keep in the store's security log that it is read and written by a run; False where there is no store yet."""
    if not config.store.exists:
        return False
    with Store.open(config.store.url) as store:
        note(store.events, "run", about=config.name)
    return True


def rate_command(path: Path, config: RunConfig, *, is_as_written: bool) -> str:
    """The command that serves the rating pages of a run."""
    if not is_as_written:
        return f"assent rate --store {without_password(config.store.located(Path()))}"
    return "assent rate" if path == PROJECT else f"assent rate {path}"


def run_folder(path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = ()) -> Path:
    """Where `run_project` with the same arguments writes."""
    return open_project(path, overlays, settings).run_folder


def write_settings(folder: Path, config: RunConfig) -> None:
    """Write run.yaml: every setting of the run, defaults included, its paths relative to the run folder.

    A password of the store stays out of it: the report shows this file, and a run that goes on reads the project's
    YAML again.
    """
    values = moved(config, old=Path(), new=folder).model_dump(mode="json")
    values["store"]["url"] = without_password(values["store"]["url"])
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    header = "# Every setting of this run, written by `assent run`. Change the project's YAML, not this file.\n"
    files.write_text(folder / RUN_SETTINGS, header + text)


def verdict(values: Mapping[str, Any]) -> Iterator[str]:
    """The numbers of result.json that decide, in words."""
    if not values["rounds"]:
        yield from _fine_tuned(values["setup"].get("sft"))
    for one in values["rounds"]:
        yield from _round_lines(f"round {one['round']}", one)
    if values["final"] is not None:
        yield from _round_lines("all rounds together", values["final"])


def _round_lines(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    policy, reward = values["policy"] or {}, values.get("reward")
    rate = policy.get("win_rate")
    if not policy and "optimize" not in values.get("artifacts", {"optimize": None}):
        yield f"{name}: optimize is null: nothing moved the policy"
    elif not policy:
        yield f"{name}: evaluate is null: nothing was evaluated, and whether the new policy is better is not known"
    elif rate is None:
        yield f"{name}: nobody compared the new policy with its start"
    else:
        preferred = f"{_percent(rate)} of blind comparisons{_scope(policy)}"
        best = policy.get("best_of")
        giving = "" if best is None else f", giving the best of {best['n']} answers,"
        yield f"{name}: the new policy{giving} is preferred to its start in {preferred}"
    guards = values.get("guards") or {}
    for warning in (*values.get("warnings", ()), *values.get("drift", ()), *guards.get("alarms", ())):
        yield f"  warning: {warning}"
    if guards.get("ended"):
        kept = guards.get("kept_step")
        which = "" if kept is None else f", and the policy is that after step {kept}"
        yield f"  training ended early, after {guards['steps']} steps{which}"
    if (trainers := policy.get("trainers")) is not None and trainers["raters"]:
        yield f"  {trainers['verdicts']} of the verdicts are by {trainers['raters']} who also gave training labels"
    if reward is not None and reward["heldout_accuracy"] is not None:
        longer = reward["longer_wins"]
        beside = "" if longer is None else f'; "the longer answer is better" on {longer:.1%}'
        yield f"  reward model right on {_percent(reward['heldout_accuracy'])} of held-out pairs{beside}"
    if policy.get("kl_per_response") is not None:
        kl = policy["kl_per_response"]
        below = "; below 0 by chance: it has hardly moved" if kl < 0 else ""
        yield f"  distance from its start: KL about {kl:.2f} nats per response, an estimate from its samples{below}"
    if (chosen := policy.get("best_of")) is not None:
        yield f"  choosing the best of {chosen['n']} answers adds at most {chosen['kl_bound']:.2f} nats to that"
    if values["truth"] is not None:
        before, after = values["truth"]["before"], values["truth"]["after"]
        changes = (f"{axis.replace('_', ' ')} {_number(before[axis])} → {_number(after[axis])}" for axis in TRUTH_AXES)
        yield f"  truth before → after: {', '.join(changes)}"
    for suite, measures in values.get("suites", {}).items():
        moved = [_moved(measure, found) for measure, found in measures.items()] if suite not in _SAID else []
        if moved:
            more = f", and {len(moved) - _SHOWN} more measures" if len(moved) > _SHOWN else ""
            yield f"  {suite} before → after: {', '.join(moved[:_SHOWN])}{more}"
    if (gate := values.get("gate")) is not None:
        end = "promoted" if gate["promoted"] else "not promoted: the next round starts from where this one did"
        yield f"  gate: {gate['verdict'].upper()}, {end}"
        yield from (f"    {line}" for line in gate["lines"] if not line.startswith("PASS"))


def _fine_tuned(sft: Mapping[str, Any] | None) -> Iterator[str]:
    """What fine-tuning reached, in a run that does nothing else."""
    if sft is None:
        yield "nothing was trained: optimize and sft are null"
    elif sft["best_eval_loss"] is None:
        yield f"fine-tuned in {sft['steps']} steps; sft.eval_share is 0: its loss on other demonstrations is not known"
    else:
        before, after = (f"{sft[name]:.3f}" for name in ("first_eval_loss", "best_eval_loss"))
        yield f"fine-tuned in {sft['steps']} steps: loss on held-out demonstrations {before} → {after} nats per token"


def _scope(policy: Mapping[str, Any]) -> str:
    """Whom the interval of the win rate is about."""
    return " (for this one judge; it says nothing about others)" if policy.get("raters") == 1 else ""


def _moved(name: str, measure: Mapping[str, Any]) -> str:
    before, after = (_number(e and e["estimate"]) for e in (measure["before"], measure["after"]))
    return f"{name.replace('_', ' ')} {before} → {after}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _percent(estimate: Mapping[str, float]) -> str:
    return f"{estimate['estimate']:.1%} [{estimate['low']:.1%}, {estimate['high']:.1%}]"
