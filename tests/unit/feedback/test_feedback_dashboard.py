"""What a dashboard computes over a whole project: agreement per slice, pace, forecast, disputes, alarms, the curve."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from board_samples import judged, known, lettered_task, order, said, submitted

from assent.artifacts.store import FileEntry, Manifest, write_manifest
from assent.core.types import Comparison, Completion, Judgment, Prompt, Rater
from assent.feedback.dashboard import Watch, attribute_groups, plain
from assent.feedback.quality.agreement import (
    krippendorff_alpha,
    leave_one_out,
    mean_tau_b,
    pair_votes,
    pairwise_agreement,
)
from assent.feedback.quality.alarm import group_agreement
from assent.feedback.quality.ballots import Said, distance, hits, pair_values, tau_b, votes
from assent.feedback.quality.disputes import disputes
from assent.feedback.quality.forecast import forecast, pace
from assent.feedback.quality.slices import agreement, by_slice
from assent.feedback.records.queue import Queue
from assent.feedback.records.settings import ProjectSettings
from assent.feedback.runs import curve, folders_beside, made_in, touched
from assent.feedback.store import Store
from assent.stats.estimate import Estimate

HOUR = 3600.0


def _random_crowd(prompts: int, *, seed: int = 0) -> tuple[list[Said], list[Comparison]]:
    """Two to four raters, each with an order of three answers, some tied."""
    random = np.random.default_rng(seed)
    found, comparisons = [], []
    for n in range(prompts):
        prompt = Prompt.of(f"p{n}")
        orders = []
        for rater in range(int(random.integers(2, 5))):
            a, b, c = random.permutation(["a", "b", "c"])
            orders.append(
                said(prompt.id, f"r{rater}", f"{a} {random.choice(['>', '='])} {b} {random.choice(['>', '='])} {c}")
            )
        found += orders
        answers = tuple(Completion(prompt_id=prompt.id, text=x, id=x) for x in "abc")
        comparisons.append(
            Comparison(prompt=prompt, completions=answers, judgments=tuple(one.judgment for one in orders))
        )
    return found, comparisons


def test_the_numbers_are_those_of_the_slow_functions() -> None:
    """Agreement is summed per prompt so that prompts can be drawn again; the sums give the same figures."""
    ours, comparisons = _random_crowd(40)
    found = agreement(ours)
    assert found.alpha is not None and found.tau is not None and found.same is not None
    assert found.alpha.estimate == pytest.approx(krippendorff_alpha(pair_votes(comparisons)))
    assert found.tau.estimate == pytest.approx(mean_tau_b(comparisons))
    assert found.same.estimate == pytest.approx(pairwise_agreement(comparisons))
    slow = {(h.prompt_id, h.rater_id): 0.0 for h in leave_one_out(comparisons)}
    assert sum(h.value for h in hits(votes(ours))) == sum(h.hit for h in leave_one_out(comparisons)) and slow


def test_agreement_by_hand() -> None:
    """Of two prompts one is settled, on the other the two say the opposite: half the pairs, tau-b 0."""
    found = agreement(
        [said("p", "x", "a > b"), said("p", "y", "a > b"), said("q", "x", "a > b"), said("q", "y", "b > a")]
    )
    assert (found.prompts, found.raters) == (2, 2)
    assert found.same is not None and found.same.estimate == 0.5
    assert found.tau is not None and found.tau.estimate == 0
    assert found.alpha is not None and found.alpha.estimate == pytest.approx(1 / 8), "1 - 7 · 4 · 16 / (2 · 4 · 4 · 16)"


def test_nobody_shares_anything() -> None:
    found = agreement([said("p", "x", "a > b"), said("q", "y", "a > b")])
    assert (found.prompts, found.alpha, found.tau, found.same) == (0, None, None, None)


def test_slices_keep_settled_and_open_prompts_apart() -> None:
    facts, ours = {}, []
    for n in range(6):
        for language, second in (("de", "a > b"), ("ar", "b > a")):
            name = f"{language}{n}"
            facts[name] = known(name, language=language, number=str(n))
            ours += [said(name, "x", "a > b"), said(name, "y", second)]
    found = {(s.key, s.value): s.agreement.same for s in by_slice(ours, facts)}
    assert found.keys() == {("language", "ar"), ("language", "de")}, "two prompts per number are too few to say"
    assert {key: same.estimate for key, same in found.items() if same} == {("language", "de"): 1, ("language", "ar"): 0}


def test_tau_and_distance_by_hand() -> None:
    def pairs(text: str) -> dict[tuple[str, str], int]:
        return pair_values(order(text))

    assert tau_b(pairs("a > b > c"), pairs("b > a > c")) == pytest.approx(1 / 3)
    assert tau_b(pairs("a = b"), pairs("a > b")) is None
    assert distance(pairs("a > b > c"), pairs("b > a > c")) == pytest.approx(1 / 3)
    assert distance(pairs("a > b"), pairs("a = b")) == 0.5
    assert distance(pairs("a > b"), pairs("c > d")) is None


def test_pace_of_the_last_day() -> None:
    """One every half hour for six hours: two an hour; the oldest hour of 48 and the newest hold what they should."""
    now = 100 * HOUR
    rows = [submitted(f"t{i}", "ann", now - i * HOUR / 2 - 1, seconds=90.0) for i in range(12)]
    found = pace([*rows, submitted("s", "ann", now - 5, outcome="skipped")], now=now)
    assert found.last_hour == 2 and found.hours[-6:] == (2,) * 6 and sum(found.hours) == 12
    assert found.per_rater == {"ann": pytest.approx(40)}
    assert found.per_hour is not None and found.per_hour.estimate == pytest.approx(12 / 5.5, rel=0.01)


def test_the_first_minutes_are_not_taken_for_a_pace() -> None:
    """Three in the first minute are three in ten minutes, the least time a pace is read from."""
    now = 1000 * HOUR
    found = pace([submitted(f"t{i}", "ann", now - 10 * i) for i in range(3)], now=now)
    assert found.per_hour is not None and found.per_hour.estimate == pytest.approx(18)
    assert pace([], now=now).per_hour is None


def test_forecast_by_hand() -> None:
    """Ann takes 60 s and 120 s, Ben 90 s: 90 s each; 40 open at 20 an hour: 3,600 s, 20 in money."""
    rows = [
        submitted("t", "ann", 10.0),
        submitted("u", "ann", 20.0, seconds=120.0),
        submitted("v", "ben", 30.0, seconds=90.0),
    ]
    found = forecast(rows, open=40, now=HOUR, cost_per_hour=20)
    assert found.seconds_each is not None and found.seconds_each.estimate == pytest.approx(90)
    assert found.seconds_left is not None and found.seconds_left.estimate == pytest.approx(3600)
    assert found.cost is not None and found.cost.estimate == pytest.approx(20)
    assert found.spent == pytest.approx(1.5)
    assert found.finished_at is not None and found.finished_at.estimate == pytest.approx(HOUR + 40 / 3 * HOUR, rel=0.02)


def test_long_tasks_at_the_end_are_no_surprise() -> None:
    """One second a word so far; 500 words are open."""
    rows = [submitted("t", "ann", 10.0, seconds=30.0), submitted("t", "ben", 10.0, seconds=30.0)]
    found = forecast(rows, open=1, now=HOUR, words={"t": 30}, open_words=500)
    assert found.seconds_left is not None and found.seconds_left.estimate == pytest.approx(500)


def test_unknown_times_give_no_forecast() -> None:
    found = forecast([submitted("t", "ann", 10.0, seconds=None)], open=3, now=HOUR, cost_per_hour=20)
    assert (found.seconds_each, found.cost) == (None, None)
    assert forecast([], open=3, now=HOUR).finished_at is None


def test_disputes_come_worst_first_and_leave_with_a_decision() -> None:
    facts = {name: known(name) for name in "tuvw"}
    judgments = [
        *(judged("t", r, o) for r, o in (("x", "a > b"), ("y", "b > a"))),
        *(judged("u", r, o) for r, o in (("x", "a > b"), ("y", "a = b"))),
        *(judged("v", r, "a > b") for r in ("x", "y")),
        judged("w", "x", "a > b", flags={"a": ("unsafe",)}),
        judged("w", "y", "a > b"),
        judged("w", "z", None, skip_reason="tired"),
    ]
    found = disputes(judgments, facts)
    assert [(d.task_id, d.distance) for d in found] == [("t", 1.0), ("w", 0.0), ("u", 0.5)]
    assert found[1].split_flags == ("unsafe",) and found[1].raters == 2, "who skipped has no opinion"
    assert [d.task_id for d in disputes(judgments, facts, decided={"t", "w"})] == ["u"]


def test_a_second_look_is_no_second_rater() -> None:
    facts = {"t": known("t", prompt="p"), "t~2": known("t~2", prompt="p")}
    assert disputes([judged("t", "x", "a > b"), judged("t~2", "x", "b > a")], facts) == []


def _region(own: dict[str, str], *, prompts: int = 60) -> tuple[list[Said], dict[str, str]]:
    """Six raters of the north who agree, and four of the south who say of prompt n what `own` says of n's parity."""
    groups = {f"n{i}": "north" for i in range(6)} | {f"s{i}": "south" for i in range(4)}
    found = []
    for n in range(prompts):
        found += [said(f"p{n}", rater, "a > b") for rater, group in groups.items() if group == "north"]
        for i in range(4):
            found.append(said(f"p{n}", f"s{i}", own["even" if (n * 7 + i * n) % 2 == 0 else "odd"]))
    return found, groups


