"""Chat: turns add up, old ones are forgotten when full, output is safe to print, answers stream as they are drawn."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from assent.core import seeds
from assent.core.errors import UserError
from assent.core.terminal import safe
from assent.core.types import Message, Prompt, Role
from assent.data.render import Renderer
from assent.generation.config import Sampling
from assent.generation.local import LocalEngine
from assent.generation.writer import LocalWriter
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.scalar import ScalarModel
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.service.chat import ChatConfig, Side, best_of_writer, chat_loop, converse
from scripted_engine import ScriptedEngine

TOKENIZER = tiny_tokenizer()
SAMPLING = Sampling(max_new_tokens=8)


def side(*answers: str, name: str = "scripted", context: int = 200) -> Side:
    engine = ScriptedEngine(TOKENIZER, list(answers))
    return Side(LocalWriter(name, Renderer(TOKENIZER), engine, context))


def asked(one: Side) -> list[str]:
    """The prompts that its engine got."""
    assert isinstance(one.writer, LocalWriter) and isinstance(one.writer.engine, ScriptedEngine)
    return one.writer.engine.asked


def said(sides: Sequence[Side], *lines: str) -> str:
    out = io.StringIO()
    converse(Console(file=out, width=100), sides, lines, SAMPLING)
    return out.getvalue()


def test_what_could_steer_a_terminal_is_spelled_out() -> None:
    assert safe("a\x1b[31mred") == r"a\x1b[31mred"
    assert safe("\x9b2J") == r"\x9b2J"
    assert safe("bank\u202egnp.exe") == r"bank\u202egnp.exe"
    assert safe("over\rwritten\x07\x08") == r"over\rwritten\x07\x08"
    assert safe("two\nlines\tand é 漢 🙂") == "two\nlines\tand é 漢 🙂"


def test_an_answer_is_printed_safely_and_without_markup() -> None:
    assert said([side("\x1b]0;owned\x07[bold]hi[/bold]")], "hello") == "\\x1b]0;owned\\x07[bold]hi[/bold]\n"


def test_an_answer_ends_before_a_stop_text_and_none_of_it_is_shown_or_remembered() -> None:
    sampling = Sampling(max_new_tokens=40, stop=("\nUser:",))
    one, seen = side("Fine.\nUser: and?", "Still fine."), list[str]()
    assert one.answer("hello", sampling, seed=0, on_text=seen.append) == "Fine."
    assert seen[-1] == "Fine." and all("Fine.".startswith(text) for text in seen)
    assert [turn.content for turn in one.turns] == ["hello", "Fine."]
    out = io.StringIO()
    converse(Console(file=out, width=100), [side("Fine.\nUser: and?")], ["hello"], sampling)
    assert out.getvalue() == "Fine.\n"


def test_letters_of_several_tokens_come_out_whole() -> None:
    # The tiny tokenizer has no such letters: each is two to four byte tokens.
    assert said([side("né 🙂 漢")], "hello") == "né 🙂 漢\n"


def test_the_second_message_follows_the_first_exchange_until_new() -> None:
    one = side("first answer", "second answer", "third answer")
    printed = said([one], "first question", "second question", "/new", "third question")
    prompts = asked(one)
    assert "first question" in prompts[1] and "first answer" in prompts[1]
    assert "first question" not in prompts[2]
    assert "a new conversation" in printed


def test_nothing_is_said_to_an_empty_line_or_after_quit() -> None:
    one = side("only")
    assert said([one], "", "  ", "/quit", "hello") == ""
    assert "/nwe is no command" in said([one], "/nwe")


def test_the_oldest_exchange_is_forgotten_when_the_context_is_full() -> None:
    turns: list[tuple[Role, str]] = [("user", "first"), ("assistant", "aaa"), ("user", "second")]
    two_exchanges = Renderer(TOKENIZER).prompt([Message(role=role, content=text) for role, text in turns])
    one = side("aaa", "bbb", "ccc", context=len(two_exchanges) + SAMPLING.max_new_tokens)
    said([one], "first", "second", "third")
    prompts = asked(one)
    assert "first" in prompts[1] and "first" not in prompts[2]
    assert "second" in prompts[2] and "third" in prompts[2]


def test_a_message_longer_than_the_context_is_refused_and_the_talk_goes_on() -> None:
    one = side("fine", context=60)
    printed = said([one], "word " * 100, "hello")
    assert "say it shorter" in printed and printed.endswith("fine\n")


def test_two_sides_answer_beside_each_other_each_with_its_own_past() -> None:
    left, right = side("LEFT", "x", name="a"), side("[red]RIGHT", "y", name="b")
    printed = said([left, right], "hello", "again")
    assert any("LEFT" in line and "[red]RIGHT" in line for line in printed.splitlines())
    assert "LEFT" in asked(left)[1] and "RIGHT" not in asked(left)[1]


def test_the_engine_shows_every_token_and_draws_the_same_as_without_being_watched(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model", "llama")
    engine = LocalEngine(PolicyModel.load(folder, config=ModelConfig(), trainable=False), max_live_rows=2)
    prompts = [np.array([1, 5, 9]), np.array([1, 7])]
    shown: list[list[int]] = []
    watched = engine.generate(
        prompts, num_samples=2, sampling=SAMPLING, seed=3, on_token=lambda now: shown.append(now.tokens.tolist())
    )
    alone = engine.generate(prompts, num_samples=2, sampling=SAMPLING, seed=3)
    answers = [one.tokens.tolist() for row in watched for one in row]
    assert answers == [one.tokens.tolist() for row in alone for one in row]
    assert sorted(shown) == sorted(answer[:end] for answer in answers for end in range(1, len(answer) + 1))


def test_a_model_folder_talks_to_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_tiny(tmp_path / "model", "gpt2")
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nand then?\n"))
    chat_loop(str(folder), ChatConfig(sampling=SAMPLING), seed=1)
    first = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\nand then?\n"))
    chat_loop(str(folder), ChatConfig(sampling=SAMPLING), seed=1)
    assert capsys.readouterr().out == first and len(first.splitlines()) >= 3


def test_the_best_of_several_answers_is_said_and_nothing_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, reward = save_tiny(tmp_path / "model", "gpt2"), tmp_path / "reward"
    ScalarModel.from_policy(folder, config=ModelConfig(), seed=0).save(reward)
    chooser = best_of_writer(str(folder), ModelConfig(), n=5, reward=str(reward))
    assert chooser.name == f"best of 5 of {folder}"
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n"))
    chat_loop(chooser, ChatConfig(sampling=SAMPLING), seed=1)
    said = capsys.readouterr().out.split("\n", 1)[1]
    asked = Prompt.of("hello")
    one_by_one = chooser.writer.write([asked], num_samples=5, sampling=SAMPLING, seed=seeds.derive(1, "chat", 1))[0]
    scores = chooser.score([asked] * 5, [one.text for one in one_by_one])
    assert said == safe(one_by_one[int(np.argmax(scores))].text) + "\n" and len(set(scores)) > 1


def test_a_name_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no artifact, round or run"):
        chat_loop(str(tmp_path / "nothing"), ChatConfig())
