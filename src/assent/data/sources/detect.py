"""Which format rows are in: the one their user named, or the first that fits the columns that say something."""

from __future__ import annotations

import difflib
import re
from typing import Literal

from assent.core.errors import DataError
from assent.data.rows import Row
from assent.data.sources import (
    alpaca,
    arena,
    argilla,
    assent,
    dolly,
    helpsteer,
    hh,
    kto,
    label_studio,
    messages,
    nectar,
    oasst,
    oasst_flat,
    prompts,
    qa,
    ranking,
    saferlhf,
    shp,
    trl,
    ukp,
    ultrafeedback,
    webgpt,
)
from assent.data.sources.format import Format


class NothingFits(DataError):
    """A file of no known format, or of one that does not hold what is wanted."""


Wanted = Literal["demonstrations", "prompts", "comparisons"]

# The order decides where a row fits several: narrow formats first, bare prompts last.
FORMATS = (
    assent.FORMAT,
    ukp.FORMAT,
    argilla.FORMAT,
    label_studio.FORMAT,
    oasst.FORMAT,
    oasst_flat.FORMAT,
    arena.FORMAT,
    arena.OF_TEXTS,
    saferlhf.FORMAT,
    helpsteer.PREFERENCES,
    helpsteer.SCORED,
    webgpt.FORMAT,
    shp.FORMAT,
    nectar.FORMAT,
    ultrafeedback.FORMAT,
    ranking.FORMAT,
    hh.FORMAT,
    trl.PREFERENCES,
    messages.FORMAT,
    kto.FORMAT,
    trl.DEMONSTRATIONS,
    dolly.FORMAT,
    alpaca.FORMAT,
    qa.FORMAT,
    prompts.FORMAT,
)


def fitting(name: str, row: Row, wanted: Wanted) -> Format | None:
    """The format of one row by the columns that say something in it; None where none fits."""
    return next((form for form in _able(name, wanted) if form.matches(row.values)), None)


def choose(name: str, row: Row, wanted: Wanted) -> Format:
    """The format of a file, given the name in its source ("auto" to detect) and the columns of its first rows together.

    Raises DataError when nothing fits, listing what was found, or when the format holds nothing of what is wanted.
    """
    found = fitting(name, row, wanted)
    if found is not None:
        return found
    named = [form for form in FORMATS if name in ("auto", form.name)]
    able = _able(name, wanted)
    if name != "auto" and able:
        # The reader itself says which column it misses.
        return able[-1] if wanted == "demonstrations" else able[0]
    other = next((form for form in named if _is_surely(form, row) or name != "auto"), None)
    if other is not None:
        held = ", ".join(kind for kind in _KINDS if kind != "prompts" and _holds(other, kind)) or "prompts"
        raise NothingFits(
            f"format {other.name} holds {held}, not {wanted}; list the file under {held.split(', ')[0]}", path=row.path
        )
    raise NothingFits(_nothing_fits(row, able), path=row.path, line=row.line)


def _able(name: str, wanted: Wanted) -> list[Format]:
    named = [form for form in FORMATS if name in ("auto", form.name)]
    able = [form for form in named if _holds(form, wanted)]
    return [prompts.FORMAT] if not able and wanted == "prompts" else able


def _is_surely(form: Format, row: Row) -> bool:
    """Whether a row is of this format; a prompt beside unknown columns is rather a misspelt row of another one."""
    return form.matches(row.values) and (form is not prompts.FORMAT or set(row.values) <= {"prompt", "id"})


_KINDS: tuple[Wanted, ...] = ("demonstrations", "comparisons", "prompts")


def _holds(form: Format, wanted: Wanted) -> bool:
    match wanted:
        case "demonstrations":
            return form.conversations is not None
        case "comparisons":
            return form.comparisons is not None
        case "prompts":
            return form.gives_prompts


def _nothing_fits(row: Row, able: list[Format]) -> str:
    known = sorted({word for form in able for word in re.findall(r"[a-zA-Z_]\w+", form.columns)})
    near = [
        (column, close[0])
        for column in map(str, row.values)
        if column not in known and (close := difflib.get_close_matches(column, known, n=1, cutoff=0.75))
    ]
    found = ", ".join(map(str, row.values)) or "none"
    guess = "".join(f" did you mean {right!r} for {wrong!r}?" for wrong, right in near)
    wants = "; ".join(f"{form.name}: {form.columns}" for form in able)
    return (
        f"no format fits the columns found: {found}.{guess} Rename with columns: {{expected: found}}. Known are {wants}"
    )
