"""What enters from outside: the hashes of content by name, old names among them, and what is missing."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from pydantic import Field

from assent.artifacts.identity import hash_folder
from assent.artifacts.modules import problem_of, source_hash_of
from assent.artifacts.outside import changed, hashes, missing, outside
from assent.core.config import Config
from assent.data.config import Source
from assent.feedback.config import StoreConfig
from assent.models.config import ModelConfig
from assent.pipeline.config import FileData, PretrainedBase
from assent.pipeline.rounds import data_identity


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class Judge(Config):
    prompts: tuple[Path, ...] = Field(default=(), json_schema_extra={"outside": "file"})
    """Any new field."""
    note: Path | None = Field(default=None, json_schema_extra={"outside": "file", "affects_result": False})
    """One that decides nothing."""


class Judged(Config):
    judges: dict[str, Judge] = Field(default_factory=dict)
    """By name."""


def test_names_and_hashes_are_those_that_finished_runs_have() -> None:
    """By hand: a base folder under `model` as [[name, SHA-256], …], a file under its path, a hub id by its config."""
    write("base/config.json", "{}")
    write("data/d.jsonl", "x")
    folder = sha(json.dumps([["config.json", sha("{}")]], separators=(",", ":")))
    assert hashes(PretrainedBase(path="base")) == {"model": folder}
    hub = {"columns": {}, "format": "auto", "hub": "org/set", "limit": None, "path": None, "skip_bad": False}
    hub |= {"split": "train", "subset": None, "ignore": [], "weight": 1.0}
    data = FileData.parse(
        {
            "kind": "files",
            "demonstrations": [{"path": "data/d.jsonl"}, {"path": "gone.jsonl"}],
            "comparisons": [{"path": "data"}, {"hub": "org/set"}],
        }
    )
    assert hashes(data) == {
        "data/d.jsonl": sha("x"),
        "gone.jsonl": sha('"gone.jsonl"'),
        "data": sha(json.dumps([["d.jsonl", sha("x")]], separators=(",", ":"))),
        "org/set": sha(json.dumps(hub, separators=(",", ":"), sort_keys=True)),
    }


def test_without_anything_outside_nothing_enters_a_key() -> None:
    assert hashes(PretrainedBase(path="org/model")) == {}
    assert hashes(ModelConfig(template="{{ messages }}")) == hashes(ModelConfig()) == hashes(StoreConfig()) == {}


def test_a_mark_is_all_that_a_new_field_needs() -> None:
    write("judge.md", "Be fair.")
    config = Judged(judges={"a": Judge(prompts=(Path("judge.md"), Path("gone.md")), note=Path("n.txt"))})
    assert hashes(config) == {"judge.md": sha("Be fair."), "gone.md": sha('"gone.md"')}
    assert [one.key for one in outside(config)] == ["judges.a.prompts[0]", "judges.a.prompts[1]", "judges.a.note"]
    assert [missing(one) for one in outside(config)] == [
        None,
        "gone.md: no such file or folder",
        "n.txt: no such file or folder",
    ]
    moved = changed(config, lambda one: f"up/{one.value}")
    assert moved.judges["a"].prompts == (Path("up/judge.md"), Path("up/gone.md"))
    assert changed(config, lambda one: one.value) is config


def test_the_base_of_an_adapter_enters_with_it() -> None:
    write("adapter/adapter_config.json", json.dumps({"base_model_name_or_path": "base"}))
    write("base/config.json", "{}")
    before = hashes(PretrainedBase(path="adapter"))
    assert set(before) == {"model", "model base"}
    write("base/model.safetensors", "weights")
    after = hashes(PretrainedBase(path="adapter"))
    assert after["model"] == before["model"] and after["model base"] != before["model base"]


def test_an_adapter_of_itself_ends() -> None:
    write("a/adapter_config.json", json.dumps({"base_model_name_or_path": "a"}))
    assert set(hashes(PretrainedBase(path="a"))) == {"model"}


def test_a_linked_folder_counts_and_a_link_that_leads_back_up_ends() -> None:
    write("model/config.json", "{}")
    plain = hash_folder(Path("model"))
    Path("model/again").symlink_to(Path("model").absolute())
    assert hash_folder(Path("model")) == plain
    write("elsewhere/weights", "1")
    Path("model/linked").symlink_to(Path("elsewhere").absolute())
    before = hash_folder(Path("model"))
    write("elsewhere/weights", "2")
    assert plain != before != hash_folder(Path("model"))


def test_a_large_file_that_is_written_again_has_another_hash() -> None:
    file = write("model/weights", "1" * (2 << 20))
    before = hash_folder(Path("model"))
    file.write_text("2" * (2 << 20))
    assert hash_folder(Path("model")) != before


def hashes_of(source: Source) -> dict[str, str]:
    """What a source adds to the key of the stage that gathers it: what it names, and what its format reads beside."""
    found = hashes(source) | data_identity(FileData(demonstrations=(source,))).said
    assert found.pop("reading"), "the version of how files are read"
    return found


@pytest.mark.parametrize("format", ["auto", "ukp"])
def test_the_texts_that_ukp_keeps_beside_its_pairs_enter_a_key(format: str) -> None:
    pair = {"topic": "t", "arg1": "a", "arg2": "b", "mTurkAssignments": []}
    write("ukp/pairs.jsonl", json.dumps(pair) + "\n")
    write("ukp/arguments.jsonl", "{}\n")
    source = Source.parse({"path": "ukp/pairs.jsonl", "format": format})
    assert hashes_of(source) == {"ukp/pairs.jsonl": sha(json.dumps(pair) + "\n"), "ukp/arguments.jsonl": sha("{}\n")}


def test_a_file_of_that_name_beside_other_data_is_nothing_to_it() -> None:
    write("d/demos.jsonl", '{"prompt": "Why?", "completion": "So."}\n')
    write("d/arguments.jsonl", "{}\n")
    assert set(hashes_of(Source.parse({"path": "d/demos.jsonl"}))) == {"d/demos.jsonl"}


def test_hidden_data_files_are_read_and_so_they_count() -> None:
    write("d/a.jsonl", "{}\n")
    write("d/.b.jsonl", "{}\n")
    assert set(hashes_of(Source.parse({"path": "d"}))) == {"d", "d/.b.jsonl"}


# -- Python targets


def test_a_target_is_its_module_and_the_own_modules_that_it_imports() -> None:
    write(
        "judges.py",
        "import math, torch, assent.core.types\nfrom pkg import words\nimport deep.a.b\ndef f(): import late\n",
    )
    write("pkg/__init__.py", "")
    write("pkg/words.py", "from . import lists\nfrom .more import x\n")
    write("pkg/lists.py", "from ..pkg import words\n")
    write("pkg/more.py", "import judges\nx = 1\n")
    write("deep/a/b.py", "")
    write("late.py", "")
    write("stranger.py", "")
    seen = source_hash_of("judges:f")
    for name in (
        "judges.py",
        "pkg/__init__.py",
        "pkg/words.py",
        "pkg/lists.py",
        "pkg/more.py",
        "deep/a/b.py",
        "late.py",
    ):
        before = Path(name).read_text()
        Path(name).write_text(before + "\n# changed\n")
        assert source_hash_of("judges:f") != seen, name
        Path(name).write_text(before)
    write("stranger.py", "x = 2")
    assert source_hash_of("judges:f") == seen
    assert source_hash_of("judges:g") == seen, "two targets of one module are one source; their names differ"


def test_nothing_is_run_to_hash_a_target() -> None:
    write("boom.py", "import other_boom\nraise RuntimeError\n")
    write("other_boom.py", "raise RuntimeError\n")
    assert source_hash_of("boom:f") != source_hash_of("gone:f")
    assert "boom" not in sys.modules


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("gone:f", "module 'gone' of 'gone:f' is not there"),
        ("here:gone", "module 'here' of 'here:gone' has no 'gone'"),
        ("here.py", 'wants "package.module:function"'),
        ("broken:f", "is not valid Python"),
    ],
)
def test_a_target_that_cannot_be_there_is_said_without_running_it(target: str, said: str) -> None:
    write("here.py", "def f(): ...\n")
    write("broken.py", "def f(:\n")
    assert said in str(problem_of(target))
    assert source_hash_of(target)


@pytest.mark.parametrize("target", ["here:f", "here:g", "here:h", "here:k", "star:any", "math:sqrt", "json:loads"])
def test_a_target_that_may_be_there_is_not_complained_of(target: str) -> None:
    write("here.py", "def f(): ...\nif f:\n    g = f\nfrom json import loads as h\nimport k\n")
    write("star.py", "from json import *\n")
    assert problem_of(target) is None
