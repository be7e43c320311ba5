"""The command that attacks models: `assent redteam`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from assent.artifacts.layout import PROJECT
from assent.cli.options import StoreConfig

Policy = Annotated[
    str | None, typer.Argument(help="runs/x/round-2, an artifact, a model folder, or a hub id.", show_default=False)
]
Seeds = Annotated[
    Path | None, typer.Option(help="File of what should be declined: column request, also id, group, codeword, twin.")
]
PlantedName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Attack a harmless program with a known hole instead, such as base64."),
]
Out = Annotated[Path, typer.Option("--out", help="Folder for all that was asked and found.")]
Budget = Annotated[int, typer.Option(help="How often the target is asked at most.", min=1)]
DetectorName = Annotated[
    str,
    typer.Option(
        help="leak, refusal, reward=MODEL (one of safety), score=module:function; auto: leak where a row has a"
        " codeword, else refusal."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(help="Answers that people labelled, to measure the detector: request, answer, fails, codeword."),
]
OperatorNames = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Only this operator or family. Repeatable.")
]
Ask = Annotated[
    str | None,
    typer.Option(metavar="PROJECT", help="Ask people in the rating pages whether what was found is a failure."),
]
Checks = Annotated[
    int, typer.Option(help="Ask them about so many attempts besides, drawn evenly, to measure the detector.", min=0)
]
Regressions = Annotated[
    Path | None, typer.Option(help="File that keeps what they confirm for ever. Default: in the folder.")
]
StoreUrl = Annotated[
    str | None, typer.Option("--store", help="The store instead: sqlite:///file, postgresql://…, or a file.")
]
AttackerName = Annotated[
    str | None, typer.Option(metavar="MODEL", help="A model here that writes attacks besides the operators.")
]
Answers = Annotated[
    Path | None, typer.Option(help="Attack a reward model instead: edit these answers (columns prompt, answer).")
]
Second = Annotated[
    str | None, typer.Option(help="The rater whose scores should not fall: a reward model, or score=module:function.")
]
Seed = Annotated[int, typer.Option(help="The same seed and settings give the same hunt.")]
MaxNewTokens = Annotated[int, typer.Option(help="Longest answer.", min=1)]
Temperature = Annotated[float, typer.Option(help="0 takes the most likely token.", min=0)]


def redteam(
    policy: Policy = None,
    seeds: Seeds = None,
    planted: PlantedName = None,
    out: Out = Path("redteam"),
    budget: Budget = 600,
    detector: DetectorName = "auto",
    labels: Labels = None,
    operator: OperatorNames = None,
    ask: Ask = None,
    checks: Checks = 0,
    regressions: Regressions = None,
    config: StoreConfig = PROJECT,
    store: StoreUrl = None,
    attacker: AttackerName = None,
    answers: Answers = None,
    second: Second = None,
    seed: Seed = 0,
    max_new_tokens: MaxNewTokens = 128,
    temperature: Temperature = 0.0,
) -> None:
    """Attack a policy with operators, search for ways in, and make each minimal.

    Started again with the same settings it goes on where it was stopped. What is written may hold harmful text: only
    you may read it, and none of it is shown here.
    """
    from assent.generation.config import Sampling
    from assent.pipeline.commands.redteam import RedTeamOptions
    from assent.pipeline.commands.redteam import redteam as attack
    from assent.pipeline.commands.redteam_people import REGRESSIONS, People
    from assent.service.serve import store_of

    if answers is not None:
        for line in _of_reward(policy, answers, second, out):
            typer.echo(line)
        return
    people = None
    if ask is not None:
        people = People(store_of(config, store), ask, regressions or out / REGRESSIONS, checks)
    options = RedTeamOptions(
        policy=policy,
        out=out,
        seeds=seeds,
        planted=planted,
        budget=budget,
        detector=detector,
        labels=labels,
        operators=tuple(operator or ()),
        seed=seed,
        sampling=Sampling.parse({"temperature": temperature, "max_new_tokens": max_new_tokens}, where="assent redteam"),
        people=people,
        attacker=attacker,
    )
    for line in attack(options):
        typer.echo(line)


def _of_reward(reward: str | None, answers: Path, second: str | None, out: Path) -> Iterator[str]:
    from assent.core.errors import ConfigError
    from assent.pipeline.commands.redteam_reward import redteam_reward

    if reward is None or second is None:
        raise ConfigError("--answers attacks a reward model: name it first, and a rater as --second")
    return redteam_reward(reward, answers=answers, second=second, out=out)
