"""Runs from Python: the same bits as from a YAML, rows as files of the run, functions by name, errors in one line."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import assent
from assent.artifacts.find import find_artifact
from assent.core.errors import AwaitingJudgments, ConfigError, DataError, UserError
from assent.core.hashing import hash_file
from assent.models.tiny import save_tiny
from assent.pipeline.run import run_project
from assent.training.reward_terms import PythonRewardConfig

QUESTIONS = [f"What should {who} know about {what}?" for what in ("bread", "wine", "eggs") for who in ("I", "a cook")]
PAIRS = [{"prompt": question, "chosen": "Much.", "rejected": "Nothing."} for question in QUESTIONS]
DPO: dict[str, Any] = {"batch_size": 4, "optimizer": {"learning_rate": 0.01}}
SMALL: dict[str, Any] = {
    "evaluate": None,
    "eval_share": 0.0,
    "compute": {"threads": 1, "device": "cpu"},
    "log": {"tensorboard": False},
    "quiet": True,
}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    save_tiny(tmp_path / "base", "llama")


def weights(run: assent.FinishedRun) -> str:
    return hash_file(run.policy / "model.safetensors")


def test_a_run_from_python_has_the_bits_of_the_same_run_from_a_yaml() -> None:
    done = assent.train("base", comparisons=PAIRS, optimize=assent.DPOConfig.parse(DPO), to="runs/python", **SMALL)
    Path("pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PAIRS), encoding="utf-8")
    settings = {name: value for name, value in SMALL.items() if name not in ("eval_share", "quiet")}
    base = {"kind": "pretrained", "path": "base"}
    data = {"kind": "files", "comparisons": [{"path": "pairs.jsonl"}], "eval_share": 0.0}
    values = {"name": "yaml", "base": base, "data": data, "optimize": {"kind": "dpo", **DPO}, **settings}
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    list(run_project(Path("assent.yaml"), quiet=True))
    assert weights(done) == weights(assent.FinishedRun("runs/yaml"))
    assert done.report.is_file() and done.verdict[0].startswith("round 1: evaluate is null")
    # A second call finds everything, also through the YAML that the run wrote of itself.
    made = find_artifact("runs/python").manifest.created, done.policy.stat().st_mtime_ns
    again = assent.train("base", comparisons=PAIRS, optimize=assent.DPOConfig.parse(DPO), to="runs/python", **SMALL)
    assert (find_artifact("runs/python").manifest.created, again.policy.stat().st_mtime_ns) == made
    assert weights(assent.run("runs/python/run.yaml", quiet=True)) == weights(done)
    # A loaded model is the folder that it was loaded from.
    loaded = AutoModelForCausalLM.from_pretrained("base"), AutoTokenizer.from_pretrained("base")
    same = assent.train(loaded, comparisons=PAIRS, optimize=assent.DPOConfig.parse(DPO), to="runs/loaded", **SMALL)
    assert weights(same) == weights(done)


def test_rows_become_a_file_of_the_run_named_by_their_content() -> None:
    done = assent.train("base", comparisons=iter(PAIRS), optimize={"kind": "dpo", **DPO}, to="runs/mine", **SMALL)
    [file] = Path("runs/given").iterdir()
    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == PAIRS
    data = yaml.safe_load((done.folder / "run.yaml").read_text(encoding="utf-8"))["data"]
    assert [one["path"] for one in data["comparisons"]] == [f"../given/{file.name}"]
    with pytest.raises(UserError, match="has fitted no reward model"):
        done.export("out", part="reward")
    done.export("out")
    assert AutoModelForCausalLM.from_pretrained("out").num_parameters() > 0
    with pytest.raises(UserError, match="holds no finished run"):
        assent.FinishedRun("runs/other")


def test_a_function_is_a_reward_by_the_name_that_imports_it() -> None:
    Path("brief_words.py").write_text(
        "def brevity(prompts, completions):\n    return [-float(len(text)) for text in completions]\n", encoding="utf-8"
    )
    brevity = importlib.import_module("brief_words").brevity
    given = assent.GRPOConfig(rewards=[brevity, {"kind": "length", "most": 9}])  # type: ignore[arg-type]
    assert given.rewards[0] == PythonRewardConfig(target="brief_words:brevity") == PythonRewardConfig(target=brevity)
    method = {
        "kind": "grpo",
        "steps": 1,
        "prompts_per_step": 2,
        "sampling": {"max_new_tokens": 3},
        "rewards": [brevity],
    }
    rows = [{"prompt": question} for question in QUESTIONS]
    done = assent.train(
        "base", prompts=rows, optimize={**method, "rewards": [brevity]}, reward=None, to="runs/brief", **SMALL
    )
    manifest = find_artifact("runs/brief").manifest
    assert manifest.config["optimize"]["rewards"][0]["target"] == "brief_words:brevity"
    assert "brief_words:brevity" in manifest.extra
    assert done.reward is None


@pytest.mark.parametrize("nameless", [lambda p, c: [0.0], type("Scorer", (), {"__call__": lambda *_: [0.0]})()])
def test_a_function_that_no_later_run_could_import_is_refused(nameless: Any) -> None:
    with pytest.raises(ConfigError, match="has no name by which a later run could import it.*from rewards import"):
        assent.train("base", prompts=PAIRS, optimize={"kind": "grpo", "rewards": [nameless]}, to="runs/x", **SMALL)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"comparisons": [*PAIRS, "What?"]}, r"comparisons\[6\] is the text 'What\?' among rows; give rows, or files"),
        ({"comparisons": ["What?"]}, r"comparisons\[0\] is the text 'What\?'; give rows as"),
        ({"comparisons": [{"prompt": "a", "score": float("nan")}]}, r"comparisons\[0\]: column 'score' cannot be"),
        ({"comparisons": {"train": PAIRS}}, "comparisons is a mapping with train; give a list of rows, or one split"),
        ({"comparisons": [3]}, r"comparisons\[0\] is int; give rows as"),
        ({"comparisons": "gone.jsonl"}, "gone.jsonl"),
        ({"comparisons": PAIRS, "optimise": {"kind": "dpo"}}, "optimise"),
        ({"comparisons": PAIRS, "data": {"kind": "lab"}}, "data is given beside comparisons"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises((DataError, ConfigError), match=said) as raised:
        assent.train("base", to="runs/x", **{**SMALL, **given})
    assert "\n" not in str(raised.value)


def test_a_model_without_its_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"base is LlamaForCausalLM; give .*\(model, tokenizer\)"):
        assent.train(AutoModelForCausalLM.from_pretrained("base"), comparisons=PAIRS, to="runs/x")


def test_a_run_that_waits_for_people_says_with_which_command_they_rate() -> None:
    settings = {**SMALL, "collect": {"raters": {"kind": "people"}}, "sample": {"prompts": 2, "answers": 2}}
    settings["sample"]["sampling"] = {"max_new_tokens": 3}
    with pytest.raises(AwaitingJudgments, match=r"start `assent rate --store sqlite:///.*feedback\.db`"):
        assent.train("base", prompts=PAIRS, optimize=None, reward=None, to="runs/asked", **settings)


def test_importing_the_package_is_light_and_every_name_is_there() -> None:
    script = "import sys, assent; print([m for m in ('pydantic', 'torch') if m in sys.modules]);"
    script += "[getattr(assent, name) for name in assent.__all__];"
    script += "print([m for m in ('torch', 'transformers', 'sqlalchemy', 'datasets') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n[]\n"
    api = importlib.import_module("assent.api")
    assert sorted([*api.__all__, "__version__"]) == sorted(assent.__all__)
    stub = Path(assent.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    assert [name for name in api.__all__ if f" as {name}\n" not in stub] == []
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        assent.trian  # noqa: B018