def test_a_region_of_other_taste_is_named_as_such() -> None:
    ours, groups = _region({"even": "b > a", "odd": "b > a"})
    found = {g.group: g for g in group_agreement(ours, groups, key="region")}
    south = found["south"]
    assert south.alarm == "other_taste"
    assert south.inside is not None and south.outside is not None and south.rest is not None
    assert (south.inside.estimate, south.outside.estimate, south.rest.estimate) == (1, 0, 1)
    assert found["north"].alarm is None, "the larger group is not the one that would be marked down"


def test_careless_people_elsewhere_do_not_hide_another_taste() -> None:
    """Half of the north guesses: the rest is no longer at one, and the south still stands apart."""
    ours, groups = _region({"even": "b > a", "odd": "b > a"})
    guessing = {"n0", "n1", "n2"}
    mixed = [
        said(one.prompt_id, one.rater_id, "b > a") if one.rater_id in guessing and int(one.prompt_id[1:]) % 2 else one
        for one in ours
    ]
    assert {g.group: g.alarm for g in group_agreement(mixed, groups, key="region")}["south"] == "other_taste"


def test_a_region_at_odds_with_itself_has_misread_something() -> None:
    groups = {f"n{i}": "north" for i in range(6)} | {f"s{i}": "south" for i in range(4)}
    ours = [said(f"p{n}", r, "a > b") for n in range(60) for r, g in groups.items() if g == "north"]
    ours += [said(f"p{n}", f"s{i}", "a > b" if (n + i) % 2 else "b > a") for n in range(60) for i in range(4)]
    found = {g.group: g.alarm for g in group_agreement(ours, groups, key="region")}
    assert found["south"] == "misread"


