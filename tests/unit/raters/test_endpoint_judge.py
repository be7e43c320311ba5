"""A judge behind an address that behaves badly: nothing lost, nothing double, no key anywhere, no limit passed."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assent.core.errors import ConfigError, UserError
from assent.core.types import Completion, Judgment, Prompt, Rater, Task
from assent.feedback.records.queue import Queue
from assent.feedback.store import Store
from assent.raters.asking import Asking, load_prompts
from assent.raters.collect import collect
from assent.raters.config import AutoraterConfig, EndpointJudgeConfig
from assent.raters.endpoint import SILENT, EndpointJudge
from assent.raters.endpoint_cache import ReplyCache
from assent.raters.endpoint_client import EndpointClient, key_of
from assent.raters.margins import pairs_in
from assent.raters.panel import Panel
from assent.raters.rater import JudgingStoppedError
from assent.raters.rubric import Rubric

ROOT = Path(__file__).parents[3]
if TYPE_CHECKING:
    from benchmarks.hostile_endpoint import Hostile, hostile
else:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from hostile_endpoint import Hostile, hostile

    sys.path.remove(str(ROOT / "benchmarks"))

KEY = "sk-never-to-be-written-anywhere-1234567890"
QUEUE = Queue()


def tasks(number: int, answers: int = 2) -> list[Task]:
    """Tasks whose answers have other lengths, but for every seventh, where two are as long."""
    made = []
    for n in range(number):
        prompt = Prompt.of(f"question {n}")
        lengths = [7 + (n * 5 + k * 3) % 11 for k in range(answers)]
        if n % 7 == 0:
            lengths[1] = lengths[0]
        texts = [f"{chr(97 + k)}" * length for k, length in enumerate(lengths)]
        completions = tuple(Completion(prompt_id=prompt.id, text=t, id=f"{n}/{k}") for k, t in enumerate(texts))
        made.append(Task(id=f"t{n:03}", prompt=prompt, completions=completions))
    return made


def judge(url: str, cache: Path | None = None, *, mode: str = "pairwise", **settings: Any) -> EndpointJudge:
    backend = {"kind": "endpoint", "base_url": url, "model": "judge", "timeout": 1.0, "retries": 8, **settings}
    config = AutoraterConfig.parse({"backend": backend, "mode": mode, "rationale": True})
    assert isinstance(config.backend, EndpointJudgeConfig)
    asking = Asking(Rubric.load("hhh"), load_prompts("plain"))
    versions = {"rubric": asking.rubric.hash}
    client = EndpointClient(config.backend, KEY, ReplyCache(cache), versions, first_pause=0.01)
    return EndpointJudge(Rater(id="judge", kind="autorater"), config, asking, client)


def collected(path: Path, asked: EndpointJudge, given: Sequence[Task]) -> list[Judgment]:
    with Store.open(f"sqlite:///{path}") as store:
        store.add_tasks(given, now=0)
        collect(store, Panel((asked,)), QUEUE, clock=lambda: 1.0)
        return store.judgments(QUEUE)


def right(task: Task) -> dict[str, int]:
    """Place of each answer where longer is better."""
    lengths = sorted({len(one.text) for one in task.completions}, reverse=True)
    return {one.id: lengths.index(len(one.text)) for one in task.completions}


def test_nothing_is_lost_or_double_or_swapped_whatever_the_address_does(tmp_path: Path) -> None:
    state, given = Hostile(key=KEY), tasks(40)
    with hostile(state) as url:
        asked = judge(url, tmp_path / "cache")
        said = collected(tmp_path / "a.db", asked, given)
    assert sorted(one.task_id for one in said) == [task.id for task in given]
    by_task = {one.task_id: one for one in said}
    for task in given:
        one = by_task[task.id]
        assert one.ranking is not None, one.skip_reason
        assert one.ranking.rank() == right(task)
        [pair] = pairs_in(one)
        assert pair.position == 0.0 and one.critique == "it is longer" and one.details["tokens"] > 100
    assert sum(state.faults[name] for name in state.faults if name != "none") > 20, "the address behaved too well"
    assert asked.client.traffic.requests - asked.client.traffic.again == len(state.asked), "each was begun once"
    assert asked.tally.repaired > 0 and asked.tally.skipped == 0


def test_more_than_two_answers_are_ranked_from_their_pairs(tmp_path: Path) -> None:
    given = tasks(4, answers=4)
    with hostile(Hostile(fault_share=0.2)) as url:
        said = {one.task_id: one for one in judge(url).judge_each(given)}
    for task in given:
        ranking = said[task.id].ranking
        assert ranking is not None and ranking.rank() == right(task)


def test_scores_by_criterion_come_from_one_question_each(tmp_path: Path) -> None:
    with hostile(Hostile(fault_share=0.0, word_share=0.0)) as url:
        [one] = judge(url, mode="scores").judge(tasks(1))
    assert one.scores == {f"0/{k}": dict.fromkeys(Rubric.load("hhh").criteria, 3.0) for k in range(2)}
    assert one.ranking is not None and one.ranking.tiers == (("0/0", "0/1"),)


def test_a_second_run_asks_nothing_and_says_the_same(tmp_path: Path) -> None:
    state, given = Hostile(), tasks(20)
    with hostile(state) as url:
        first = collected(tmp_path / "a.db", judge(url, tmp_path / "cache"), given)
        sent = len(state.requests)
        again = judge(url, tmp_path / "cache")
        assert collected(tmp_path / "b.db", again, given) == first
    assert len(state.requests) == sent and again.client.traffic.requests == 0
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept and {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_a_budget_is_never_passed_and_what_was_judged_stays(tmp_path: Path) -> None:
    state, given = Hostile(fault_share=0.2), tasks(60)
    with hostile(state) as url:
        with pytest.raises(JudgingStoppedError, match=r"budget_tokens 60000 would be passed .* are left") as stopped:
            collected(tmp_path / "a.db", judge(url, tmp_path / "cache", budget_tokens=60_000), given)
        assert state.billed <= 60_000
        with Store.open(f"sqlite:///{tmp_path / 'a.db'}") as store:
            have = store.counts(QUEUE).have
        assert 5 < have < 60 and f"{have} of 60 judgments are in and kept, {60 - have} are left" in str(stopped.value)
        kept = sum(path.is_file() for path in (tmp_path / "cache").rglob("*"))
        second = judge(url, tmp_path / "cache")
        said = collected(tmp_path / "a.db", second, given)
    assert len(said) == 60
    begun = second.client.traffic.requests - second.client.traffic.again
    assert begun == len(state.asked) - kept, "what had its reply was asked again"


def test_a_budget_in_money_counts_both_prices(tmp_path: Path) -> None:
    state = Hostile(fault_share=0.0, word_share=0.0)
    with hostile(state) as url:
        asked = judge(url, budget_money=0.02, price_in=1.0, price_out=2.0)
        with pytest.raises(JudgingStoppedError, match=r"budget_money 0\.02"):
            list(asked.judge_each(tasks(60)))
    spent = asked.client.budget.spent
    assert asked.client.budget.money == pytest.approx((spent.sent + 2 * spent.written) / 1e6)
    assert 0.005 < asked.client.budget.money <= 0.02


def test_the_key_is_written_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither into the store, the cache, the log nor into an error, though the address repeats it in its own."""
    caplog.set_level(logging.DEBUG)
    with hostile(Hostile(key=KEY)) as url:
        asked = judge(url, tmp_path / "cache")
        collected(tmp_path / "a.db", asked, tasks(6))
    with (
        hostile(Hostile(key="another")) as url,
        pytest.raises(UserError, match="refuses the key in OPENAI_API_KEY") as said,
    ):
        list(judge(url).judge_each(tasks(1)))
    assert "the key Bearer … is wrong" in str(said.value)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    out, err = capfd.readouterr()
    told = [str(said.value), caplog.text, out, err, repr(asked), "\n".join(asked.lines())]
    assert not any(KEY.encode() in content for content in written)
    assert not any(KEY in text for text in told)


