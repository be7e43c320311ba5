"""Small rules inside the stages: which prompts, which tasks, which judgments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assent.core.errors import DataError
from assent.core.group import Group
from assent.core.runlog import RunLog
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.config import Source
from assent.data.render import Renderer
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny, tiny_tokenizer
from assent.pipeline.prompts import that_fit
from assent.pipeline.stages.collect import without_repeats
from assent.pipeline.stages.evaluate import Answers, keep_answers, kept_answers
from assent.pipeline.stages.gather import label
from assent.pipeline.stages.sample import make_task, round_prompts
from assent.pipeline.waste import told
from scripted_engine import ScriptedEngine

PROMPTS = [Prompt.of(f"question {n}") for n in range(5)]


def answer(text: str, source: str = "policy-1") -> Completion:
    return Completion(prompt_id=PROMPTS[0].id, text=text, source=source)


def test_rounds_take_turns_through_all_prompts() -> None:
    taken = [[p.text[-1] for p in round_prompts(PROMPTS, 2, number)] for number in (1, 2, 3)]
    assert taken == [["0", "1"], ["2", "3"], ["4", "0"]]


def test_equal_and_empty_answers_are_no_choice() -> None:
    task = make_task(PROMPTS[0], [answer("yes"), answer("yes", "policy-2"), answer("  "), answer("no")], key="k")
    assert [c.text for c in task.completions] == ["yes", "no"]


def test_the_same_answers_of_other_samples_are_another_task() -> None:
    # Otherwise the store would refuse the second as the first with other content.
    answers = [answer("yes"), answer("no")]
    assert make_task(PROMPTS[0], answers, key="a").id != make_task(PROMPTS[0], answers, key="b").id


def test_prompts_without_room_for_an_answer_are_left_out(tmp_path: Path) -> None:
    renderer = Renderer(tiny_tokenizer())
    short, long = Prompt.of("hi"), Prompt.of("hi " * 200)
    log = RunLog(tmp_path, quiet=True, tensorboard=False)
    size = len(renderer.prompt(short.messages))
    assert that_fit([short, long], renderer, context=size + 10, max_new_tokens=10, log=log) == [short]
    with pytest.raises(DataError, match="none of 1 prompts fits"):
        that_fit([short], renderer, context=size + 9, max_new_tokens=10, log=log)


def test_the_waste_of_a_stage_holds_what_its_engine_says_and_nothing_unknown(tmp_path: Path) -> None:
    policy = PolicyModel.load(save_tiny(tmp_path / "model", "llama"), config=ModelConfig(), trainable=False)
    engine, log = ScriptedEngine(policy.tokenizer, []), RunLog(tmp_path, quiet=True, tensorboard=False)
    assert told(log, policy, engine) == {"sampling_positions_per_token": 1.0}
    rough = PolicyModel.load(tmp_path / "model", config=ModelConfig(products="bfloat16"), trainable=False)
    assert told(log, rough) == {"products": "bfloat16", "products_because": "model.products is bfloat16"}


def test_a_judgment_listed_and_imported_counts_once() -> None:
    def said(rater: str, ids: tuple[str, str], best: int) -> Comparison:
        answers = tuple(
            Completion(prompt_id=PROMPTS[0].id, text=t, id=i) for t, i in zip(("yes", "no"), ids, strict=True)
        )
        ranking = Ranking(tiers=((ids[best],), (ids[1 - best],)))
        judgment = Judgment(task_id=ids[0], rater_id=rater, ranking=ranking)
        return Comparison(prompt=PROMPTS[0], completions=answers, judgments=(judgment,))

    listed, imported = said("ann", ("a", "b"), 0), said("ann", ("x", "y"), 0)
    other_rater, other_order = said("bob", ("a", "b"), 0), said("ann", ("a", "b"), 1)
    assert list(without_repeats([listed, imported, other_rater, other_order])) == [listed, other_rater, other_order]


def test_sources_have_short_names() -> None:
    assert label(Source(path=Path("../data/ukp/pairs.jsonl.gz"))) == "ukp/pairs"
    assert label(Source(hub="org/name")) == "org/name"


def test_answers_that_people_judge_are_kept_to_the_last_digit(tmp_path: Path) -> None:
    said = [Completion(prompt_id="p", text="\u0661 \U0001f600", source="s", finished=False)]
    answers = Answers(said, [Group(np.array([1, 2]), (np.array([3]),))], [-0.1 - 0.2])
    keep_answers(tmp_path / "answers.json", answers)
    again = kept_answers(tmp_path / "answers.json")
    assert (again.completions, again.logps) == (answers.completions, answers.logps)
    assert again.groups[0].prompt.dtype == answers.groups[0].prompt.dtype == np.int64
    assert [again.groups[0].prompt.tolist(), again.groups[0].continuations[0].tolist()] == [[1, 2], [3]]
