"""Who among some raters has given judgments to learn from."""

from __future__ import annotations

from store_samples import judgment, people, task

from assent.feedback.store import Store


def test_evaluators_who_gave_training_labels_are_known(store: Store) -> None:
    for rater in people("anna", "ben", "cleo"):
        store.register_rater(rater, now=0.0)
    first, second, pair = task("one"), task("two"), task("pair", purpose="evaluation", project="ab")
    store.add_tasks([first, second, pair], slots=3, now=1.0)
    store.submit(judgment(first, "anna", "j1"), now=2.0)
    store.submit(judgment(second, "ben", "j2", ranking=None, skip_reason="unclear"), now=3.0)
    for n, rater in enumerate(("anna", "ben", "cleo")):
        store.submit(judgment(pair, rater, f"e{n}"), now=4.0)
    assert store.trainers({"anna", "ben", "cleo"}) == {"anna"}, "a skip teaches nothing, an evaluation neither"
    assert store.trainers({"ben", "nobody"}) == set() == store.trainers(set())