def test_a_judge_that_never_says_a_verdict_is_not_paid_for_all_tasks(tmp_path: Path) -> None:
    state = Hostile(fault_share=0.0, word_share=0.0, answer=lambda body: "I would rather not.")
    with (
        hostile(state) as url,
        pytest.raises(UserError, match=f"no verdict on its first {SILENT} tasks.*no JSON object"),
    ):
        collected(tmp_path / "a.db", judge(url), tasks(40))
    assert len(state.requests) == 2 * SILENT  # each question once, and once sent back
    with Store.open(f"sqlite:///{tmp_path / 'a.db'}") as store:
        assert store.judgments(QUEUE) == []


def test_a_question_without_a_verdict_is_skipped_with_the_reason_and_is_no_tie(tmp_path: Path) -> None:
    def answer(body: dict[str, Any]) -> str:
        poisoned = "question 3\n" in body["messages"][1]["content"]
        return "no" if poisoned else '{"verdict": "A"}'

    state = Hostile(fault_share=0.0, word_share=0.0, answer=answer)
    with hostile(state) as url:
        said = collected(tmp_path / "a.db", judge(url), tasks(6))
    skipped = [one for one in said if one.ranking is None]
    assert [one.task_id for one in skipped] == ["t003"]
    assert skipped[0].skip_reason == "no valid verdict, also when asked again: the reply holds no JSON object"
    sent_back = [one["messages"] for one in state.requests if len(one["messages"]) == 4]
    assert [one[2]["content"] for one in sent_back] == ["no"]
    assert "the reply holds no JSON object" in sent_back[0][3]["content"]
    # "A" in both orders: the place decided, which is a tie by the rule, and said to be one.
    assert [len(one.ranking.tiers) for one in said if one.ranking] == [1] * 5


