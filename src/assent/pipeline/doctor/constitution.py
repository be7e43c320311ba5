"""What `assent doctor` says about constitutions: files that cannot be used, and settings that cannot work."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator

from assent.core.errors import ConfigError
from assent.core.findings import Finding, note, ok, problem, warning
from assent.pipeline.config import RunConfig, ScratchBase
from assent.pipeline.constitution_config import AILabelsConfig, PolicyReviser, ReviseConfig
from assent.raters.config import ConstitutionConfig
from assent.raters.constitution import Constitution, doubled_words

FEWEST_TOGETHER = 30
"""With fewer tasks of people, agreement with an AI of 0.7 cannot surely be told from 0.55."""
OUTNUMBERED = 3.0
"""Where an AI's labels weigh so many times as much as people's, theirs hardly count."""


def check_constitution(config: RunConfig) -> Iterator[Finding]:
    """Findings about `constitution`, `collect.raters` and `collect.ai`; nothing where no constitution is named."""
    if config.constitution is not None:
        yield from _revising(config, config.constitution)
    if config.collect is None:
        return
    raters, ai = config.collect.raters, config.collect.ai
    if isinstance(raters, ConstitutionConfig):
        loaded = yield from _loaded("collect.raters.constitution", raters)
        if loaded is not None and config.evaluate is not None:
            said = "judges the evaluation too: a policy that was trained by it is preferred by it"
            yield note("collect.raters", said, "look at suites and at people's verdicts as well")
    if ai is not None:
        yield from _beside(config, ai)


def _revising(config: RunConfig, revise: ReviseConfig) -> Iterator[Finding]:
    loaded = yield from _loaded("constitution.file", revise)
    if loaded is None:
        return
    if isinstance(revise.by, PolicyReviser) and isinstance(config.base, ScratchBase):
        said = "the policy revises its own answers, and a model made from scratch follows no instructions"
        yield warning("constitution.by", said, "name another model or a Python function")
    if revise.sft is None:
        yield note("constitution.sft", "is null: revisions are written, and nothing learns from them")
    elif not revise.keep_unchanged:
        said = "is false: only mended answers are learned from, so what they are mended to becomes the usual answer"
        yield warning("constitution.keep_unchanged", said, "leave it out, and look at refusals of what is safe")


def _beside(config: RunConfig, ai: AILabelsConfig) -> Iterator[Finding]:
    if (yield from _loaded("collect.ai.raters.constitution", ai.raters)) is None:
        return
    theirs = math.ceil(ai.people_share * config.sample.prompts)
    if ai.without_overlap == "use_unmeasured":
        said = "is use_unmeasured: an AI that agrees with nobody is learned from, where too few tasks have both"
        yield warning("collect.ai.without_overlap", said, "leave it out")
    elif theirs < FEWEST_TOGETHER:
        said = f"people judge {theirs} tasks, on which agreement with the AI is hardly measured: the run may end there"
        yield warning("collect.ai.people_share", said, f"have them judge {FEWEST_TOGETHER} or more")
    is_joint = config.reward is not None and config.fits_reward and config.reward.raters.kind == "joint"
    more = ai.weight * config.sample.prompts / theirs
    if not is_joint and more > OUTNUMBERED:
        said = f"the AI's labels weigh {more:.1f} times as much as people's in all"
        yield warning("collect.ai.weight", said, "lower it, or fit raters jointly (reward.raters.kind: joint)")


def _loaded(key: str, one: ReviseConfig | ConstitutionConfig) -> Generator[Finding, None, Constitution | None]:
    """The constitution, as the value of this generator; None where it cannot be used, which is said."""
    try:
        loaded: Constitution = one.loaded
    except ConfigError as wrong:
        yield from (problem(key, line) for line in str(wrong).splitlines())
        return None
    yield ok(key, f"{loaded.name}, version {loaded.version}, {len(loaded.principles)} principles")
    for line in doubled_words(loaded):
        yield warning(key, line, "say how they differ, or leave one out")
    return loaded
