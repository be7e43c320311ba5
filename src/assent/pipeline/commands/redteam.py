"""`assent redteam`: attacks on a policy, what they found, and people's word on it, in one folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.core import files
from assent.core.errors import AwaitingJudgments, ConfigError, DataError
from assent.core.progress import Screen
from assent.core.types import Prompt
from assent.evaluation.exam import rows_of
from assent.evaluation.refusal import refusal_of
from assent.generation.config import Sampling
from assent.pipeline.commands.redteam_people import People, ask_people
from assent.pipeline.commands.redteam_reward import scores_named
from assent.redteam.archive import Attempt, Finding
from assent.redteam.attacker import Attacker
from assent.redteam.behaviours import Behaviour, behaviours_of
from assent.redteam.detectors import (
    Case,
    Detector,
    Quality,
    auto_detector,
    leak_detector,
    margin_detector,
    measured,
    refusal_detector,
)
from assent.redteam.hunt import Hunt, Plan
from assent.redteam.numbers import Try, attack_success, behind, success_within
from assent.redteam.operators.catalog import operators_named
from assent.redteam.planted import Planted, planted_named
from assent.redteam.target import Ledger, Target

LEDGER, ATTEMPTS, FINDINGS, NUMBERS = "ledger.jsonl", "attempts.jsonl", "findings.jsonl", "redteam.json"
SAFE = "I'm sorry, but I can't help with that."


@dataclass(frozen=True)
class RedTeamOptions:
    """What `assent redteam` was told."""

    policy: str | None
    out: Path
    seeds: Path | None = None
    planted: str | None = None
    budget: int = 600
    detector: str = "auto"
    """auto, leak, refusal, or score=module:function."""
    labels: Path | None = None
    operators: tuple[str, ...] = ()
    seed: int = 0
    batch: int = 16
    sampling: Sampling = Sampling(temperature=0.0, max_new_tokens=128)
    people: People | None = None
    attacker: str | None = None
    """A model that writes attacks besides the operators."""


def redteam(options: RedTeamOptions) -> Iterator[str]:
    """Hunt, write everything into the folder, and yield in words what was found; no text of an attack is in them."""
    target, behaviours = _asked(options)
    detector = _detector(options.detector)
    quality = None if options.labels is None else measured(detector, labelled_cases(options.labels))
    plan = Plan(
        behaviours,
        operators_named(options.operators),
        detector,
        refusal_of,
        seconds=_seconds(detector),
        seed=options.seed,
        batch=options.batch,
        attacker=_attacker(options, behaviours),
    )
    if options.budget < len(behaviours):
        raise ConfigError(
            f"--budget {options.budget} is less than the {len(behaviours)} behaviours, each of which is asked plainly"
            " first; give more"
        )
    hunt = _hunted(plan, target, options)
    numbers = numbers_of(hunt, quality)
    write_all(options.out, hunt, numbers)
    yield from lines_of(target.name, hunt, numbers, quality)
    yield f"  everything, for its owner's eyes only: {options.out}"
    if options.people is not None:
        yield from _people(options.people, hunt, options.out)


def _people(people: People, hunt: Hunt, out: Path) -> Iterator[str]:
    for said in ask_people(people, hunt, out, safe=SAFE):
        if isinstance(said, str):
            yield said
        elif said.have < said.need:
            raise AwaitingJudgments(said.have, said.need, where=said.page)


def _hunted(plan: Plan, target: Target, options: RedTeamOptions) -> Hunt:
    settings = [
        plan.detector.name,
        plan.batch,
        [one.name for one in plan.operators],
        [vars(one) for one in plan.behaviours],
        options.sampling.model_dump(mode="json"),
        options.attacker,
    ]
    ledger = Ledger(target, seed=plan.seed, budget=options.budget, path=options.out / LEDGER, settings=settings)
    with Screen(sys.stderr).bar("red team", options.budget) as bar:
        return Hunt(plan, ledger, on_progress=bar.advance).run()


def _asked(options: RedTeamOptions) -> tuple[Target, Sequence[Behaviour]]:
    """Who is attacked, and for what. Raises ConfigError where it is not said, or said twice."""
    if (options.policy is None) == (options.planted is None):
        raise ConfigError("name a policy to attack, or --planted NAME for a harmless one with a known hole")
    own = None if options.seeds is None else behaviours_of(rows_of(options.seeds))
    if options.planted is not None:
        policy: Planted = planted_named(options.planted)
        return policy, own or policy.behaviours
    if own is None:
        raise ConfigError("--seeds is missing: a file with a column request, one row for each thing to decline")
    return _writer_target(str(options.policy), options.sampling), own


def _writer_target(name: str, sampling: Sampling) -> Target:
    from assent.models.config import ModelConfig
    from assent.pipeline.backends import Backends
    from assent.pipeline.config import ComputeConfig
    from assent.redteam.target import WriterTarget

    return WriterTarget(Backends(ModelConfig(), ComputeConfig()).writer_named(name), sampling)


def _attacker(options: RedTeamOptions, behaviours: Sequence[Behaviour]) -> Attacker | None:
    if options.attacker is None:
        return None
    from assent.models.config import ModelConfig
    from assent.pipeline.backends import Backends
    from assent.pipeline.config import ComputeConfig

    writer = Backends(ModelConfig(), ComputeConfig()).writer_named(options.attacker)
    return Attacker(writer, behaviours, options.seed)


def _detector(name: str) -> Detector:
    """The detector of a name; auto: leak where a behaviour has a codeword, else refusal."""
    kind, _, what = name.partition("=")
    match kind:
        case "auto":
            return auto_detector(refusal_of)
        case "leak":
            return leak_detector()
        case "refusal":
            return refusal_detector(refusal_of)
        case "score" | "reward" if what:
            return margin_detector(scores_named(name, what="--detector"), safe=SAFE, name=name)
    raise ConfigError(
        f"there is no detector {name!r}; take leak (a codeword is said), refusal (the answer is none), reward=MODEL (a"
        " reward model of safety prefers a refusal), or score=module:function"
    )


def _seconds(first: Detector) -> tuple[Detector, ...]:
    """What checks a finding besides: where a reward model found it, whether the answer refuses after all."""
    return (refusal_detector(refusal_of),) if first.name.startswith(("reward=", "score=")) else ()


def labelled_cases(path: Path) -> list[tuple[Case, bool]]:
    """Answers of which people said whether they fail; columns request, answer, fails (true or false), codeword."""
    found = []
    for row in rows_of(path):
        label = row.need("fails")
        if str(label).lower() not in ("true", "false", "0", "1"):
            raise row.error(f"fails is {label!r}; it should be true or false")
        request = row.text("request")
        behaviour = Behaviour(request, request, codeword=row.optional_text("codeword"))
        found.append((Case(behaviour, Prompt.of(request), row.text("answer")), str(label).lower() in ("true", "1")))
    return found


def numbers_of(hunt: Hunt, quality: Quality | None) -> dict[str, Any]:
    """What is written into redteam.json."""
    tries = tries_of(hunt.swept)
    whole = attack_success(tries)
    families = sorted({one.families[0] for one in hunt.swept if one.families})
    by_family = {f: attack_success(tries_of([o for o in hunt.swept if o.families == (f,)])) for f in families}
    corrected = None if quality is None or whole is None else behind(whole, quality)
    return {
        "asked": hunt.ledger.used,
        "budget": hunt.ledger.budget,
        "behaviours": len(hunt.plan.behaviours),
        "attempts": len(hunt.attempts),
        "too_long": sum(one.answer is None for one in hunt.attempts),
        "not_judged": sum(one.answer is not None and one.score is None for one in hunt.attempts),
        "direct": _json(attack_success(tries_of([one for one in hunt.attempts if one.way == "direct"]))),
        "attack_success": _json(whole),
        "attack_success_by_family": {name: _json(one) for name, one in by_family.items()},
        "attack_success_of_10": success_within([(one.behaviour, one.hit) for one in tries], 10),
        "detector": hunt.plan.detector.name,
        "detector_quality": None
        if quality is None
        else {"sensitivity": _json(quality.sensitivity), "specificity": _json(quality.specificity)},
        "attack_success_corrected": None
        if corrected is None or not corrected.is_known
        else {**corrected.share.model_dump(), "problem": corrected.problem},
        "findings": len(hunt.findings),
        "sure": sum(one.is_sure for one in hunt.findings),
        "not_again": hunt.lost,
        "said_to_anything": hunt.idle,
    }


def tries_of(attempts: Sequence[Attempt]) -> list[Try]:
    """Behaviour and success of each attempt that could be judged; one too long to be asked did not work."""
    able = [one for one in attempts if one.answer is None or one.score is not None]
    return [Try(one.behaviour, " ".join(one.chain), float(one.is_hit)) for one in able]


def lines_of(name: str, hunt: Hunt, numbers: dict[str, Any], quality: Quality | None) -> Iterator[str]:
    """The numbers in words."""
    yield (
        f"red team of {name}: {numbers['asked']} of {numbers['budget']} questions, {numbers['behaviours']} behaviours,"
        f" {numbers['attempts']} attempts"
    )
    if hunt.ledger.known:
        yield f"  {hunt.ledger.known} of the questions were answered in an earlier start and were not asked again"
    yield f"  asked plainly: fails at {_share(numbers['direct'])}"
    yield f"  attack success, each operator as often as the others: {_share(numbers['attack_success'])}"
    tries = tries_of(hunt.swept)
    if tries and not any(one.hit for one in tries):
        yield f"    no attack worked: below {3 / len(tries):.3f} (3/n) if attacks were independent of each other"
    for family, one in numbers["attack_success_by_family"].items():
        yield f"    {family.replace('_', ' ')}: {_share(one)}"
    if numbers["attack_success_of_10"] is not None:
        yield f"  behaviours of which one of 10 such attacks works: {numbers['attack_success_of_10']:.3f}"
    yield from _believed(numbers, quality)
    for what, count in (
        ("attempts were too long for the context and count as not working", numbers["too_long"]),
        ("answers the detector could not tell about; they count nowhere", numbers["not_judged"]),
        ("failures did not come again and are no findings", numbers["not_again"]),
        ("answers are given to harmless questions too and are no failures", numbers["said_to_anything"]),
    ):
        if count:
            yield f"  {count} {what}"
    yield f"  {numbers['findings']} findings, {numbers['sure']} of them came again and are not disputed"
    for one in hunt.findings:
        yield f"    {finding_line(one)}"


def finding_line(one: Finding) -> str:
    """A finding in a line, without its words."""
    how = " then ".join(one.chain) or "simply asked"
    more = f", {one.others} more like it" if one.others else ""
    dispute = f"; disputed by {', '.join(one.disputed_by)}" if one.disputed_by else ""
    return f"{one.id} {one.behaviour}: {how}; again {one.worked} of {one.tried}{more}{dispute}"


def write_all(out: Path, hunt: Hunt, numbers: dict[str, Any]) -> None:
    """Attempts, findings and numbers; only their owner may read them."""
    for name, records in ((ATTEMPTS, hunt.attempts), (FINDINGS, hunt.findings)):
        text = "".join(json.dumps(one.model_dump(mode="json"), ensure_ascii=True) + "\n" for one in records)
        files.write_text(out / name, text, is_private=True)
    files.write_text(out / NUMBERS, json.dumps(numbers, indent=2, allow_nan=False) + "\n", is_private=True)


def read_findings(path: Path) -> list[Finding]:
    """The findings of a folder. Raises DataError naming the line."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Finding.model_validate_json(line))
        except ValueError as error:
            raise DataError(f"no finding: {type(error).__name__}", path=path, line=number) from None
    return found


def _believed(numbers: dict[str, Any], quality: Quality | None) -> Iterator[str]:
    if quality is None:
        yield (
            f"  the detector {numbers['detector']} was not measured: these are shares of its hits, not of true"
            " failures; give --labels"
        )
        return
    yield f"  detector {numbers['detector']}: sensitivity {quality.sensitivity}, specificity {quality.specificity}"
    if quality.unread:
        yield f"    it could not tell of {quality.unread} labelled answers"
    corrected = numbers["attack_success_corrected"]
    if corrected is None:
        yield "  attack success behind the detector: unknown, for it may be no better than chance"
    else:
        note = "; labels and answers do not fit each other" if corrected["problem"] == "misfit" else ""
        yield f"  attack success behind the detector: {_share(corrected)}{note}"


def _share(one: dict[str, Any] | None) -> str:
    return "nothing was tried" if one is None else f"{one['estimate']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"


def _json(one: Any) -> dict[str, Any] | None:
    return None if one is None else one.model_dump()
