"""Project folders: the starter is valid, tells the truth about defaults, and imports keep what people said once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from assent.core.errors import ConfigError, DataError, UserError
from assent.feedback.store import Store
from assent.models.tiny import save_tiny
from assent.pipeline.commands.project import STARTER, import_files, inspect_files, make_project
from assent.pipeline.config import RunConfig
from assent.pipeline.imported import IMPORTED
from assent.pipeline.places import moved, open_project

COMMENTED = re.compile(r"^#(?=\w+:|  +\w+:)", re.MULTILINE)
NOTED_DEFAULT = re.compile(r"^( *)(\w+): .*?# +\(([^);]*)")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path / "p")
    return tmp_path / "p"


def ratings(path: Path, *rows: dict[str, Any] | str) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def rating(prompt: str, ranking: str = "a > b", rater: str = "ann") -> dict[str, Any]:
    return {"prompt": prompt, "answers": {"a": "good", "b": "bad"}, "ranking": ranking, "rater": rater}


def imported(project: Path) -> int:
    with Store.open(f"sqlite:///{project / 'feedback.db'}") as store:
        return sum(len(c.judgments) for c in store.comparisons(IMPORTED))


def at(values: Any, path: list[str]) -> Any:
    for part in path:
        values = getattr(values, part) if isinstance(values, BaseModel) else values[part]
    return values


def leaves(values: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[list[str], Any]]:
    found = []
    for key, value in values.items():
        found += leaves(value, (*path, key)) if isinstance(value, dict) else [([*path, key], value)]
    return found


# -- the starter


def test_a_new_project_holds_settings_data_and_a_store(project: Path) -> None:
    held = {p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()}
    assert held == {*STARTER, "feedback.db"}
    assert open_project(project / "assent.yaml").config.name == "first"


def test_a_folder_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="not empty"):
        make_project(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_an_empty_folder_may_be_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not any("cd" in line for line in make_project(Path()))
    assert (tmp_path / "assent.yaml").exists()


def test_every_default_that_the_starter_shows_is_the_default(project: Path) -> None:
    text = (project / "assent.yaml").read_text()
    active, shown = yaml.safe_load(text), yaml.safe_load(COMMENTED.sub("", text))
    config = RunConfig.parse(shown)
    bare = {key: active[key] for key in ("base", "data", "collect")}
    bare["data"] = {"kind": "files", "demonstrations": [{"path": "x"}], "comparisons": [{"path": "y"}]}
    default = RunConfig.parse({**bare, "optimize": {"kind": "ppo"}})
    given = [path for path, _ in leaves(active)]
    commented = [path for path, _ in leaves(shown) if path not in given]
    assert len(commented) > 20
    for path in commented:
        assert at(config, path) == at(default, path), ".".join(path)


def test_every_default_noted_beside_a_setting_is_the_default(project: Path) -> None:
    lines = (project / "assent.yaml").read_text().splitlines()
    default = RunConfig.parse(
        {
            "base": {"kind": "scratch"},
            "data": {"kind": "files", "demonstrations": [{"path": "x"}], "comparisons": [{"path": "y"}]},
        }
    )
    checked = 0
    path: list[tuple[int, str]] = []
    for line in lines:
        key = re.match(r"^( *)(\w+):", line)
        if key is None:
            continue
        path = [(depth, name) for depth, name in path if depth < len(key[1])] + [(len(key[1]), key[2])]
        noted = NOTED_DEFAULT.match(line)
        if noted is None:
            continue
        names = [name for _, name in path]
        inside = list(yaml.safe_load(line.split("#")[0])[key[2]]) if "{" in line else []
        values = [at(default, [*names, name]) for name in inside] or [at(default, names)]
        assert [float(part) for part in noted[3].split(",")] == values, line
        checked += 1
    assert checked >= 12


# -- paths


def test_relative_paths_are_taken_from_the_folder_of_the_yaml(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    found = open_project(Path("p/assent.yaml"))
    assert found.config.data.demonstrations[0].path == Path("p/data/demonstrations.jsonl")  # type: ignore[union-attr]
    assert found.config.store.url == "sqlite:///p/feedback.db"
    assert found.run_folder == Path("runs/first")


def test_inside_the_project_paths_stay_as_written(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # They enter the keys of artifacts: a project that is moved must find what it has made.
    monkeypatch.chdir(project)
    values = yaml.safe_load(Path("assent.yaml").read_text())
    assert open_project(Path("assent.yaml")).config == RunConfig.parse(values)


def test_absolute_paths_and_hub_ids_stay(tmp_path: Path) -> None:
    values = {
        "base": {"kind": "pretrained", "path": "org/model"},
        "model": {"template": "{{ messages }}"},
        "data": {"kind": "files", "demonstrations": [{"path": "/data/d.jsonl"}], "comparisons": [{"hub": "org/set"}]},
        "store": {"url": "postgresql://me@host/db"},
    }
    config = RunConfig.parse(values)
    assert moved(config, old=tmp_path, new=Path("/elsewhere")) == config


def test_moving_there_and_back_changes_nothing(project: Path) -> None:
    config = RunConfig.parse(yaml.safe_load((project / "assent.yaml").read_text()))
    there = moved(config, old=project, new=project / "runs" / "first")
    assert there.data.demonstrations[0].path == Path("../../data/demonstrations.jsonl")  # type: ignore[union-attr]
    assert moved(there, old=project / "runs" / "first", new=project) == config


# -- import


def test_importing_twice_adds_once(project: Path) -> None:
    file = ratings(project / "r.jsonl", rating("one?"), rating("two?", "b > a"))
    first = list(import_files(project / "assent.yaml", [file]))
    assert any("2 judgments added" in line for line in first)
    again = list(import_files(project / "assent.yaml", [file]))
    assert any("0 judgments added, 2 known already" in line for line in again)
    assert imported(project) == 2


def test_a_bad_line_in_the_second_file_keeps_the_first_out_too(project: Path) -> None:
    good = ratings(project / "good.jsonl", rating("one?"))
    bad = ratings(project / "bad.jsonl", rating("two?"), rating("three?", "a > z"))
    with pytest.raises(DataError, match=r"bad\.jsonl:2: the ranking names the unknown answer 'z'"):
        list(import_files(project / "assent.yaml", [good, bad]))
    assert imported(project) == 0


def test_skip_bad_puts_bad_rows_aside_with_line_and_reason(project: Path) -> None:
    file = ratings(project / "r.jsonl", rating("one?"), "{not json", rating("two?"))
    said = list(import_files(project / "assent.yaml", [file], skip_bad=True))
    assert any("1 bad row skipped (first: line 2" in line for line in said)
    [row] = [json.loads(line) for line in (project / "quarantine.jsonl").read_text().splitlines()]
    assert row["line"] == 2 and row["row"] == "{not json"
    assert imported(project) == 2


def test_an_unknown_format_is_answered_with_those_there_are(project: Path) -> None:
    with pytest.raises(ConfigError, match="format: .*'trl'.*got 'tlr'"):
        list(import_files(project / "assent.yaml", [project / "data/ratings.jsonl"], format="tlr"))


# -- inspect


def test_inspecting_says_what_a_file_holds(project: Path) -> None:
    said = "\n".join(
        inspect_files([str(project / "data" / name) for name in ("ratings.jsonl", "demonstrations.jsonl")])
    )
    assert "24 comparisons" in said and "40 conversations" in said
    assert "K=3: 24" in said and "raters: 3" in said


def test_a_bad_ranking_is_not_read_as_a_prompt(project: Path) -> None:
    file = ratings(project / "r.jsonl", rating("one?"), rating("two?", "a > z"))
    with pytest.raises(DataError, match=":2: the ranking names"):
        list(inspect_files([str(file)]))
    assert "1 bad row skipped" in "\n".join(inspect_files([str(file)], skip_bad=True))


def test_inspecting_shows_the_first_row_as_people_and_as_the_model_read_it(project: Path, tmp_path: Path) -> None:
    save_tiny(tmp_path / "model", "llama")
    lines = list(inspect_files([str(project / "data" / "ratings.jsonl")], model=str(tmp_path / "model")))
    first = json.loads((project / "data" / "ratings.jsonl").read_text().splitlines()[0])
    assert f"    user: {first['prompt']}" in lines and "    rater ann: A > B > C" in lines
    read = next(line for line in lines if line.startswith("  the first, as the model reads it: "))
    assert first["prompt"] in read and first["answers"]["a"] in read


def test_a_text_file_is_called_plain_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello there")
    assert next(inspect_files([str(tmp_path / "a.txt")])) == f"{tmp_path / 'a.txt'}: 1 rows as plain text, 1 items"


@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/below"])
def test_a_folder_that_cannot_be_made_is_one_line(place: str) -> None:
    with pytest.raises(UserError, match=f"cannot write {place}/.*; choose another folder"):
        make_project(Path(place))
