"""Serving people: what they hold comes back the same, draws follow the settings, propensities are honest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text
from store_samples import judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Ranking
from assent.feedback.queue import gold, taken
from assent.feedback.queue.tasks import insert_task_rows, load_tasks, task_content, task_row
from assent.feedback.records.queue import Counts, Queue, Served, Viewing
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.store import Store
from assent.feedback.tables.connection import connect, read_transaction, write_transaction

QUEUE = Queue()
PLAIN = ProjectSettings(gold_share=0, repeat_share=0, newcomer_tasks=0)
"""Nothing but ordinary tasks, for raters who are not new."""


@pytest.fixture
def two(store: Store) -> Store:
    """A store with raters anna and ben and plain settings."""
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
    store.projects.save("default", PLAIN, now=0)
    return store


@pytest.fixture(params=["few", "thousands"])
def judged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether raters count as people who have judged thousands of tasks, of which not all are read each time."""
    if request.param == "thousands":
        monkeypatch.setattr(gold, "_MANY", 0)
        monkeypatch.setattr(taken, "MANY", 0)


def _seen(served: list[Served]) -> list[tuple[str, str, tuple[str, ...], float | None]]:
    return [(s.task.id, s.token, s.order, s.propensity) for s in served]


def test_a_reload_gives_the_same_tasks_in_the_same_order_back(two: Store) -> None:
    two.add_tasks([task(f"t{i}", answers=5) for i in range(9)], now=0)
    first = two.serve("anna", QUEUE, limit=3, now=1)
    assert len(first) == 3
    assert _seen(two.serve("anna", QUEUE, limit=3, now=500)) == _seen(first)
    assert _seen(two.serve("anna", QUEUE, limit=5, now=500))[:3] == _seen(first), "what is held counts to the limit"
    assert two.counts(QUEUE) == Counts(0, 9)
    assert two.judgments(QUEUE) == []


def test_an_order_once_shown_is_shown_again_after_the_lease_has_ended(two: Store) -> None:
    two.add_tasks([task("t", answers=9)], now=0)
    first = two.serve("anna", QUEUE, now=0)[0]
    again = two.serve("anna", QUEUE, now=10**6)[0]
    assert (again.order, again.token != first.token) == (first.order, True)


def test_orders_differ_between_raters_and_every_order_comes_up(store: Store) -> None:
    store.projects.save("default", PLAIN, now=0)
    store.add_tasks([task("t", answers=3)], slots=120, now=0)
    orders: Counter[tuple[str, ...]] = Counter()
    for rater in people(*(f"r{i}" for i in range(120))):
        store.register_rater(rater, now=0)
        orders[store.serve(rater.id, QUEUE, now=1)[0].order] += 1
    assert len(orders) == 6
    assert max(orders.values()) < 45, "20 each are expected"


def test_a_judgment_without_an_order_takes_the_one_that_was_served(two: Store) -> None:
    two.add_tasks([task("t", answers=4)], now=0)
    served = two.serve("anna", QUEUE, now=1)[0]
    said = judgment(served.task, "anna", "j")
    seen = Viewing("ar", "browser", is_translated=True, activity={"idle": 3}, events=({"key": "1", "at": 2},))
    assert two.submit(said, token=served.token, now=5, viewing=seen).status == "stored"
    assert two.submit(said, token=served.token, now=6).status == "known"
    assert two.judgments(QUEUE)[0].order_shown == served.order
    (row,) = two.said("default")
    assert (row.is_translated, row.propensity, row.submitted_at) == (True, served.propensity, 5)


