"""The page's pure modules, each by itself: weak orders, honest time, coverage, history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium_rater import Service

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def blank(chromium: Any, service: Service) -> Iterator[Any]:
    """A page of the service with nothing on it, from which modules can be imported."""
    page = chromium.new_page()
    page.goto(f"{service.url}/static/icon.svg")
    yield page
    page.close()


def run(page: Any, module: str, body: str) -> Any:
    """The value of a function body that is given a module as `m`."""
    return page.evaluate(f"async () => {{ const m = await import('/static/{module}.js'); {body} }}")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("m.append(o, 'd')", "a > b = c > d"),
        ("m.insert(o, 'd', 0)", "d > a > b = c"),
        ("m.insert(o, 'd', 1)", "a > d > b = c"),
        ("m.join(o, 'd', 0)", "a = d > b = c"),
        ("m.join(o, 'a', 1)", "b = c = a"),
        ("m.insert(o, 'a', 2)", "b = c > a"),
        ("m.insert(o, 'c', 0)", "c > a > b"),
        ("m.remove(o, 'a')", "b = c"),
        ("m.raise(o, 'c')", "a > c > b"),
        ("m.raise(m.raise(o, 'c'), 'c')", "c > a > b"),
        ("m.raise(o, 'a')", "a > b = c"),
        ("m.lower(o, 'a')", "b = c > a"),
        ("m.lower(o, 'b')", "a > c > b"),
        ("m.lower(m.lower(o, 'b'), 'b')", "a > c > b"),
        ("m.tieAbove(o, 'b')", "a = b = c"),
        ("m.tieAbove(o, 'a')", "a > b = c"),
        ("m.appendTied(o, ['d', 'e'])", "a > b = c > d = e"),
    ],
)
def test_a_weak_order_changes_as_it_says(blank: Any, steps: str, said: str) -> None:
    assert (
        run(
            blank,
            "order",
            f"const o = {{ tiers: [['a'], ['b', 'c']], strengths: [2] }};"
            f"const next = {steps};"
            "if (next.strengths.length !== next.tiers.length - 1) throw new Error('strengths do not fit');"
            "return m.sentence(next, id => id);",
        )
        == said
    )


def test_a_strength_stays_with_the_two_tiers_it_was_said_about(blank: Any) -> None:
    kept = run(
        blank,
        "order",
        "const o = { tiers: [['a'], ['b'], ['c'], ['d']], strengths: [1, 2, 3] };"
        "return [m.remove(o, 'd'), m.remove(o, 'b'), m.insert(o, 'e', 1), m.join(o, 'd', 0), m.tieAbove(o, 'd')]"
        ".map(order => order.strengths);",
    )
    assert kept == [[1, 2], [None, 3], [None, None, 2, 3], [None, 2], [1, None]]


def test_a_strength_runs_from_unsaid_to_four(blank: Any) -> None:
    up = "let s = null; const seen = []; for (const step of [1, 1, 1, 1, 1, -1, -1, -1, -1, -1]) "
    assert run(blank, "order", up + "seen.push(s = m.stepped(s, step)); return seen;") == [
        *(1, 2, 3, 4, 4),
        *(3, 2, 1, None, None),
    ]


def test_time_runs_while_the_page_is_in_use_and_half_a_minute_longer(blank: Any) -> None:
    seconds = run(
        blank,
        "timer",
        """
        let now = 0;
        const time = new m.ActiveTime(() => now);
        const seen = [];
        const at = (ms, act) => { now = ms; act?.(); seen.push(time.seconds); };
        at(10_000);                              // 10 s after the page came: nobody has moved, but may be reading
        at(20_000, () => time.used());           // 20
        at(45_000);                              // 45
        at(120_000);                             // 20 + 30 = 50: asleep since
        at(130_000, () => time.used());          // back
        at(135_000, () => time.awake(false));    // another window
        at(900_000, () => time.awake(true));
        at(901_000);
        return [...seen, time.pauses];
        """,
    )
    assert seconds == [10, 20, 45, 50, 50, 55, 55, 56, 2]


def test_time_of_one_answer_is_not_time_of_another(blank: Any) -> None:
    of = run(
        blank,
        "timer",
        """
        let now = 0;
        const time = new m.ActiveTime(() => now);
        time.reads("a"); now = 4_000;
        time.reads("b"); now = 5_000; time.used();
        time.reads(null); now = 9_000;
        time.reads("a"); now = 60_000;
        time.resume({ seconds: 100, of: { b: 7 }, pauses: 1 });
        return [time.bySubject(), time.seconds, time.pauses];
        """,
    )
    assert of == [{"a": 4 + 26, "b": 1 + 7}, 135, 2]


def test_coverage_is_the_part_that_was_on_the_screen(blank: Any) -> None:
    seen = run(
        blank,
        "timer",
        """
        const c = new m.Coverage();
        const look = (scrollTop, clientHeight, scrollHeight) => {
          c.look({ scrollTop, clientHeight, scrollHeight });
          return c.seen;
        };
        return [look(0, 100, 400), look(100, 100, 400), look(0, 100, 400), look(0, 0, 400), look(0, 100, 100)];
        """,
    )
    assert seen == [0.25, 0.5, 0.5, 0.5, 1]


def test_history_takes_bursts_of_typing_as_one_step(blank: Any) -> None:
    seen = run(
        blank,
        "history",
        """
        const h = new m.History("");
        h.go("1"); h.go("1a", "note"); h.go("1ab", "note"); h.settle(); h.go("1abc", "note"); h.go("2");
        const kept = m.History.from(JSON.parse(JSON.stringify(h.toDraft())), "");
        const seen = [];
        do seen.push(kept.present); while (kept.undo());
        return [seen, kept.canUndo, h.go("2")];
        """,
    )
    assert seen == [["2", "1abc", "1ab", "1", ""], False, False]


def test_an_outbox_keeps_order_waits_and_sends_the_same_bytes(blank: Any) -> None:
    sent = run(
        blank,
        "outbox",
        """
        const kept = new Map();
        const storage = {
          get length() { return kept.size; }, key: i => [...kept.keys()][i], getItem: k => kept.get(k) ?? null,
          setItem: (k, v) => kept.set(k, v), removeItem: k => kept.delete(k),
        };
        const bodies = [];
        const refusals = [{ status: 0, isPassing: true }, { status: 422, isPassing: false, message: "no" }];
        const post = async body => {
          bodies.push(JSON.parse(body).id);
          if (refusals.length) throw refusals.shift();
        };
        const box = new m.Outbox(storage, "anna", post, () => {});
        box.add({ id: "one", task_id: "t1" });
        box.add({ id: "two", task_id: "t2" });
        await new Promise(done => setTimeout(done, 50));
        const again = new m.Outbox(storage, "anna", post, () => {});      // the page was closed meanwhile
        const other = new m.Outbox(storage, "bert", post, () => {});
        await again.send();
        return [bodies, again.refused.map(e => [e.id, e.refused.what]), other.waiting.length, [...kept.keys()]];
        """,
    )
    assert sent == [["one", "one", "two"], [["one", "no"]], 0, ["assent.outbox.anna.one"]]
