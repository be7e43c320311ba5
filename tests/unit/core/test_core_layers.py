"""Layers of settings: `--set` reaches into lists, errors name the file or the `--set` that brought them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.layers import layers, left_out, merged, parse, sets


class Source(Config):
    path: str
    limit: int | None = None


class Data(Config):
    prompts: tuple[Source, ...] = ()


class Learned(Config):
    kind: Literal["learned"] = "learned"
    weight: float = 1.0


class Counted(Config):
    kind: Literal["counted"] = "counted"
    limit: int


Reward = Annotated[Learned | Counted, Field(discriminator="kind")]


class Sampling(Config):
    kind: Literal["sampling"] = "sampling"
    rewards: tuple[Reward, ...] = (Learned(weight=2),)
    shares: dict[str, float] = Field(default={"all": 1.0})


class Ranking(Config):
    kind: Literal["ranking"] = "ranking"
    rewards: tuple[Reward, ...] = (Counted(limit=3), Learned())


class Run(Config):
    seed: int = 0
    data: Data = Data()
    method: Annotated[Sampling | Ranking, Field(discriminator="kind")] = Sampling()
    gate: Data | None = None


@pytest.fixture
def project(tmp_path: Path) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text("seed: 1\ndata: {prompts: [{path: a}, {path: b, limit: 3}]}\n")
    return file


def test_settings_are_yaml_values_under_dotted_keys_and_the_last_wins() -> None:
    assert merged(sets(["a.b=0.1", "a.c=[1, x]", "a.b=null"])) == {"a": {"b": None, "c": [1, "x"]}}
    assert merged(sets(["kl.kind=off", "plot=false"])) == {"kl": {"kind": "off"}, "plot": False}


def test_another_kind_is_laid_before_what_belongs_to_it() -> None:
    below = sets(["optimize={kind: ppo, clip: 1}"])
    wanted = {"optimize": {"kind": "dpo", "beta": 2}}
    assert merged([*below, *sets(["optimize.kind=dpo", "optimize.beta=2"])]) == wanted
    assert merged([*below, *sets(["optimize.beta=2", "optimize.kind=dpo"])]) == wanted


@pytest.mark.parametrize("key", ["data.prompts.1.path", "data.prompts[1].path"])
def test_a_setting_changes_one_entry_of_a_list(project: Path, key: str) -> None:
    found = parse(Run, layers(project, settings=[f"{key}=c"]))
    assert found.data.prompts == (Source(path="a"), Source(path="c", limit=3))


def test_plus_appends(project: Path) -> None:
    found = parse(Run, layers(project, settings=["data.prompts.+={path: c}", "data.prompts.+.path=d"]))
    assert [one.path for one in found.data.prompts] == ["a", "b", "c", "d"]
    assert parse(Run, sets(["data.prompts.+.path=x"])).data.prompts == (Source(path="x"),)


def test_plus_appends_to_the_default_of_the_kind_that_is_meant() -> None:
    one = "method.rewards.+={kind: counted, limit: 5}"
    assert parse(Run, sets([one])).method.rewards == (Learned(weight=2), Counted(limit=5))
    assert parse(Run, sets(["method={kind: sampling}", one])).method.rewards == (Learned(weight=2), Counted(limit=5))
    ranked = (Counted(limit=3), Learned(), Counted(limit=5))
    assert parse(Run, sets(["method.kind=ranking", one])).method.rewards == ranked
    assert parse(Run, sets(["method.rewards=[]", one])).method.rewards == (Counted(limit=5),)


def test_a_number_reaches_into_the_default_and_a_key_into_a_default_mapping() -> None:
    found = parse(Run, sets(["method.rewards.0.weight=3"])).method
    assert found.rewards == (Learned(weight=3),)
    assert parse(Run, sets(["method.shares.some=0.5"])).method == Sampling(shares={"all": 1.0, "some": 0.5})


def test_a_setting_goes_into_what_a_name_below_it_stands_for(project: Path) -> None:
    def named(values: dict[str, Any]) -> dict[str, Any]:
        if values.get("gate") == "known":
            return {**values, "gate": {"prompts": [{"path": "a"}]}}
        if isinstance(values.get("gate"), str):
            raise ConfigError("gate: there is no such file")
        return values

    settings = ["gate=known", "gate.prompts.+.path=b"]
    found = parse(Run, layers(project, settings=settings), change=named)
    assert found.gate == Data(prompts=(Source(path="a"), Source(path="b")))
    with pytest.raises(ConfigError, match="^--set gate=other: gate: there is no such file$"):
        parse(Run, layers(project, settings=["gate=other", "seed=2"]), change=named)
    assert parse(Run, layers(project, settings=["gate=other", "gate=null"]), change=named).gate is None


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("data.prompts.2.path=x", "the list has no entry 2; there are 2, numbered 0 to 1, and + appends one"),
        ("data.prompts.path=x", "'path' stands where a list has numbers; there are 2, numbered 0 to 1, and + appends"),
        ("seed.+=1", "there is no list to append to, but 1"),
        ("method.rewards.1.weight=1", "the list has no entry 1; there is one, number 0, and + appends one"),
        ("gate.prompts.0.path=x", "the list has no entry 0; there is no entry yet, and + appends one"),
        ("a.b", "--set wants KEY=VALUE"),
        ("=1", "--set wants KEY=VALUE"),
        ("a..b=1", "--set wants KEY=VALUE"),
        ("a=[", "is not a YAML value"),
        ("a=2020-02-30", "--set a: '2020-02-30' is not a YAML value; put it in quotes"),
        (f"a={'[' * 5000}", "is not a YAML value"),
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(project: Path, setting: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(Run, layers(project, settings=[setting]))
    assert line in str(caught.value)


def test_each_error_names_the_layer_that_brought_it_in(project: Path) -> None:
    above = project.with_name("more.yaml")
    above.write_text("data: {prompts: [{path: a, limt: 3}]}\n")
    with pytest.raises(ConfigError) as caught:
        parse(Run, layers(project, [above], ["seed=x", "data.prompts.0.limit=y"]))
    assert set(str(caught.value).splitlines()) == {
        "--set seed=x: seed: should be a whole number, got 'x'",
        f"{above}: unknown key 'data.prompts.0.limt'; did you mean 'limit'?",
        "--set data.prompts.0.limit=y: data.prompts.0.limit: should be a whole number, got 'y'",
    }


def test_a_fault_of_the_file_is_told_of_the_file_whatever_is_set(project: Path) -> None:
    project.write_text("seed: x\n")
    with pytest.raises(ConfigError, match=r"run\.yaml: seed: should be a whole number"):
        parse(Run, layers(project, settings=["data.prompts.+.path=d"]))
    assert parse(Run, layers(project, settings=["seed=3"])).seed == 3


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("method: {kind: sampling, shares: {a: 1}}", ["method.kind=ranking"], "for sampling is left out: shares;"),
        ("method: {shares: {a: 1}}", ["method.kind=ranking"], "for the default kind is left out: shares;"),
        ("method: {kind: sampling, shares: {a: 1}}", ["method={kind: ranking, rewards: []}"], "left out: shares;"),
        ("method: {kind: sampling, shares: {a: 1}, rewards: []}", ["method={kind: ranking, rewards: []}"], ": shares;"),
        ("method: {kind: sampling, shares: {a: 1}}", ["method.kind=sampling", "method.shares.b=1"], None),
        ("method: {kind: sampling}", ["method.kind=ranking"], None),
        ("seed: 3", ["method.kind=ranking", "seed=4"], None),
    ],
)
def test_what_another_kind_takes_away_is_said(project: Path, text: str, settings: list[str], said: str | None) -> None:
    project.write_text(text)
    lines = left_out(layers(project, settings=settings), Run)
    assert len(lines) == (said is not None)
    if said is not None:
        assert lines[0].startswith("--set method") and "method.kind is ranking, so what was set" in lines[0]
        assert said in lines[0]


def test_an_overlay_of_another_kind_is_named_by_its_file(project: Path) -> None:
    above = project.with_name("more.yaml")
    project.write_text("method: {kind: sampling, shares: {a: 1}}")
    above.write_text("method: {kind: ranking}")
    (line,) = left_out(layers(project, [above]), Run)
    assert line.startswith(f"{above}: method.kind is ranking")