def test_what_is_known_of_a_viewing_is_stored_with_its_presentation(two: Store, url: str) -> None:
    two.add_tasks([task("t")], now=0)
    served = two.serve("anna", QUEUE, now=1)[0]
    seen = Viewing("ar", "browser", is_translated=True, activity={"idle": 3}, events=({"key": "1"},))
    two.submit(judgment(served.task, "anna", "j"), token=served.token, now=5, viewing=seen)
    turned = Ranking(tiers=(("t/1",), ("t/0",)))
    two.submit(judgment(served.task, "anna", "k", ranking=turned, supersedes="j"), now=9, viewing=Viewing("de"))
    engine = connect(url)
    with read_transaction(engine) as connection:
        rows = connection.execute(text("SELECT locale, client, shown_at, propensity FROM presentation ORDER BY id"))
        assert [tuple(row) for row in rows] == [("ar", "browser", 1, 1.0), ("de", None, 9, 1.0)]
        logged = connection.execute(text("SELECT judgment_id, kind FROM judgment_event ORDER BY id")).all()
        assert [tuple(row) for row in logged] == [("j", "page"), ("j", "superseded")]
    engine.dispose()


def test_a_closed_project_serves_only_what_is_held(two: Store) -> None:
    two.add_tasks([task(f"t{i}") for i in range(5)], now=0)
    held = two.serve("anna", QUEUE, limit=2, now=1)
    two.projects.save("default", PLAIN.model_copy(update={"is_open": False}), now=2)
    assert _seen(two.serve("anna", QUEUE, limit=3, now=3)) == _seen(held)
    assert two.serve("ben", QUEUE, limit=3, now=3) == []


def test_leases_last_as_long_as_the_project_says_and_can_be_renewed(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"lease_seconds": 50.0}), now=0)
    two.add_tasks([task("t")], now=0)
    served = two.serve("anna", QUEUE, now=100)[0]
    assert served.expires_at == 150
    assert two.renew("anna", served.token, now=140) == 190
    assert two.serve("ben", QUEUE, now=180) == []
    assert two.renew("ben", served.token, now=181) is None, "the lease is anna's"
    assert two.renew("anna", served.token, now=195) == 245, "nobody took it meanwhile"
    assert two.serve("ben", QUEUE, now=250)[0].task.id == "t"
    assert two.renew("anna", served.token, now=251) is None
    spent = two.serve("ben", QUEUE, now=251)[0]
    two.submit(judgment(spent.task, "ben", "j"), token=spent.token, now=252)
    assert two.renew("ben", spent.token, now=253) is None


def test_the_guideline_that_held_when_a_task_was_last_shown_is_noted(two: Store) -> None:
    two.projects.publish_guideline("default", "be kind", now=0)
    two.add_tasks([task("t"), task("u")], now=0)
    first, second = two.serve("anna", QUEUE, limit=2, now=1)
    two.submit(judgment(first.task, "anna", "j1"), token=first.token, now=2)
    two.projects.publish_guideline("default", "be kind and brief", now=3)
    shown = two.serve("anna", QUEUE, limit=1, now=4)[0]
    assert (first.guideline_version, second.guideline_version, shown.guideline_version) == (1, 1, 2)
    assert (shown.task.id, shown.order) == (second.task.id, second.order)
    two.submit(judgment(second.task, "anna", "j2"), token=second.token, now=5)
    assert [(row.judgment_id, row.guideline_version) for row in two.said("default")] == [("j1", 1), ("j2", 2)]


def test_higher_priority_comes_first_whenever_chance_does_not_decide(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"goal": "near_ties", "random_share": 0.0}), now=0)
    two.add_tasks([task(f"t{i}") for i in range(30)], now=0)
    assert two.set_priorities({f"t{i}": (i * 7) % 30 for i in range(30)} | {"unknown": 1.0}, now=0) == 30
    served = [s for _ in range(3) for s in _serve_new(two, "anna", 3)]
    assert [s.task.id for s in served] == [f"t{i}" for i in sorted(range(30), key=lambda i: -(i * 7 % 30))[:9]]
    assert {s.propensity for s in served} == {1.0}
    with pytest.raises(StoreError, match="priority of task 't1' is nan"):
        two.set_priorities({"t1": float("nan")}, now=0)


def _serve_new(store: Store, rater: str, limit: int, *, now: float = 1) -> list[Served]:
    served = store.serve(rater, QUEUE, limit=limit, now=now)
    said = [(judgment(one.task, rater, f"{rater}-{one.task.id}"), one.token) for one in served]
    store.submit_all(said, now=now)
    return served