def test_regions_alike_raise_no_alarm_and_small_ones_are_not_looked_at() -> None:
    ours, groups = _region({"even": "a > b", "odd": "a > b"})
    assert [g.alarm for g in group_agreement(ours, groups, key="region")] == [None, None]
    pair = {rater: "pair" if rater in ("s0", "s1") else "rest" for rater in groups}
    assert [g.group for g in group_agreement(ours, pair, key="region")] == ["rest"]
    assert group_agreement(ours, dict.fromkeys(groups, "one"), key="region") == []


def test_chance_raises_few_alarms() -> None:
    """Random groups of random raters: an alarm wants intervals apart, so it is rarer than one in twenty."""
    random = np.random.default_rng(1)
    raised = 0
    for _ in range(40):
        groups = {f"r{i}": "ab"[i % 2] for i in range(8)}
        ours = [
            said(f"p{n}", rater, "a > b" if random.random() < 0.75 else "b > a") for n in range(40) for rater in groups
        ]
        raised += any(g.alarm for g in group_agreement(ours, groups, key="k"))
    assert raised <= 3


def test_a_group_that_falls_off_is_noticed() -> None:
    """Four raters agree on the first forty prompts and guess on the last forty, with the others unchanged."""
    groups = {f"n{i}": "north" for i in range(6)} | {f"s{i}": "south" for i in range(4)}
    ours, at = [], {}
    for n in range(80):
        for rater, group in groups.items():
            flips = group == "south" and n >= 40 and (n + int(rater[1])) % 4 == 0
            one = said(f"p{n:02}", rater, "b > a" if flips else "a > b")
            ours.append(one)
            at[one.judgment.id] = float(n)
    south = {g.group: g for g in group_agreement(ours, groups, key="region", at=at)}["south"]
    assert south.change is not None and south.change.estimate == pytest.approx(-0.25)
    assert south.alarm in ("fell", "misread", "other_taste")
    north = {g.group: g for g in group_agreement(ours, groups, key="region", at=at)}["north"]
    assert north.alarm is None


