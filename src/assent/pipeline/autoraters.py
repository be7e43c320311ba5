"""Opening autoraters: the settings of a judge into a rater that can be asked."""

from __future__ import annotations

from assent.artifacts.layout import RUNS
from assent.core.hashing import hash_json
from assent.core.types import Rater
from assent.data.render import Renderer
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter
from assent.models.policy import PolicyModel
from assent.pipeline.backends import TOKENS_PER_MICROBATCH, Backends, device_of
from assent.pipeline.learners import policy_scorer
from assent.raters.asking import Asking, load_prompts
from assent.raters.autorater import LogitJudge
from assent.raters.config import AutoraterConfig, EndpointJudgeConfig, LocalJudgeConfig
from assent.raters.endpoint import EndpointJudge
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient, key_of
from assent.raters.reading import Reader
from assent.raters.rubric import Rubric

JUDGE_CACHE = RUNS / "judge-cache"
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
    reader, writer = _open(config.backend, backends)
    return LogitJudge(rater, config, asking, reader, writer if config.rationale else None)


def _open(backend: LocalJudgeConfig, backends: Backends) -> tuple[Reader, LocalWriter]:
    settings = backends.model.model_copy(update={"lora": None, "template": None})
    device = device_of(backends.compute)
    policy = PolicyModel.load(backend.path, config=settings, trainable=False, device=device)
    renderer = Renderer(policy.tokenizer, ends=policy.eos_ids, date=settings.date)
    policy.tokenizer.chat_template, policy.eos_ids = renderer.template, renderer.stop_ids
    reader = Reader(backend.name, policy_scorer(policy), renderer, policy.max_length, TOKENS_PER_MICROBATCH)
    engine = LocalEngine(policy, max_live_rows=backends.compute.max_live_rows)
    return reader, LocalWriter(backend.name, renderer, engine, policy.max_length)