def test_slots_added_later_stand_where_their_task_stands(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"random_share": 0.0}), now=0)
    two.add_tasks([task(f"t{i}") for i in range(9)], now=0)
    two.set_priorities({"t4": 5.0}, now=0)
    _serve_new(two, "anna", 1)
    two.add_tasks([task("t4")], slots=2, now=1)
    assert two.serve("ben", QUEUE, now=1)[0].task.id == "t4"


# Chances


def test_tasks_come_up_as_often_as_their_propensities_say(tmp_path: Path) -> None:
    """Five tasks, one wanted three times and one of high priority, drawn two at once 600 times."""
    with Store.open(f"sqlite:///{tmp_path}/feedback.db", seed=5) as store:
        store.projects.save("default", PLAIN.model_copy(update={"random_share": 0.4}), now=0)
        store.add_tasks([task(f"t{i}") for i in range(5)], slots={"t0": 3}, now=0)
        store.set_priorities({"t3": 1.0}, now=0)
        first: Counter[str] = Counter()
        said: dict[str, float] = {}
        weight: Counter[str] = Counter()
        store.register_rater(people("anna")[0], now=0)
        for i in range(600):
            one, other = store.serve("anna", QUEUE, limit=2, now=10**4 * i)  # what was held has expired
            first[one.task.id] += 1
            assert one.propensity is not None
            assert other.propensity is not None
            assert said.setdefault(one.task.id, one.propensity) == one.propensity
            weight[other.task.id] += 1 / other.propensity
        # By hand: 7 slots are free; ε = 0.4 goes over all of them, the rest to t3 alone.
        expected = {"t0": 0.4 * 3 / 7, "t1": 0.4 / 7, "t2": 0.4 / 7, "t3": 0.4 / 7 + 0.6, "t4": 0.4 / 7}
        assert said == pytest.approx(expected)
        assert {name: n / 600 for name, n in first.items()} == pytest.approx(expected, abs=0.06)
        # A second draw, weighted by its propensity, counts every task as often as it was still there to be drawn.
        counted = {n: w / (600 - first[n]) for n, w in weight.items()}
        assert counted == pytest.approx(dict.fromkeys(expected, 1), abs=0.4)


def test_without_priorities_every_free_task_is_as_likely_as_another(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/feedback.db", seed=5) as store:
        store.projects.save("default", PLAIN, now=0)
        store.add_tasks([task(f"t{i}") for i in range(4)], now=0)
        first: Counter[str] = Counter()
        store.register_rater(people("anna")[0], now=0)
        for i in range(400):
            served = store.serve("anna", QUEUE, limit=2, now=10**4 * i)
            assert [s.propensity for s in served] == pytest.approx([1 / 4, 1 / 3])
            first[served[0].task.id] += 1
        assert all(65 < n < 135 for n in first.values()), first


def test_the_last_free_task_among_many_that_are_taken_is_found(two: Store) -> None:
    two.add_tasks([task(f"t{i}") for i in range(150)], slots=2, now=0)
    _serve_new(two, "anna", 150)
    two.add_tasks([task("new")], now=0)
    assert [s.task.id for s in two.serve("anna", QUEUE, limit=3, now=2)] == ["new"]


# Gold and repeats


def test_gold_comes_between_and_is_extra(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"gold_share": 0.5}), now=0)
    two.add_tasks([task(f"t{i}") for i in range(40)], now=0)
    two.add_tasks([task(f"g{i}") for i in range(8)], slots=0, now=0)
    for i in range(8):
        two.projects.set_gold(f"g{i}", Ranking(tiers=((f"g{i}/0",), (f"g{i}/1",))), now=0)
    for rater in ("anna", "ben"):
        seen = [s for _ in range(5) for s in _serve_new(two, rater, 3)]
        gold = [s for s in seen if s.service == "gold"]
        assert all(s.task.id.startswith("g") and s.propensity is None for s in gold)
        assert len({s.task.id for s in gold}) == len(gold), "nobody gets the same gold twice"
        assert 3 <= len(gold) <= 8
    counts = two.counts(QUEUE)
    assert counts.need == 40
    assert counts.have == sum(not row.is_gold for row in two.said("default"))
    two.projects.set_gold("g0", None, now=0)
    assert "g0" not in two.projects.gold("default")


