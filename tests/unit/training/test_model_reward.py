"""A reward model never reads more than it was trained to read, and says what it read without its beginning."""

from __future__ import annotations

import pytest
from training_toys import Toy

from assent.core.errors import DataError
from assent.core.types import Message, Prompt
from assent.data.render import Renderer
from assent.learner.scorer import LocalScorer
from assent.models.config import ModelConfig
from assent.models.scalar import ScalarModel
from assent.training.rewards import ModelReward, cut_lines


def talk(exchanges: int, *, last: str = "And now?") -> Prompt:
    said = [Message(role="system", content="Be brief.")]
    for n in range(exchanges):
        said += [Message(role="user", content=f"Question {n}"), Message(role="assistant", content=f"Answer {n}")]
    return Prompt(messages=(*said, Message(role="user", content=last)))


def reward(model: ScalarModel, max_length: int) -> ModelReward:
    return ModelReward(LocalScorer(model.at_last), Renderer(model.tokenizer), 4096, max_length=max_length)


def test_a_long_talk_scores_as_its_end_does_and_is_counted(toy: Toy) -> None:
    model = toy.scalar()
    renderer = Renderer(model.tokenizer)
    short = talk(0)
    limit = renderer.group(short, ["Yes."]).num_tokens
    scores = reward(model, limit)
    assert cut_lines(scores) == []
    assert scores([talk(6)], ["Yes."]) == scores([short], ["Yes."])
    assert (scores.cut.asked, scores.cut.shortened, scores.cut.truncated) == (2, 1, 0)
    [said] = cut_lines(scores)
    assert "1 of 2 prompts" in said
    assert f"{limit} tokens" in said


def test_what_fits_scores_as_without_a_limit(toy: Toy) -> None:
    model = toy.scalar()
    asked, said = [talk(2), talk(2), talk(1)], ["Yes.", "No, not at all.", "Perhaps."]
    assert reward(model, 10_000)(asked, said) == reward(model, model.max_length)(asked, said)


def test_an_answer_that_leaves_no_room_is_refused_and_not_cut(toy: Toy) -> None:
    scores = reward(toy.scalar(), 8)
    with pytest.raises(DataError, match="8 tokens that the reward model reads"):
        scores([talk(0)], ["word " * 30])


def test_the_length_it_learned_from_is_saved_with_it(toy: Toy, tmp_path: object) -> None:
    model = toy.scalar()
    assert model.trained_length == model.max_length
    model.trained_length = 24
    model.save(f"{tmp_path}/reward", merged=True)
    again = ScalarModel.load(f"{tmp_path}/reward", config=ModelConfig(), trainable=False)
    assert again.trained_length == 24
    again.trained_length = 10**6
    assert again.trained_length == again.max_length
