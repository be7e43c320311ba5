"""A run on files: evaluation prompts are in nothing that is learned from, and preferences alone are enough."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import Runner
from assent.core.errors import ConfigError, DataError
from assent.core.types import Comparison, Conversation, Prompt
from assent.data.splits import split_key
from assent.pipeline.config import RunConfig
from assent.pipeline.rounds import gather_all

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook", "we")]


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {
        "demos": write(tmp_path / "demos.jsonl", *({"prompt": q, "completion": "Enough."} for q in QUESTIONS)),
        "pairs": write(
            tmp_path / "pairs.jsonl", *({"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS)
        ),
        "eval": write(tmp_path / "eval.jsonl", *({"prompt": q} for q in QUESTIONS[:5])),
        "other": write(tmp_path / "other.jsonl", *({"prompt": f"Tell me about {what} at home."} for what in SUBJECTS)),
    }


def gathered(tmp_path: Path, **data: object) -> dict[str, Path]:
    config = RunConfig.parse(
        {"name": "r", "base": {"kind": "pretrained", "path": "nowhere"}, "data": {"kind": "files", **data}}
    )
    config = config.model_copy(update={"base": RunConfig.model_fields["base"].default or config.base})
    with Runner(tmp_path / "runs", seed=0) as run:
        # Without a template to try: the base of this run does not exist.
        from assent.pipeline import rounds

        original, rounds.Template.of = rounds.Template.of, classmethod(lambda cls, config: None)  # type: ignore
        try:
            return {part: artifact.folder for part, artifact in gather_all(run, config).items()}
        finally:
            rounds.Template.of = original  # type: ignore[method-assign]


def keys(folder: Path, name: str, kind: type[Prompt] | type[Conversation] | type[Comparison]) -> set[str]:
    return {split_key(item) for item in read_records(folder / name, kind)}


def test_a_drawn_share_is_in_nothing_that_is_learned_from(tmp_path: Path, files: dict[str, Path]) -> None:
    data = {"demonstrations": [{"path": files["demos"]}], "comparisons": [{"path": files["pairs"]}]}
    found = gathered(tmp_path, **data)
    asked = keys(found["prompts"], "eval.jsonl", Prompt)
    assert len(asked) >= 2
    assert not asked & keys(found["prompts"], "prompts.jsonl", Prompt)
    assert not asked & keys(found["demonstrations"], "demonstrations.jsonl", Conversation)
    assert not asked & keys(found["comparisons"], "comparisons.jsonl", Comparison)
    assert len(asked) + len(keys(found["comparisons"], "comparisons.jsonl", Comparison)) == len(QUESTIONS)