def test_gold_that_was_not_answered_in_time_is_lent_in_the_same_slot_again(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"gold_share": 0.5, "lease_seconds": 10.0}), now=0)
    two.add_tasks([task(f"t{i}") for i in range(9)], now=0)
    two.add_tasks([task("g")], slots=0, now=0)
    two.projects.set_gold("g", Ranking(tiers=(("g/0",), ("g/1",))), now=0)
    times = [s for i in range(40) for s in two.serve("anna", QUEUE, limit=3, now=100 * i) if s.service == "gold"]
    assert len(times) > 5
    two.submit(judgment(times[-1].task, "anna", "j"), token=times[-1].token, now=10**4)
    assert two.said("default")[0].is_surplus is False
    assert two.open_tasks(QUEUE)[0].slots == 1, "only tasks that wait for anybody"


@pytest.mark.usefixtures("judged")
def test_own_earlier_tasks_come_again_after_a_while(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"repeat_share": 0.5, "repeat_after": 4}), now=0)
    two.add_tasks([task(f"t{i}", answers=4) for i in range(60)], now=0)
    order: dict[str, int] = {}
    repeats = 0
    for now in range(30):
        for one in _serve_new(two, "anna", 1, now=now):
            if one.service == "repeat":
                first = two.listing.repeats(QUEUE)[one.task.id]
                assert first not in one.task.id, "raters see ids"
                assert order[first] <= len(order) - 4, "at least four tasks lie between"
                assert one.propensity is None
                repeats += 1
            order[one.task.id] = len(order)
    assert 5 <= repeats <= 20
    said = {row.task_id: row.repeat_of for row in two.said("default") if row.repeat_of}
    assert len(said) == repeats
    assert said == two.listing.repeats(QUEUE)
    assert two.counts(QUEUE) == Counts(30 - repeats, 60)
    again = next(iter(said))
    tasks = two.tasks([again, said[again]])
    assert tasks[again].completions == tasks[said[again]].completions
    assert [c.meta for c in two.comparisons(QUEUE) if c.judgments[0].task_id == again] == [{"repeat_of": said[again]}]
    assert all(s.task.id not in said for s in _serve_new(two, "ben", 9)), "repeats are of one's own tasks"


@pytest.mark.usefixtures("judged")
def test_what_was_asked_again_under_a_telling_id_is_not_asked_a_third_time(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"repeat_share": 0.5, "repeat_after": 1}), now=0)
    two.add_tasks([task("old", answers=4), task("new", answers=4)], slots=1, now=0)
    for one in _serve_new(two, "anna", 2):
        assert one.service == "normal"
    with write_transaction(two._engine) as connection:  # as stores before this had them
        first = load_tasks(connection, ["old"])["old"]
        again = first.model_copy(update={"id": "old~again"})
        row = task_row(again, task_content(again), now=1, priority=0.0, meta={"repeat_of": "old"})
        insert_task_rows(connection, [again], [row], now=1)
    two.submit(judgment(again, "anna", "j-again"), now=1)
    assert two.listing.repeats(QUEUE) == {"old~again": "old"}
    two.add_tasks([task(f"t{i}", answers=4) for i in range(30)], now=2)
    served = [one for now in range(3, 40) for one in _serve_new(two, "anna", 1, now=now)]
    repeated = {two.listing.repeats(QUEUE)[one.task.id] for one in served if one.service == "repeat"}
    assert repeated and "old" not in repeated


def test_nothing_is_measured_when_nothing_is_left_to_judge(two: Store) -> None:
    two.projects.save("default", PLAIN.model_copy(update={"gold_share": 0.5}), now=0)
    two.add_tasks([task("g")], slots=0, now=0)
    two.projects.set_gold("g", Ranking(tiers=(("g/0",), ("g/1",))), now=0)
    assert two.serve("anna", QUEUE, limit=3, now=0) == []


# Newcomers


def _new(store: Store, *names: str) -> None:
    store.projects.save("default", ProjectSettings(gold_share=0, repeat_share=0, newcomer_tasks=4), now=0)
    for rater in people(*names):
        store.register_rater(rater, now=0)


