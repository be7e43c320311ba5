"""The way of a training in a run: held out by prompt, measured, answered, kept, found by name and shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from assent.artifacts.find import find_artifact, model_folder
from assent.core.errors import DataError, UserError
from assent.core.runlog import Answered, RunLog, read_metrics, read_shown
from assent.core.types import Comparison, Completion, Judgment, Prompt, Ranking
from assent.data.splits import split_key
from assent.models.config import ModelConfig
from assent.models.policy import PolicyModel
from assent.models.tiny import save_tiny
from assent.pipeline.commands.export import export_model
from assent.pipeline.on_the_way import shown_of, sides
from assent.pipeline.run import run_project
from assent.report.run import report_of

SUBJECTS = ("bread", "wine", "Lisbon", "tomatoes", "notaries", "eggs", "operas", "trees", "dogs", "shirts")
QUESTIONS = [f"What should {who} know about <b>{what}</b>?" for what in SUBJECTS for who in ("I", "children")]


@pytest.fixture
def silent(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "log", quiet=True, tensorboard=False)


def comparison(question: str, **meta: str) -> Comparison:
    prompt = Prompt.of(question, **meta)
    answers = tuple(Completion(prompt_id=prompt.id, text=text, id=text) for text in ("Much.", "Nothing."))
    ranking = Ranking(tiers=(("Much.",), ("Nothing.",)))
    judgment = Judgment(task_id="t", rater_id="r", ranking=ranking)
    return Comparison(prompt=prompt, completions=answers, judgments=(judgment,))


def test_judgments_are_held_out_by_prompt_and_none_is_lost(silent: RunLog) -> None:
    # Twice each, in other letters: the same question is never on both sides.
    twice = [comparison(q, turn=str(n)) for n in range(2) for q in (*QUESTIONS, *(q.upper() for q in QUESTIONS))]
    learned, held_out = sides(twice, 0.3, silent)
    assert not {split_key(one) for one in learned} & {split_key(one) for one in held_out}
    assert len(learned) + len(held_out) == len(twice) and 0.1 < len(held_out) / len(twice) < 0.5
    again = sides(list(reversed(twice)), 0.3, silent)[1]
    assert {split_key(one) for one in again} == {split_key(one) for one in held_out}
    assert sides(twice, 0.0, silent) == (twice, [])
    with pytest.raises(DataError, match=r"optimize\.eval_share 0\.3 holds out . of 1 judged tasks"):
        sides(twice[:1], 0.3, silent)
    assert len({split_key(one) for one in shown_of([one.prompt for one in twice], 4)}) == 4


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_tiny(tmp_path / "base", "llama")
    rows = [{"prompt": q, "chosen": "Much.", "rejected": "Nothing."} for q in QUESTIONS]
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dpo = {
        "kind": "dpo",
        "batch_size": 4,
        "optimizer": {"learning_rate": 0.005},
        "eval_share": 0.3,
        "evaluate_every": 2,
        "best": "heldout_accuracy",
        "keep": [1, 2, 40],
        "show": 2,
        "show_tokens": 4,
    }
    values = {
        "name": "toy",
        "base": {"kind": "pretrained", "path": "base"},
        "reward": None,
        "evaluate": None,
        "data": {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}], "eval_share": 0},
        "compute": {"threads": 1, "device": "cpu"},
        "optimize": dpo,
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    return tmp_path


def test_a_run_keeps_what_it_saw_on_its_way(project: Path) -> None:
    list(run_project(Path("assent.yaml"), (), (), quiet=True))
    made = find_artifact("runs/toy/round-1")
    notes, rows = made.notes, [row for row in read_metrics(made.folder) if row["kind"] == "eval"]
    assert notes["held_out"] + notes["comparisons"] == 20 and notes["held_out"] > 0
    assert [row["after"] for row in rows] == [0, 2, 4, 5] and notes["kept"] == [1, 2]
    assert notes["best"]["value"] == max(row["accuracy"] for row in rows[1:])
    answers = read_shown(made.folder)
    assert [after for after, _ in answers] == [0, 0, 2, 2, 4, 4, 5, 5]
    assert {one.prompt for _, one in answers} <= set(QUESTIONS)

    # The model after a step has a name, is a plain folder, and differs from the result.
    folder = Path(model_folder("runs/toy/round-1/step-1"))
    assert folder == made.folder / "step-1" and (folder / "model.safetensors").is_file()
    PolicyModel.load(folder, config=ModelConfig(), trainable=False)
    with pytest.raises(UserError, match="no model was kept after that step of .*; kept: step-1, step-2"):
        model_folder("runs/toy/round-1/step-40")
    assert model_folder("somebody/step-40") == "somebody/step-40", "on the hub a model may be called so"
    list(export_model("runs/toy/round-1/step-1", Path("out")))
    assert (Path("out") / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert "These are the weights after step 1 of its training" in Path("out/README.md").read_text(encoding="utf-8")

    report_of(Path("runs/toy"))
    page = Path("runs/toy/report.html").read_text(encoding="utf-8")
    assert "held out" in page and "The result is the best of 3 evaluations, after step" in page
    assert 'id="on-the-way"' in page and "after step 5" in page
    assert "&lt;b&gt;" in page and "know about <b>" not in page, "prompts and answers are untrusted text"


def test_tensorboard_shows_answers_as_text(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, quiet=True) as log:
        log.record(9, {"loss": 1.0})
        log.show(9, 10, [Answered("# What?\nNow", "*So*")])
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    [one] = events.Tensors("answers/1")
    assert one.step == 10
    assert one.tensor_proto.string_val[0].decode() == "    # What?\n    Now\n\nanswers\n\n    *So*"


def test_answers_after_a_kill_are_those_of_an_undisturbed_run(tmp_path: Path) -> None:
    with RunLog(tmp_path, quiet=True, tensorboard=False) as log:
        for step in (0, 4, 9):
            log.show(step, step + 1, [Answered("a", str(step))])
    with RunLog(tmp_path, quiet=True, tensorboard=False) as log:
        log.rewind(4)
        log.show(9, 10, [Answered("a", "9")])
    assert [one.answer for _, one in read_shown(tmp_path)] == ["0", "4", "9"]
    (tmp_path / "samples.jsonl").write_text('{"step": 1, "prompt": "a"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"samples\.jsonl:1: not an answer from the way"):
        read_shown(tmp_path)
