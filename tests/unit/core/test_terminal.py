"""Text of others on a terminal, and values of others in errors."""

from __future__ import annotations

import pytest

from assent.core.config import Config
from assent.core.errors import ConfigError
from assent.core.scoring import ScoreFunction
from assent.core.terminal import safe


def test_what_steers_a_terminal_is_shown() -> None:
    assert safe("a\x1b]0;owned\x07b\x1b[2Jc\td\n\u202ee") == "a\\x1b]0;owned\\x07b\\x1b[2Jc\td\n\\u202ee"


class _Steps(Config):
    steps: int = 1


def test_a_value_of_millions_is_cut_in_its_error() -> None:
    value: list[object] = ["lol"] * 9
    for _ in range(12):
        value = [value] * 9
    with pytest.raises(ConfigError) as refused:
        _Steps.parse({"steps": value})
    assert "steps" in str(refused.value) and len(str(refused.value)) < 500
    with pytest.raises(ConfigError) as refused:
        _Steps.parse({"steps": "x" * 10_000})
    assert len(str(refused.value)) < 500


def test_a_function_is_looked_up_without_running_it(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "evil_look.py").write_text(
        "open('ran', 'w')\nraise SystemExit\ndef score(p, c): ...\nif 1:\n    made = 2\n"
    )
    package = tmp_path / "evil_pack"
    package.mkdir()
    (package / "__init__.py").write_text("open('ran', 'w')\n")
    (package / "inner.py").write_text("from os import sep as score\n")
    monkeypatch.chdir(tmp_path)
    for target in ("evil_look:score", "evil_look:made", "evil_pack.inner:score"):
        ScoreFunction.refuse_absent(target)
    wrong = {"evil_look:other": "has no 'other'", "nowhere:f": "no module 'nowhere'", "evil_pack.no:f": "no module"}
    for target, said in wrong.items():
        with pytest.raises(ConfigError, match=said):
            ScoreFunction.refuse_absent(target)
    assert not (tmp_path / "ran").exists()
