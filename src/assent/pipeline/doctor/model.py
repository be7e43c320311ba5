"""What `assent doctor` says about the base model: can it be opened, which template, does everything fit its context."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, assert_never

from assent.core.errors import DataError, ModelError
from assent.core.findings import Finding, error, note, ok, problem, warning
from assent.core.lazy import Chained
from assent.core.types import Comparison, Conversation
from assent.data.fit import Policy
from assent.data.render import Renderer
from assent.data.talks import Fitted, fit_comparisons, fit_demonstrations, row_limit
from assent.models.byte_pairs import train_tokenizer, words_of
from assent.models.shape import of_scratch
from assent.pipeline.config import PretrainedBase, RunConfig, ScratchBase
from assent.pipeline.doctor.data import Material
from assent.pipeline.doctor.reader import OpenedBase, Reader, millions
from assent.pipeline.limits import RowLimit, row_limits

LOOKED_AT = 20_000
"""Items of each kind that are turned into tokens."""
MANY_CUT = 0.1
"""Share of answers over the limit from which on it is worth a warning."""

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def open_base(config: RunConfig, material: Material) -> OpenedBase:
    """Open the base: a folder whole, a hub model's tokenizer only, for `scratch` a tokenizer of the data at hand."""
    try:
        match config.base:
            case ScratchBase() as base:
                return _open_scratch(config, base, material)
            case PretrainedBase() as base:
                from assent.pipeline.doctor.pretrained import open_pretrained  # models come along, and take seconds

                return open_pretrained(config, base)
            case _ as never:
                assert_never(never)
    except ModelError as wrong:
        return OpenedBase(None, [problem(_key_of(wrong), str(wrong))])


def check_lengths(config: RunConfig, material: Material, reader: Reader) -> Iterator[Finding]:
    """Templates that fail, labels that mask everything, and what is longer than the context or the answers' limit."""
    yield from _check_demonstrations(config, material.demonstrations, reader)
    yield from _check_prompts(config, material, reader)
    yield from _check_comparisons(config, material.comparisons, reader)


def _open_scratch(config: RunConfig, base: ScratchBase, material: Material) -> OpenedBase:
    texts = [text for c in Chained(material.corpus, material.demonstrations) for text in words_of(c)]
    if not texts and not material.is_whole:
        return OpenedBase(None, [note("base", "a new model, which cannot be looked at without its texts")])
    if not texts:
        return OpenedBase(None, [error("data.corpus", "there is no text to train a model on", "give data.corpus")])
    tokenizer = train_tokenizer(texts, vocab_size=base.vocab_size, context=base.shape.context)
    reader = Reader(
        Renderer(tokenizer, template=config.model.template, date=config.model.date),
        base.shape.context,
        (parameters := of_scratch(base.shape, len(tokenizer)).parameters),
        4 * parameters,
    )
    said = f"a new model of {millions(reader.parameters)} parameters, context {reader.context}"
    findings = [ok("base", said), ok("model.template", reader.renderer.describe())]
    if len(tokenizer) < base.vocab_size and material.is_whole:
        said = f"is {base.vocab_size}, but the texts give only {len(tokenizer)} tokens"
        findings.append(note("base.vocab_size", said, "give more data.corpus, or lower it"))
    return OpenedBase(reader, findings)


def _check_demonstrations(
    config: RunConfig, demonstrations: Sequence[Conversation], reader: Reader
) -> Iterator[Finding]:
    limits = list(row_limits(config, "demonstrations"))
    if not demonstrations or not limits:
        return
    looked_at, groups, failed = _rendered(demonstrations, reader.renderer.demonstration)
    if failed:
        yield error(
            "data.demonstrations", f"{failed[0]} ({len(failed)} of {len(demonstrations)})", "correct or remove them"
        )
    rows = [max(g.num_tokens for g in one) for one in groups]

    def fit(tokens: int, policy: Policy) -> Fitted:
        return fit_demonstrations(looked_at, reader.renderer, max_length=tokens, policy=policy)

    for limit in limits:
        yield from _check_fit(limit, rows, fit, "demonstrations", reader)
    allowed = config.method.answers()
    if allowed is not None:
        last = [talk.messages[-1] for talk in demonstrations[:LOOKED_AT]]
        answers = [turn.content for turn in last if turn.role == "assistant" and turn.is_plain]
        longer = sum(len(reader.renderer.completion(text)) > allowed for text in answers) / max(len(answers), 1)
        if longer > MANY_CUT:
            said = f"is {allowed}, but {longer:.0%} of the demonstrations answer in more tokens; rollouts would be cut"
            yield warning("optimize.sampling.max_new_tokens", said, "raise it")


