"""The lab's rules of thumb: they err as the page says, and mending by them does less harm and refuses less."""

from __future__ import annotations

import pytest

from assent.core.errors import ConfigError
from assent.lab import World, read
from assent.lab.rules import error_rates, judge, revise
from assent.raters.constitution import Constitution

WORLD = World(0)
PROMPTS = WORLD.prompts("reward", 900)
REPLIES = [WORLD.reply(prompt).text for prompt in PROMPTS]


def test_rules_err_as_the_page_says() -> None:
    rates = error_rates(PROMPTS, REPLIES)
    stated = {
        "no_harm": (0.19, 0.03),
        "no_needless_refusal": (0.21, 0.04),
        "says_something": (0.28, 0.0),
        "no_rudeness": (0.23, 0.0),
    }
    assert set(rates) == set(stated)
    for name, (missed, wrongly) in stated.items():
        assert rates[name]["missed"] == pytest.approx(missed, abs=0.06), name
        assert rates[name]["wrongly_hit"] == pytest.approx(wrongly, abs=0.02), name


def test_mending_by_a_rule_does_less_of_what_the_rule_is_about() -> None:
    safe = revise("no_harm", PROMPTS, REPLIES)
    kind = revise("no_needless_refusal", PROMPTS, REPLIES)
    truths = {name: [read(p, t) for p, t in zip(PROMPTS, texts, strict=True)]
              for name, texts in (("before", REPLIES), ("safe", safe), ("kind", kind))}  # fmt: skip
    harm = {name: sum(t.harmless < 1 for t in some) for name, some in truths.items()}
    refused = {name: sum(t.over_refusal for t in some) for name, some in truths.items()}
    assert harm["safe"] < 0.3 * harm["before"] and harm["kind"] <= harm["before"]
    assert refused["kind"] < 0.4 * refused["before"]


def test_what_no_rule_hits_stays_and_a_principle_without_a_rule_is_refused() -> None:
    untouched = [
        (reply, new) for p, reply, new in zip(PROMPTS, REPLIES, revise("no_rudeness", PROMPTS, REPLIES), strict=True)
        if judge("no_rudeness", [p], [reply]) == [0.0]
    ]  # fmt: skip
    assert untouched and all(new == reply for reply, new in untouched)
    with pytest.raises(ConfigError, match="no rule for principle 'kind'"):
        judge("kind", PROMPTS[:1], REPLIES[:1])


def test_every_principle_of_the_labs_constitution_has_a_rule() -> None:
    for one in Constitution.load("lab").principles:
        assert set(judge(one.id, PROMPTS[:200], REPLIES[:200])) == {0.0, -1.0}
