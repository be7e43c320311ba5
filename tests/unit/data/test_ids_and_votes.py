"""Ids that clash name nothing, and people whom a file does not name are still people."""

from __future__ import annotations

from assent.core.types import Comparison, Completion, Judgment, Message, Prompt, Ranking
from assent.data.identity import Numbering, distinct


def prompt(name: str, text: str) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),))


def vote(better: str, worse: str, *, rater: str = "trl", question: str = "Say hello.") -> Comparison:
    asked = Prompt.of(question)
    answers = tuple(Completion(prompt_id=asked.id, text=t, id=t) for t in (better, worse))
    judged = Judgment(task_id="", rater_id=rater, ranking=Ranking(tiers=((better,), (worse,))))
    return Comparison(prompt=asked, completions=answers, judgments=(judged,))


def test_two_files_that_count_from_zero_keep_all_their_prompts() -> None:
    rows = [prompt(str(n), f"a {n}") for n in range(3)] + [prompt(str(n), f"b {n}") for n in range(3)]
    found = distinct(rows)
    assert [p.text for p in found.prompts] == [p.text for p in rows]
    assert len({p.id for p in found.prompts}) == 6
    assert (found.repeated, found.renamed) == (0, 6)
    backwards = distinct(rows[::-1])
    assert {p.text: p.id for p in found.prompts} == {p.text: p.id for p in backwards.prompts}, "in any order"


def test_ids_that_do_not_clash_stay() -> None:
    found = distinct([prompt("x", "one"), prompt("y", "two"), prompt("x", "one")])
    assert [p.id for p in found.prompts] == ["x", "y"]
    assert (found.repeated, found.renamed) == (1, 0)
    assert found.lines() == ["1 prompts are asked again and count once"]


def test_votes_of_unnamed_people_on_the_same_pair_all_count() -> None:
    rows = [vote("Hello!", "Go away.")] * 3 + [vote("Go away.", "Hello!"), vote("Hi.", "Bye.")]
    numbering = Numbering()
    found = list(map(numbering, rows))
    assert [c.judgments[0].rater_id for c in found] == ["trl", "trl 2", "trl 3", "trl 4", "trl"]
    assert numbering.again == 3
    assert list(map(Numbering(), rows)) == found, "the same file gives the same names"


def test_people_with_names_vote_once() -> None:
    numbering = Numbering()
    found = list(map(numbering, [vote("a", "b", rater="anna")] * 2))
    assert [c.judgments[0].rater_id for c in found] == ["anna", "anna"]
    assert numbering.again == 0
