"""Opening autoraters: the settings of a judge into a rater that can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from assent.artifacts.layout import JUDGES, RUNS
from assent.core.hashing import hash_json
from assent.core.scoring import ScoreFunction
from assent.core.types import Rater, RaterKind
from assent.data.render import Renderer
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter, Writer
from assent.models.policy import PolicyModel
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends
from assent.pipeline.constitution_config import PolicyReviser, ReviseConfig
from assent.pipeline.device import device_of
from assent.pipeline.learners import policy_scorer
from assent.raters.asking import REVISING, Asking, load_prompts
from assent.raters.autorater import LogitJudge
from assent.raters.config import (
    AutoraterConfig,
    ConstitutionConfig,
    EndpointJudgeConfig,
    LocalJudgeConfig,
    ProgramConfig,
)
from assent.raters.constitution import Constitution
from assent.raters.endpoint import EndpointJudge
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient, key_of
from assent.raters.endpoint_writer import EndpointWriter
from assent.raters.panel import Panel
from assent.raters.principles import MeanJudge, PrincipleJudge, ProgramJudge
from assent.raters.rater import SingleRater
from assent.raters.reading import Reader
from assent.raters.revising import ProgramReviser, Reviser, WriterReviser
from assent.raters.rubric import Rubric

JUDGE_CACHE = RUNS / JUDGES
"""Replies of judges behind addresses, of all runs in a folder."""
Autorater = LogitJudge | EndpointJudge


def open_autorater(config: AutoraterConfig, rater_id: str, backends: Backends) -> Autorater:
    """The judge behind the settings. Raises ConfigError for its rubric and prompts, ModelError for its model.

    A judge is no model of the run: it speaks by its own chat template, and no adapter is laid on it.
    """
    asking = Asking(Rubric.load(config.rubric, config.criteria), load_prompts(config.prompts))
    rater = Rater(id=rater_id, kind="autorater")
    if isinstance(config.backend, EndpointJudgeConfig):
        versions = {"rubric": asking.rubric.hash, "prompts": hash_json(dict(asking.prompts))}
        client = EndpointClient(config.backend, key_of(config.backend), ReplyCache(JUDGE_CACHE), versions)
        return EndpointJudge(rater, config, asking, client)
    reader, writer = open_model(config.backend, backends)
    return LogitJudge(rater, config, asking, reader, writer if config.rationale else None)


def open_constitution(config: ConstitutionConfig, backends: Backends, *, seed: int, abstains: bool = True) -> Panel:
    """The judges by the principles of a constitution, who share one model: a panel that draws them by weight, or one.

    Where it `abstains`, what sees no difference between any of the answers gives no judgment; else a tie.

    Raises ConfigError for the constitution, the prompts and the program, ModelError for the model.
    """
    constitution, ids = config.loaded, list(config.ids("train", seed))
    kind: RaterKind = "function" if isinstance(config.backend, ProgramConfig) else "autorater"
    each = ids if config.ask == "drawn" else [f"{ids[0]} by {one.id}" for one in constitution.principles]
    members = tuple(
        PrincipleJudge(inner, constitution, principle, abstains and config.ask == "drawn")
        for principle, inner in zip(
            constitution.principles, _by_principle(config, constitution, backends, each, kind), strict=True
        )
    )
    if config.ask == "all":
        return Panel((MeanJudge(Rater(id=ids[0], kind=kind), members, constitution, config, abstains),), seed=seed)
    weights = dict(zip(ids, constitution.weights.values(), strict=True))
    return Panel(members, seed=seed, weights=weights)


def _by_principle(
    config: ConstitutionConfig, constitution: Constitution, backends: Backends, ids: Sequence[str], kind: RaterKind
) -> list[SingleRater]:
    """A judge for each principle; the model or the address behind them is opened once."""
    named = [(Rater(id=one, kind=kind), principle) for one, principle in zip(ids, constitution.principles, strict=True)]
    if isinstance(config.backend, ProgramConfig):
        function = ScoreFunction.load(config.backend.target).function
        return [ProgramJudge(rater, principle, function, config) for rater, principle in named]
    prompts = load_prompts(config.prompts)
    asked = AutoraterConfig(backend=config.backend, tie_threshold=config.tie_threshold, temperature=config.temperature)
    if isinstance(config.backend, EndpointJudgeConfig):
        versions = {"constitution": constitution.hash, "prompts": hash_json(prompts)}
        client = EndpointClient(config.backend, key_of(config.backend), ReplyCache(JUDGE_CACHE), versions)
        return [EndpointJudge(rater, asked, Asking(one.rubric, prompts), client) for rater, one in named]
    reader, _ = open_model(config.backend, backends)
    return [LogitJudge(rater, asked, Asking(one.rubric, prompts), reader) for rater, one in named]


def open_reviser(config: ReviseConfig, backends: Backends, policy: Writer) -> Reviser:
    """Who criticises and revises; `policy` is the one whose answers they are. Raises ConfigError, ModelError."""
    if isinstance(config.by, ProgramConfig):
        return ProgramReviser(config.by.name, ScoreFunction.load(config.by.target).function)
    prompts = load_prompts(config.wording, needed=REVISING)
    match config.by:
        case PolicyReviser():
            writer = policy
        case LocalJudgeConfig() as local:
            writer = open_model(local, backends)[1]
        case EndpointJudgeConfig() as endpoint:
            versions = {"constitution": config.loaded.hash, "prompts": hash_json(prompts)}
            writer = EndpointWriter.of(endpoint, key_of(endpoint), ReplyCache(JUDGE_CACHE), versions)
        case _ as never:
            assert_never(never)
    return WriterReviser(writer, prompts, config.writing)


def open_model(backend: LocalJudgeConfig, backends: Backends) -> tuple[Reader, LocalWriter]:
    """A local model as one that is asked for verdicts, and as one that writes."""
    settings = backends.model.model_copy(update={"lora": None, "template": None})
    device = device_of(backends.compute)
    policy = PolicyModel.load(backend.path, config=settings, trainable=False, device=device)
    renderer = Renderer(policy.tokenizer, ends=policy.eos_ids, date=settings.date)
    policy.tokenizer.chat_template, policy.eos_ids = renderer.template, renderer.stop_ids
    reader = Reader(backend.name, policy_scorer(policy), renderer, policy.max_length, TOKENS_PER_MICROBATCH)
    engine = LocalEngine(policy, max_live_rows=backends.compute.max_live_rows)
    return reader, LocalWriter(backend.name, renderer, engine, policy.max_length)
