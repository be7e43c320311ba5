"""A round on disk: its stages in order, and round.json, by which what a round made has names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from assent.core import files
from assent.core.errors import UserError

ROUND = "round.json"
"""In runs/x/round-2: what the round made, in order. Round 0 is what the first round starts from."""


@dataclass(frozen=True)
class RoundStage:
    """One stage of a round."""

    name: str
    """In result.json and the report."""
    kind: str
    """Of its artifact."""
    field: str
    """Of `RoundResult`."""
    title: str
    """In plans and manifests: the name of the stage's function."""
    model: str = ""
    """The folder in its artifact that holds a model; empty where there is none."""


STAGES = (
    RoundStage("sample", "samples", "samples", "sample"),
    RoundStage("collect", "judgments", "judgments", "collect"),
    RoundStage("reward", "reward", "reward", "fit reward", model="reward"),
    RoundStage("optimize", "policy", "policy", "optimize", model="policy"),
    RoundStage("evaluate", "evaluation", "evaluation", "evaluate"),
    RoundStage("gate", "gate", "gate", "gate"),
)


def stage_name(scope: Sequence[str | int], title: str) -> str:
    """What people call a stage, in plans, progress and errors: round 1 reward, data prompts, sft."""
    if title == "gather":
        return " ".join(["data", *map(str, scope)])
    name = next((stage.name for stage in STAGES if stage.title == title), title)
    return " ".join([*map(str, scope), name])


@dataclass(frozen=True)
class Made:
    """An artifact that a round made."""

    stage: str
    """Of the stage, as in manifests; empty in a file of the form before stages were named."""
    kind: str
    artifact: str
    """Name of its folder."""
    key: str


_README = """# What a round made

This folder holds names and no weights: `round.json` says which artifacts the round made, and they lie in
`runs/artifacts`. `assent chat FOLDER` opens the round's model by the path of this folder, and `assent export FOLDER
--to my-model` writes it as a plain Hugging Face folder, for transformers and everything else.
"""


def write_round(run: Path, number: int, made: Sequence[Made]) -> None:
    """Write run/round-N/round.json, and for people who look into the folder what it is."""
    values = {"round": number, "made": [asdict(one) for one in made]}
    folder = run / f"round-{number}"
    files.write_json(folder / ROUND, values)
    files.write_text(folder / "README.md", _README)


def read_round(folder: Path) -> list[Made]:
    """What the round of this folder made, in order. Raises UserError where its file cannot be read."""
    path = folder / ROUND
    try:
        made = json.loads(path.read_text(encoding="utf-8"))["made"]
        if isinstance(made, dict):  # the form before: one artifact of each kind, by kind
            return [Made("", kind, str(one["artifact"]), str(one["key"])) for kind, one in made.items()]
        return [Made(**one) for one in made]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} cannot be read; run the project again to write it anew") from None


def named(made: Sequence[Made], name: str) -> Made | None:
    """The artifact that a stage's name or a kind means; the newest where several fit, None where none does.

    A kind means first what the round's own stage of that kind made: another evaluation does not hide the round's.
    """
    stages = [stage for stage in STAGES if name in (stage.name, stage.kind)]
    titles = {name, *(stage.title for stage in stages)}
    kinds = {name, *(stage.kind for stage in stages)}
    fitting = [one for one in made if one.stage in titles] or [one for one in made if one.kind in kinds]
    return fitting[-1] if fitting else None


def names_of(made: Sequence[Made]) -> list[str]:
    """A name for each artifact: its kind, or its stage's name where another of that kind has that name."""
    return [one.kind if named(made, one.kind) == one else stage_name((), one.stage) for one in made]
