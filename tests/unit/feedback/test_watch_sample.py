"""The dashboard of a long queue reads a sample of what waits, and says nearly the same."""

from __future__ import annotations

import pytest
from store_samples import judgment, people, task

from assent.feedback import dashboard
from assent.feedback.dashboard import Watch
from assent.feedback.store import Store


def test_the_forecast_of_a_long_queue_goes_by_the_words_of_a_sample(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add_tasks([task(f"t{n}", answers=2 + n % 2) for n in range(40)], now=0)
    store.register_rater(people("anna")[0], now=0)
    for n in range(10):
        store.submit(judgment(task(f"t{n}", answers=2 + n % 2), "anna", f"j{n}", seconds=10.0), now=60.0 * n)
    whole = Watch(store, url).overview("default", now=600)
    monkeypatch.setattr(dashboard, "SAMPLE", 10)
    watch = Watch(store, url)
    part = watch.overview("default", now=600)
    assert len(watch._facts) == 20, "ten judged and ten of thirty that wait"
    assert whole.forecast.seconds_left is not None and part.forecast.seconds_left is not None
    assert part.forecast.seconds_left.estimate == pytest.approx(whole.forecast.seconds_left.estimate, rel=0.1)
    assert watch.facts(["t39"])["t39"].kind == "rank" and watch.facts(["nothing"]) == {}