Inputs = dict[str, str | tuple[str, ...]]


def _artifact(folder: Path, kind: str, key: str, inputs: Inputs, created: str, **notes: object) -> None:
    named: dict[str, str] = {"kind": kind, "key": key, "stage": kind, "created": created}
    (folder / f"{kind}-{key}").mkdir(parents=True)
    write_manifest(folder / f"{kind}-{key}", Manifest(**named, version=1, config={}, inputs=inputs, notes=notes))


def _two_rounds(folder: Path) -> None:
    accuracy = {"estimate": 0.7, "low": 0.6, "high": 0.8}
    for n in (1, 2):
        _artifact(folder, "samples", f"s{n}", {}, f"2026-01-0{n}")
        earlier = {"earlier": "j1"} if n == 2 else {}
        _artifact(
            folder,
            "judgments",
            f"j{n}",
            {"samples": f"s{n}", **earlier},
            f"2026-01-0{n}",
            judgments=100 * n,
            snapshot=f"h{n}",
        )
        _artifact(
            folder, "reward", f"r{n}", {"judgments": f"j{n}"}, f"2026-01-0{n}", heldout_accuracy=accuracy, held_out=40
        )
        _artifact(folder, "policy", f"p{n}", {"reward": f"r{n}"}, f"2026-01-0{n}")


def test_the_curve_has_a_point_per_reward_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _two_rounds(tmp_path / "artifacts")
    (tmp_path / "artifacts" / "reward-broken").mkdir()
    (tmp_path / "artifacts" / "reward-broken" / "manifest.json").write_text("{half")
    made = made_in(folders_beside(f"sqlite:///{tmp_path}/feedback.db"))
    assert [(p.judgments, p.accuracy.estimate, p.accuracy.n) for p in curve(made)] == [(100, 0.7, 40), (200, 0.7, 40)]
    assert [p.judgments for p in curve(made, project="samples-s1")] == [100, 200], "round two learns from both"
    assert [p.judgments for p in curve(made, project="samples-s2")] == [200]
    monkeypatch.chdir(tmp_path)
    there = made_in(folders_beside("postgresql://somewhere/db"))
    assert [one.name for one in there] == [one.name for one in made], "a database server stands beside no folder"


