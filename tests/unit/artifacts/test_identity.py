"""Keys: what decides the content changes them, nothing else does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from pydantic import Field

from assent.artifacts.identity import Identity, hash_folder, resolved
from assent.core.config import Config
from assent.core.errors import UserError


class OptimConfig(Config):
    rate: float = 1e-3
    log_every: int = Field(default=10, json_schema_extra={"affects_result": False})


class TrainConfig(Config):
    epochs: int = 1
    optim: OptimConfig = OptimConfig()
    betas: tuple[float, ...] = (0.9, 0.95)
    limit: float = math.inf
    path: Path = Path("data/x.jsonl")
    checkpoint_seconds: float = Field(default=60.0, json_schema_extra={"affects_result": False})


def identity(**changed: object) -> Identity:
    values: dict[str, object] = {"stage": "sft", "version": 1, "config": {"epochs": 1}, "seed": 3}
    return Identity(**{**values, "inputs": {"base": "aa"}, "extra": {"data": "bb"}, **changed})  # type: ignore[arg-type]


def test_a_resolved_config_is_json_with_defaults_and_without_what_changes_no_result() -> None:
    assert resolved(TrainConfig()) == {
        "epochs": 1,
        "optim": {"rate": 1e-3},
        "betas": [0.9, 0.95],
        "limit": "inf",
        "path": "data/x.jsonl",
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"stage": "reward"},
        {"version": 2},
        {"config": {"epochs": 2}},
        {"seed": 4},
        {"inputs": {"base": "ab"}},
        {"inputs": {"start": "aa"}},
        {"inputs": {"base": ("aa",)}},
        {"extra": {"data": "bc"}},
        {"extra": {}},
    ],
)
def test_everything_that_decides_the_content_changes_the_key(changed: dict[str, object]) -> None:
    assert identity(**changed).key != identity().key


def test_the_order_of_inputs_and_config_keys_does_not_change_the_key() -> None:
    one = identity(inputs={"a": "1", "b": ("2", "3")}, config={"x": 1, "y": 2})
    two = identity(inputs={"b": ("2", "3"), "a": "1"}, config={"y": 2, "x": 1})
    assert one.key == two.key
    assert identity(inputs={"a": ("1", "2")}).key != identity(inputs={"a": ("2", "1")}).key


def test_a_key_is_the_same_today_as_on_any_other_day() -> None:
    # Worked outside: SHA-256 of ["sft",1,{"epochs":1},3,{"base":"aa"},{"data":"bb"}]. If this fails, everybody's
    # finished stages would be made again.
    assert identity().key == "de81218908baca10993ad1ae0343d59eceda609afefc66664d295a2264a4943c"


def test_a_folders_hash_follows_content_and_names_but_not_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(b"weights")
    before = hash_folder(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "lock").write_text("x")
    assert hash_folder(tmp_path) == before
    (tmp_path / "sub" / "model.safetensors").rename(tmp_path / "sub" / "renamed.safetensors")
    assert hash_folder(tmp_path) != before


def test_a_missing_model_folder_is_a_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        hash_folder(tmp_path / "missing")
