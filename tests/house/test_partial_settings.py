"""A mapping that names one key of nested settings leaves the others as the reference page says they are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from assent.core.config import Config
from assent.evaluation.catalog import SUITES
from assent.learner.config import OptimizerConfig
from assent.pipeline.config import RunConfig
from assent.training.config import methods

PAGE = (Path(__file__).parents[2] / "docs/reference/config.md").read_text(encoding="utf-8")
NEEDED: dict[str, dict[str, Any]] = {
    "RunConfig": {
        "base": {"kind": "pretrained", "path": "model"},
        "data": {"kind": "files", "demonstrations": [{"path": "d"}]},
    },
    "GateConfig": {"gain": [{"measure": "winrate.win_rate"}]},
    **{suite.config.__name__: {"path": "rows.jsonl"} for suite in SUITES if "path" in suite.config.model_fields},
}
"""What a class wants besides the settings that are tried."""


def nested() -> Iterator[tuple[type[Config], str, Config]]:
    """Every field of the run's settings whose default is itself settings: its class, its name, its default."""
    waiting: list[Any] = [RunConfig]
    seen: set[type[Config]] = set()
    while waiting:
        one = waiting.pop()
        waiting += get_args(one)
        if not (isinstance(one, type) and issubclass(one, Config)) or one in seen:
            continue
        seen.add(one)
        for name, field in one.model_fields.items():
            waiting.append(field.annotation)
            if isinstance(field.default, Config):
                yield one, name, field.default


CASES = sorted(nested(), key=lambda case: (case[0].__name__, case[1]))


def rows(config: str) -> dict[str, str]:
    """The default of every key of a class, as the page writes it."""
    section = PAGE.split("\n## The whole run\n" if config == "RunConfig" else f"\n## {config}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| `(\w+)`°? \| .*? \| (`.*?`|none|null|empty|\*\*required\*\*) \| ", section, re.MULTILINE)
    return dict(cells)


def said(text: str) -> Any:
    """A default as the page writes it, as a value."""
    if text == "none":
        return []
    value = yaml.safe_load(text.strip("`"))
    try:  # YAML reads 1e-06 as text
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def defaults(default: Config, own: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of nested settings: their class's defaults, and over them what the field itself says."""
    found: dict[str, Any] = {}
    for key, text in rows(type(default).__name__).items():
        value = getattr(default, key)
        if isinstance(value, Config):
            found[key] = defaults(value, own.get(key) or said(text) or {})
        elif isinstance(value, tuple):
            found[key] = plain(value)  # a list replaces the one below and is not merged
        else:
            found[key] = (
                said(f'"{own[key]}"' if own[key] in ("on", "off") else str(own[key])) if key in own else said(text)
            )
    return found


def plain(value: Any) -> Any:
    """Settings as the page would write them."""
    if isinstance(value, Config):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, tuple):
        return [f"{one.kind}" if isinstance(one, Config) else plain(one) for one in value]
    return value


@pytest.mark.parametrize(("owner", "name", "default"), CASES, ids=[f"{c.__name__}.{n}" for c, n, _ in CASES])
def test_one_key_leaves_its_neighbours_alone(owner: type[Config], name: str, default: Config) -> None:
    text = rows(owner.__name__)[name].strip("`")
    expected = defaults(default, yaml.safe_load(text) if text.startswith("{") else {})
    for key in type(default).model_fields:
        if key == "kind":
            continue
        given = getattr(default, key)
        given = given.model_dump() if isinstance(given, Config) else given
        made = owner.parse({**NEEDED.get(owner.__name__, {}), name: {key: given}})
        assert plain(getattr(made, name)) == expected, f"{owner.__name__}.{name}.{key}"


def test_adapters_learn_ten_times_as_fast_where_nothing_else_is_said() -> None:
    lora = {**NEEDED["RunConfig"], "model": {"lora": {"rank": 8}}}
    for kind, method in methods().items():
        full = RunConfig.parse({**NEEDED["RunConfig"], "optimize": {"kind": kind}})
        config = RunConfig.parse({**lora, "optimize": {"kind": kind, "optimizer": {"warmup": 0.5}}})
        names = [name for name, field in method.model_fields.items() if isinstance(field.default, OptimizerConfig)]
        assert names
        for name in names:
            was, now = getattr(full.optimize, name), getattr(config.optimize, name)
            assert now.learning_rate == pytest.approx(10 * was.learning_rate)
            assert now.schedule == was.schedule
    assert config.sft is not None and config.sft.optimizer.learning_rate == pytest.approx(2e-4)
    assert config.reward.optimizer.learning_rate == pytest.approx(1e-4)
    assert config.reward.optimizer.schedule == "cosine"


def test_a_stated_rate_stays_with_adapters_too() -> None:
    given = {**NEEDED["RunConfig"], "model": {"lora": {}}, "sft": {"optimizer": {"learning_rate": 3e-5}}}
    config = RunConfig.parse(given)
    assert config.sft is not None and config.sft.optimizer.learning_rate == 3e-5
    assert RunConfig.parse(config.model_dump()) == config, "what was written down once is not raised again"
