"""The dossier: a folder with everything a release rests on, from which the same verdict comes out again.

verdict.json        the decision, line by line
dossier.md          the same for people, with the replay command
gate.json           the gate, every setting
looks.json          every look so far, and the items that were there
evidence.json       the policies, settings, seeds, hashes of data and weights, and the hash of every file below
evidence/<suite>/after/outcomes.jsonl …    every raw outcome and verdict
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from assent.core import files
from assent.core.errors import DataError, RunError, UserError
from assent.core.hashing import hash_file, hash_json, short
from assent.core.types import Record
from assent.evaluation.gate.config import GateConfig
from assent.evaluation.gate.decide import Decision, Verdict, decide
from assent.evaluation.gate.evidence import Compared, Evidence
from assent.evaluation.outcomes import Found, Outcome
from assent.evaluation.report import Judge, KnownJudge

VERDICT, PAGE, GATE, LOOKS, EVIDENCE = "verdict.json", "dossier.md", "gate.json", "looks.json", "evidence.json"


class Look(Record):
    """One look at the evidence."""

    number: int
    evidence: str
    """Hash of it."""
    verdict: Verdict
    items: dict[str, tuple[tuple[str, str], ...]]
    """Suite -> each item with a hash of what was found of it, in their order."""


class Looks(Record):
    """Every look of a dossier so far."""

    gate: str
    """Hash of the gate: another gate is another campaign."""
    looks: tuple[Look, ...] = ()


def ask(folder: Path, config: GateConfig, evidence: Evidence) -> Decision:
    """Take a look at the evidence and write the dossier; the earlier looks of the folder count.

    The same evidence again is no new look. Raises UserError where the gate allows one look and another was taken, where
    the gate was changed, or where items of an earlier look are gone or read otherwise now: that is another campaign.
    """
    before = _looks_of(folder, config)
    ordered = evidence
    number = 1
    if before.looks:
        last = before.looks[-1]
        ordered = _in_earlier_order(evidence, last, folder)
        number = last.number if ordered.hash == last.evidence else last.number + 1
        if number > last.number and config.looks == "once":
            raise UserError(
                f"{folder}: this gate allows one look, and it was taken ({last.verdict.upper()}); set looks: anytime"
                " before the first look, or gather evidence of new items and name another folder with --to"
            )
    return take_look(folder, config, ordered, number, earlier=[one for one in before.looks if one.number < number])


def take_look(
    folder: Path, config: GateConfig, evidence: Evidence, number: int, *, earlier: Sequence[Look] = ()
) -> Decision:
    """Decide at the look of this number and write the dossier."""
    decision = decide(config, evidence, look=number)
    taken = Look(number=number, evidence=evidence.hash, verdict=decision.verdict, items=_items(evidence))
    write(folder, config, evidence, decision, Looks(gate=_hash_of(config), looks=(*earlier, taken)))
    return decision


def write(folder: Path, config: GateConfig, evidence: Evidence, decision: Decision, looks: Looks) -> None:
    """Write the dossier; it is there whole or, as before, not at all."""
    with files.new_directory(folder) as new:
        fill(new, config, evidence, decision)
        files.write_json(new / LOOKS, looks.model_dump(mode="json"))


def fill(folder: Path, config: GateConfig, evidence: Evidence, decision: Decision) -> None:
    """Everything of a dossier but its looks, into an empty folder."""
    places = {}
    for title, compared in evidence.suites.items():
        places[title] = (
            Path("evidence") / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', title).strip('.')}-{short(hash_json(title))[:4]}"
        )
        compared.after.write(folder / places[title] / "after")
        if compared.before is not None:
            compared.before.write(folder / places[title] / "before")
    files.write_json(folder / GATE, config.model_dump(mode="json"))
    files.write_json(folder / VERDICT, decision.model_dump(mode="json"))
    files.write_text(folder / PAGE, "\n".join(page(config, evidence, decision)) + "\n")
    hashes = {
        path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    values = {
        "after": evidence.after,
        "before": evidence.before,
        "judge": None if evidence.judge is None else evidence.judge.model_dump(),
        "known_judge": None if evidence.known_judge is None else evidence.known_judge.model_dump(mode="json"),
        "suites": {title: path.as_posix() for title, path in places.items()},
        "facts": dict(evidence.facts),
        "files": hashes,
    }
    files.write_json(folder / EVIDENCE, values)


def replay(folder: Path) -> Decision:
    """Decide again from the dossier alone.

    Raises DataError where a file is missing or was changed, RunError where another verdict comes out.
    """
    values = _json(folder / EVIDENCE)
    for name, digest in dict(values.get("files", {})).items():
        path = folder / name
        if not path.is_file() or hash_file(path) != digest:
            raise DataError("was changed since the verdict, or is gone; this dossier proves nothing", path=path)
    try:
        config = GateConfig.model_validate(_json(folder / GATE))
        kept = Decision.model_validate(_json(folder / VERDICT))
        judge = None if values["judge"] is None else Judge.model_validate(values["judge"])
        suites = {title: _compared(folder / place) for title, place in values["suites"].items()}
        known = None if values["known_judge"] is None else KnownJudge.model_validate(values["known_judge"])
        evidence = Evidence(values["after"], values["before"], suites, judge, known, values["facts"])
    except (ValidationError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"is no dossier of a gate ({type(error).__name__})", path=folder) from None
    again = decide(config, evidence, look=kept.look)
    if again != kept:
        raise RunError(
            f"{folder} says {kept.verdict.upper()}, and its evidence gives {again.verdict.upper()} with other numbers;"
            " it was made by another version of Assent"
        )
    return again


def page(config: GateConfig, evidence: Evidence, decision: Decision) -> Iterator[str]:
    """The dossier for people, in Markdown."""
    yield f"# {decision.verdict.upper()}: {_code(decision.after)} against {_code(decision.before)}"
    yield ""
    looks = "one look" if config.looks == "once" else f"look {decision.look} of any number"
    yield (
        f"{looks[0].upper()}{looks[1:]}. A policy for which a line does not hold is released with a chance of at most"
        f" {config.alpha:.1%}. Judge: {_judge_in_words(evidence)}."
    )
    yield ""
    yield "| verdict | line | wanted | found | items | prompts | unreadable | why, and what is missing |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in decision.lines:
        found = "not measured" if one.found is None and not one.items else "" if one.found is None else str(one.found)
        more = f"; about {one.more} more {one.more_of}" if one.more else ""
        cells = (
            one.verdict.upper(),
            f"{one.role} {_code(one.measure)}",
            one.wanted,
            found,
            str(one.items),
            str(one.clusters),
            f"{one.missing:.1%}",
            f"{one.reason}{more}",
        )
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    yield ""
    if decision.slices_seen:
        yield (
            f"{decision.slices_seen} slices were looked at beside that; they decide nothing. Moved, with an adjusted p"
            f" below 0.1: {', '.join(_code(one.measure) for one in decision.slices) or 'none'}."
        )
        yield ""
    yield f"Evidence `{decision.evidence}`: raw outcomes in `evidence/`, their hashes and origin in `evidence.json`."
    yield "Decide again from this folder alone: `assent gate --replay FOLDER`"


def _judge_in_words(evidence: Evidence) -> str:
    judge, known = evidence.judge, evidence.known_judge
    if judge is None:
        return "nobody compared the answers"
    if known is None:
        return _code(str(judge))
    return f"{_code(str(judge))}, whose agreement with people is {known.agreement} on {known.pairs} pairs"


def _hash_of(config: GateConfig) -> str:
    return short(hash_json(config.model_dump(mode="json")))


def _looks_of(folder: Path, config: GateConfig) -> Looks:
    gate = _hash_of(config)
    if not (folder / LOOKS).is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(f"{folder} holds something that is no dossier; name another folder with --to")
        return Looks(gate=gate)
    try:
        known = Looks.model_validate(_json(folder / LOOKS))
    except ValidationError:
        raise DataError("holds no looks; name another folder with --to", path=folder / LOOKS) from None
    if known.gate != gate:
        raise UserError(
            f"{folder}: the gate was changed after {len(known.looks)} looks, so they no longer count; put it back, or"
            " name another folder with --to"
        )
    return known


def _in_earlier_order(evidence: Evidence, last: Look, folder: Path) -> Evidence:
    """The evidence with the items of the last look first, as sequences of looks want it."""
    now, suites = _items(evidence), {}
    for title, items in last.items.items():
        there = dict(now.get(title, ()))
        lost = sum(item not in there for item, _ in items)
        changed = sum(item in there and there[item] != said for item, said in items)
        if lost or changed:
            raise UserError(
                f"{folder}: of the {len(items)} items of {title} at look {last.number}, {lost} are gone and {changed}"
                " read otherwise now; that is another campaign: name another folder with --to"
            )
        places = {item: i for i, (item, _) in enumerate(items)}
        suites[title] = Compared(
            _sorted(evidence.suites[title].after, places),
            None if (old := evidence.suites[title].before) is None else _sorted(old, places),
        )
    whole = {title: suites.get(title, one) for title, one in evidence.suites.items()}
    return dataclasses.replace(evidence, suites=whole)


def _sorted(found: Found, places: Mapping[str, int]) -> Found:
    last = len(places)
    outcomes = tuple(sorted(found.outcomes, key=lambda one: places.get(one.item, last)))
    return found.model_copy(update={"outcomes": outcomes})


def _items(evidence: Evidence) -> dict[str, tuple[tuple[str, str], ...]]:
    found = {}
    for title, one in evidence.suites.items():
        old = {} if one.before is None else {o.item: o for o in one.before.outcomes}
        found[title] = tuple((o.item, short(hash_json([_read(o), _read(old.get(o.item))]))) for o in one.after.outcomes)
    return found


def _read(outcome: Outcome | None) -> Any:
    return None if outcome is None else [outcome.cluster, outcome.group, outcome.values]


def _compared(folder: Path) -> Compared:
    before = folder / "before"
    return Compared(Found.read(folder / "after"), Found.read(before) if before.is_dir() else None)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}; give the folder of a dossier", path=path) from None
    except ValueError:
        raise DataError("not JSON; this dossier proves nothing", path=path) from None
    if not isinstance(values, dict):
        raise DataError("holds no keys; this dossier proves nothing", path=path)
    return values


def _code(text: str) -> str:
    return "`" + re.sub(r"[`\n\r|]", " ", text) + "`"


def _cell(text: str) -> str:
    return re.sub(r"[\n\r|]", " ", text)
