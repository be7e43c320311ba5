"""What comes with the package and may be replaced by a team's own: named by a word, or the path of a file or folder."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Literal

Packaged = Literal["rubric", "prompts", "constitution"]
"""rubric: a YAML file of `raters/rubrics`. prompts: a folder of `raters/prompts`. constitution: a YAML file of
`raters/constitutions`."""
_FOLDERS: dict[str, tuple[str, str]] = {
    "rubric": ("rubrics", ".yaml"),
    "prompts": ("prompts", ""),
    "constitution": ("constitutions", ".yaml"),
}
_WORD = re.compile(r"[a-z][a-z0-9_]*")


def is_packaged_name(value: str) -> bool:
    """Whether a value is the name of something of the package, and not a path."""
    return _WORD.fullmatch(value) is not None


def packaged_names(kind: Packaged) -> list[str]:
    """What the package has of a kind."""
    folder, suffix = _FOLDERS[kind]
    found = (path.name for path in (_package() / folder).iterdir() if path.is_dir() == (not suffix))
    return sorted(name.removesuffix(suffix) for name in found if name.endswith(suffix) and not name.startswith("_"))


def packaged_file(kind: Packaged, value: str) -> Path | None:
    """The file or folder behind a value: of the package where it is a name, else the path; None for an unknown name."""
    if not is_packaged_name(value):
        return Path(value)
    folder, suffix = _FOLDERS[kind]
    path = _package() / folder / f"{value}{suffix}"
    return path if path.exists() else None


def _package() -> Path:
    return Path(str(files("assent").joinpath("raters")))
