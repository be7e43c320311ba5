"""What a Python program gives as objects: rows and loaded models, written beside the runs under their hashes.

A run rests on files whose content enters its keys. Rows of the same content are the same file for all runs of a
project, so the same call finds what is done, runs share what they make of them, and lineage tells what was learned
from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assent.artifacts.identity import hash_folder
from assent.artifacts.layout import GIVEN
from assent.core import files
from assent.core.errors import DataError
from assent.core.hashing import hash_json, short
from assent.data.config import Source

PARTS = ("demonstrations", "prompts", "comparisons", "corpus", "eval_prompts")
"""Parts of the data that rows can be given for; the names of `data` in a YAML."""


@dataclass(frozen=True)
class GivenData:
    """A part of the data as sources, and the files that have to be written for them."""

    sources: tuple[Source, ...]
    texts: Mapping[Path, str]
    """JSON lines by the file that they belong into; empty where only files and hub datasets were given."""

    def write(self) -> None:
        """Write the files that are not there yet."""
        for path, text in self.texts.items():
            if not path.is_file():
                files.write_text(path, text)


def data_of(part: str, given: Any, runs: Path) -> GivenData:
    """What was given for a part of the data: rows, files, sources, or a list of these. Nothing is written.

    Raises DataError naming the row that is none.
    """
    if isinstance(given, Mapping):
        raise DataError(f"{part} is a mapping with {_names(given)}; give a list of rows, or one split of a dataset")
    if not isinstance(given, Iterable) or isinstance(given, str | Path | Source):
        given = [Path(given) if isinstance(given, str) else given]
    members = list(given)
    if not any(isinstance(one, Mapping) for one in members):
        return GivenData(tuple(_source(part, n, one) for n, one in enumerate(members)), {})
    for number, one in enumerate(members):
        if not isinstance(one, Mapping):
            raise DataError(f"{part}[{number}] is {_shown(one)} among rows; give rows, or files, and not both")
    path, text = rows_file(part, members, runs)
    return GivenData((Source(path=path),), {path: text})


def rows_file(part: str, rows: Iterable[Mapping[str, Any]], runs: Path) -> tuple[Path, str]:
    """The file that rows belong into, by their hash, and its JSON lines. Raises DataError naming row and column."""
    text = "".join(_line(part, number, row) + "\n" for number, row in enumerate(rows))
    return runs / GIVEN / f"{part}-{short(hash_json(text))}.jsonl", text


def write_model(model: Any, tokenizer: Any, runs: Path) -> Path:
    """Write a loaded model with its tokenizer as a plain folder, named by its content."""
    new = runs / GIVEN / "base"
    with files.new_directory(new) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        files.readable(partial)
    named = new.with_name(f"base-{short(hash_folder(new))}")
    if named.is_dir():
        shutil.rmtree(new)
    else:
        new.replace(named)
    return named


def _source(part: str, number: int, given: Any) -> Source:
    if isinstance(given, Source):
        return given
    if isinstance(given, Path):
        return Source(path=given)
    raise DataError(
        f"{part}[{number}] is {_shown(given)}; give rows as {{'prompt': …}}, a file as Path(…), or a Source"
    )


def _shown(given: Any) -> str:
    return f"the text {given[:60]!r}" if isinstance(given, str) else type(given).__name__


def _line(part: str, number: int, row: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(row), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        for column, value in row.items():
            try:
                json.dumps({column: value}, allow_nan=False)
            except (TypeError, ValueError) as error:
                said = f"{part}[{number}]: column {column!r} cannot be written as JSON ({error})"
                raise DataError(f"{said}; leave it out, or make it text or a number") from None
        raise


def _names(given: Mapping[Any, Any]) -> str:
    return ", ".join(map(str, list(given)[:6])) or "nothing"
