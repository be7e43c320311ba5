"""Rubrics: files with anchored criteria, whose content decides the keys of stages, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from assent.artifacts.outside import hashes, missing, outside
from assent.artifacts.packaged import packaged_names
from assent.core.errors import ConfigError
from assent.raters.config import AutoraterConfig
from assent.raters.rubric import LEVELS, Rubric

LEVEL_TEXTS = {1: "Not at all.", 2: "Hardly.", 3: "In part.", 4: "Mostly.", 5: "Wholly."}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(**changes: object) -> str:
    """A valid rubric of one criterion, with changes to that criterion."""
    criterion = {"question": "Is it kind?", "levels": LEVEL_TEXTS} | changes
    Path("own.yaml").write_text(yaml.safe_dump({"criteria": {"kind": criterion}}))
    return "own.yaml"


def config(rubric: str) -> AutoraterConfig:
    return AutoraterConfig.parse({"backend": {"kind": "local", "path": "hub/judge"}, "rubric": rubric})


def test_the_package_brings_four_rubrics_with_a_text_for_every_level() -> None:
    names = packaged_names("rubric")
    assert names == ["caution_legal_medical", "concision", "hhh", "instruction_following"]
    for name in names:
        rubric = Rubric.load(name)
        assert rubric.criteria and all(tuple(one.levels) == LEVELS for one in rubric.criteria.values())
    assert list(Rubric.load("hhh").criteria) == ["helpful", "honest", "harmless"]


def test_a_rubric_of_ones_own_is_a_path_and_criteria_are_chosen_in_order() -> None:
    assert Rubric.load(write()).criteria["kind"].levels[3] == "In part."
    assert list(Rubric.load("hhh", ("harmless", "helpful")).criteria) == ["harmless", "helpful"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"levels": {k: v for k, v in LEVEL_TEXTS.items() if k not in (2, 4)}}, "level 2, 4 has no text"),
        ({"levels": LEVEL_TEXTS | {4: "  "}}, "level 4 has no text"),
        ({"levels": LEVEL_TEXTS | {6: "More."}}, "6 is none of them"),
        ({"levels": LEVEL_TEXTS | {2: "Not at all."}}, "two levels have the same text, 'Not at all.'"),
        ({"examples": {0: "x"}}, "0 is none of them"),
        ({"levels": "1-5"}, "settings of its own"),
        ({"question": ""}, "criteria.kind.question"),
        ({"anchors": {}}, "unknown key 'criteria.kind.anchors'"),
    ],
)
def test_a_mistake_is_one_line(changes: dict[str, object], said: str) -> None:
    path = write(**changes)
    with pytest.raises(ConfigError, match="own.yaml") as error:
        Rubric.load(path)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_criterion_that_stands_twice_is_an_error_with_its_line() -> None:
    text = yaml.safe_dump({"kind": {"question": "?", "levels": LEVEL_TEXTS}})
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    Path("twice.yaml").write_text("criteria:\n" + indented + indented)
    with pytest.raises(ConfigError, match=r"twice\.yaml:10: .*'kind' stands twice"):
        Rubric.load("twice.yaml")


@pytest.mark.parametrize(
    ("names", "said"),
    [(("helpfull",), "did you mean 'helpful'"), (("taste",), "it has: helpful"), (("honest", "honest"), "named twice")],
)
def test_criteria_that_are_unknown_or_named_twice(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Rubric.load("hhh", names)


def test_a_name_that_the_package_does_not_have_and_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="there is no rubric hhx"):
        Rubric.load("hhx")
    with pytest.raises(ConfigError, match=r"there is no rubric \./hhx\.yaml"):
        Rubric.load("./hhx.yaml")
    said = {one.key: missing(one) for one in outside(config("hhx"))}
    assert "the package has no rubric 'hhx': it has caution_legal_medical" in str(said["rubric"])


def test_the_content_of_packaged_and_own_rubrics_and_prompts_enters_keys() -> None:
    first = hashes(config(write()))
    assert hashes(config(write(question="Is it cruel?"))) != first
    of_package = hashes(config("hhh"))
    assert set(of_package) == {"rubric hhh", "prompts plain"}
    assert of_package["rubric hhh"] != hashes(config("concision"))["rubric concision"]


def test_the_hash_of_a_rubric_follows_what_it_says() -> None:
    one = Rubric.load(write())
    assert one.hash == Rubric.load(write()).hash != Rubric.load(write(question="Is it cruel?")).hash