def _check_prompts(config: RunConfig, material: Material, reader: Reader) -> Iterator[Finding]:
    prompts = Chained(material.prompts, material.eval_prompts)
    _, rendered, failed = _rendered(prompts, reader.renderer.prompt)
    if failed:
        yield error("data.prompts", f"{failed[0]} ({len(failed)} of {len(prompts)})", "correct or remove them")
    if not rendered:
        return
    lengths = [len(ids) for ids in rendered]
    room = _longest_answer(config)
    out = sum(length + room > reader.context for length in lengths)
    said = f"{out} of {len(lengths)} leave less than the {room} tokens that an answer may have in the context of"
    said += f" {reader.context} (longest: {max(lengths)})"
    if out == len(lengths):
        yield error("data.prompts", said, "shorten them, or lower max_new_tokens")
    elif out:
        yield warning("data.prompts", f"{said} and are left out", "shorten them, or lower max_new_tokens")
    else:
        yield ok("data.prompts", f"the longest of {len(lengths)} has {max(lengths)} tokens of {reader.context}")


def _check_comparisons(config: RunConfig, comparisons: Sequence[Comparison], reader: Reader) -> Iterator[Finding]:
    looked_at, groups, failed = _rendered(
        comparisons, lambda one: reader.renderer.group(one.prompt, [answer.text for answer in one.completions])
    )
    if failed:
        yield error("data.comparisons", f"{failed[0]} ({len(failed)} of {len(comparisons)})", "correct or remove them")
    rows = [len(g.prompt) + max(map(len, g.continuations)) for g in groups]
    asked = [(c.prompt, [a.text for a in c.completions], [a.finished for a in c.completions]) for c in looked_at]

    def fit(tokens: int, policy: Policy) -> Fitted:
        return fit_comparisons(asked, reader.renderer, max_length=tokens, policy=policy)

    for limit in row_limits(config, "comparisons"):
        yield from _check_fit(limit, rows, fit, "comparisons", reader)


def _check_fit(
    limit: RowLimit, lengths: Sequence[int], fit: Callable[[int, Policy], Fitted], what: str, reader: Reader
) -> Iterator[Finding]:
    """`lengths` are rows in tokens; `fit` does what the run will do."""
    key, tokens = f"{limit.key}.too_long", row_limit(limit.max_length, reader.context)
    longer = sum(length > tokens for length in lengths)
    if not longer:
        return
    said = f"{longer} of {len(lengths)} rows are longer than {tokens} tokens (longest: {max(lengths)})"
    if limit.is_strict:
        yield error(key, said, "shorten them, or set it to drop or truncate_left")
        return
    fitted = fit(tokens, limit.too_long)
    if not fitted.kept:
        yield error(key, f"{said}, and none can be made to fit", "shorten them, or take a base with a longer context")
        return
    done = "; ".join(fitted.lines(what, max_length=tokens))
    yield warning(key, f"{said}: {done}", "shorten them, or take a base with a longer context")


def _rendered(items: Sequence[_Item], render: Callable[[_Item], _Made]) -> tuple[list[_Item], list[_Made], list[str]]:
    """The items that could be turned into tokens, what became of each, and what was said about the others."""
    good, made, failed = [], [], []
    for item in items[:LOOKED_AT]:
        try:
            made.append(render(item))
            good.append(item)
        except (DataError, ModelError) as wrong:
            failed.append(str(wrong))
    return good, made, failed


def _longest_answer(config: RunConfig) -> int:
    limits = [config.method.answers() or 0]
    if config.evaluate is not None:
        limits.append(config.evaluate.sampling.max_new_tokens)
    if config.collect is not None:
        limits.append(config.sample.sampling.max_new_tokens)
    return max(limits)


def _key_of(wrong: ModelError) -> str:
    named = ("model.template" if "template" in str(wrong) else None, "model.lora" if "LoRA" in str(wrong) else None)
    return next((one for one in named if one is not None), "base")
