"""`assent doctor`: everything about a run that can be known before anything is trained."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import assert_never

import torch

from assent.artifacts.find import RUNS
from assent.artifacts.outside import missing, outside
from assent.core import hub, processor
from assent.core.errors import ConfigError, DataError, UserError
from assent.core.findings import Finding, error, note, ok, problem, warning
from assent.core.scoring import ScoreFunction
from assent.feedback.config import StoreConfig
from assent.feedback.store import Store
from assent.generation import vllm_honours
from assent.pipeline.beforehand import quantizing_without, raters_without_truth
from assent.pipeline.budget import split, use_of
from assent.pipeline.config import ComputeConfig, LabData, LogConfig, RunConfig
from assent.pipeline.device import device_of
from assent.pipeline.doctor.constitution import check_constitution
from assent.pipeline.doctor.data import Loaded, Material, check_amounts, load_material
from assent.pipeline.doctor.judge_places import judge_places
from assent.pipeline.doctor.known import check_known
from assent.pipeline.doctor.model import check_lengths, open_base
from assent.pipeline.doctor.opened import open_settings
from assent.pipeline.doctor.rates import check_time
from assent.pipeline.doctor.reader import Reader
from assent.pipeline.doctor.sandbox import check_sandbox
from assent.pipeline.imported import IMPORTED, Tried, count_of, imported_comparisons
from assent.pipeline.limits import row_limits
from assent.pipeline.memory_plan import MemoryPlan
from assent.pipeline.row_check import RowCheck, RowReader
from assent.raters.config import (
    AutoraterConfig,
    ConstitutionConfig,
    FunctionConfig,
    PeopleConfig,
    RewardModelConfig,
    SimulatedConfig,
)

_BYTES_PER_WEIGHT = 4
_CHECKPOINT_COPIES = 8
"""Weights, two moments of Adam and a second checkpoint while it is written, of policy and value model."""


def examine(
    path: Path, overlays: tuple[Path, ...] = (), settings: tuple[str, ...] = (), *, runs_code: bool = False
) -> list[Finding]:
    """Check config, settings, data, model and template, lengths, store, disk and threads of a run.

    Functions that the YAML names are looked up, and only imported where `runs_code` allows it: a project is a program.
    """
    config, findings = open_settings(path, overlays, settings)
    if config is None:
        return findings
    findings = [ok("config", f"{path} is valid"), *check_settings(config), *check_outside(config, runs_code)]
    imported, store = check_store(config.store)
    loaded = load_material(config)
    findings += [*loaded.findings, *check_amounts(config, loaded.material, imported=imported)]
    opened = open_base(config, loaded.material)
    known = {finding.key for finding in findings if finding.is_error}
    findings += [finding for finding in opened.findings if finding.key not in known]
    if opened.reader is not None:
        findings += check_lengths(config, loaded.material, opened.reader)
        findings += check_imports(config, opened.reader)
        findings += check_disk(config, opened.reader)
    size = opened.reader.parameters if opened.reader is not None else 0
    findings += check_known(config, parameters=size, prompts=_pool(config, loaded))
    findings += check_constitution(config)
    findings += [*check_prompts(config, loaded.material), *check_judges(config), *check_sandbox(config)]
    findings += MemoryPlan.of(config).findings(config)
    if not any(finding.is_error for finding in findings):
        findings += check_time(config, loaded.material, opened.reader, imported=imported)
    return [*findings, *store, *check_compute(config.compute), *check_trackers(config.log)]


def _type(config: RunConfig) -> Iterator[Finding]:
    model = config.model
    if model.dtype == "bfloat16" and model.lora is None:
        yield warning(
            "model.dtype", "bfloat16 weights lose small updates in full training", "use float32, or model.lora"
        )
    is_gpu = torch.cuda.is_available() and config.compute.device != "cpu"
    if processor.computes_bfloat16("cuda" if is_gpu else "cpu"):
        return
    missing = "this CPU has no products in bfloat16 (they need AVX-512)"
    if model.dtype == "bfloat16":
        yield note("model.dtype", f"is float32 here: {missing}")
    if config.compute.rollout_dtype == "bfloat16":
        yield note("compute.rollout_dtype", f"is that of the weights here: {missing}")
    if model.products == "bfloat16" and model.dtype == "float32":
        yield warning("model.products", f"is bfloat16, and {missing}: many times as slow", "set it to auto or float32")


def check_settings(config: RunConfig) -> Iterator[Finding]:
    """Settings that cannot work, or are known to fail."""
    if config.budget is not None:
        found = split(config.budget, use_of(config.rounds, config.collect, config.evaluate))
        yield ok("budget", f"{config.budget.labels} labels: {found.line()}")
    yield from config.method.checks()
    yield from _type(config)
    yield from quantizing_without(config)
    if config.evaluate is None and config.optimize is not None:
        said = "is null: nothing is evaluated, so whether the new policy is better will not be known"
        yield note("evaluate", said, "leave it out to have the policies compared blind")
    elif config.evaluate is not None and config.evaluate.bootstrap_draws is not None:
        yield note(
            "evaluate.bootstrap_draws", "is no longer read: intervals are computed and not drawn", "leave it out"
        )
    yield from raters_without_truth(config)
    yield from _check_raters(config)
    yield from _check_gate(config)


def _check_gate(config: RunConfig) -> Iterator[Finding]:
    if config.gate is None:
        return
    from assent.pipeline.gating import refuse_gate  # what measures evaluations comes along, and takes a second

    try:
        refuse_gate(config)
    except ConfigError as wrong:
        yield problem("gate", str(wrong).removeprefix("gate: "))


def check_outside(config: RunConfig, runs_code: bool = False) -> Iterator[Finding]:
    """Files, folders and functions that are named and not there. Data is looked at where it is read."""
    for one in outside(config):
        said = None if one.kind == "data" else missing(one)
        if said is None and one.kind == "python":
            said = _function_problem(one.value, runs_code)
            if said is None and not runs_code:
                yield note(one.key, f"{one.value} is there; it was not run", "say --run-code to import it")
        if said is not None:
            is_python = one.kind == "python"
            fix = "check the name, and that its folder is on PYTHONPATH" if is_python else "correct it, or put it there"
            yield error(one.key, said, fix)
        elif one.kind == "model" and not one.path.exists() and one.key != "base.path":
            if away := hub.problem_of(one.value):
                yield error(one.key, away, "check the network, or name a folder")
                continue
            said = f"{one.value} is no folder here, so it is taken for a hub id and looked for when the run starts"
            yield warning(one.key, said, "correct it if a folder is meant")


def check_store(config: StoreConfig) -> tuple[int, list[Finding]]:
    """Imported judgments, and whether the store can be used. A SQLite file that is not there yet is not made."""
    if config.file is not None and not config.exists:
        return 0, [_check_parent(config.file)]
    try:
        with Store.open(config.url) as store:
            imported = store.listing.with_comparisons(IMPORTED, count_of)
    except UserError as wrong:
        return 0, [problem("store.url", str(wrong))]
    except ModuleNotFoundError as missing:
        return 0, [error("store.url", str(missing), "pip install 'assent[postgres]'")]
    return imported, [ok("store.url", f"{config.shown} holds {imported} imported judgments")]


def check_imports(config: RunConfig, reader: Reader) -> Iterator[Finding]:
    """Imported judgments that the run could not use; a store that cannot be opened is looked at elsewhere."""
    try:
        imported = imported_comparisons(config.store) if config.reads_rankings else []
    except (UserError, ModuleNotFoundError):
        return
    check = RowCheck(RowReader(reader.renderer, reader.context), row_limits(config, "comparisons"))
    tried = Tried.of(imported, check)
    if not tried.bad:
        return
    if config.store.skip_bad:
        yield warning("store.skip_bad", f"{tried.line(config.store)}: left out", "correct them if you need them")
    else:
        yield error("store.url", tried.line(config.store), "set store.skip_bad: true, or name another store")


def check_prompts(config: RunConfig, material: Material) -> Iterator[Finding]:
    """Prompts without what a term of the reward reads of them; rows of files are tried where they are read."""
    for term in config.method.reading():
        try:
            for prompt in material.prompts:
                term.refuse_prompt(prompt)
        except DataError as wrong:
            yield problem("optimize", f"{term.title} cannot score prompt {prompt.id}: {wrong}")


def check_judges(config: RunConfig) -> Iterator[Finding]:
    """Every judge of a run, asked where that costs nothing."""
    for asked, place in judge_places(config):
        from assent.pipeline.doctor.judge import check_judge  # models come along, and take seconds

        yield from check_judge(asked, place, config)


def check_disk(config: RunConfig, reader: Reader) -> list[Finding]:
    """A rough estimate of what the run writes, against the space there is."""
    trained = _BYTES_PER_WEIGHT * (reader.parameters if reader.adapters is None else reader.adapters)
    models = 1 + (2 if config.fits_reward else 1) * config.rounds
    need = reader.num_bytes + trained * (models + _CHECKPOINT_COPIES)
    what = "models" if reader.adapters is None else "adapters"
    folder = next(p for p in (RUNS.absolute(), *RUNS.absolute().parents) if p.exists())
    free = shutil.disk_usage(folder).free
    said = f"about {_size(need)} will be written (the base, {models} {what} and checkpoints), {_size(free)} are free"
    if free < need:
        return [error("disk", said, "free some space, or run in a folder on a larger disk")]
    if free < 2 * need:
        return [warning("disk", said, "free some space")]
    return [ok("disk", said)]


def check_compute(config: ComputeConfig) -> list[Finding]:
    """Device, engine and threads."""
    try:
        device = device_of(config)
    except ConfigError as wrong:
        return [problem("compute.device", str(wrong))]
    if config.engine == "vllm" and not vllm_honours.is_installed():
        return [problem("compute.engine", f"is {vllm_honours.MISSING}")]
    if config.kind == "local" and device.type == "cuda" and config.gpus_per_engine > torch.cuda.device_count():
        said = f"is {config.gpus_per_engine}, and this machine has {torch.cuda.device_count()} GPUs"
        return [error("compute.vllm.tensor_parallel", said, "lower it, or let a cluster compute (compute.kind: ray)")]
    cores = os.cpu_count() or 1
    threads = config.threads or torch.get_num_threads()
    said = f"{device.type}, {threads} threads on {cores} cores"
    if threads > cores:
        return [warning("compute.threads", said, f"set it to {cores} or less: more threads than cores are slower")]
    return [ok("compute", said)]


def check_trackers(config: LogConfig) -> list[Finding]:
    """Whether the packages of the trackers are there."""
    return [
        error("log.trackers", f"{name} is not installed", f"pip install 'assent[{name}]'")
        for name in config.trackers
        if importlib.util.find_spec(name) is None
    ]


def _pool(config: RunConfig, loaded: Loaded) -> int | None:
    """Prompts that a stage may draw from, where they are known."""
    if isinstance(config.data, LabData):
        return config.data.prompts
    return len(loaded.material.prompts) if loaded.material.is_whole else None


def _function_problem(target: str, runs_code: bool) -> str | None:
    try:
        ScoreFunction.refuse_absent(target)
        if runs_code:
            ScoreFunction.load(target)
    except ConfigError as wrong:
        return str(wrong)
    return None


def _check_raters(config: RunConfig) -> Iterator[Finding]:
    if config.collect is None:
        if config.judges is None and config.evaluate is not None:
            judge = "judged by its own reward model" if config.fits_reward else "without a judge: no win rate"
            said = f"nobody: every round's evaluation is {judge}"
            yield note("collect", said, "set evaluate.raters (or collect.raters) for an independent judge")
        return
    if not config.reads_rankings:
        said = "asks for rankings that nothing learns from: the rewards are others, and no reward model is fitted"
        yield warning("collect", said, "set collect: null, unless its raters are to judge the evaluation")
    match config.collect.raters:
        case PeopleConfig():
            said = "people: the run stops with exit code 3 until they have rated on the pages of `assent rate`"
            yield note("collect.raters", said)
        case SimulatedConfig() | RewardModelConfig() | FunctionConfig() | AutoraterConfig() | ConstitutionConfig():
            pass
        case _ as never:
            assert_never(never)


def _check_parent(path: Path) -> Finding:
    folder = next(p for p in path.absolute().parents if p.exists())
    if not os.access(folder, os.W_OK):
        return error("store.url", f"{folder} is not writable", "fix its permissions, or set store.url")
    return ok("store.url", f"{path} will be made")


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"
