"""One row as it is learned from: who says what, and with a model the text that it reads, special tokens too."""

from __future__ import annotations

from collections.abc import Iterator

from assent.core.shown import shown
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.render import Renderer

_MOST = 600  # characters of a text


def example(item: Prompt | Conversation | Comparison, renderer: Renderer | None = None) -> Iterator[str]:
    """Lines that show an item; with a renderer also its tokens as text, of a comparison with the first answer."""
    yield "the first, as it is understood:"
    for turn in shown(item.prompt if isinstance(item, Comparison) else item):
        yield f"  {turn.role}: {_cut(turn.text)}"
    if isinstance(item, Comparison):
        names = {answer.id: chr(ord("A") + number) for number, answer in enumerate(item.completions)}
        for answer in item.completions:
            yield f"  answer {names[answer.id]}: {_cut(answer.text)}"
        for judgment in item.judgments[:1]:
            if judgment.ranking is not None:
                tiers = " > ".join(" = ".join(names[one] for one in tier) for tier in judgment.ranking.tiers)
                yield f"  rater {judgment.rater_id}: {tiers}"
    if renderer is not None:
        yield f"the first, as the model reads it: {_cut(_rendered(item, renderer))}"


def _rendered(item: Prompt | Conversation | Comparison, renderer: Renderer) -> str:
    match item:
        case Prompt():
            ids = list(renderer.prompt(item))
        case Conversation():
            group = renderer.demonstration(item)[0]
            ids = [*group.prompt, *group.continuations[0]]
        case Comparison():
            group = renderer.group(item.prompt, [item.completions[0].text])
            ids = [*group.prompt, *group.continuations[0]]
    return str(renderer.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _cut(text: str) -> str:
    """Line breaks are written out, so that a row stays a line."""
    line = text.replace("\\", "\\\\").replace("\n", "\\n")
    return line if len(line) <= _MOST else f"{line[:_MOST]}… ({len(line)} characters)"
