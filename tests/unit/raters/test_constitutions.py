"""Constitutions as files: what comes along can be used, a bad file is named by file, principle and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from assent.artifacts.packaged import packaged_names
from assent.core.errors import ConfigError
from assent.raters.config import ConstitutionConfig
from assent.raters.constitution import Constitution, doubled_words

GOOD = {"id": "kind", "critique": "Is it unkind?", "revision": "Make it kind.", "preference": "It is kind."}


def write(path: Path, *principles: Any, **more: Any) -> Path:
    path.write_text(yaml.safe_dump({"name": "own", "version": "1", "principles": list(principles), **more}))
    return path


def test_those_that_come_along_load_and_differ_in_every_text() -> None:
    assert packaged_names("constitution") == ["hhh", "lab"]
    for name in packaged_names("constitution"):
        loaded = Constitution.load(name)
        assert loaded.name == name and len(loaded.principles) >= 4 and not doubled_words(loaded)


@pytest.mark.parametrize(
    ("principle", "said"),
    [
        ({k: v for k, v in GOOD.items() if k != "preference"}, "own.yaml: principle kind: preference is missing"),
        (GOOD | {"weigth": 2}, "own.yaml: principle kind: unknown key 'weigth'; did you mean 'weight'?"),
        (GOOD | {"weight": 0}, "own.yaml: principle kind: weight: should be above 0, got 0"),
        (GOOD | {"critique": "  "}, "own.yaml: principle kind: critique of kind is empty"),
        (GOOD | {"id": "Be Kind"}, "own.yaml: principle Be Kind: id: "),
        ("be kind", "own.yaml: principle 1 is no mapping"),
    ],
)
def test_a_bad_principle_is_named_by_file_id_and_key(
    principle: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("own.yaml"), principle)
    with pytest.raises(ConfigError) as error:
        Constitution.load("own.yaml")
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


def test_files_that_are_none_are_errors_in_a_line(tmp_path: Path) -> None:
    for content in (b"\xff\xfe\x00", b"name: [", b"- a", b"name: x\nversion: '1'\nprinciples: kind"):
        path = tmp_path / "bad.yaml"
        path.write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.yaml"):
            Constitution.load(str(path))
    with pytest.raises(ConfigError, match="name the path of a file, or one of: hhh, lab"):
        Constitution.load("hhs")


def test_ids_are_given_once_and_principles_are_chosen_by_id_or_topic(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two principles have the id 'kind'"):
        Constitution.load(str(write(tmp_path / "twice.yaml", GOOD, GOOD)))
    harm = [one.id for one in Constitution.load("hhh", ["harm"]).principles]
    assert harm == ["no_harm", "no_private_data"]
    assert [one.id for one in Constitution.load("hhh", ["honest", "no_harm"]).principles] == ["no_harm", "honest"]
    with pytest.raises(ConfigError, match=r"no topic 'honst'; did you mean 'honest'\?"):
        Constitution.load("hhh", ["honst"])


def test_a_topic_of_one_principle_does_not_hide_another_of_that_id(tmp_path: Path) -> None:
    leaks, harm = GOOD | {"id": "no_leaks", "about": ["harm", "secrets"]}, GOOD | {"id": "harm"}
    loaded = Constitution.load(str(write(tmp_path / "own.yaml", leaks, harm)))
    assert loaded.named("harm").id == "harm" and loaded.named("no_leaks").id == "no_leaks"
    with pytest.raises(ConfigError, match=r"constitution own has no principle 'secrets'; it has: no_leaks, harm"):
        loaded.named("secrets")
    with pytest.raises(ConfigError, match=r"no principle 'no_leak'; did you mean 'no_leaks'\?"):
        loaded.named("no_leak")
    chosen = [[one.id for one in loaded.only([name]).principles] for name in ("harm", "secrets", "no_leaks")]
    assert chosen == [["no_leaks", "harm"], ["no_leaks"], ["no_leaks"]], "an id or a topic chooses all that it fits"


def test_texts_that_stand_twice_are_said(tmp_path: Path) -> None:
    other = GOOD | {"id": "nice", "critique": "is it  Unkind?"}
    found = doubled_words(Constitution.load(str(write(tmp_path / "own.yaml", GOOD, other))))
    assert found == [f"kind and nice have the same {key}" for key in ("critique", "revision", "preference")]


def test_other_words_are_other_raters_and_a_moved_file_is_not(tmp_path: Path) -> None:
    def ids(path: Path, **more: Any) -> list[str]:
        backend = {"kind": "python", "target": "builtins:len"}
        return list(ConstitutionConfig.parse({"constitution": str(path), "backend": backend, **more}).ids("train", 0))

    first = ids(write(tmp_path / "a.yaml", GOOD, GOOD | {"id": "b"}))
    assert [one.partition("@")[0] for one in first] == ["constitution/kind", "constitution/b"]
    assert ids(write(tmp_path / "moved.yaml", GOOD, GOOD | {"id": "b"})) == first
    assert ids(write(tmp_path / "a.yaml", GOOD, GOOD | {"id": "b", "preference": "It is not."})) != first
    [mean] = ids(tmp_path / "moved.yaml", ask="all")
    assert mean.startswith("constitution@") and mean.partition("@")[2] != first[0].partition("@")[2]
