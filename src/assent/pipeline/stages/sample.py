"""Sample: several answers per prompt from the policy, as tasks for raters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assent.artifacts.jsonl import Records, write_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.hashing import hash_json, short
from assent.core.lazy import Mapped, pick
from assent.core.types import Completion, Prompt, Task
from assent.generation.writer import LocalWriter, Writer
from assent.pipeline.backends import Backends, machine
from assent.pipeline.choosing import chosen as kept_of
from assent.pipeline.choosing import worth_of
from assent.pipeline.config import SampleConfig
from assent.pipeline.prompts import places_that_fit
from assent.pipeline.stages.settings import SampleStage
from assent.profiles.principles import prompt_under
from assent.profiles.spread import instruction, positions


def run_sample(
    ctx: StageContext,
    config: SampleStage,
    *,
    policy: Artifact,
    prompts: Artifact,
    previous: Artifact | None = None,
    advisors: Sequence[Artifact] | None = None,
) -> dict[str, Any]:
    """Write tasks.jsonl, one task per prompt. Equal answers are merged; a prompt with one answer left is dropped.

    With `advisors`, reward models of earlier rounds, more prompts are answered than raters get, and those are kept of
    which the advisors say that labels teach most.
    """
    backends = Backends(config.model, config.compute)
    pool = Records(prompts.file("prompts.jsonl"), Prompt)
    from_previous = round(config.sample.answers * config.sample.previous_share) if previous is not None else 0
    with machine(config.compute):
        newest = writer_of(backends, policy)
        fitting = answerable(ctx, newest, pool, config.sample)
        wanted = config.sample.prompts * (config.sample.candidates if advisors else 1)
        chosen = round_prompts(fitting, wanted, config.round)
        from_newest = config.sample.answers - from_previous
        answers = sample_answers(ctx, newest, chosen, config.sample, from_newest, key=policy.key)
        if previous is not None and from_previous:
            older = sample_answers(
                ctx, writer_of(backends, previous), chosen, config.sample, from_previous, key=previous.key
            )
            answers = [a + b for a, b in zip(answers, older, strict=True)]
        answered = len(chosen)
        if advisors:
            worth = worth_of(backends, advisors, chosen, answers)
            places = kept_of(worth, config.sample.prompts, seed=ctx.seed)
            chosen, answers = [chosen[i] for i in places], [answers[i] for i in places]
            ctx.log.say(
                f"{len(chosen)} of {answered} prompts go to raters, most of them where reward models are unsure"
            )
    tasks = [make_task(p, a, key=ctx.key) for p, a in zip(chosen, answers, strict=True)]
    kept = [t for t in tasks if len(t.completions) > 1]
    write_records(ctx.output / "tasks.jsonl", kept)
    count = sum(len(t.completions) for t in kept)
    return {
        "prompts": len(chosen),
        **({"candidates": answered} if advisors else {}),
        "tasks": len(kept),
        "answers": count,
        "unfinished": sum(not c.finished for t in kept for c in t.completions),
    }


def round_prompts(pool: Sequence[Prompt], count: int, round_number: int) -> list[Prompt]:
    """The prompts of a round: the next `count` of the pool, from the start again when all were used."""
    start = (round_number - 1) * count
    return [pool[(start + i) % len(pool)] for i in range(min(count, len(pool)))]


def writer_of(backends: Backends, policy: Artifact) -> LocalWriter:
    """The policy of an artifact, loaded once for all that is asked of it."""
    return backends.writer(backends.policy(policy.file("policy"), trainable=False), name=policy.name)


def answerable(
    ctx: StageContext, writer: LocalWriter, prompts: Sequence[Prompt], config: SampleConfig
) -> Sequence[Prompt]:
    """The prompts that leave the policy room for an answer, also under the longest words on its tone."""
    longest = instruction(dict.fromkeys(config.tones, -1.0), config.tones)
    fitting = places_that_fit(
        Mapped(lambda one: prompt_under(one, (longest,)), prompts) if longest else prompts,
        writer.renderer,
        context=writer.context,
        max_new_tokens=config.sampling.max_new_tokens,
        log=ctx.log,
    )
    return pick(prompts, fitting)


def sample_answers(
    ctx: StageContext, writer: Writer, prompts: list[Prompt], config: SampleConfig, num_samples: int, *, key: str
) -> list[list[Completion]]:
    """`num_samples` answers to each prompt; with a spread of temperatures they take turns, with tones each has a place.

    `key` is that of the policy that writes: two policies draw from streams of their own.
    """
    if config.tones:
        return spread_answers(ctx, writer, prompts, config, num_samples, key=key)
    temperatures = config.temperatures or (config.sampling.temperature,)
    answers: list[list[Completion]] = [[] for _ in prompts]
    with ctx.log.progress(f"sampling from {writer.name}", len(prompts) * num_samples) as bar:
        for turn, temperature in enumerate(temperatures):
            share = len(range(turn, num_samples, len(temperatures)))
            if not share:
                continue
            sampling = config.sampling.model_copy(update={"temperature": temperature})
            rows = writer.write(
                prompts,
                num_samples=share,
                sampling=sampling,
                seed=seeds.derive(ctx.seed, key, turn),
                on_progress=bar.advance,
            )
            how = {"temperature": sampling.temperature, "top_p": sampling.top_p, **sampling.shaping()}
            for answer, prompt, row in zip(answers, prompts, rows, strict=True):
                answer.extend(written.completion(prompt, source=writer.name, **how) for written in row)
    return answers


def spread_answers(
    ctx: StageContext, writer: Writer, prompts: list[Prompt], config: SampleConfig, num_samples: int, *, key: str
) -> list[list[Completion]]:
    """`num_samples` answers to each prompt, each asked for at another place of the axes of tone, which it records."""
    seed = seeds.derive(ctx.seed, key, "tones")
    places = [positions(list(config.tones), num_samples, seed=seed, name=one.id) for one in prompts]
    answers: list[list[Completion]] = [[] for _ in prompts]
    drawn = config.sampling
    how = {"temperature": drawn.temperature, "top_p": drawn.top_p, **drawn.shaping()}
    with ctx.log.progress(f"sampling from {writer.name}", len(prompts) * num_samples) as bar:
        for turn in range(num_samples):
            told = [instruction(place[turn], config.tones) for place in places]
            rows = writer.write(
                [prompt_under(one, (said,) if said else ()) for one, said in zip(prompts, told, strict=True)],
                num_samples=1,
                sampling=config.sampling,
                seed=seeds.derive(seed, turn),
                on_progress=bar.advance,
            )
            for answer, prompt, place, row in zip(answers, prompts, places, rows, strict=True):
                answer.append(row[0].completion(prompt, source=writer.name, tone=place[turn], **how))
    return answers


def make_task(prompt: Prompt, answers: list[Completion], *, key: str) -> Task:
    """A task of the answers that differ in text and are not empty; `key` is that of the samples it belongs to."""
    distinct = list({a.text: a for a in answers if a.text.strip()}.values()) or answers[:1]
    return Task(
        id="t-" + short(hash_json([key, prompt.id])),
        prompt=prompt,
        completions=tuple(distinct),
    )
