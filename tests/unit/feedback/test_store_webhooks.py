"""Webhooks in the store: each crossing is noticed once, by one of many processes; its message is kept until sent."""

from __future__ import annotations

import hashlib
import hmac
import multiprocessing
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from store_samples import judgment, people, task

from assent.core.errors import StoreError
from assent.core.types import Ranking
from assent.feedback import webhooks
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.records.webhooks import Hook, Webhook, signature
from assent.feedback.store import Store
from assent.feedback.webhooks import CHECK_SECONDS, PAUSES, SEND_SECONDS

URL = "https://example.org/hook"
LATER = 100.0


def _judge(store: Store, count: int, *, start: int = 0, raters: tuple[str, ...] = ("anna",)) -> None:
    tasks = [task(f"t{n}") for n in range(start, start + count)]
    store.add_tasks(tasks, slots=len(raters), now=0)
    for rater in people(*raters):
        store.register_rater(rater, now=0)
        for one in tasks:
            store.submit(judgment(one, rater.id, f"{rater.id}-{one.id}"), now=1)


def _disagree(store: Store, numbers: Iterable[int], *, now: float) -> None:
    """Anna and Ben rank two answers to each of these prompts, Ben the other way round."""
    for n in numbers:
        one = task(f"t{n}")
        store.add_tasks([one], slots=2, now=0)
        store.submit(judgment(one, "anna", f"a{n}"), now=now)
        ids = [c.id for c in one.completions]
        store.submit(judgment(one, "ben", f"b{n}", ranking=Ranking(tiers=((ids[1],), (ids[0],)))), now=now)


def _hook(store: Store, event: str, **fields: Any) -> Webhook:
    if event != "erased":
        fields = {"project": "default", **fields}
    return store.webhooks.add(Hook(URL, event, **fields), now=2).kept  # type: ignore[arg-type]


def _payloads(store: Store, hook: Webhook) -> list[dict[str, Any]]:
    return [one.payload for one in store.webhooks.deliveries(hook.id)]


def test_the_number_of_judgments_is_told_once_when_it_is_reached(store: Store) -> None:
    _judge(store, 4)
    hook = _hook(store, "judgments", threshold=5)
    assert store.webhooks.notice(now=LATER) == 0
    _judge(store, 2, start=4)
    assert [store.webhooks.notice(now=LATER * n) for n in range(2, 6)] == [1, 0, 0, 0]
    assert _payloads(store, hook) == [
        {
            "event": "judgments",
            "webhook": hook.id,
            "at": 2 * LATER,
            "project": "default",
            "purpose": "reward",
            "judgments": 6,
            "threshold": 5,
        }
    ]


def test_a_condition_is_not_looked_at_more_often_than_every_few_seconds(store: Store) -> None:
    _judge(store, 1)
    _hook(store, "judgments", threshold=2)
    store.webhooks.notice(now=LATER)
    _judge(store, 1, start=1)
    assert store.webhooks.notice(now=LATER + CHECK_SECONDS / 2) == 0
    assert store.webhooks.notice(now=LATER + CHECK_SECONDS) == 1


def test_a_project_is_finished_again_after_more_tasks_came(store: Store) -> None:
    store.projects.save("default", ProjectSettings(), now=0)
    hook = _hook(store, "finished")
    assert store.webhooks.notice(now=LATER) == 0  # a project without tasks is not finished
    _judge(store, 2)
    assert store.webhooks.notice(now=2 * LATER) == 1
    store.add_tasks([task("more")], now=0)
    assert store.webhooks.notice(now=3 * LATER) == 0
    store.submit(judgment(task("more"), "anna", "more"), now=1)
    assert store.webhooks.notice(now=4 * LATER) == 1
    assert [p["slots"] for p in _payloads(store, hook)] == [3, 2]


def test_agreement_below_the_threshold_is_told(store: Store) -> None:
    _judge(store, 3, raters=("anna", "ben"))
    hook = _hook(store, "agreement", threshold=0.5)
    assert store.webhooks.notice(now=LATER) == 0  # alpha is 1
    _disagree(store, range(3, 6), now=1)
    assert store.webhooks.notice(now=2 * LATER) == 1
    (payload,) = _payloads(store, hook)
    # 3 of 6 pairs agree in both directions, half of all votes on either side: alpha = 1 - (1/2) / (12/23) = 1/24.
    assert payload["agreement"] == pytest.approx(1 / 24) and payload["threshold"] == 0.5
    assert (payload["rankings"], payload["is_newest_only"]) == (12, False)


def test_agreement_of_a_long_project_is_that_of_the_tasks_judged_last(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "NEWEST", 4)
    _judge(store, 3, raters=("anna", "ben"))  # all agree
    hook = _hook(store, "agreement", threshold=0.5)
    assert store.webhooks.notice(now=LATER) == 0
    _disagree(store, range(3, 5), now=2)
    assert store.webhooks.notice(now=2 * LATER) == 1
    (payload,) = _payloads(store, hook)
    # 2 pairs, all votes against each other: alpha = 1 - 1 / (4/7) = -3/4. Over all five tasks it would be above 1/24.
    assert payload["agreement"] == pytest.approx(-3 / 4)
    assert (payload["rankings"], payload["is_newest_only"]) == (4, True)


