"""Draws what each method logged while it trained, docs/images/curves-*.svg, and puts the pictures on their pages.

    python benchmarks/methods.py --seeds 0 1 2              # makes the runs: hours
    python docs/build_curves.py --runs runs --seeds 0 1 2   # draws them

A log is that of an artifact whose manifest has the settings and the seed of the benchmark, so that no variant is taken
for its method. A log that is not there is named, and the others are drawn. What stands in a page is the picture's
description, with numbers from the same logs.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A test loads this file from elsewhere; its neighbours are found all the same.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from curve_picture import Panel, picture, with_description
from methods import config_of

from assent.artifacts.identity import resolved
from assent.artifacts.store import ArtifactStore
from assent.core import seeds as streams
from assent.core.runlog import read_metrics
from assent.pipeline.stages.declared import run_fit_reward, run_optimize, run_sft
from assent.pipeline.stages.settings import OptimizeStage, RewardStage, SFTStage
from assent.report.training import METHODS, Shown

ROOT = Path(__file__).parents[1]
PAGES, IMAGES = ROOT / "docs" / "methods", ROOT / "docs" / "images"
Log = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Sheet:
    """One picture: which log, on which page, and which of its numbers."""

    of: str
    """Kind of the method; "sft" and "reward" for what comes before it."""
    title: str
    page: str
    shown: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its file."""
        return f"curves-{self.of.replace('_', '-').replace('+', '')}.svg"


SHEETS = (
    Sheet("sft", "Supervised fine-tuning", "sft", ("loss", "grad_norm")),
    Sheet("reward", "The reward model", "reward-model", ("loss", "accuracy", "score", "grad_norm")),
    Sheet("ppo", "PPO", "ppo", ("reward", "kl_per_response", "entropy", "explained_variance")),
    Sheet("grpo", "GRPO", "grpo", ("reward", "kl_per_response", "reward_std", "teaching_groups")),
    Sheet("rloo", "RLOO", "rloo", ("reward", "kl_per_response", "reward_std", "kl_coefficient")),
    Sheet("reinforce++", "REINFORCE++", "reinforce", ("reward", "kl_per_response", "entropy", "eos_rate")),
    Sheet("best_of_n", "Best of n", "best-of-n", ("reward", "best_reward", "loss", "grad_norm")),
    Sheet("online_dpo", "Online DPO", "best-of-n", ("reward", "contrast", "accuracy", "better_gain")),
    Sheet("dpo", "DPO", "dpo", ("loss", "accuracy", "margin", "better_gain")),
    Sheet("kto", "KTO", "kto", ("accuracy", "reference_point", "good_gain", "bad_gain")),
    Sheet("orpo", "ORPO", "orpo-simpo", ("accuracy", "margin", "sft_loss", "odds_loss")),
    Sheet("simpo", "SimPO", "orpo-simpo", ("accuracy", "margin")),
)
BESIDE = (
    Shown("score", "Score", "Mean raw score of a batch."),
    Shown("odds_loss", "Loss of the odds", "ORPO's second term before its weight.", low=0),
)
"""Numbers that the report does not show."""


