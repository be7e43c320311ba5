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
from typing import Any, Literal, TypeVar, assert_never

from pydantic import Field

from assent.artifacts.jsonl import read_records, write_records
from assent.artifacts.stage import StageContext, stage
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.config import Config
from assent.core.errors import DataError
from assent.core.hashing import hash_json
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.heldout import Kept, set_aside, take_out
from assent.data.identity import distinct, with_unnamed_apart
from assent.data.load import Check, LoadReport, load_comparisons, load_conversations, load_prompts
from assent.lab.world import World
from assent.pipeline.config import DataConfig, FileData, LabData
from assent.pipeline.limits import RowLimit
from assent.pipeline.row_check import Template, check_of
from assent.training.reward_terms import RewardTerm

_Item = TypeVar("_Item", Conversation, Comparison)

Part = Literal["corpus", "demonstrations", "prompts", "comparisons"]


class GatherStage(Config):
    """One part of what a run learns from; parts are apart so that a change in one makes only that one again."""

    part: Part
    """Which part."""
    data: DataConfig
    """Where it comes from, without the settings of the other parts."""
    eval_prompts: int = 0
    """How many prompts of the lab are wanted for evaluation; of files, all that are set aside are."""
    template: Template | None = Field(default=None, json_schema_extra={"affects_result": False})
    """The chat template that every row has to pass; None for rows of the lab."""
    limits: tuple[RowLimit, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """How long rows may be for the stages that will read them."""
    terms: tuple[RewardTerm, ...] = Field(default=(), json_schema_extra={"affects_result": False})
    """Terms of a reward that read something of each prompt."""

    @property
    def strict(self) -> list[Any]:
        """The limits that make a row a bad one."""
        return [limit.model_dump(mode="json") for limit in self.limits if limit.is_strict]

    @property
    def reads(self) -> list[Any]:
        """What terms of a reward read of each prompt, which makes a row without it a bad one."""
        return sorted(([*item] for term in self.terms for item in term.reads.items()), key=str)

    @property
    def passed(self) -> dict[str, str]:
        """What a base from scratch lets pass; of any other base, keys know that anyway."""
        return {} if self.template is None or self.template.path is not None else self.template.identity()


def tried_since(artifact: Artifact, config: GatherStage) -> dict[str, str]:
    """What the rows would be tried against now and were not then; artifacts of old say nothing of it, and stay."""
    changes: dict[str, str] = {}
    if artifact.notes.get("strict", config.strict) != config.strict:
        changes["rows fit"] = hash_json(config.strict)
    if artifact.notes.get("reads", []) != config.reads:
        changes["prompts have"] = hash_json(config.reads)
    if artifact.notes.get("passed", config.passed) != config.passed:
        changes |= config.passed
    return changes


def only(part: Part, data: DataConfig) -> DataConfig:
    """The data config with the settings of other parts reset, so that they do not enter this part's key."""
    match data:
        case LabData():
            blank = LabData(world_seed=data.world_seed)
            return blank.model_copy(update={part: getattr(data, part)}) if part != "comparisons" else blank
        case FileData():
            asked = "prompts" if data.prompts else "demonstrations" if data.demonstrations else "comparisons"
            kept = {"corpus": ("corpus", "demonstrations"), "prompts": (asked, "eval_prompts", "eval_share")}
            names = kept.get(part, (part,))
            return FileData.model_construct(**{name: getattr(data, name) for name in names})
        case _ as never:
            assert_never(never)


@stage(name="gather", version=1, kind="data", since=tried_since)
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
            return {"comparisons": write_records(ctx.output / "comparisons.jsonl", [])}


def gather_files(
    ctx: StageContext, config: GatherStage, data: FileData, evaluation: Sequence[Prompt]
) -> dict[str, Any]:
    """Read the sources of the part; the report of what was read is told and noted."""
    check = check_of(config.template, config.limits)
    passed = {"passed": config.passed} if config.passed else {}
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
    items, report = load_conversations(sources, quarantine=ctx.output / "quarantine.jsonl", check=check)
    tell(ctx, report.lines())
    kept = learned(ctx, items, evaluation, name if name == "demonstrations" else "texts of the corpus")
    write_records(ctx.output / f"{name}.jsonl", kept.items)
    return {name: len(kept.items), **report.facts(), **kept.facts()}


def gather_comparisons(
    ctx: StageContext, sources: Sequence[Source], evaluation: Sequence[Prompt], check: Check | None
) -> dict[str, Any]:
    """Load rankings, each marked with its source, so that a reward model's accuracy can be told per source."""
    comparisons: list[Comparison] = []
    reports: list[LoadReport] = []
    for number, source in enumerate(sources):
        items, report = load_comparisons([source], quarantine=ctx.output / f"quarantine-{number}.jsonl", check=check)
        comparisons += [c.model_copy(update={"meta": {**c.meta, "source": label(source)}}) for c in items]
        reports.append(report)
        tell(ctx, report.lines())
    numbered = with_unnamed_apart(comparisons)
    tell(ctx, numbered.lines())
    kept = learned(ctx, numbered.comparisons, evaluation, "comparisons")
    write_records(ctx.output / "comparisons.jsonl", kept.items)
    whole = LoadReport(tuple(part for report in reports for part in report.parts), quarantine=None)
    return {"comparisons": len(kept.items), **whole.facts(), **kept.facts(), **numbered.facts()}


def learned(ctx: StageContext, items: list[_Item], evaluation: Sequence[Prompt], what: str) -> Kept[_Item]:
    """The items without what holds an evaluation prompt. Raises DataError where nothing is left."""
    kept = take_out(items, evaluation)
    tell(ctx, [kept.line(what, of=len(items))])
    if items and not kept.items:
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
    prompts, report = load_prompts(prompt_sources(data), quarantine=ctx.output / "quarantine.jsonl", check=check)
    asked = distinct(prompts)
    tell(ctx, [*report.lines(), *asked.lines()])
    given: list[Prompt] = []
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


def shuffled(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """In an order drawn from the seed."""
    return [prompts[int(i)] for i in seeds.stream(seed, "prompts").permutation(len(prompts))]
