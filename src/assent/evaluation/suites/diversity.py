"""Diversity: how unlike a policy's answers are, to one prompt and across prompts.

Answers are drawn at temperature 1 and cut to a common length. Of each prompt the numbers are of its samples, and are
compared prompt by prompt; those that begin with `pooled` are of one answer to each prompt, all together. Whether they
have fallen is judged against the first policy of a run (`evaluation/collapse.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assent.core import seeds
from assent.core.types import Message, Prompt
from assent.data.swaps import swap_lists
from assent.evaluation.exam import Exam, Suite, rows_of
from assent.evaluation.outcomes import Kind, Outcome, Statistic
from assent.evaluation.suites.config import DiversityConfig
from assent.stats.diversity import (
    Words,
    compression,
    distinct,
    expected_distinct,
    largest_cluster,
    mean_words,
    opener_entropy,
    self_bleu,
    top_opener,
    words_of,
)

CUT = "cut"
"""In an outcome's note: words that texts were cut to."""


@dataclass(frozen=True)
class Item:
    """A prompt to answer several times."""

    id: str
    prompt: Prompt


def load(config: DiversityConfig) -> list[Item]:
    """The prompts of the file (column prompt), each once; without a file what the package asks."""
    if config.path is None:
        texts = [f"How can I {one.task}?" for one in swap_lists().tasks]
    else:
        texts = [row.text("prompt") for row in rows_of(config.path)]
    prompts = [Prompt(messages=(Message(role="user", content=text),)) for text in dict.fromkeys(texts)]
    return [Item(one.id, one) for one in prompts]


def examine(config: DiversityConfig, items: Sequence[Item], exam: Exam) -> list[Outcome]:
    """The numbers of each prompt's samples; its first sample stands for it in the pooled ones."""
    prompts = [one.prompt for one in items]
    rows = [
        exam.subject.answers(prompts, sampling=config.sampling, seed=seeds.derive(exam.seed, "diversity", k))
        for k in range(config.samples)
    ]
    return [
        Outcome(
            item=one.id,
            cluster=one.id,
            values=of_texts(list(texts), words=config.words),
            prompt=one.prompt.text,
            answer=texts[0],
            note=f"{CUT} {config.words}",
        )
        for one, texts in zip(items, zip(*rows, strict=True), strict=True)
    ]


def of_texts(texts: Sequence[str], *, words: int) -> dict[str, float]:
    """Every measure of some texts that can be taken of them."""
    cut = [words_of(text, most=words) for text in texts]
    found = {name: of(cut) for name, of in _OF_WORDS.items()} | {"words": mean_words(texts)}
    return {name: value for name, value in found.items() if value is not None}


_OF_WORDS: dict[str, Callable[[Sequence[Words]], float | None]] = {
    "distinct_1": lambda texts: distinct(texts, 1),
    "distinct_2": lambda texts: distinct(texts, 2),
    "ead": expected_distinct,
    "self_bleu": self_bleu,
    "opener_entropy": opener_entropy,
    "top_opener": top_opener,
    "largest_cluster": largest_cluster,
    "compression": compression,
}
_POOLED = ("ead", "opener_entropy", "top_opener", "largest_cluster", "compression")


def _pooled(name: str) -> Statistic:
    def statistic(outcomes: Sequence[Outcome]) -> float | None:
        return _OF_WORDS[name]([words_of(o.answer, most=_cut_of(o)) for o in outcomes])

    return statistic


def _cut_of(outcome: Outcome) -> int:
    return int(outcome.note.removeprefix(CUT))


_KINDS = {
    "distinct_1": Kind("Share of words of a prompt's answers that differ."),
    "distinct_2": Kind("Share of pairs of words of a prompt's answers that differ."),
    "ead": Kind("Different words beside those that drawing at random would give (EAD).", range=None),
    "self_bleu": Kind("BLEU-4 of each answer against the others of its prompt.", lower_is_better=True),
    "opener_entropy": Kind("Entropy of the first five words over a prompt's answers, in nats.", range=None),
    "top_opener": Kind("Share of a prompt's answers with its most common first five words.", lower_is_better=True),
    "largest_cluster": Kind("Share of a prompt's answers that are nearly the same.", lower_is_better=True),
    "compression": Kind("Bytes over compressed bytes of a prompt's answers.", lower_is_better=True, range=None),
    "words": Kind("Words of an answer.", lower_is_better=None, range=None),
}


SUITE = Suite(
    config=DiversityConfig,
    kinds=_KINDS
    | {
        f"pooled_{name}": Kind(
            "Of one answer to each prompt, together: " + _KINDS[name].help[0].lower() + _KINDS[name].help[1:],
            lower_is_better=_KINDS[name].lower_is_better,
            range=_KINDS[name].range,
            statistic=_pooled(name),
        )
        for name in _POOLED
    },
    abilities=frozenset({"answers"}),
    load=load,
    examine=examine,
    cluster=lambda item: str(item.id),
    beside=lambda config: {"prompts": swap_lists().hash} if config.path is None else {},
)
