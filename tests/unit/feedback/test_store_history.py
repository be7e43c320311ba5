"""What was said and taken back: notes, skips with reasons, chains of corrections, progress, facts, erasure."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from store_samples import judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Completion, Judgment, Note, Prompt, Ranking, Rater, Task
from assent.feedback.records.queue import Counts, Queue, RaterProgress, Viewing
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction
from assent.feedback.tables.queue import Table

QUEUE = Queue()
SETTINGS = ProjectSettings(gold_share=0, repeat_share=0, newcomer_tasks=0, undo_seconds=100)


@pytest.fixture
def two(store: Store) -> Store:
    """A store with raters anna and ben."""
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    store.projects.save("default", SETTINGS, now=0)
    return store


def test_notes_and_reasons_come_back_as_they_were_given(two: Store) -> None:
    two.add_tasks([task("t"), task("u"), task("v")], now=0)
    notes = (Note(completion_id="t/1", text="wrong year", quote="in 1987"), Note(completion_id="t/0", text="good"))
    ranked = judgment(task("t"), "anna", "j1", notes=notes, order_shown=("t/0", "t/1"))
    marked = Judgment(task_id="u", rater_id="anna", id="j2", notes=(Note(completion_id="u/0", text="hm"),))
    skipped = Judgment(task_id="v", rater_id="anna", id="j3", skip_reason="not my field")
    statuses = [two.submit(said, now=1).status for said in (ranked, marked, skipped)]
    assert statuses == ["stored", "stored", "skipped"]
    assert two.judgments(QUEUE) == [ranked, marked, skipped]
    assert [row.outcome for row in two.said("default")] == ["ranked", "marked", "skipped"]
    assert two.counts(QUEUE) == Counts(2, 3)
    assert two.submit(skipped, now=2).status == "known"
    with pytest.raises(StoreError, match="'j3' is in the store with other content"):
        two.submit(skipped.model_copy(update={"skip_reason": "too long"}), now=2)


def test_a_note_on_an_unknown_answer_or_a_reason_beside_a_ranking_is_refused(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    with pytest.raises(StoreError, match=r"unknown answers \['x'\]"):
        two.submit(judgment(task("t"), "anna", "j", notes=(Note(completion_id="x", text="?"),)), now=1)
    with pytest.raises(StoreError, match="ranks and gives a reason for not ranking"):
        two.submit(judgment(task("t"), "anna", "j", skip_reason="too hard"), now=1)
    assert two.judgments(QUEUE) == []


def test_what_was_submitted_last_can_be_looked_at_and_changed_for_a_while(two: Store) -> None:
    two.add_tasks([task(f"t{i}", answers=3) for i in range(4)], now=0)
    served = two.serve("anna", QUEUE, limit=3, now=1)
    for i, one in enumerate(served):
        two.submit(judgment(one.task, "anna", f"j{i}"), token=one.token, now=10 * i)
    found = two.recent("anna", QUEUE, limit=9, now=105)
    assert [s.judgment.id for s in found if s.judgment] == ["j2", "j1"], "newest first, j0 is older than 100 s"
    assert [s.order for s in found] == [served[2].order, served[1].order]
    assert [s.token for s in found] == [served[2].token, served[1].token]
    assert [s.expires_at for s in found] == [120, 110]
    assert two.recent("anna", QUEUE, limit=1, now=20) == [two.recent("anna", QUEUE, limit=9, now=20)[0]]
    assert two.recent("ben", QUEUE, limit=9, now=20) == []


def test_a_chain_of_corrections_ends_at_the_last_one(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    one = two.serve("anna", QUEUE, now=1)[0]
    turned = Ranking(tiers=(("t/1",), ("t/0",)))
    tied = Ranking(tiers=(("t/1", "t/0"),))
    two.submit(judgment(one.task, "anna", "j1"), token=one.token, now=2)
    two.submit(judgment(one.task, "anna", "j2", ranking=turned, supersedes="j1"), token=one.token, now=3)
    two.submit(judgment(one.task, "anna", "j3", ranking=tied, supersedes="j2"), token=one.token, now=4)
    with pytest.raises(StoreError, match="current judgment of rater 'anna' on task 't' is 'j3'"):
        two.submit(judgment(one.task, "anna", "j4", supersedes="j2"), now=5)
    assert [j.id for j in two.judgments(QUEUE)] == ["j3"]
    assert [j.id for j in two.judgments(QUEUE, with_superseded=True)] == ["j1", "j2", "j3"]
    assert {j.order_shown for j in two.judgments(QUEUE, with_superseded=True)} == {one.order}
    (last,) = two.recent("anna", QUEUE, limit=9, now=5)
    assert last.judgment is not None
    assert (last.judgment.id, last.judgment.ranking, last.order) == ("j3", tied, one.order)
    assert two.counts(QUEUE) == Counts(1, 1)
    assert [(row.judgment_id, row.propensity) for row in two.said("default")] == [("j3", 1.0)]


def test_a_skip_gives_the_slot_back_and_a_second_thought_takes_it_again(two: Store) -> None:
    two.add_tasks([task("t")], now=0)
    one = two.serve("anna", QUEUE, now=1)[0]
    two.submit(judgment(one.task, "anna", "j1"), token=one.token, now=2)
    gone = Judgment(task_id="t", rater_id="anna", id="j2", supersedes="j1", skip_reason="misclicked")
    assert two.submit(gone, now=3).status == "skipped"
    assert two.counts(QUEUE) == Counts(0, 1)
    assert two.submit(judgment(one.task, "anna", "j3", supersedes="j2"), now=4).status == "stored"
    assert two.counts(QUEUE) == Counts(1, 1)
    again = gone.model_copy(update={"id": "j4", "supersedes": "j3"})
    two.submit(again, now=5)
    other = two.serve("ben", QUEUE, now=6)[0]
    two.submit(judgment(other.task, "ben", "b"), token=other.token, now=7)
    assert two.submit(judgment(one.task, "anna", "j5", supersedes="j4"), now=8).status == "surplus"
    assert two.counts(QUEUE) == Counts(1, 1)
    assert [(row.judgment_id, row.is_surplus) for row in two.said("default")] == [("b", False), ("j5", True)]


def test_a_reserved_slot_that_was_given_back_is_taken_by_its_rater_alone(two: Store) -> None:
    chat = task("chat", kind="chat")
    one = two.add_task_for("anna", chat, now=1)
    two.submit(judgment(chat, "anna", "j1"), token=one.token, now=2)
    two.submit(Judgment(task_id="chat", rater_id="anna", id="j2", supersedes="j1"), now=3)
    assert two.serve("ben", QUEUE, now=4) == []
    assert two.submit(judgment(chat, "anna", "j3", supersedes="j2"), now=5).status == "stored"


def test_progress_counts_what_was_judged_today_and_what_could_be(two: Store) -> None:
    day = 86400.0
    two.add_tasks([task(f"t{i}") for i in range(6)], slots=2, now=0)
    two.submit(judgment(task("t0"), "anna", "j0"), now=day - 1)
    two.submit(judgment(task("t1"), "anna", "j1"), now=day + 1)
    two.submit(Judgment(task_id="t2", rater_id="anna", id="j2"), now=day + 2)
    counted = two.rater_progress("anna", QUEUE, now=day + 3)
    assert counted == RaterProgress(done=2, today=1, waiting=3, counted_at=day + 3, taken=0)
    two.serve("ben", QUEUE, limit=6, now=day + 3)
    assert two.rater_progress("anna", QUEUE, now=day + 3).waiting == 3, "a second slot of each is free"
    two.register_rater(people("cleo")[0], now=0)
    held = two.serve("cleo", QUEUE, limit=6, now=day + 3)
    waiting = 3 - len({one.task.id for one in held} & {"t3", "t4", "t5"})
    assert two.rater_progress("anna", QUEUE, now=day + 3).waiting == waiting == 0


def test_what_waits_is_moved_on_by_what_a_rater_takes_each_task_once(two: Store) -> None:
    two.add_tasks([task(f"t{i}") for i in range(6)], slots=2, now=0)
    two.submit(judgment(task("t0"), "anna", "j0"), now=1)
    two.serve("anna", QUEUE, limit=1, now=2)
    then = two.rater_progress("anna", QUEUE, now=3)
    assert (then.done, then.waiting, then.taken) == (1, 4, 1)

    def waiting(now: float) -> int:
        moved = two.rater_progress("anna", QUEUE, now=now, then=then)
        assert two.rater_progress("anna", QUEUE, now=now, then=moved) == moved, "from any of them"
        assert moved.waiting == two.rater_progress("anna", QUEUE, now=now).waiting
        return moved.waiting

    assert waiting(3) == 4
    [held] = two.serve("anna", QUEUE, limit=1, now=3)
    two.submit(judgment(held.task, "anna", "j1"), token=held.token, now=4)
    assert waiting(4) == 4, "it was held before"
    two.submit(judgment(held.task, "anna", "j2", supersedes="j1"), now=5)
    two.submit(judgment(task("t0"), "anna", "j3", supersedes="j0"), now=5)
    assert waiting(5) == 4, "what is corrected is taken once"
    more = two.serve("anna", QUEUE, limit=2, now=6)
    assert waiting(6) == 2
    two.submit(Judgment(task_id=more[0].task.id, rater_id="anna", id="j4"), token=more[0].token, now=7)
    assert waiting(7) == 2, "a skip takes it too"


def test_facts_are_of_what_holds(two: Store) -> None:
    two.add_tasks([task("t", kind="pair"), task("e", purpose="evaluation")], now=0)
    two.projects.set_gold("t", Ranking(tiers=(("t/0",), ("t/1",))), now=0)
    two.submit(judgment(task("t"), "anna", "j1", seconds=4.0), now=1, viewing=Viewing(is_translated=False))
    two.submit(judgment(task("t"), "ben", "j2"), now=2)
    two.submit(judgment(task("e"), "ben", "j3"), now=3)
    two.submit(judgment(task("e"), "ben", "j4", supersedes="j3"), now=4)
    first, second, third = two.said("default")
    assert (first.judgment_id, first.kind, first.purpose, first.seconds, first.is_gold) == (
        "j1", "pair", "reward", 4.0, True,
    )  # fmt: skip
    assert (first.is_surplus, first.is_translated, first.propensity, first.repeat_of) == (False, None, None, None), (
        "without an order nothing is known of how it was shown"
    )
    assert (second.judgment_id, second.is_surplus) == ("j2", True)
    assert (third.judgment_id, third.purpose, third.is_gold) == ("j4", "evaluation", False)
    assert two.said("nowhere") == []


def test_tasks_are_found_by_queue_and_by_id(two: Store) -> None:
    two.add_tasks([task("b"), task("a"), task("e", purpose="evaluation"), task("o", project="other")], now=0)
    assert two.task_ids(QUEUE) == ["a", "b"]
    assert two.tasks(["a", "o", "unknown"]) == {"a": task("a"), "o": task("o", project="other")}


def test_what_a_person_sees_of_one_task_is_theirs(two: Store) -> None:
    two.add_tasks([task("t"), task("u")], slots=2, now=0)
    one = two.serve("anna", QUEUE, now=1)[0]
    assert two.own("ben", one.task.id) is None
    held = two.own("anna", one.task.id)
    assert held is not None
    assert (held.order, held.token, held.judgment) == (one.order, one.token, None)
    two.submit(judgment(one.task, "anna", "j"), token=one.token, now=2)
    said = two.own("anna", one.task.id)
    assert said is not None
    assert said.judgment == two.judgments(QUEUE)[0]


def test_erasing_a_person_takes_their_words_their_account_and_their_conversations(two: Store, url: str) -> None:
    two.accounts.create("anna.private@example.org", "rater", now=0)
    rater = two.accounts.by_login("anna.private@example.org")
    assert rater is not None
    two.register_rater(Rater(id=rater.rater_id, kind="person", attributes={"region": "private"}), consent="v1", now=0)
    two.add_tasks([task("t")], now=0)
    one = two.serve(rater.rater_id, QUEUE, now=1)[0]
    said = judgment(one.task, rater.rater_id, "j", notes=(Note(completion_id="t/0", text="private"),))
    seen = Viewing("private", "private", activity={"private": 1}, events=({"typed": "private"},))
    two.submit(said, token=one.token, now=2, viewing=seen)
    shared = _chat("chat-1", "hello", "shared answer")
    same = shared.model_copy(update={"id": "chat-3"})
    for name, chat in ((rater.rater_id, _chat("chat-2", "my private question", "private answer")), ("ben", shared)):
        lent = two.add_task_for(name, chat, now=3)
        two.submit(judgment(chat, name, f"j-{chat.id}"), token=lent.token, now=4)
    lent = two.add_task_for(rater.rater_id, same, now=5)
    skip = Judgment(task_id="chat-3", rater_id=rater.rater_id, id="s", skip_reason="private")
    two.submit(skip, token=lent.token, now=5)
    two.projects.adjudicate("t", rater.rater_id, None, "private", now=6)
    erased = two.erase_rater(rater.rater_id, now=7)
    assert erased.judgments == 3
    engine = connect(url)
    with read_transaction(engine) as connection:
        for table in Table.metadata.tables:
            rows = str(connection.execute(text(f"SELECT * FROM {table}")).all())
            assert "private" not in rows, table
            assert rater.rater_id not in rows, table
    engine.dispose()
    assert two.tasks(["chat-1"])["chat-1"] == shared, "what ben was answered is his"
    assert two.tasks(["chat-2"])["chat-2"].prompt.text == "(erased)"
    again = _chat("chat-4", "my private question", "private answer")
    assert two.add_task_for("ben", again, now=8).task == again, "the same words of somebody else are theirs"


def _chat(name: str, said: str, answer: str) -> Task:
    prompt = Prompt.of(said)
    answers = tuple(Completion(prompt_id=prompt.id, text=f"{answer} {i}", id=f"c-{name}/{i}") for i in range(2))
    return Task(id=name, prompt=prompt, completions=answers, kind="chat")