def test_erasing_names_everything_that_rests_on_a_snapshot(tmp_path: Path) -> None:
    _two_rounds(tmp_path / "artifacts")
    made = made_in([tmp_path / "artifacts"])
    assert [m.name for m in touched(made, {"h2"})] == ["judgments-j2", "policy-p2", "reward-r2"]
    assert {m.name for m in touched(made, {"h1"})} == {
        f"{k}{n}" for k in ("judgments-j", "reward-r", "policy-p") for n in (1, 2)
    }
    assert touched(made, set()) == []


def test_what_a_list_of_inputs_touches_is_named_too(tmp_path: Path) -> None:
    _artifact(tmp_path, "judgments", "j1", {}, "2026-01-01", snapshot="h1")
    _artifact(tmp_path, "judgments", "j2", {}, "2026-01-01", snapshot="h2")
    _artifact(tmp_path, "reward", "both", {"judgments": ("j1", "j2")}, "2026-01-02")
    made = made_in([tmp_path])
    assert made[-1].manifest.parents == {"judgments[0]": "j1", "judgments[1]": "j2"}
    assert [m.name for m in touched(made, {"h2"})] == ["judgments-j2", "reward-both"]


def test_looking_at_what_was_made_opens_no_weights(tmp_path: Path) -> None:
    _artifact(tmp_path, "policy", "p1", {}, "2026-01-01")
    manifest = made_in([tmp_path])[0].manifest
    entry = FileEntry(size=10**12, sha256="0" * 64)  # weights that are not even there
    write_manifest(tmp_path / "policy-p1", manifest.model_copy(update={"files": {"weights": entry}}))
    assert [m.key for m in made_in([tmp_path])] == ["p1"]


def test_the_api_calls_the_number_of_an_estimate_its_value() -> None:
    found = Estimate(estimate=0.5, low=-math.inf, high=1.0, n=3)
    assert plain({"share": found}) == {"share": {"value": 0.5, "low": None, "high": 1.0, "n": 3}}


def test_groups_come_from_what_raters_say_of_themselves() -> None:
    raters = [
        Rater(id="x", kind="person", attributes={"region": "north", "language": "de", "hobby": "chess"}),
        Rater(id="y", kind="person", attributes={"region": "south", "language": "ar"}),
    ]
    assert list(attribute_groups(raters)) == ["language", "region"], "one value groups nobody"


def test_a_watch_reads_again_only_after_something_was_submitted(store: Store, tmp_path: Path) -> None:
    task = lettered_task("t")
    store.projects.save("default", ProjectSettings(cost_per_hour=30.0), now=0)
    store.add_tasks([task], slots=2, now=0)
    for name in ("ann", "ben"):
        store.register_rater(Rater(id=name, kind="person"), now=0)
    watch = Watch(store, f"sqlite:///{tmp_path}/none.db", rest=0.0)
    first = watch.overview("default", now=10)
    assert (first.counts.have, first.counts.need, first.raters) == (0, 2, [])
    for name, text in (("ann", "t-a > t-b"), ("ben", "t-b > t-a")):
        claim = store.claim(name, Queue(), now=11)[0]
        judgment = Judgment(task_id="t", rater_id=name, id=name, ranking=order(text), seconds=60.0)
        store.submit(judgment, token=claim.token, now=12)
    second = watch.overview("default", now=20)
    assert second.counts.have == 2 and [d.task_id for d in second.disputes] == ["t"]
    assert second.forecast.spent == pytest.approx(1.0)
    store.projects.adjudicate("t", "ann", order("t-a > t-b"), "clear", now=21)
    third = watch.overview("default", now=22)
    assert third.disputes == [] and third.decided == 1
    assert json.dumps(plain(third), allow_nan=False)


def test_json_holds_no_infinity() -> None:
    assert plain({"x": (math.inf, 1.5, float("nan"))}) == {"x": [None, 1.5, None]}
