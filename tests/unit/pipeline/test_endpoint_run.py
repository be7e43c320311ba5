"""A judge behind an address as the raters of a run: the key is in no file that the run leaves, nor in an error."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from assent.artifacts.jsonl import read_records
from assent.core.errors import UserError
from assent.core.types import Comparison
from assent.pipeline.doctor.examine import examine
from assent.pipeline.run import run_project
from assent.report.run import report_of

ROOT = Path(__file__).parents[3]
KEY = "sk-never-to-be-written-anywhere-1234567890"


@pytest.fixture(scope="module")
def bad_server() -> ModuleType:
    """benchmarks/hostile_endpoint.py."""
    spec = importlib.util.spec_from_file_location("hostile_endpoint", ROOT / "benchmarks" / "hostile_endpoint.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUDGE_KEY", KEY)


def write_lab(url: str) -> None:
    """A run on the lab that takes seconds."""
    toy = {"kind": "scratch", "vocab_size": 400, "shape": {"hidden": 16, "layers": 1, "heads": 1, "context": 128}}
    brief = {"max_new_tokens": 6}
    backend = {"kind": "endpoint", "base_url": url, "model": "judge", "key_env": "JUDGE_KEY", "timeout": 2.0}
    values = {
        "name": "toy",
        "base": {**toy, "pretrain": {"epochs": 1}},
        "data": {"kind": "lab", "corpus": 20, "demonstrations": 20, "prompts": 8},
        "sft": None,
        "sample": {"prompts": 4, "answers": 2, "sampling": brief},
        "collect": {"raters": {"kind": "autorater", "backend": backend}, "overlap_share": 0.0},
        "optimize": {"kind": "dpo", "batch_size": 4},
        "evaluate": {"prompts": 2, "sampling": brief},
        "compute": {"threads": 1, "device": "cpu"},
        "log": {"tensorboard": False},
    }
    Path("assent.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def test_a_run_is_judged_over_http_and_holds_no_key(bad_server: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    with bad_server.hostile(bad_server.Hostile(key=KEY, fault_share=0.2, most_faults=1)) as url:
        write_lab(url)
        lines = list(run_project(Path("assent.yaml"), quiet=False))
    report_of(Path("runs/toy"))
    [judgments] = Path("runs/artifacts").glob("judgments-*")
    said = [one for row in read_records(judgments / "comparisons.jsonl", Comparison) for one in row.judgments]
    assert {one.rater_id for one in said} == {f"judge judge at {url.split('/')[2]} by hhh"} and len(said) == 4
    out, err = capfd.readouterr()
    assert "the judge made" in out + err
    assert KEY not in out + err + "".join(lines)
    written = [path for path in Path().rglob("*") if path.is_file()]
    assert any(path.name == "run.yaml" for path in written) and any("judge-cache" in str(path) for path in written)
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []


def test_a_wrong_key_ends_the_run_with_one_line_that_does_not_show_it(bad_server: ModuleType) -> None:
    with bad_server.hostile(bad_server.Hostile(key="another")) as url:
        write_lab(url)
        with pytest.raises(UserError, match="refuses the key in JUDGE_KEY") as error:
            list(run_project(Path("assent.yaml"), quiet=True))
    assert KEY not in str(error.value)
    assert [path for path in Path().rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def test_doctor_says_what_can_be_said_without_asking_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    write_lab("https://api.example.org/v1")
    said = [str(one) for one in examine(Path("assent.yaml")) if "backend" in one.key]
    assert len(said) == 2 and "is first asked when the run starts" in said[0] and "without a limit" in said[1]
    monkeypatch.delenv("JUDGE_KEY")
    problems = [str(one) for one in examine(Path("assent.yaml")) if one.is_error]
    assert len(problems) == 1 and "the environment variable JUDGE_KEY is not set" in problems[0]


def test_a_judge_that_skips_the_whole_evaluation_ends_the_run_with_one_line(bad_server: ModuleType) -> None:
    asked: set[str] = set()

    def answer(body: dict[str, Any]) -> str:
        """Verdicts on the four pairs that are learned from, in both orders, and on nothing after them."""
        if len(body["messages"]) < 4:
            asked.add(body["messages"][1]["content"])
        return f'{{"verdict": "{bad_server.longer(body["messages"])}"}}' if len(asked) <= 8 else "no"

    with bad_server.hostile(bad_server.Hostile(fault_share=0.0, word_share=0.0, answer=answer)) as url:
        write_lab(url)
        with pytest.raises(UserError, match="verdicts on 0: of 4 judgments 4 are skips, for example because no valid"):
            list(run_project(Path("assent.yaml"), quiet=True))