def test_an_erased_rater_is_told_without_their_name(store: Store) -> None:
    _judge(store, 2, raters=("anna", "ben"))
    snapshot = store.snapshot("monday", Queue(), now=1)
    hook = _hook(store, "erased")
    erasure = store.erase_rater("anna", now=50)
    assert [store.webhooks.notice(now=LATER), store.webhooks.notice(now=2 * LATER)] == [1, 0]
    (payload,) = _payloads(store, hook)
    assert payload["rater"] == erasure.tombstone and payload["judgments"] == 2
    assert payload["snapshots"] == [{"name": "monday", "hash": snapshot.hash}]
    assert "anna" not in str(payload)


def test_an_erasure_before_the_webhook_was_made_is_not_told(store: Store) -> None:
    _judge(store, 1)
    store.erase_rater("anna", now=1)
    _hook(store, "erased")
    assert store.webhooks.notice(now=LATER) == 0


def _run(work: Callable[[str, Any], None], url: str, count: int) -> list[Any]:
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=work, args=(url, results)) for _ in range(count)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    return found


def _notice_often(url: str, results: Any) -> None:
    with Store.open(url) as store:
        results.put(sum(store.webhooks.notice(now=1000.0 + CHECK_SECONDS * n) for n in range(8)))


def _claim_often(url: str, results: Any) -> None:
    with Store.open(url) as store:
        results.put([m.delivery.id for _ in range(8) for m in store.webhooks.claim(limit=3, now=5000.0)])


def test_many_processes_notice_and_send_each_crossing_once(url: str) -> None:
    with Store.open(url) as store:
        _judge(store, 3)
        for _ in range(4):
            _hook(store, "judgments", threshold=3)
        _hook(store, "finished")
    assert sum(_run(_notice_often, url, 5)) == 5
    claimed = [one for each in _run(_claim_often, url, 5) for one in each]
    assert len(claimed) == 5 and len(set(claimed)) == 5


def test_a_message_is_tried_again_with_growing_pauses_and_then_given_up(store: Store) -> None:
    _judge(store, 1)
    hook = _hook(store, "judgments", threshold=1)
    store.webhooks.notice(now=LATER)
    now = LATER
    for pause in PAUSES:
        (message,) = store.webhooks.claim(now=now)
        store.webhooks.settle(message.delivery.id, status=500, problem="HTTP 500", now=now)
        assert store.webhooks.claim(now=now + pause - 0.1) == []
        now += pause
    (message,) = store.webhooks.claim(now=now)
    assert message.delivery.attempts == len(PAUSES) + 1
    store.webhooks.settle(message.delivery.id, status=None, problem="no answer", now=now)
    assert store.webhooks.claim(now=now + 10**9) == []
    (delivery,) = store.webhooks.deliveries(hook.id)
    assert (delivery.gave_up_at, delivery.next_at, delivery.problem) == (now, None, "no answer")


def test_a_message_of_a_process_that_died_is_sent_by_another(store: Store) -> None:
    _judge(store, 1)
    _hook(store, "judgments", threshold=1)
    store.webhooks.notice(now=LATER)
    assert len(store.webhooks.claim(now=LATER)) == 1
    assert store.webhooks.claim(now=LATER + SEND_SECONDS - 1) == []
    (again,) = store.webhooks.claim(now=LATER + SEND_SECONDS)
    store.webhooks.settle(again.delivery.id, status=204, problem=None, now=LATER + SEND_SECONDS)
    assert store.webhooks.claim(now=LATER + 10**9) == []


def test_the_secret_is_told_once(store: Store) -> None:
    _judge(store, 1)
    made = store.webhooks.add(Hook(URL, "judgments", "default", threshold=1), now=0)
    assert made.token.startswith("whsec_") and len(made.token) > 40
    assert made.token not in repr(store.webhooks.all()) and made.token not in repr(made.kept)
    store.webhooks.notice(now=LATER)
    assert made.token not in repr(store.webhooks.deliveries(made.kept.id))


def test_a_removed_webhook_takes_its_messages_along(store: Store) -> None:
    _judge(store, 1)
    hook = _hook(store, "judgments", threshold=1)
    store.webhooks.notice(now=LATER)
    (message,) = store.webhooks.claim(now=LATER)
    assert [store.webhooks.remove(hook.id), store.webhooks.remove(hook.id)] == [True, False]
    store.webhooks.settle(message.delivery.id, status=200, problem=None, now=LATER)
    assert store.webhooks.all() == [] and store.webhooks.deliveries(hook.id) == []


@pytest.mark.parametrize(
    ("hook", "message"),
    [
        (Hook(URL, "judgments", "default"), "needs a threshold"),
        (Hook(URL, "finished", "default", threshold=1), "has no threshold"),
        (Hook(URL, "finished"), "needs a project"),
        (Hook(URL, "erased", "default"), "is told for all projects"),
        (Hook(URL, "judgments", "default", threshold=0), "never crossed"),
        (Hook(URL, "agreement", "default", threshold=60), "runs from -1 to 1"),
        (Hook(URL, "finished", "nowhere"), "project 'nowhere' is not in the store"),
    ],
)
def test_a_webhook_that_could_never_fire_is_refused(store: Store, hook: Hook, message: str) -> None:
    store.add_tasks([task("t")], now=0)
    with pytest.raises(StoreError, match=message):
        store.webhooks.add(hook, now=0)
    assert store.webhooks.all() == []


def test_signatures_bind_time_and_body() -> None:
    expected = hmac.new(b"key", b"1700000000." + b"{}", hashlib.sha256).hexdigest()
    assert signature("key", b"{}", at=1700000000) == f"t=1700000000,v1={expected}"
    others = {signature("key", b"{}", at=1700000001), signature("key", b"{ }", at=1700000000)}
    assert len({*others, signature("other", b"{}", at=1700000000), f"t=1700000000,v1={expected}"}) == 4
