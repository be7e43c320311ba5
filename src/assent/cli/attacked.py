"""The command that attacks models: `assent redteam`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def redteam(
    policy: Annotated[
        str | None, typer.Argument(help="runs/x/round-2, an artifact, a model folder, or a hub id.", show_default=False)
    ] = None,
    seeds: Annotated[
        Path | None,
        typer.Option(help="File of what should be declined: column request, also id, group, codeword, twin."),
    ] = None,
    planted: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Attack a harmless program with a known hole instead, such as base64."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for all that was asked and found.")] = Path("redteam"),
    budget: Annotated[int, typer.Option(help="How often the target is asked at most.", min=1)] = 600,
    detector: Annotated[
        str,
        typer.Option(
            help="leak, refusal, reward=MODEL (one of safety), score=module:function; auto: leak where every row has a"
            " codeword, else refusal."
        ),
    ] = "auto",
    labels: Annotated[
        Path | None,
        typer.Option(help="Answers that people labelled, to measure the detector: request, answer, fails, codeword."),
    ] = None,
    operator: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this operator or family. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and settings give the same hunt.")] = 0,
    max_new_tokens: Annotated[int, typer.Option(help="Longest answer.", min=1)] = 128,
    temperature: Annotated[float, typer.Option(help="0 takes the most likely token.", min=0)] = 0.0,
) -> None:
    """Attack a policy with operators, search for ways in, and make each minimal.

    Started again with the same settings it goes on where it was stopped. What is written may hold harmful text: only
    you may read it, and none of it is shown here.
    """
    from assent.generation.config import Sampling
    from assent.pipeline.commands.redteam import RedTeamOptions
    from assent.pipeline.commands.redteam import redteam as attack

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
        sampling=Sampling(temperature=temperature, max_new_tokens=max_new_tokens),
    )
    for line in attack(options):
        typer.echo(line)