def main() -> None:
    """Draw what is there, put it on the pages, and name what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the folder that the benchmark wrote into")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", default=[sheet.of for sheet in SHEETS], help="those to draw")
    parser.add_argument(
        "--set", action="append", default=[], dest="settings", help="those that the benchmark was given"
    )
    parser.add_argument("--images", type=Path, default=IMAGES, help="folder of the pictures")
    parser.add_argument("--pages", type=Path, default=PAGES, help="folder of the methods' pages")
    arguments = parser.parse_args()
    for sheet in (sheet for sheet in SHEETS if sheet.of in arguments.methods):
        logs = dict(found(sheet, arguments.runs, arguments.seeds, arguments.settings))
        panels = [panel(name, sheet.of, logs) for name in sheet.shown]
        for one in panels:
            for seed in (seed for seed in logs if seed not in one.lines):
                print(f"{sheet.of}, seed {seed}: the log has no {one.name}; drawn without it")
        if panels := [one for one in panels if one.lines]:
            said = description(sheet, panels)
            (arguments.images / sheet.name).write_text(picture(sheet.title, panels, said), encoding="utf-8")
            page = arguments.pages / f"{sheet.page}.md"
            page.write_text(with_picture(page.read_text(encoding="utf-8"), sheet.name, said), encoding="utf-8")
            print(f"{sheet.of}: {arguments.images / sheet.name}, on {page}")


def found(sheet: Sheet, runs: Path, seeds: Sequence[int], settings: Sequence[str]) -> Iterator[tuple[int, Log]]:
    """Seed and log of each run that has one; the newest where the stage was made several times."""
    kind = sheet.of if sheet.of in METHODS else "ppo"
    for seed in seeds:
        config = config_of(",".join([kind, *settings]), seed, runs)
        assert config.sft is not None and config.reward is not None
        stage, wanted, scope = {
            "sft": (run_sft, SFTStage.of(config, config.sft), ()),
            "reward": (run_fit_reward, RewardStage.of(config, config.reward), ("round", 1)),
        }.get(sheet.of, (run_optimize, OptimizeStage.of(config), ("round", 1)))
        folder = runs / config.name / "artifacts"
        made = [
            one for one in ArtifactStore(folder, say=print, read_only=True).all() if one.manifest.stage == stage.name
        ]
        drawn = streams.derive(seed, stage.name, *scope)
        own = [one for one in made if one.manifest.seed == drawn and one.manifest.config == resolved(wanted)]
        if own:
            yield seed, read_metrics(own[-1].folder)
        else:
            said = f"has {len(made)} of the stage {stage.name!r}, none with the benchmark's settings"
            print(f"{sheet.of}, seed {seed}: no log; {folder} {said if made else 'has nothing of it'}")


def panel(name: str, kind: str, logs: Mapping[int, Log]) -> Panel:
    """One number of all seeds, in training batches and held out."""
    titles = {one.name: one for one in (*BESIDE, *(one for shown in METHODS.values() for one in shown))}
    shown = {**titles, **{one.name: one for one in METHODS.get(kind, ())}}[name]
    lines = {seed: series for seed, log in logs.items() if (series := steps(log, name, "train"))[0]}
    held_out = {seed: series for seed, log in logs.items() if (series := steps(log, name, "eval"))[0]}
    return Panel(shown, lines, held_out)


def steps(log: Log, name: str, kind: str) -> tuple[list[float], list[float]]:
    """Steps and values of a number where it was measured and is finite."""
    rows = [row for row in log if row["kind"] == kind and math.isfinite(row.get(name, math.nan))]
    return [float(row["step"]) for row in rows], [float(row[name]) for row in rows]


def description(sheet: Sheet, panels: Sequence[Panel]) -> str:
    """What the picture shows, for people who do not see it."""
    seeds = sorted({seed for one in panels for seed in one.lines})
    runs = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of seeds {', '.join(map(str, seeds))}"
    courses = "; ".join(f"{within(one.shown.title)} {one.course()}" for one in panels)
    return f"Curves of {within(sheet.title)} on the lab, first tenth of the steps to last tenth, {runs}: {courses}"


def within(title: str) -> str:
    """A title as it stands within a sentence: names such as KL and PPO stay."""
    return title if any(one.isupper() for one in title[1:]) else title[0].lower() + title[1:]


def with_picture(text: str, name: str, said: str) -> str:
    """A page with the picture: in place of what stood for it, else above the table of its curves."""
    described = with_description(text, name, said)
    if described is not None:
        return described
    before, heading, after = text.partition("\n## Curves\n")
    lead, table, rest = after.partition("| curve |")
    if not table:
        raise SystemExit(f"{name}: its page has no table of curves below a heading Curves")
    return f"{before}{heading}{lead}![{said}](../images/{name})\n\n{table}{rest}"


if __name__ == "__main__":
    main()