def test_one_person_alone_is_never_left_waiting_for_others(store: Store) -> None:
    _new(store, "anna")
    store.add_tasks([task(f"t{i}") for i in range(10)], now=0)
    while _serve_new(store, "anna", 3):
        pass
    assert store.counts(QUEUE) == Counts(10, 10)


def test_the_first_tasks_of_a_newcomer_are_tasks_of_others(store: Store) -> None:
    _new(store, "anna", "ben")
    settings = store.projects.get("default").settings
    store.projects.save("default", settings.model_copy(update={"random_share": 0.0}), now=0)
    store.add_tasks([task(f"t{i:02}") for i in range(40)], now=0)
    by_anna = {s.task.id for _ in range(4) for s in _serve_new(store, "anna", 3)}
    first = [s for _ in range(4) for s in _serve_new(store, "ben", 1)]
    later = _serve_new(store, "ben", 1)[0]
    assert {s.task.id for s in first} < by_anna
    assert [s.propensity for s in first] == pytest.approx([1 / 12, 1 / 11, 1 / 10, 1 / 9])
    assert later.task.id not in by_anna
    assert store.counts(QUEUE) == Counts(17, 44), "what was added was for ben"


def test_a_newcomers_tasks_are_judged_by_three_where_three_are_at_work(store: Store) -> None:
    _new(store, "anna", "ben", "cleo", "dora")
    store.add_tasks([task(f"t{i:02}") for i in range(40)], now=0)
    for rater in ("anna", "ben", "cleo"):
        _serve_new(store, rater, 3)
    served = store.serve("dora", QUEUE, limit=3, now=1)
    assert all(s.service == "normal" for s in served)
    while any(_serve_new(store, rater, 9) for rater in ("dora", "anna", "ben", "cleo")):
        pass
    raters = Counter(j.task_id for j in store.judgments(QUEUE))
    assert [raters[s.task.id] for s in served] == [3, 3, 3]
    assert store.open_tasks(QUEUE) == []


# Evaluations


def test_the_two_tasks_of_an_evaluation_pair_stay_opposites_for_every_rater(store: Store) -> None:
    store.projects.save("e", PLAIN, now=0)
    pairs = []
    for i in range(40):
        one = task(f"e{i}", purpose="evaluation", project="e")
        turned = one.model_copy(update={"id": f"e{i}-turned", "completions": one.completions[::-1]})
        pairs.append((one, turned))
    store.add_tasks([t for pair in pairs for t in pair], slots=2, now=0)
    turned_round = set()
    for rater in people("anna", "ben"):
        store.register_rater(rater, now=0)
        shown = {s.task.id: s.order for s in store.serve(rater.id, Queue("e", "evaluation"), limit=80, now=1)}
        for one, turned in pairs:
            assert shown[one.id] == shown[turned.id][::-1]
        turned_round.add(tuple(shown[one.id][0] == one.completions[0].id for one, _ in pairs))
    assert len(turned_round) == 1, "the same for every rater, so that each pair is seen in both orders"
    assert 8 < sum(turned_round.pop()) < 32, "a pair asked by one task only is shown either way round as often"


# Tasks made for one rater


def test_a_task_made_for_a_rater_is_theirs_alone(two: Store) -> None:
    chat = task("chat", kind="chat")
    served = two.add_task_for("anna", chat, now=1)
    assert served.task == chat
    again = two.add_task_for("anna", chat, now=2)
    assert _seen([again]) == _seen([served])
    assert two.serve("anna", QUEUE, limit=3, now=3) == []
    assert two.serve("ben", QUEUE, limit=3, now=3) == []
    assert two.claim("ben", QUEUE, now=3) == []
    assert two.counts(QUEUE) == Counts(0, 0), "nobody waits for it"
    assert two.submit(judgment(chat, "ben", "b"), now=4).status == "surplus", "the slot is anna's"
    assert two.submit(judgment(chat, "anna", "a"), token=served.token, now=5).status == "stored"
    assert two.counts(QUEUE) == Counts(1, 1)