def test_what_knows_no_schema_is_asked_for_less_and_that_is_said_once(tmp_path: Path) -> None:
    state = Hostile(fault_share=0.0, word_share=0.0, takes_forms=False)
    with hostile(state) as url:
        asked = judge(url)
        assert len(list(asked.judge_each(tasks(5)))) == 5
    assert sum("response_format" in one for one in state.requests) == 2, "a schema, then a JSON object, then neither"
    assert [line for line in asked.lines() if "refused" in line] == [
        "the endpoint refused json_schema, so replies are asked for with none"
    ]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("page", r"a reply is no JSON \(text/html\); tried 2 times; correct base_url, which usually ends in /v1"),
        ("empty", "a reply has no choices"),
        ("twice", "a reply is no JSON"),
        ("cut", "a reply is no JSON"),
        ("broken", "status 500: something broke"),
        ("busy", "status 429: too many requests"),
        ("hang up", "the connection failed"),
        ("silence", "there was no reply within 1 s"),
        ("drip", "a reply took longer than 1 s"),
        ("flood", "a reply is longer than 1 MB"),
    ],
)
def test_an_address_that_is_no_judge_ends_the_work_with_one_line(
    fault: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hostile, "fault", lambda *_: fault)
    with hostile(Hostile()) as url, pytest.raises(UserError, match=said) as error:
        list(judge(url, retries=1).judge_each(tasks(3)))
    assert "\n" not in str(error.value)


def test_an_outage_in_the_middle_keeps_what_is_in_and_skips_nothing(tmp_path: Path) -> None:
    state, given = Hostile(fault_share=0.0, word_share=0.0), tasks(30)

    def broken(name: str, number: int) -> str:
        return "broken" if len(state.requests) > 20 else ""

    state.fault = broken  # type: ignore[method-assign]
    with hostile(state) as url:
        with pytest.raises(JudgingStoppedError, match="fails: status 500.* judgments are in and kept"):
            collected(tmp_path / "a.db", judge(url, retries=1), given)
        with Store.open(f"sqlite:///{tmp_path / 'a.db'}") as store:
            kept = store.judgments(QUEUE)
        assert 5 <= len(kept) <= 10 and all(one.ranking for one in kept)


def test_nothing_listens_there() -> None:
    with pytest.raises(UserError, match=r"http://127\.0\.0\.1:9/v1 is no judge that can be asked: the conn"):
        list(judge("http://127.0.0.1:9/v1", retries=0).judge_each(tasks(1)))


@pytest.mark.parametrize(
    "change",
    [
        {"key_env": KEY},
        {"key_env": "not a name"},
        {"model": KEY},
        {"base_url": f"https://api.example.org/v1?api_key={KEY}"},
        {"base_url": f"https://user:{KEY}@example.org/v1"},
        {"api_key": KEY},
        {"budget_money": 1.0},
        {"base_url": "ftp://example.org"},
    ],
)
def test_settings_that_hold_a_key_or_cannot_work_are_refused_without_showing_it(change: dict[str, Any]) -> None:
    backend = {"kind": "endpoint", "base_url": "https://api.example.org/v1", "model": "m", **change}
    with pytest.raises(ConfigError) as error:
        AutoraterConfig.parse({"backend": backend})
    assert KEY not in str(error.value)


def test_a_key_is_wanted_for_foreign_addresses_and_its_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    far = EndpointJudgeConfig(base_url="https://api.example.org/v1", model="m", key_env="JUDGE_KEY")
    with pytest.raises(ConfigError, match=re.escape("the environment variable JUDGE_KEY is not set")):
        key_of(far)
    monkeypatch.setenv("JUDGE_KEY", " word\n")
    assert key_of(far) == "word"
    monkeypatch.delenv("JUDGE_KEY")
    assert key_of(EndpointJudgeConfig(base_url="http://127.0.0.1:1/v1", model="m", key_env="JUDGE_KEY")) == "none"


def test_a_cache_file_that_is_not_what_was_written_is_asked_again(tmp_path: Path) -> None:
    state = Hostile(fault_share=0.0, word_share=0.0)
    with hostile(state) as url:
        first = judge(url, tmp_path).judge(tasks(1))
        for path in tmp_path.rglob("*.json"):
            path.write_text(json.dumps({"key": "another", "reply": {"text": '{"verdict": "B"}'}}))
        assert judge(url, tmp_path).judge(tasks(1)) == first
    assert len(state.requests) == 4


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield


def test_without_the_extra_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=re.escape("pip install 'assent[judges]'")):
        judge("http://127.0.0.1:1/v1")
