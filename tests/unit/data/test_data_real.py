"""Facts about public data sets: every row is read, and known baselines come out again."""

from __future__ import annotations

import pytest

from assent.data.config import Source
from assent.data.inspect import Share, longer_wins
from assent.data.load import load_comparisons, load_conversations
from assent.data.splits import split


def test_dolly(shared_data):
    items, report = load_conversations([Source(path=shared_data("dolly_15k"))])
    assert len(items) == 13_493 and report.num_bad == 0
    assert items[1].messages[0].content == "Which is a species of fish? Tope or Rope"
    assert items[1].messages[1].content == "Tope"
    sides = split(items, {"train": 0.95, "heldout": 0.05}, seed=0)
    prompts = [{c.messages[0].content for c in sides[name]} for name in ("train", "heldout")]
    assert not prompts[0] & prompts[1]


def test_hh_harmless(shared_data, tmp_path):
    """Four replies are empty in the source; all other 1,832 of 1,836 pairs are read."""
    source = Source(path=shared_data("hh_harmless_base_test"), skip_bad=True)
    items, report = load_comparisons([source], quarantine=tmp_path / "bad.jsonl")
    assert (len(items), report.num_bad) == (1832, 4)
    assert [row.error.line for row in report.parts[0].bad] == [64, 406, 729, 880]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 4
    assert round(longer_wins(items).value or 0, 2) == 0.44


@pytest.mark.slow
def test_ukp_convarg1(shared_data):
    items, report = load_comparisons([Source(path=shared_data("ukp_convarg1"))])
    assert len(items) == 12_935 and report.num_bad == 0
    votes = [judgment for item in items for judgment in item.judgments]
    # 12,795 pairs with five votes and 140 with four.
    assert len(votes) == 12_795 * 5 + 140 * 4 and all(vote.ranking and vote.critique is not None for vote in votes[:50])
    assert sum(len(vote.ranking.tiers) == 1 for vote in votes if vote.ranking) == 14_783
    # The source's baseline is on its gold labels: the longer argument wins 75%.
    wins = total = 0
    for item in items:
        one, other = (len(c.text) for c in item.completions)
        if item.meta["gold"] in ("a1", "a2") and one != other:
            total += 1
            wins += (one > other) == (item.meta["gold"] == "a1")
    assert round(Share(wins, total).value or 0, 2) == 0.75
    # On plain majorities, which we use, it is a little less.
    assert round(longer_wins(items).value or 0, 2) == 0.72
    # Both stances of a debate stay on one side.
    sides = split(items, {"train": 0.8, "heldout": 0.2}, seed=0)
    titles = [{i.prompt.text.split("\n")[0] for i in sides[name]} for name in ("train", "heldout")]
    assert not titles[0] & titles[1]


def test_oasst(shared_data):
    folder = shared_data("oasst_en_100_trees")
    trees, groups = (
        load_comparisons([Source(path=folder / name)])[0] for name in ("trees.jsonl.gz", "ranked_replies.jsonl.gz")
    )
    assert len(trees) == len(groups) == 160
    by_task = {item.judgments[0].task_id: item for item in trees}
    for item in groups:
        tree = by_task[item.judgments[0].task_id]
        assert tree.prompt == item.prompt and tree.judgments == item.judgments
    sizes = [len(item.completions) for item in groups]
    assert {k: sizes.count(k) for k in set(sizes)} == {2: 45, 3: 87, 4: 21, 5: 1, 6: 5, 9: 1}
    assert round(longer_wins(groups).value or 0, 2) == 0.71
    best, _ = load_conversations([Source(path=folder / "ranked_replies.jsonl.gz")])
    assert len(best) == 160 and all(item.messages[-1].role == "assistant" for item in best)
