"""Gather: freeze what a run learns from into one artifact, in Assent's own records, checked and split by prompt.

corpus.jsonl            conversations and plain texts for pre-training (all of their text counts)
demonstrations.jsonl    conversations to imitate
prompts.jsonl           prompts to sample from and optimize on, shuffled
eval.jsonl              prompts for evaluation, held out of everything else
comparisons.jsonl       rankings that people have given already
quarantine.jsonl        rows that could not be used, with file, line and reason (only with skip_bad)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_never

from assent.artifacts.jsonl import Records, read_records, write_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.errors import DataError
from assent.core.lazy import Chained, pick
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.heldout import Kept, set_aside, take_out
from assent.data.identity import Apart, Numbering, distinct
from assent.data.load import Check, lay_comparisons, lay_conversations, lay_prompts, load_prompts
from assent.data.load_report import LoadReport
from assent.lab.world import World
from assent.pipeline.config import FileData, LabData
from assent.pipeline.row_check import check_of
from assent.pipeline.stages.settings import GatherStage

_Item = TypeVar("_Item", Conversation, Comparison)


def run_gather(ctx: StageContext, config: GatherStage, *, held_out: Artifact | None = None) -> dict[str, Any]:
    """Write the files of one part, without whatever holds a prompt of eval.jsonl in `held_out`."""
    match config.data:
        case LabData():
            return gather_lab(ctx, config, config.data)
        case FileData():
            evaluation = [] if held_out is None else read_records(held_out.file("eval.jsonl"), Prompt)
            return gather_files(ctx, config, config.data, evaluation)
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
            return {"comparisons": write_records(ctx.output / "comparisons.jsonl", [], is_private=True)}


def gather_files(
    ctx: StageContext, config: GatherStage, data: FileData, evaluation: Sequence[Prompt]
) -> dict[str, Any]:
    """Read the sources of the part; the report of what was read is told and noted."""
    check = check_of(config.template, config.limits)
    passed = {"passed": dict(config.passed.content)} if config.passed else {}
    match config.part:
        case "corpus":
            texts = (*data.corpus, *data.demonstrations)
            return gather_conversations(ctx, texts, "corpus", evaluation, check) | passed
        case "demonstrations":
            found = gather_conversations(ctx, data.demonstrations, "demonstrations", evaluation, check)
        case "comparisons":
            found = gather_comparisons(ctx, data.comparisons, evaluation, check)
        case "prompts":
            asked = check_of(config.template, config.limits, terms=config.terms)
            return gather_prompts(ctx, data, asked, check) | passed | ({"reads": config.reads} if config.reads else {})
    if check is not None:
        check.refuse_useless(config.part)
    return found if check is None else {**found, "strict": config.strict, **passed}


def gather_conversations(
    ctx: StageContext, sources: Sequence[Source], name: str, evaluation: Sequence[Prompt], check: Check | None
) -> dict[str, Any]:
    """Load sources and write them as `name`.jsonl."""

    def lay(number: int, rows: Iterable[Conversation]) -> Records[Conversation]:
        return Records.laid(ctx.scratch / f"{name}-{number}.jsonl", Conversation, rows)

    items, report = lay_conversations(sources, lay, quarantine=ctx.output / "quarantine.jsonl", check=check)
    tell(ctx, report.lines())
    kept = learned(ctx, items, evaluation, name if name == "demonstrations" else "texts of the corpus")
    write_records(ctx.output / f"{name}.jsonl", kept.items)
    return {name: len(kept.items), **report.facts(), **kept.facts()}


def gather_comparisons(
    ctx: StageContext, sources: Sequence[Source], evaluation: Sequence[Prompt], check: Check | None
) -> dict[str, Any]:
    """Load rankings, each marked with its source, so that a reward model's accuracy can be told per source."""
    found: list[Sequence[Comparison]] = []
    reports: list[LoadReport] = []
    for number, source in enumerate(sources):
        quarantine, rows = ctx.output / f"quarantine-{number}.jsonl", ctx.scratch / f"rows-{number}.jsonl"
        lay = partial(marked, rows, label(source))
        items, report = lay_comparisons([source], lay, quarantine=quarantine, check=check)
        found.append(items)
        reports.append(report)
        tell(ctx, report.lines())
    # Votes are numbered in the order of all rows, those that are left out among them.
    numbering, numbered = Numbering(), ctx.scratch / "numbered.jsonl"
    rows_apart = Records.laid(numbered, Comparison, map(numbering, Chained(*found)))
    apart = Apart(rows_apart, numbering.again)
    tell(ctx, apart.lines())
    kept = learned(ctx, apart.comparisons, evaluation, "comparisons")
    write_records(ctx.output / "comparisons.jsonl", kept.items, is_private=True)
    whole = LoadReport(tuple(part for report in reports for part in report.parts), quarantine=None)
    return {"comparisons": len(kept.items), **whole.facts(), **kept.facts(), **apart.facts()}


