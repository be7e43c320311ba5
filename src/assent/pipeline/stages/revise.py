"""Revise: the policy answers, its answers are criticised and revised by principles, and become demonstrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from assent.artifacts.jsonl import Records, write_records
from assent.artifacts.stage import StageContext
from assent.artifacts.store import Artifact
from assent.core import seeds
from assent.core.errors import DataError
from assent.core.hashing import short
from assent.core.types import Completion, Conversation, Message, Prompt
from assent.feedback.queue.assign import draw
from assent.pipeline.autoraters import open_reviser
from assent.pipeline.backends import Backends, machine
from assent.pipeline.prompts import that_fit
from assent.pipeline.stages.sample import writer_of
from assent.pipeline.stages.settings import ReviseStage
from assent.raters.constitution import Constitution
from assent.raters.revising import Draft, Reviser, Revision

_AT_ONCE = 64  # drafts that are revised together
_LONGER = "raise constitution.sampling.max_new_tokens: every answer was cut"


def run_revise(ctx: StageContext, config: ReviseStage, *, policy: Artifact, prompts: Artifact) -> dict[str, Any]:
    """Write revisions.jsonl, every step of every answer, and demonstrations.jsonl, what is to be learned from.

    Raises ConfigError for the constitution, DataError where nothing is left to learn from.
    """
    revise, constitution = config.revise, config.revise.loaded
    backends = Backends(config.model, config.compute)
    with machine(config.compute):
        writer = writer_of(backends, policy)
        reviser = open_reviser(revise, backends, writer)
        pool = Records(prompts.file("prompts.jsonl"), Prompt)
        tokens = revise.sampling.max_new_tokens
        fitting = that_fit(pool, writer.renderer, context=writer.context, max_new_tokens=tokens, log=ctx.log)
        order = seeds.stream(ctx.seed, "revise", "prompts").permutation(len(fitting))
        chosen = [fitting[int(n)] for n in order[: revise.prompts]]
        with ctx.log.progress(f"sampling from {writer.name}", len(chosen)) as bar:
            seed = seeds.derive(ctx.seed, "answers")
            rows = writer.write(chosen, num_samples=1, sampling=revise.sampling, seed=seed, on_progress=bar.advance)
        answers = [row[0].completion(prompt, source=writer.name) for prompt, row in zip(chosen, rows, strict=True)]
        said = [(p, one) for p, one in zip(chosen, answers, strict=True) if one.text.strip()]
        steps = revised(ctx, reviser, constitution, said, revisions=revise.revisions)
    write_records(ctx.output / "revisions.jsonl", [step for row in steps for step in row])
    learned = demonstrations(said, steps, constitution, keep_unchanged=revise.keep_unchanged)
    write_records(ctx.output / "demonstrations.jsonl", learned)
    facts = counted(said, steps, learned)
    facts |= {"prompts": len(chosen), "empty_answers": len(chosen) - len(said), "by": reviser.name}
    facts |= {"constitution": constitution.name, "version": constitution.version, "hash": short(constitution.hash)}
    for line in in_words(facts):
        ctx.log.say(line)
    if not learned:
        way = "set constitution.keep_unchanged: true" if facts["unfinished_answers"] < len(said) else _LONGER
        raise DataError(
            f"nothing of {len(said)} answers to {len(chosen)} prompts is to be learned from, steps: {_outcomes(facts)};"
            f" take another reviser (constitution.by), or {way}"
        )
    return facts


def revised(
    ctx: StageContext,
    reviser: Reviser,
    constitution: Constitution,
    said: Sequence[tuple[Prompt, Completion]],
    *,
    revisions: int,
) -> list[list[Revision]]:
    """The steps of each answer. Which principles an answer meets depends on its prompt and the seed alone."""
    ids, weights = [one.id for one in constitution.principles], constitution.weights
    drawn = [draw(p.id, ids, count=revisions, seed=seeds.derive(ctx.seed, "drawn"), weights=weights) for p, _ in said]
    steps: list[list[Revision]] = [[] for _ in said]
    now = [one.text for _, one in said]
    with ctx.log.progress(f"revising by {reviser.name}", len(said) * revisions) as bar:
        for step in range(1, revisions + 1):
            for start in range(0, len(said), _AT_ONCE):
                places = range(start, min(start + _AT_ONCE, len(said)))
                drafts = [Draft(said[n][0], now[n], constitution.named(drawn[n][step - 1])) for n in places]
                seed = seeds.derive(ctx.seed, "revise", step, start)
                found = reviser.revise(drafts, step=step, seed=seed, on_progress=bar.advance)
                for n, one in zip(places, found, strict=True):
                    steps[n].append(one)
                    now[n] = one.after
    return steps


def demonstrations(
    said: Sequence[tuple[Prompt, Completion]],
    steps: Sequence[Sequence[Revision]],
    constitution: Constitution,
    *,
    keep_unchanged: bool,
) -> list[Conversation]:
    """What is learned from: the last answer to each prompt, with what it was and the principles that changed it.

    An answer that was cut when it was drawn, and that nobody gave another end, is left out.
    """
    found = []
    for (prompt, answer), row in zip(said, steps, strict=True):
        taken = [one.principle for one in row if one.outcome == "revised"]
        if not taken and (not keep_unchanged or not answer.finished):
            continue
        mark = {"name": constitution.name, "version": constitution.version, "hash": short(constitution.hash)}
        why = {"principles": taken, "before": answer.text, "source": answer.source, "constitution": mark}
        messages = (*prompt.messages, Message(role="assistant", content=row[-1].after))
        meta = {**prompt.meta, "revised": why}
        found.append(Conversation(messages=messages, meta=meta, tools=prompt.tools))
    return found


def counted(
    said: Sequence[tuple[Prompt, Completion]], steps: Sequence[Sequence[Revision]], learned: Sequence[Conversation]
) -> dict[str, Any]:
    """How the steps ended, in all and by principle, and what became of the answers."""
    every = [step for row in steps for step in row]
    outcomes = Counter(step.outcome for step in every)
    by_principle: dict[str, dict[str, int]] = {}
    for step in every:
        own = by_principle.setdefault(step.principle, {})
        own[step.outcome] = own.get(step.outcome, 0) + 1
    changed = [any(step.outcome == "revised" for step in row) for row in steps]
    cut = sum(not one.finished and not is_new for (_, one), is_new in zip(said, changed, strict=True))
    return {
        "answers": len(said),
        "steps": len(every),
        "outcomes": dict(sorted(outcomes.items())),
        "by_principle": dict(sorted(by_principle.items())),
        "not_revised": sum(outcomes.values()) - outcomes["revised"] - outcomes["unchanged"],
        "changed_answers": sum(changed),
        "unfinished_answers": cut,
        "demonstrations": len(learned),
    }


def in_words(facts: dict[str, Any]) -> list[str]:
    """The counts in lines."""
    lines = [
        f"{facts['changed_answers']} of {facts['answers']} answers were changed, in {facts['steps']} steps:"
        f" {_outcomes(facts)}; {facts['demonstrations']} are learned from"
    ]
    if facts["empty_answers"]:
        lines.append(f"{facts['empty_answers']} of {facts['prompts']} answers had no words and were not revised")
    if facts["unfinished_answers"]:
        lines.append(f"{facts['unfinished_answers']} answers were cut at their longest, not mended, and are left out")
    return lines


def _outcomes(facts: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in facts["outcomes"].items()) or "none"
