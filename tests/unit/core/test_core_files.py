"""Atomic files: a reader sees the old content or the new, never half; disk errors are one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.core import files
from assent.core.errors import UserError


def test_a_write_replaces_the_whole_content_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a.txt"
    files.write_text(path, "a longer first text")
    files.write_text(path, "short")
    assert path.read_text() == "short"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_json_refuses_nan_and_then_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"x": float("nan")})
    assert path.read_text() == '{\n  "x": 1\n}\n'


def test_a_directory_appears_only_when_its_block_ends_well(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with files.new_directory(target) as partial:
        (partial / "w").write_text("1")
        assert not target.exists()
    with pytest.raises(KeyError), files.new_directory(target) as partial:
        (partial / "w").write_text("2")
        raise KeyError
    assert (target / "w").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_new_directory_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("old", "new"):
        with files.new_directory(tmp_path / "model") as partial:
            (partial / name).write_text(name)
    assert [p.name for p in (tmp_path / "model").iterdir()] == ["new"]


def test_what_a_killed_write_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".partial-model-1234").mkdir()
    (tmp_path / ".partial-model-1234" / "w").write_text("half")
    (tmp_path / ".partial-a.txt-5678").write_text("half")
    (tmp_path / "kept.txt").write_text("whole")
    files.remove_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for write in (files.write_text, lambda path, content: files.new_directory(path).__enter__()):
        with pytest.raises(UserError, match=r"^cannot write .*file/below: .*choose another folder") as caught:
            write(tmp_path / "file" / "below", "x")
        assert "\n" not in str(caught.value)
