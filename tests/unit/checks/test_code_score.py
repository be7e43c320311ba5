"""What code is worth: the share of tests that pass, paid with cleanness and safety by that share only."""

from __future__ import annotations

import pytest

from assent.checks.code import findings
from assent.checks.code.cases import Case
from assent.checks.code.findings import lint_findings, vulnerable_patterns
from assent.checks.code.sandbox import Limits, Sandbox
from assent.checks.code.scoring import CodeScore, Parts
from assent.core.types import Message, Prompt

ADD = "def add(a, b):\n    return a + b\n"
UNUSED = f"import os\n{ADD}"
UNSAFE = "def add(a, b):\n    return eval(f'{a} + {b}')\n"


def prompt(name: str) -> Prompt:
    return Prompt(messages=(Message(role="user", content=name),), id=name)


def scored(weights: Parts, cases: tuple[Case, ...] = (Case("add(1, 2)", 3), Case("add(2, 2)", 4))) -> CodeScore:
    # What is run here means no harm, so that limits are enough wherever the tests run.
    return CodeScore(Sandbox("limits_only", Limits()), weights, lambda _: cases, workers=2)


def test_each_part_is_paid() -> None:
    answers = [ADD, f"```python\n{UNUSED}```", UNSAFE, "def add(a, b): return 3", "def add(a, b", "", "x = 1", "a\0"]
    score = scored(Parts(parses=0.1, passes=1.0, lint=0.2, safe=0.4))
    found = score.examine([prompt("p")] * len(answers), answers)
    assert [one.parses for one in found] == [1, 1, 1, 1, 0, 0, 1, 0]
    assert [one.passes for one in found] == [1, 1, 1, 0.5, 0, 0, 0, 0]
    assert [one.lint for one in found] == [1, 0.5, 1, 1, 0, 0, 1, 0]
    assert [one.safe for one in found] == [1, 1, 0, 1, 0, 0, 1, 0]
    worth = [1.7, 1.6, 1.3, 0.1 + 0.5 + 0.3, 0, 0, 0.1, 0]  # the last but one is clean and safe, and does nothing
    assert [one.score(score.weights) for one in found] == pytest.approx(worth)
    assert score.watched()["parses"] == 5 / 8 and score.watched()["passes"] == 3 / 8
    assert "8 answers, 62.5% parse, 37.5% pass all their tests (mean share 43.8%); 8 runs" in score.spent.line()


def test_the_same_answer_to_the_same_prompt_is_run_once() -> None:
    score = scored(Parts(0, 1))
    assert score([prompt("p"), prompt("p"), prompt("q")], [ADD, ADD, ADD]) == [1, 1, 1]
    assert (score.spent.answers, score.spent.runs) == (3, 2)


def test_each_prompt_has_its_own_tests() -> None:
    asked = {"plus": (Case("f(2, 3)", 5),), "times": (Case("f(2, 3)", 6),)}
    score = CodeScore(Sandbox("limits_only", Limits()), Parts(0, 1), lambda one: asked[one.id], workers=1)
    code = "def f(a, b): return a * b"
    assert score([prompt("plus"), prompt("times")], [code, code]) == [0, 1]


def test_without_tests_code_only_has_to_run() -> None:
    assert scored(Parts(0, 1), ())([prompt("p")] * 2, ["x = 1", "x = 1 / 0"]) == [1, 0]


def test_comments_do_not_silence_the_tools() -> None:
    silent = ["import os  # noqa\n", "# ruff: noqa\nimport os\n", "# ruff: disable[F401]\nimport os\n", "import os\n"]
    assert lint_findings(silent)[:2] == [1, 1] and min(filter(None, lint_findings(silent))) >= 1
    assert vulnerable_patterns([UNSAFE.replace("\n", "  # nosec\n"), ADD]) == [1, 0]


def test_rules_and_severity_decide_what_counts() -> None:
    assert lint_findings([UNUSED], "E9") == [0] and lint_findings([UNUSED], "F") == [1]
    weak = "import hashlib\nimport subprocess\nx = hashlib.md5(b'')\n"
    low, medium, high = (vulnerable_patterns([weak], severity)[0] for severity in ("low", "medium", "high"))
    assert (low, medium, high) == (2, 1, 1)


def test_code_that_breaks_a_tool_spoils_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lint_findings([ADD, "\ud800", UNUSED]) == [0, None, 1]
    assert lint_findings([]) == []
    ruff = findings._of_ruff

    def breaks(found: list[dict[str, str]]) -> object:
        if any("poison" in one["message"] for one in found):
            raise findings.RunError("ruff fell over")
        return ruff(found)

    monkeypatch.setattr(findings, "_of_ruff", breaks)
    assert lint_findings([ADD, "print(poison)\n", UNUSED, ADD]) == [0, None, 1, 0]
