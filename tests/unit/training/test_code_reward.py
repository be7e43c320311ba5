"""The settings of the code reward: what they refuse, and before anything is trained."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from assent.checks.code import protections
from assent.core.errors import ConfigError, DataError
from assent.core.types import Message, Prompt
from assent.pipeline.rewarding import Opener, refuse_prompts, worth_telling
from assent.training.code_reward import CodePartsConfig, CodeRewardConfig
from assent.training.on_policy_config import RLOOConfig

SAID = CodeRewardConfig(isolation="limits_only")


def prompt(**meta: object) -> Prompt:
    return Prompt(messages=(Message(role="user", content="Write add."),), id="p", meta=meta)


def test_a_prompt_without_tests_is_named_before_training() -> None:
    config = RLOOConfig(rewards=(SAID,))
    good = prompt(tests=["assert add(1, 2) == 3"])
    refuse_prompts(config, [good])
    with pytest.raises(DataError, match=r"optimize.rewards\[0\] cannot score prompt p: the prompt has no 'tests'"):
        refuse_prompts(config, [good, prompt(answer="3")])
    with pytest.raises(DataError, match="prompt p: a test is 'add'"):
        refuse_prompts(config, [prompt(tests=["add"])])
    refuse_prompts(RLOOConfig(rewards=(SAID.model_copy(update={"tests": "extra.unit"}),)), [prompt(extra={"unit": [
        {"call": "add(1, 1)", "value": 2}
    ]})])  # fmt: skip
    assert config.reading() == (SAID,) and config.needs == {"prompts"}


def test_the_term_scores_answers_and_says_what_it_did() -> None:
    config = RLOOConfig(rewards=(SAID,))
    rewards = Opener(config, None, None, len, None).rewards()  # type: ignore[arg-type]
    asked = prompt(tests=["assert add(1, 2) == 3", "assert add(0, 0) == 0"])
    found = rewards([asked] * 3, ["def add(a, b): return a + b", "def add(a, b): return 3", "I cannot."])
    assert found.totals == pytest.approx([1.1, 0.6, 0.0])
    assert found.facts["parses/code"] == pytest.approx(2 / 3) and found.facts["passes/code"] == pytest.approx(1 / 3)
    assert found.facts["seconds/code"] > 0
    (line,) = worth_telling(rewards.terms)
    assert line.startswith("code: 3 answers, 66.7% parse, 33.3% pass all their tests (mean share 50.0%); 3 runs of ")


def test_settings_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="all parts are 0"):
        CodePartsConfig(parses=0, passes=0)
    monkeypatch.setattr("assent.checks.code.findings.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'asks for bandit.*pip install "assent\[code\]"'):
        SAID.model_copy(update={"parts": CodePartsConfig(safe=0.1)}).open()
    monkeypatch.setattr(protections, "absence", lambda jail: "not here")
    with pytest.raises(ConfigError, match="isolation: limits_only"):
        CodeRewardConfig().open()
