"""A run on files: evaluation prompts are in nothing that is learned from, and preferences alone are enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from assent.artifacts.jsonl import read_records
from assent.artifacts.stage import Runner
from assent.artifacts.store import Artifact
from assent.core.errors import ConfigError, DataError
from assent.core.types import Comparison, Conversation, Prompt, Record
from assent.data.shingling import normalized
from assent.data.splits import split_key
from assent.models.tiny import save_tiny
from assent.pipeline.config import RunConfig
from assent.pipeline.result import not_as_given
from assent.pipeline.rounds import gather_all

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook", "we")]
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must alternate') }}{% endif %}"
    "{{ m['role'] }}: {{ m['content'] }}<|endoftext|>\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("base"), "llama")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    pairs = ({"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS)
    return {
        "demos": write(tmp_path / "demos.jsonl", *({"prompt": q, "completion": "Enough."} for q in QUESTIONS)),
        "pairs": write(tmp_path / "pairs.jsonl", *pairs),
        "eval": write(tmp_path / "eval.jsonl", *({"prompt": q} for q in QUESTIONS[:5])),
        "other": write(tmp_path / "other.jsonl", *({"prompt": f"Tell me of {what} at home."} for what in SUBJECTS)),
    }


def config_of(base: Path, *, template: str | None = None, **data: Any) -> RunConfig:
    values = {"base": {"kind": "pretrained", "path": str(base)}, "data": {"kind": "files", **data}}
    return RunConfig.parse({**values, "model": {"template": template}, "optimize": {"kind": "dpo"}})


def gathered(tmp_path: Path, config: RunConfig) -> dict[str, Artifact]:
    with Runner(tmp_path / "runs", seed=0) as run:
        return gather_all(run, config)


def keys(artifact: Artifact, name: str, kind: type[Record]) -> set[str]:
    return {split_key(item) for item in read_records(artifact.file(name), kind)}  # type: ignore[arg-type]


def test_a_drawn_share_is_in_nothing_that_is_learned_from(tmp_path: Path, base: Path, files: dict[str, Path]) -> None:
    data = {"demonstrations": [{"path": files["demos"]}], "comparisons": [{"path": files["pairs"]}]}
    found = gathered(tmp_path, config_of(base, **data))
    asked = keys(found["prompts"], "eval.jsonl", Prompt)
    assert len(asked) >= 2
    assert not asked & keys(found["prompts"], "prompts.jsonl", Prompt)
    assert not asked & keys(found["demonstrations"], "demonstrations.jsonl", Conversation)
    left = keys(found["comparisons"], "comparisons.jsonl", Comparison)
    assert not asked & left and len(asked) + len(left) == len(QUESTIONS)
    assert found["comparisons"].notes["held_out_equal"] == len(asked)


def test_given_evaluation_prompts_are_in_nothing_either(tmp_path: Path, base: Path, files: dict[str, Path]) -> None:
    named = {"demonstrations": "demos", "comparisons": "pairs", "prompts": "other", "eval_prompts": "eval"}
    found = gathered(tmp_path, config_of(base, **{part: [{"path": files[name]}] for part, name in named.items()}))
    assert keys(found["prompts"], "eval.jsonl", Prompt) == {normalized(q) for q in QUESTIONS[:5]}
    assert found["demonstrations"].notes["held_out_equal"] == found["comparisons"].notes["held_out_equal"] == 5
    assert found["prompts"].notes["prompts"] == len(SUBJECTS)


def test_preferences_alone_are_enough_for_a_run(tmp_path: Path, base: Path, files: dict[str, Path]) -> None:
    config = config_of(base, comparisons=[{"path": files["pairs"]}])
    assert config.sft is None, "there is nothing to fine-tune on"
    found = gathered(tmp_path, config)
    assert set(found) == {"prompts", "comparisons"}
    assert found["prompts"].notes["eval"] >= 2
    assert found["comparisons"].notes["comparisons"] + found["prompts"].notes["eval"] == len(QUESTIONS)


def test_fine_tuning_that_is_asked_for_wants_demonstrations(base: Path, files: dict[str, Path]) -> None:
    data = {"kind": "files", "comparisons": [{"path": str(files["pairs"])}]}
    values = {"base": {"kind": "pretrained", "path": str(base)}, "data": data}
    with pytest.raises(ConfigError, match="sft has nothing to learn from"):
        RunConfig.parse({**values, "sft": {"epochs": 1}})
    with pytest.raises(ConfigError, match=r"optimize.ptx wants data\.demonstrations"):
        RunConfig.parse({**values, "optimize": {"kind": "ppo", "ptx": {"coefficient": 0.1}}})
    with pytest.raises(ConfigError, match="no prompts: give"):
        RunConfig.parse({**values, "data": {"kind": "files"}})


def test_data_that_is_all_held_out_ends_the_run_before_anything_is_trained(
    tmp_path: Path, base: Path, files: dict[str, Path]
) -> None:
    few = write(tmp_path / "few.jsonl", *({"prompt": q, "completion": "Enough."} for q in QUESTIONS[:3]))
    data = {"demonstrations": [{"path": few}], "prompts": [{"path": files["other"]}]}
    with pytest.raises(DataError, match="all of 3 demonstrations hold prompts that are held out"):
        gathered(tmp_path, config_of(base, eval_prompts=[{"path": files["eval"]}], **data))


def test_a_row_that_the_template_refuses_is_known_by_its_line(
    tmp_path: Path, base: Path, files: dict[str, Path]
) -> None:
    twice = [{"role": "user", "content": "Are you"}, {"role": "user", "content": "there?"}]
    rows: list[dict[str, Any]] = [{"messages": [*ask(q)]} for q in QUESTIONS]
    rows.insert(7, {"messages": [*twice, {"role": "assistant", "content": "Yes."}]})
    path = write(tmp_path / "talks.jsonl", *rows)
    with pytest.raises(DataError, match=r"talks\.jsonl:8: the configured chat template failed on turns user, user"):
        gathered(tmp_path, config_of(base, template=ALTERNATING, demonstrations=[{"path": path}]))
    skipping = config_of(base, template=ALTERNATING, demonstrations=[{"path": path, "skip_bad": True}])
    found = gathered(tmp_path, skipping)
    [line] = found["demonstrations"].file("quarantine.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["line"] == 8
    assert found["demonstrations"].notes["bad_rows"] == 1


def test_what_was_not_taken_as_it_was_is_counted_by_stage(tmp_path: Path, base: Path, files: dict[str, Path]) -> None:
    twice = write(tmp_path / "again.jsonl", *({"prompt": q} for q in [*QUESTIONS, QUESTIONS[0]]))
    data = {"prompts": [{"path": twice}], "eval_prompts": [{"path": files["eval"]}]}
    found = gathered(tmp_path, config_of(base, demonstrations=[{"path": files["demos"]}], **data))
    assert not_as_given(found) == {
        "prompts": {"prompts asked again": 1, "prompts equal or near to given evaluation prompts": 5},
        "demonstrations": {"ask an evaluation prompt": 5},
    }


def ask(question: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": "Enough."}]
