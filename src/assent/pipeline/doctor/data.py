"""What `assent doctor` says about data: does every file parse, is there enough, can it be split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, assert_never

from assent.artifacts.jsonl import Records
from assent.core import hub, seeds
from assent.core.errors import DataError, UserError
from assent.core.findings import Finding, error, note, ok, problem, warning
from assent.core.lazy import Chained
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.config import Source
from assent.data.heldout import set_aside, take_out
from assent.data.identity import distinct
from assent.data.load import Check, lay_comparisons, lay_conversations, lay_prompts
from assent.data.load_report import LoadReport
from assent.data.splits import HELD_OUT_SEED, split
from assent.lab.world import World
from assent.pipeline.config import FileData, LabData, RunConfig, ScratchBase
from assent.pipeline.limits import row_limits
from assent.pipeline.places import sources_of
from assent.pipeline.row_check import RowCheck, RowReader, Template
from assent.pipeline.stages.declared import run_sft
from assent.pipeline.stages.gather import EVAL_SEED, prompt_sources
from assent.training.preference_config import PreferenceConfig

LAB_SAMPLE = 300
"""Conversations and prompts of the lab that are looked at; it has a million of each, all alike."""
FEW_COMPARISONS = 100
"""Below this a reward model learns little but lengths and single words."""
MANY_PROMPTS = 20_000
"""Beyond this the search for near-duplicates is left to the run."""

_Item = TypeVar("_Item", Prompt, Conversation, Comparison)


@dataclass
class Material:
    """What a run learns from, as far as it could be read here."""

    demonstrations: Sequence[Conversation] = ()
    corpus: Sequence[Conversation] = ()
    prompts: Sequence[Prompt] = ()
    eval_prompts: Sequence[Prompt] = ()
    comparisons: Sequence[Comparison] = ()
    is_whole: bool = True
    """False where something could not be read, or is only a sample: then amounts say nothing."""


@dataclass
class Loaded:
    """Material and what was found while reading it."""

    material: Material
    findings: list[Finding]


def load_material(config: RunConfig) -> Loaded:
    """Read every file of the data, or a sample of the lab. Hub datasets are left to the run."""
    match config.data:
        case LabData() as lab:
            world = World(lab.world_seed)
            made = world.demonstrations("sft", min(lab.demonstrations, LAB_SAMPLE))
            asked = world.prompts("ppo", min(lab.prompts, LAB_SAMPLE))
            said = (
                f"the lab: {lab.demonstrations} demonstrations, {lab.prompts} prompts, of which {LAB_SAMPLE} were read"
            )
            return Loaded(Material(made, made, asked, is_whole=False), [ok("data", said)])
        case FileData() as data:
            template = Template.of(config)
            try:
                reader = None if template is None else RowReader.of(template)
            except UserError:  # the base itself is looked at elsewhere
                reader = None
            return _load_files(config, data, reader)
        case _ as never:
            assert_never(never)


def check_amounts(config: RunConfig, material: Material, *, imported: int) -> Iterator[Finding]:
    """Too little to learn from, and splits that would come out empty."""
    if not material.is_whole or not isinstance(config.data, FileData):
        return
    if not config.reads_rankings and material.comparisons:
        said = f"nothing learns from these {len(material.comparisons)} rankings: the rewards are others"
        yield note("data.comparisons", said, "take optimize.kind: dpo, or let a reward model be fitted")
    elif config.collect is None and config.reads_rankings:
        yield from _check_comparisons(config, material.comparisons, imported=imported)
    if config.sft is not None and config.sft.eval_share > 0:
        # The very split of the stage: a small set may leave one side empty under one seed and not under another.
        seed = seeds.derive(config.seed, run_sft.name)
        yield from _check_split("sft.eval_share", material.demonstrations, config.sft.eval_share, seed=seed)
    yield from _check_prompts(config, config.data, material)


def _load_files(config: RunConfig, data: FileData, reader: RowReader | None) -> Loaded:
    def check(part: str) -> Check | None:
        if reader is None or (part == "corpus" and not isinstance(config.base, ScratchBase)):
            return None
        return RowCheck(reader, row_limits(config, part), terms=config.method.reading() if part == "prompts" else ())

    loaded = Loaded(Material(), [])
    for part, sources in sources_of(data).items():
        for number, source in enumerate(sources):
            key = f"data.{part}[{number}]"
            if source.hub is not None:
                loaded.findings.append(_on_hub(key, source.hub))
                loaded.material.is_whole = False
                continue
            _read(loaded, part, key, source, check(part))
    if not data.prompts and loaded.material.is_whole:
        again = Loaded(loaded.material, [])
        part = "demonstrations" if data.demonstrations else "comparisons"
        for number, source in enumerate(prompt_sources(data)):
            _read(again, "prompts", f"data.{part}[{number}]", source, check("prompts"))
        loaded.findings += [finding for finding in again.findings if finding.is_error]
    return loaded


def _on_hub(key: str, name: str) -> Finding:
    """What can be said of a data set on the hub, or in a folder that `datasets` saved."""
    away = None if Path(name).is_dir() else hub.unreachable()
    if away is None:
        return note(key, f"{name} is read when the run starts, not here")
    return warning(key, f"{away}: the name {name} was not checked", "check the network, unless the data set is cached")


def _read(loaded: Loaded, part: str, key: str, source: Source, check: Check | None) -> None:
    kinds: dict[str, tuple[type[Any], Callable[..., tuple[Sequence[Any], LoadReport]]]] = {
        "comparisons": (Comparison, lay_comparisons),
        "prompts": (Prompt, lay_prompts),
        "eval_prompts": (Prompt, lay_prompts),
    }
    kind, read = kinds.get(part, (Conversation, lay_conversations))
    try:
        items, report = read([source], lambda _, rows: Records.aside(kind, rows), check=check)
    except DataError as wrong:
        loaded.findings.append(problem(key, str(wrong)))
        loaded.material.is_whole = False
        return
    setattr(loaded.material, part, Chained(getattr(loaded.material, part), items))
    formats = ", ".join(sorted({one.format for one in report.parts}))
    loaded.findings.append(ok(key, f"{source.name}: {len(items)} items, format {formats}"))
    if report.census.ignored or report.census.dropped:
        loaded.findings.append(note(key, "; ".join(report.census.lines())))
    if report.num_bad:
        first = next(row.error for one in report.parts for row in one.bad)
        said = f"{report.num_bad} rows cannot be used and will be skipped; the first: {first}"
        loaded.findings.append(warning(key, said, "correct them if you need them"))


def _check_comparisons(config: RunConfig, comparisons: Sequence[Comparison], *, imported: int) -> Iterator[Finding]:
    total = len(comparisons) + imported
    if total < FEW_COMPARISONS:
        said = f"{len(comparisons)} in files and {imported} imported are few to learn a preference from"
        yield warning(
            "data.comparisons", said, f"collect more; some hundreds are a beginning, {FEW_COMPARISONS} hardly"
        )
    if comparisons and not imported and config.reward is not None and config.fits_reward:
        yield from _check_split("reward.eval_share", comparisons, config.reward.eval_share, seed=HELD_OUT_SEED)
    method = config.optimize
    if comparisons and not imported and isinstance(method, PreferenceConfig) and method.eval_share:
        yield from _check_split("optimize.eval_share", comparisons, method.eval_share, seed=HELD_OUT_SEED)


def _check_prompts(config: RunConfig, data: FileData, material: Material) -> Iterator[Finding]:
    prompts, given = distinct(material.prompts).prompts, distinct(material.eval_prompts).prompts
    if not prompts or len(prompts) + len(given) > MANY_PROMPTS:
        return
    try:
        apart = set_aside(prompts, given, share=data.eval_share, seed=EVAL_SEED)
    except DataError as wrong:
        yield problem("data.eval_prompts" if given else "data.eval_share", str(wrong))
        return
    yield ok("data.eval_prompts" if given else "data.eval_share", apart.lines()[0])
    if config.evaluate is not None and len(apart.evaluation) < config.evaluate.prompts:
        said = f"is {config.evaluate.prompts}, but there are {len(apart.evaluation)} to evaluate on"
        yield note("evaluate.prompts", said, "more prompts make narrower intervals")
    yield from _check_held_out("data.demonstrations", material.demonstrations, apart.evaluation)
    yield from _check_held_out("data.comparisons", material.comparisons, apart.evaluation)
    prompts = apart.train
    wanted = config.method.prompts_at_once()
    if wanted is not None and len(prompts) < wanted:
        said = f"is {wanted}, but there are {len(prompts)} prompts, which then repeat in a batch"
        yield warning("optimize.prompts_per_step", said, "lower it, or give more data.prompts")


def _check_held_out(key: str, items: Sequence[_Item], evaluation: Sequence[Prompt]) -> Iterator[Finding]:
    """What the run will not learn from, since it holds evaluation prompts."""
    if not items or len(items) > MANY_PROMPTS:
        return
    kept = take_out(items, evaluation)
    if not kept.items:
        said = f"all {len(items)} hold prompts that are held out for evaluation"
        yield error(key, said, "lower data.eval_share, or give other data.eval_prompts")
    elif kept.out:
        yield note(key, kept.line(key.removeprefix("data."), of=len(items)))


def _check_split(key: str, items: Sequence[_Item], share: float, *, seed: int) -> Iterator[Finding]:
    if not items:
        return
    try:
        split(items, {"train": 1 - share, "held out": share}, seed=seed)
    except DataError as wrong:
        yield problem(key, str(wrong))
