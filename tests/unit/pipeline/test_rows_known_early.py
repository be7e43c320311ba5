"""What a later stage cannot use is known, by file and line or by project and task, before anything is trained."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.stage import Runner
from assent.artifacts.store import Artifact
from assent.core.errors import DataError
from assent.core.findings import Finding
from assent.data.config import Source
from assent.data.load import load_comparisons
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.config import RunConfig
from assent.pipeline.doctor.examine import examine
from assent.pipeline.imported import IMPORTED, TRIED
from assent.pipeline.limits import row_limits
from assent.pipeline.plan import plan_project
from assent.pipeline.rounds import gather_all, prepare, run_all

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about {what}?" for what in SUBJECTS for who in ("I", "children", "a cook", "we")]
LONG = "A long story. " * 12
"""At least 100 tokens of the tiny tokenizer, of whose context 256 are."""
PAIR = {"chosen": "Much.", "rejected": "Nothing."}
ALTERNATING = (
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('turns must alternate') }}{% endif %}{{ m['role'] }}: {{ m['content'] }}<|endoftext|>\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    write("demos.jsonl", *({"prompt": q, "completion": "Enough."} for q in QUESTIONS))
    write("pairs.jsonl", *({"prompt": q, **PAIR} for q in QUESTIONS))
    return tmp_path


def write(name: str, *rows: dict[str, Any]) -> None:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def settings(*, skip_bad: bool = False, **changes: Any) -> dict[str, Any]:
    sources = {"demonstrations": "demos.jsonl", "comparisons": "pairs.jsonl"}
    data = {"kind": "files"} | {part: [{"path": name, "skip_bad": skip_bad}] for part, name in sources.items()}
    short = {"prompts": 2, "sampling": {"max_new_tokens": 4}}
    values = {"base": {"kind": "pretrained", "path": "base"}, "data": data, "evaluate": short, "name": "toy"}
    return {**values, "optimize": {"kind": "dpo"}, "log": {"tensorboard": False}, **changes}


def gathered(**changes: Any) -> dict[str, Artifact]:
    with Runner(Path("runs/toy"), seed=0) as run:
        return gather_all(run, RunConfig.parse(settings(**changes)))


def errors(**changes: Any) -> list[Finding]:
    Path("assent.yaml").write_text(yaml.safe_dump(settings(**changes)), encoding="utf-8")
    return [one for one in examine(Path("assent.yaml")) if one.is_error]


@pytest.mark.parametrize(
    ("name", "row", "strict", "said"),
    [
        ("demos", {"completion": LONG}, {"sft": {"too_long": "error", "max_length": 60}}, "sft reads 60"),
        ("pairs", {**PAIR, "rejected": LONG}, {"reward": {"too_long": "error", "max_length": 70}}, "reward reads 70"),
        (
            "pairs",
            {**PAIR, "chosen": LONG},
            {"optimize": {"kind": "dpo", "too_long": "error", "max_length": 80}},
            "optimize reads 80",
        ),
        ("pairs", {**PAIR, "chosen": LONG * 3}, {"reward": {"too_long": "error"}}, "reward reads 256"),
    ],
)
def test_a_row_too_long_for_a_strict_stage_is_known_by_its_line(
    name: str, row: dict[str, Any], strict: dict[str, Any], said: str
) -> None:
    rows = [json.loads(line) for line in Path(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    rows.insert(6, {"prompt": "Why is the sky blue at noon?", **row})
    write(f"{name}.jsonl", *rows)
    with pytest.raises(DataError, match=rf"{name}\.jsonl:7: its longest row has \d+ tokens, and {said}; shorten it"):
        gathered(**strict)
    assert not list(Path("runs/toy/artifacts").glob("policy-*"))
    [finding] = errors(**strict)
    assert f"{name}.jsonl:7" in finding.message and said in finding.message
    found = gathered(**strict, skip_bad=True)
    part = found["demonstrations" if name == "demos" else "comparisons"]
    assert part.notes["bad_rows"] == 1
    [line] = "".join(p.read_text(encoding="utf-8") for p in part.folder.glob("quarantine*")).splitlines()
    assert json.loads(line)["line"] == 7
    # A stage that drops or cuts takes the row as it did.
    assert gathered(**{key: {**value, "too_long": "drop"} for key, value in strict.items()})


def test_rows_are_tried_again_where_a_strict_limit_changes_and_keys_stay_where_none_is() -> None:
    loose = gathered()["demonstrations"]
    assert gathered(sft={"max_length": 60})["demonstrations"].key == loose.key, "the stage cuts for itself"
    strict = {"sft": {"too_long": "error"}}
    first = gathered(**strict)["demonstrations"]
    assert gathered(**strict)["demonstrations"].key == first.key
    with pytest.raises(DataError, match=r"demos\.jsonl:1: its longest row has \d+ tokens, and sft reads 5"):
        gathered(sft={"too_long": "error", "max_length": 5})
    assert gathered()["demonstrations"].key == loose.key


def test_rows_of_which_a_stage_can_use_none_end_the_run_where_they_are_read() -> None:
    with pytest.raises(DataError, match=r"none of 40 demonstrations fits into the 5 tokens that sft reads"):
        gathered(sft={"max_length": 5})
    with pytest.raises(DataError, match=r"none of 40 comparisons fits into the 5 tokens that optimize reads"):
        gathered(optimize={"kind": "dpo", "max_length": 5})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"evaluate": {"sampling": {"max_new_tokens": 250}}}, "evaluation prompts leave room .* evaluate.sampling"),
        (
            {"optimize": {"kind": "grpo", "sampling": {"max_new_tokens": 250}}},
            "prompts leave room .* optimize.sampling",
        ),
        (
            {
                "collect": {"raters": {"kind": "function", "target": "json:loads"}},
                "sample": {"sampling": {"max_new_tokens": 250}},
            },
            "prompts leave room .* sample.sampling",
        ),
    ],
)
def test_prompts_without_room_for_an_answer_of_any_stage_end_the_run_at_once(
    changes: dict[str, Any], said: str
) -> None:
    for attempt in (gathered, prepared):  # where prompts are gathered, and where they are there already
        with pytest.raises(DataError, match=f"0 of .*{said}.max_new_tokens takes 250"):
            attempt(**changes)
    assert not [path for path in Path("runs/artifacts").glob("*/manifest.json") if '"sft"' in path.read_text()]


def test_only_stages_of_the_run_have_a_say() -> None:
    strict = {"too_long": "error", "max_length": 9}
    dpo = RunConfig.parse(settings(sft=None, reward=strict, evaluate=None))
    assert [one.key for one in row_limits(dpo, "comparisons")] == ["optimize"]
    assert not list(row_limits(dpo, "demonstrations")) and not list(row_limits(dpo, "prompts"))
    ppo = RunConfig.parse(settings(reward=strict, optimize={"kind": "ppo", "ptx": {"coefficient": 0.1}}))
    assert [one.key for one in row_limits(ppo, "comparisons")] == ["reward"]
    assert [(one.key, one.too_long) for one in row_limits(ppo, "demonstrations")] == [
        ("sft", "drop"),
        ("optimize.ptx", "drop"),
    ]


def imports(*rows: dict[str, Any]) -> list[str]:
    """Bring rankings into the store; the ids of their tasks in order of the rows."""
    write("own.jsonl", *rows)
    comparisons, _ = load_comparisons([Source(path=Path("own.jsonl"))])
    with Store.open("sqlite:///feedback.db") as store:
        for comparison in comparisons:
            store.import_comparisons([comparison], IMPORTED, now=0)
        by_prompt = {c.prompt.text: c.judgments[0].task_id for c in store.comparisons(IMPORTED)}
    return [by_prompt[comparison.prompt.text] for comparison in comparisons]


def prepared(**changes: Any) -> None:
    with Runner(Path("runs/toy"), seed=0) as run:
        prepare(run, RunConfig.parse(settings(**changes)))


def test_imported_judgments_are_tried_before_fine_tuning_begins() -> None:
    talk = [{"role": "user", "content": "Are you there?"}, {"role": "user", "content": "How warm is the sea?"}]
    tasks = imports({"prompt": "Is it late?", **PAIR}, {"prompt": talk, **PAIR})
    model = {"template": ALTERNATING}
    named = rf"feedback\.db: task '{tasks[1]}' of project 'imported' cannot be used: .*template failed"
    with pytest.raises(DataError, match=named) as stopped:
        prepared(model=model)
    assert "\n" not in str(stopped.value)
    assert len(list(Path("runs/toy/artifacts").glob("policy-*"))) == 1, "the base, and no fine-tuned one"
    [finding] = errors(model=model)
    assert finding.key == "store.url" and tasks[1] in finding.message


def test_imported_judgments_too_long_for_a_strict_stage_may_be_left_out_and_are_counted() -> None:
    [task] = imports({"prompt": "How warm is the sea in May?", **PAIR, "chosen": LONG})
    fast = {"sft": None, "evaluate": None, "reward": None}
    strict = {**fast, "optimize": {"kind": "dpo", "too_long": "error", "max_length": 80}}
    with pytest.raises(DataError, match=rf"task '{task}' of project 'imported' cannot be used: its longest row has"):
        prepared(**strict)
    store = {"url": "sqlite:///feedback.db", "skip_bad": True}
    with Runner(Path("runs/toy"), seed=0) as run:
        [done] = run_all(run, RunConfig.parse(settings(**strict, store=store))).rounds
    assert done.judgments is not None and done.judgments.notes["bad_rows"] == 1
    kept = json.loads(done.judgments.file("quarantine.jsonl").read_text(encoding="utf-8"))
    assert (kept["project"], kept["task"]) == ("imported", task)
    assert not errors(**strict, store=store)


def test_what_was_tried_is_not_tried_again() -> None:
    imports({"prompt": "Is it late?", **PAIR})
    prepared(sft=None)
    noted = Path("runs/toy", TRIED).read_bytes()
    Path("runs/toy/artifacts").rename("gone")
    Path("assent.yaml").write_text(yaml.safe_dump(settings(sft=None)), encoding="utf-8")
    plan_project(Path("assent.yaml"))
    assert Path("runs/toy", TRIED).read_bytes() == noted, "a plan tries nothing"
    imports({"prompt": "Is it early?", **PAIR})
    prepared(sft=None)
    assert Path("runs/toy", TRIED).read_bytes() != noted


FLAT = (
    "{% for m in messages %}{% if m['role'] == 'system' and not loop.first %}"
    "{{ raise_exception('system turns come first') }}{% endif %}{{ m['role'] }}: {{ m['content'] }}<|eos|>\n"
    "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
"""Leaves tools out, and takes a system turn at the beginning only."""
ASKED, SAID = {"role": "user", "content": "How warm?"}, {"role": "assistant", "content": "Very."}
REFUSED = {
    "tools": ({"messages": [ASKED, SAID], "tools": [{"name": "heat", "parameters": {}}]}, "leaves out the tools"),
    "system": ({"messages": [ASKED, SAID, {"role": "system", "content": "Stop."}, ASKED, SAID]}, "come first"),
}


@pytest.mark.parametrize("part", ["corpus", "demonstrations", "prompts", "eval_prompts"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_row_that_the_template_of_a_base_from_scratch_refuses_is_known_by_its_line(part: str, name: str) -> None:
    row, said = REFUSED[name]
    others = (f"Compare {one} with {other}!" for one, other in itertools.combinations(SUBJECTS, 2))
    good = [{"messages": [{"role": "user", "content": question}, SAID]} for question in others]
    row = row if part in ("corpus", "demonstrations") else {**row, "messages": row["messages"][:-1]}
    write("talks.jsonl", *good[:8], row, *good[8:])
    scratch: dict[str, Any] = {"base": {"kind": "scratch"}, "model": {"template": FLAT}}

    def data(*, skip_bad: bool) -> dict[str, Any]:
        odd = [{"path": "talks.jsonl", "skip_bad": skip_bad}]
        return {"kind": "files", "demonstrations": [{"path": "demos.jsonl"}], part: odd}

    with pytest.raises(DataError, match=rf"talks\.jsonl:9: .*{said}"):
        gathered(**scratch, data=data(skip_bad=False))
    found = [one for one in errors(**scratch, data=data(skip_bad=False)) if "talks.jsonl:9" in one.message]
    assert [one.key for one in found] == [f"data.{part}[0]"] and said in found[0].message
    parts = gathered(**scratch, data=data(skip_bad=True))
    kept = [line for one in parts.values() for file in one.folder.glob("quarantine*") for line in file.open()]
    assert kept and {json.loads(line)["line"] for line in kept} == {9}
    assert not errors(**scratch, data=data(skip_bad=True))


def test_lengths_of_a_base_from_scratch_are_left_to_its_own_tokenizer() -> None:
    """A new tokenizer writes these rows with few tokens; bytes would be too many."""
    write("demos.jsonl", *({"prompt": q, "completion": LONG} for q in QUESTIONS))
    scratch = {"base": {"kind": "scratch", "vocab_size": 600}, "sft": {"too_long": "error", "max_length": 150}}
    assert gathered(**scratch)["demonstrations"].notes["bad_rows"] == 0
    assert not errors(**scratch)


def test_rows_are_tried_again_where_the_template_of_a_base_from_scratch_changes() -> None:
    write(
        "demos.jsonl", *({"messages": [{"role": "user", "content": q}, SAID]} for q in QUESTIONS), REFUSED["tools"][0]
    )
    data = {"kind": "files", "demonstrations": [{"path": "demos.jsonl", "skip_bad": True}]}
    whole = FLAT.replace("{% for", "{{ tools }}{% for", 1)
    taken, left = ({"base": {"kind": "scratch"}, "model": {"template": one}, "data": data} for one in (whole, FLAT))
    first = gathered(**taken)["demonstrations"]
    assert first.notes["bad_rows"] == 0 and gathered(**taken)["demonstrations"].key == first.key
    second = gathered(**left)["demonstrations"]
    assert second.notes["bad_rows"] == 1 and second.key != first.key
    assert gathered(**taken)["demonstrations"].key == first.key
