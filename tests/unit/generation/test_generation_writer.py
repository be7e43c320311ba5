"""Writers: the text is that of the engine's tokens up to a stop, and what grows never shows what will be cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from assent.core.errors import UserError
from assent.core.types import Message, Prompt, Role
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter, Written, newest_turns
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import tiny_model, tiny_tokenizer
from scripted_engine import ScriptedEngine

TOKENIZER = tiny_tokenizer()
QUESTIONS = [Prompt.of("Where is my parcel?").messages, Prompt.of("How do I change it?").messages]
STOP = "\nUser:"


def scripted(*answers: str, context: int = 200) -> LocalWriter:
    return LocalWriter("scripted", Renderer(TOKENIZER), ScriptedEngine(TOKENIZER, list(answers)), context)


def shown(writer: LocalWriter, sampling: Sampling) -> tuple[Written, list[str]]:
    """An answer, and what was shown of it at each token."""
    texts: list[str] = []
    [[written]] = writer.write(
        QUESTIONS[:1], num_samples=1, sampling=sampling, seed=0, on_token=lambda so_far: texts.append(so_far())
    )
    return written, texts


def talk(*contents: str) -> tuple[Message, ...]:
    roles: Sequence[Role] = ("user", "assistant")
    return tuple(Message(role=roles[n % 2], content=text) for n, text in enumerate(contents))


def test_greedy_answers_are_those_of_renderer_and_engine_by_hand() -> None:
    hf = tiny_model("llama", tokenizer=TOKENIZER)
    policy = PolicyModel(hf, TOKENIZER, config=ModelConfig(), trainable=False)
    policy.eos_ids = tuple(range(5, 320, 20))  # several, so that a random model ends an answer
    renderer, engine = Renderer(TOKENIZER), LocalEngine(policy)
    sampling = Sampling(temperature=0.0, max_new_tokens=16)
    told: list[int] = []
    rows = LocalWriter("tiny", renderer, engine, policy.max_length).write(
        QUESTIONS, num_samples=2, sampling=sampling, seed=3, on_progress=told.append
    )
    prompts = [renderer.prompt(messages) for messages in QUESTIONS]
    by_hand = engine.generate(prompts, num_samples=2, sampling=sampling, seed=3)
    for prompt, row, expected in zip(prompts, rows, by_hand, strict=True):
        assert len(row) == len(expected) == 2
        for written, drawn in zip(row, expected, strict=True):
            assert (written.text, written.finished) == (renderer.text(drawn.tokens), drawn.finished)
            assert np.array_equal(written.prompt, prompt)
            assert np.array_equal(written.tokens, drawn.tokens) and np.array_equal(written.logps, drawn.logps)
    assert sum(told) == 4


def test_an_answer_ends_before_a_stop_text_and_its_tokens_after() -> None:
    [[written]] = scripted("Fine." + STOP + " and?").write(
        QUESTIONS[:1], num_samples=1, sampling=Sampling(stop=(STOP,)), seed=0
    )
    assert (written.text, written.finished) == ("Fine.", True)
    assert TOKENIZER.decode(written.tokens.tolist()).startswith("Fine." + STOP)
    assert len(written.logps) == len(written.tokens)


def test_what_is_shown_while_it_grows_never_holds_a_stop_text_nor_its_beginning() -> None:
    written, texts = shown(scripted("Fine." + STOP + " and?"), Sampling(stop=(STOP, "###")))
    assert written.text == "Fine."
    assert texts[-1] == "Fine." and all("Fine.".startswith(text) for text in texts)


def test_what_only_began_like_a_stop_text_is_shown_after_all() -> None:
    written, texts = shown(scripted("Fine.\nUses vary."), Sampling(stop=(STOP,)))
    assert written.text == texts[-1] == "Fine.\nUses vary."
    assert "Fine.\n" not in texts and "Fine.\nUse" not in texts


def test_a_letter_of_several_tokens_is_shown_when_it_is_whole() -> None:
    # The tiny tokenizer has no such letters: each is two to four byte tokens.
    _, texts = shown(scripted("né 漢"), Sampling())
    assert list(dict.fromkeys(texts)) == ["n", "né", "né ", "né 漢"]


def test_a_stop_text_of_letters_of_several_tokens_is_not_shown_in_part() -> None:
    written, texts = shown(scripted("yes a漢 no"), Sampling(stop=("a漢",)))
    assert written.text == "yes " and not any("a" in text for text in texts)


def test_a_text_is_what_the_model_wrote_and_a_completion_what_a_database_keeps() -> None:
    prompt = Prompt.of("?")
    completion = Written("a\x00b", finished=False).completion(prompt, source="policy-1", top_p=0.5)
    assert (completion.text, completion.finished, completion.prompt_id) == ("a\ufffdb", False, prompt.id)
    assert (completion.source, completion.meta) == ("policy-1", {"top_p": 0.5})
    [[written]] = scripted("a\x00b").write(QUESTIONS[:1], num_samples=1, sampling=Sampling(), seed=0)
    assert written.text == "a\x00b"


def test_room_is_the_context_less_the_prompt() -> None:
    size = len(Renderer(TOKENIZER).prompt(QUESTIONS[0]))
    assert scripted(context=size + 7).room(QUESTIONS[0]) == 7
    assert scripted(context=size - 7).room(QUESTIONS[0]) == -7


def test_the_oldest_exchanges_are_forgotten_until_the_rest_leaves_room() -> None:
    turns, sampling = talk("first", "aaa", "second", "bbb", "third"), Sampling(max_new_tokens=8)
    size = len(Renderer(TOKENIZER).prompt(turns[2:]))
    assert newest_turns(scripted(context=size + 8), turns, sampling) == turns[2:]
    assert newest_turns(scripted(context=size + 7), turns, sampling) == turns[4:]


def test_a_message_too_long_by_itself_is_refused_with_how_much_too_long_it_is() -> None:
    turns = talk("word " * 20)
    size = len(Renderer(TOKENIZER).prompt(turns))
    context = 40  # an answer wants a quarter of it, 10 tokens, where it may not have its 128
    with pytest.raises(UserError, match=rf"is {size + 10 - context} tokens too long for scripted; say it shorter"):
        newest_turns(scripted(context=context), turns, Sampling(max_new_tokens=128))


def test_a_writer_that_knows_no_tokens_forgets_nothing() -> None:
    class Far:
        name, context = "far away", None

        def room(self, messages: Sequence[Message]) -> None:
            return None

        def write(self, conversations: Sequence[Sequence[Message]], **_: Any) -> list[list[Written]]:
            return [[Written(turns[-1].content, finished=True)] for turns in conversations]

    turns = talk("first", "aaa", "second " * 500)
    assert newest_turns(Far(), turns, Sampling()) == turns
