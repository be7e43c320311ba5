"""Gather: freeze what a run learns from into one artifact, in Assent's own records, checked and split by prompt.

corpus.jsonl            conversations and plain texts for pre-training (all of their text counts)
demonstrations.jsonl    conversations to imitate
prompts.jsonl           prompts to sample from and optimize on, shuffled
eval.jsonl              prompts for evaluation, near-duplicates of the others left out
comparisons.jsonl       rankings that people have given already
quarantine.jsonl        rows that could not be used, with file, line and reason (only with skip_bad)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, assert_never

from assent.artifacts.jsonl import write_records
from assent.artifacts.stage import StageContext, stage
from assent.core import seeds
from assent.core.config import Config
from assent.core.types import Comparison, Prompt
from assent.data.config import Source
from assent.data.load import LoadReport, load_comparisons, load_conversations, load_prompts
from assent.data.splits import leakage, split
from assent.lab.world import World
from assent.pipeline.config import DataConfig, FileData, LabData

Part = Literal["corpus", "demonstrations", "prompts", "comparisons"]


class GatherStage(Config):
    """One part of what a run learns from; parts are apart so that a change in one makes only that one again."""

    part: Part
    """Which part."""
    data: DataConfig
    """Where it comes from, without the settings of the other parts."""
    eval_prompts: int = 0
    """How many prompts are wanted for evaluation."""


def only(part: Part, data: DataConfig) -> DataConfig:
    """The data config with the settings of other parts reset, so that they do not enter this part's key."""
    match data:
        case LabData():
            blank = LabData(world_seed=data.world_seed)
            return blank.model_copy(update={part: getattr(data, part)}) if part != "comparisons" else blank
        case FileData():
            kept = {
                "corpus": ("corpus", "demonstrations"),
                "prompts": ("prompts", "demonstrations", "eval_prompts", "eval_share"),
            }
            names = kept.get(part, (part,))
            return FileData.model_construct(**{name: getattr(data, name) for name in names})
        case _ as never:
            assert_never(never)


@stage(name="gather", version=1, kind="data")
def run_gather(ctx: StageContext, config: GatherStage) -> dict[str, Any]:
    """Write the files of one part."""
    match config.data:
        case LabData():
            return gather_lab(ctx, config, config.data)
        case FileData():
            return gather_files(ctx, config, config.data)
        case _ as never:
            assert_never(never)


def gather_lab(ctx: StageContext, config: GatherStage, lab: LabData) -> dict[str, Any]:
    """Generate the part in the lab; its splits are disjoint by construction."""
    world = World(lab.world_seed)
    match config.part:
        case "corpus":
            return {
                "conversations": write_records(
                    ctx.output / "corpus.jsonl", world.demonstrations("pretrain", lab.corpus)
                )
            }
        case "demonstrations":
            made = world.demonstrations("sft", lab.demonstrations)
            return {"demonstrations": write_records(ctx.output / "demonstrations.jsonl", made)}
        case "prompts":
            prompts = write_records(ctx.output / "prompts.jsonl", world.prompts("ppo", lab.prompts))
            return {
                "prompts": prompts,
                "eval": write_records(ctx.output / "eval.jsonl", world.prompts("eval", config.eval_prompts)),
            }
        case "comparisons":
            return {"comparisons": write_records(ctx.output / "comparisons.jsonl", [])}


def gather_files(ctx: StageContext, config: GatherStage, data: FileData) -> dict[str, Any]:
    """Read the sources of the part; the report of what was read is told and noted."""
    match config.part:
        case "corpus":
            return gather_sources(ctx, load_conversations, (*data.corpus, *data.demonstrations), "corpus")
        case "demonstrations":
            return gather_sources(ctx, load_conversations, data.demonstrations, "demonstrations")
        case "comparisons":
            return gather_comparisons(ctx, data.comparisons)
        case "prompts":
            return gather_prompts(ctx, config, data)


def gather_sources(
    ctx: StageContext, load: Callable[..., tuple[list[Any], LoadReport]], sources: Sequence[Source], name: str
) -> dict[str, Any]:
    """Load sources and write them as `name`.jsonl."""
    items, report = load(sources, quarantine=ctx.output / "quarantine.jsonl")
    for line in report.lines():
        ctx.log.say(line)
    write_records(ctx.output / f"{name}.jsonl", items)
    return {name: len(items), "bad_rows": report.num_bad}


def gather_comparisons(ctx: StageContext, sources: Sequence[Source]) -> dict[str, Any]:
    """Load rankings, each marked with its source, so that a reward model's accuracy can be told per source."""
    comparisons: list[Comparison] = []
    bad = 0
    for number, source in enumerate(sources):
        items, report = load_comparisons([source], quarantine=ctx.output / f"quarantine-{number}.jsonl")
        comparisons += [c.model_copy(update={"meta": {**c.meta, "source": label(source)}}) for c in items]
        bad += report.num_bad
        for line in report.lines():
            ctx.log.say(line)
    write_records(ctx.output / "comparisons.jsonl", comparisons)
    return {"comparisons": len(comparisons), "bad_rows": bad}


def label(source: Source) -> str:
    """A short name: the last two parts of a path or hub id, without endings."""
    parts = source.name.rstrip("/").split("/")[-2:]
    return "/".join(part.split(".")[0] for part in parts)


def gather_prompts(ctx: StageContext, config: GatherStage, data: FileData) -> dict[str, Any]:
    """Set evaluation prompts aside by prompt, and leave out those that training holds too, exactly or nearly."""
    sources = data.prompts or data.demonstrations
    prompts, report = load_prompts(sources, quarantine=ctx.output / "quarantine.jsonl")
    prompts = distinct(prompts)
    if data.eval_prompts:
        evaluation = distinct(load_prompts(data.eval_prompts)[0])
    else:
        sides = split(prompts, {"train": 1 - data.eval_share, "evaluation": data.eval_share}, seed=EVAL_SEED)
        prompts, evaluation = sides["train"], sides["evaluation"]
    prompts, evaluation = shuffled(prompts, ctx.seed), shuffled(evaluation, ctx.seed)
    leaks = leakage(prompts, evaluation)
    kept = [p for i, p in enumerate(evaluation) if i not in set(leaks.leaked)][: config.eval_prompts]
    for line in (*report.lines(), *leaks.lines()):
        ctx.log.say(line)
    write_records(ctx.output / "prompts.jsonl", prompts)
    write_records(ctx.output / "eval.jsonl", kept)
    return {"prompts": len(prompts), "eval": len(kept), "leaked": len(leaks.leaked), "bad_rows": report.num_bad}


EVAL_SEED = 0
"""The same prompts are set aside in every run, so that evaluations can be compared."""


def distinct(prompts: Sequence[Prompt]) -> list[Prompt]:
    """One of each id, in order."""
    return list({p.id: p for p in prompts}.values())


def shuffled(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """In an order drawn from the seed."""
    return [prompts[int(i)] for i in seeds.stream(seed, "prompts").permutation(len(prompts))]
