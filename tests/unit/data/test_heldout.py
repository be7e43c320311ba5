"""Evaluation prompts are held out of everything that is learned from, and what is left out is counted."""

from __future__ import annotations

import pytest

from assent.core.errors import DataError
from assent.core.types import Comparison, Completion, Conversation, Judgment, Message, Prompt, Ranking
from assent.data.heldout import set_aside, take_out

QUESTIONS = [
    "How do I get red wine out of a white cotton shirt?",
    "What should I see in Lisbon with two days and a dog?",
    "Why does my bread not rise although the yeast is fresh?",
    "Which trees grow fast in dry and stony ground by the sea?",
    "How long do boiled eggs keep outside of the fridge?",
    "Who wrote the opera that opens the season in Verona?",
    "Can I plant tomatoes beside potatoes in a raised bed?",
    "What does a notary do when two people buy one house?",
]


def talk(*turns: str) -> Conversation:
    roles = ("user", "assistant")
    return Conversation(messages=tuple(Message(role=roles[i % 2], content=t) for i, t in enumerate(turns)))


def compared(question: str) -> Comparison:
    prompt = Prompt.of(question)
    answers = tuple(Completion(prompt_id=prompt.id, text=t, id=t) for t in ("yes", "no"))
    judged = Judgment(task_id="", rater_id="anna", ranking=Ranking(tiers=(("yes",), ("no",))))
    return Comparison(prompt=prompt, completions=answers, judgments=(judged,))


def test_what_asks_an_evaluation_prompt_is_not_learned_from() -> None:
    asked = [Prompt.of(QUESTIONS[0])]
    kept = take_out([talk(q, "Well.") for q in QUESTIONS], asked)
    assert [c.messages[0].content for c in kept.items] == QUESTIONS[1:]
    assert (kept.equal, kept.near, kept.quoted) == (1, 0, 0)
    assert take_out([compared(q) for q in QUESTIONS], asked).equal == 1
    assert take_out([Prompt.of(q) for q in QUESTIONS], asked).equal == 1


def test_letters_and_signs_make_no_other_prompt() -> None:
    assert take_out([talk(QUESTIONS[0].upper() + "!!", "Well.")], [Prompt.of(QUESTIONS[0])]).equal == 1


def test_a_prompt_asked_later_in_a_talk_counts() -> None:
    later = talk("Good morning to you", "Hello.", QUESTIONS[0], "With salt.")
    chat = talk("Good morning to you", "Hello.", "Yes please", "Gladly.")
    kept = take_out([later, chat], [Prompt.of(QUESTIONS[0]), Prompt.of("Yes please")])
    assert kept.items == [chat], "two words in the middle of a talk are nobody's prompt"


def test_a_prompt_of_several_turns_is_held_out_by_its_first_and_its_last() -> None:
    asked = Prompt(messages=talk(QUESTIONS[0], "With salt.", QUESTIONS[1]).messages)
    kept = take_out([talk(QUESTIONS[0], "No."), talk(QUESTIONS[1], "No."), talk(QUESTIONS[2], "No.")], [asked])
    assert [c.messages[0].content for c in kept.items] == [QUESTIONS[2]]


def test_near_twins_are_left_out_and_counted_apart() -> None:
    kept = take_out(
        [talk(QUESTIONS[0][:-1] + " please?", "Well."), talk(QUESTIONS[1], "Well.")], [Prompt.of(QUESTIONS[0])]
    )
    assert (kept.equal, kept.near, len(kept.items)) == (0, 1, 1)
    assert kept.line("demonstrations", of=2) == (
        "1 of 2 demonstrations are left out, for they hold evaluation prompts (1 ask nearly one)"
    )


def test_a_plain_text_that_quotes_a_prompt_is_left_out() -> None:
    def plain(text: str) -> Conversation:
        return Conversation(messages=(Message(role="assistant", content=text),))

    book = plain("Many people ask: how do I get red wine out of a white cotton shirt? Salt helps.")
    other = plain("Red wine and a white cotton shirt do not go together.")
    kept = take_out([book, other], [Prompt.of(QUESTIONS[0])])
    assert kept.items == [other] and kept.quoted == 1


def test_trees_and_debates_stay_together() -> None:
    inside = Conversation(messages=talk(QUESTIONS[2], "No.").messages, meta={"split_group": "tree 7"})
    asked = Prompt(messages=talk(QUESTIONS[3]).messages, meta={"split_group": "tree 7"})
    assert take_out([inside], [asked]).equal == 1


def test_a_drawn_share_gives_near_twins_back_to_training() -> None:
    prompts = [Prompt.of(q) for q in QUESTIONS * 1] + [Prompt.of(q[:-1] + " now?") for q in QUESTIONS[:3]]
    for seed in range(12):
        try:
            apart = set_aside(prompts, [], share=0.5, seed=seed)
        except DataError:
            continue
        asked = {p.text.removesuffix(" now?").removesuffix("?") for p in apart.evaluation}
        trained = {p.text.removesuffix(" now?").removesuffix("?") for p in apart.train}
        assert not asked & trained
        assert len(apart.train) + len(apart.evaluation) == len(prompts), "nothing is lost"


def test_given_evaluation_prompts_stay_and_training_loses_them() -> None:
    apart = set_aside([Prompt.of(q) for q in QUESTIONS], [Prompt.of(q) for q in QUESTIONS[:3]], share=0.1, seed=0)
    assert [p.text for p in apart.evaluation] == QUESTIONS[:3]
    assert [p.text for p in apart.train] == QUESTIONS[3:]


def test_too_few_to_evaluate_on_is_said_before_anything_is_trained() -> None:
    with pytest.raises(DataError, match=r"1 of 8 prompts can be held out .* wants 2 or more"):
        set_aside([Prompt.of(q) for q in QUESTIONS], [Prompt.of(QUESTIONS[0])], share=0.1, seed=0)
    with pytest.raises(DataError, match="all 2 prompts are held out"):
        set_aside([Prompt.of(q) for q in QUESTIONS[:2]], [Prompt.of(q) for q in QUESTIONS[:2]], share=0.1, seed=0)
