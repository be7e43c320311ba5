"""What checks need comes along with the prompts of public sets: GSM8K's answers, IFEval's instructions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from assent.data.config import Source
from assent.data.load import load_prompts
from assent.training.check_terms import InstructionsRewardConfig, NumericRewardConfig


def test_gsm8k_rows_reach_a_numeric_term_as_they_are(shared_data: Callable[[str], Path]) -> None:
    term = NumericRewardConfig()
    prompts, report = load_prompts(
        [Source(path=shared_data("gsm8k") / "train.jsonl.gz", limit=300)], check=term.refuse_prompt
    )
    assert len(prompts) == 300 and report.num_bad == 0
    assert all(term.score(prompt, prompt.meta["answer"]) == 1.0 for prompt in prompts)
    assert sum(term.score(prompt, "The answer is 7.") for prompt in prompts) < 30


def test_ifeval_rows_reach_an_instructions_term_as_they_are(shared_data: Callable[[str], Path]) -> None:
    term = InstructionsRewardConfig()
    prompts, report = load_prompts([Source(path=shared_data("ifeval") / "input_data.jsonl")], check=term.refuse_prompt)
    assert len(prompts) == 380 and report.num_bad == 0
    assert sum(len(term.instructions(prompt)) for prompt in prompts) > 500
    assert all(0 <= term.score(prompt, "no commas here") <= 1 for prompt in prompts)


def test_users_rows_of_several_shapes_keep_their_reference(tmp_path: Path) -> None:
    rows = [
        {"prompt": "2 + 2?", "reference": 4},
        {"messages": [{"role": "user", "content": "2 + 3?"}], "reference": "5"},
        {"prompt": [{"role": "user", "content": "2 + 4?"}], "reference": ["6", "6.0"]},
        {"prompt": "2 + 5?", "completion": "It is 7.", "reference": "7"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    term = NumericRewardConfig(key="reference")
    prompts, _ = load_prompts([Source(path=file)], check=term.refuse_prompt)
    assert [term.references(prompt)[0] for prompt in prompts] == ["4", "5", "6", "7"]