def marked(path: Path, source: str, number: int, rows: Iterable[Comparison]) -> Records[Comparison]:
    """The rows in a file, each marked with its source."""
    each = (c.model_copy(update={"meta": {**c.meta, "source": source}}) for c in rows)
    return Records.laid(path, Comparison, each)


def learned(ctx: StageContext, items: Sequence[_Item], evaluation: Sequence[Prompt], what: str) -> Kept[_Item]:
    """The items without what holds an evaluation prompt. Raises DataError where nothing is left."""
    kept = take_out(items, evaluation)
    tell(ctx, [kept.line(what, of=len(items))])
    if len(items) and not len(kept.items):
        raise DataError(
            f"all of {len(items)} {what} hold prompts that are held out for evaluation, so nothing is left to learn"
            " from; lower data.eval_share, or give other data.eval_prompts"
        )
    return kept


def label(source: Source) -> str:
    """A short name: the last two parts of a path or hub id, without endings."""
    parts = source.name.rstrip("/").split("/")[-2:]
    return "/".join(part.split(".")[0] for part in parts)


def gather_prompts(ctx: StageContext, data: FileData, check: Check | None, check_given: Check | None) -> dict[str, Any]:
    """Set evaluation prompts aside: the given ones, or a share of the prompts, by prompt."""

    def lay(number: int, rows: Iterable[Prompt]) -> Records[Prompt]:
        return Records.laid(ctx.scratch / f"prompts-{number}.jsonl", Prompt, rows)

    quarantine = ctx.output / "quarantine.jsonl"
    prompts, report = lay_prompts(prompt_sources(data), lay, quarantine=quarantine, check=check)
    asked = distinct(prompts)
    tell(ctx, [*report.lines(), *asked.lines()])
    given: Sequence[Prompt] = []
    if data.eval_prompts:
        found, of_given = load_prompts(
            data.eval_prompts, quarantine=ctx.output / "quarantine-eval.jsonl", check=check_given
        )
        own = distinct(found)
        given = own.prompts
        tell(ctx, [*of_given.lines(), *own.lines()])
    apart = set_aside(asked.prompts, given, share=data.eval_share, seed=EVAL_SEED)
    tell(ctx, apart.lines())
    train, evaluation = shuffled(apart.train, ctx.seed), shuffled(apart.evaluation, ctx.seed)
    write_records(ctx.output / "prompts.jsonl", train)
    write_records(ctx.output / "eval.jsonl", evaluation)
    return {
        "prompts": len(train),
        "eval": len(evaluation),
        "given_back": len(apart.leaks.leaked),
        "taken_out": 0 if not apart.is_given else len(asked.prompts) - len(train),
        **report.facts(),
        **asked.facts(),
    }


def prompt_sources(data: FileData) -> tuple[Source, ...]:
    """Where prompts come from: the sources of prompts, else of demonstrations, else of comparisons."""
    return data.prompts or data.demonstrations or data.comparisons


def tell(ctx: StageContext, lines: Iterable[str]) -> None:
    """Say each line that no other part has said, with files of this stage named as they are once it is done."""
    for line in lines:
        ctx.log.say_once(line.replace(f"{ctx.output}/", f"{ctx.output.parent.name}/"))


EVAL_SEED = 0
"""The same prompts are set aside in every run, so that evaluations can be compared."""


def shuffled(prompts: Sequence[Prompt], seed: int) -> Sequence[Prompt]:
    """In an order drawn from the seed."""
    return pick(prompts, seeds.stream(seed, "prompts").permutation(len(prompts)))
