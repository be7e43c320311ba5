"""The code in an answer: the last fenced block of Python, or an answer that is nothing but code."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*$")
_PYTHON = ("", "py", "python", "python3")


def code_in(answer: str) -> str:
    """The code of an answer.

    Of fenced blocks the last that is Python or names no language; a block that is never closed reaches to the end.
    Without a fence the whole answer. Empty where all blocks are of other languages.
    """
    blocks = _blocks(answer)
    if blocks is None:
        return answer.strip("\n")
    return next((text for language, text in reversed(blocks) if language.casefold() in _PYTHON), "")


def _blocks(answer: str) -> list[tuple[str, str]] | None:
    """Language and text of each fenced block; None where no line is a fence."""
    blocks: list[tuple[str, str]] = []
    fence, language = "", ""
    inside: list[str] = []
    found = False
    for line in answer.split("\n"):
        mark = _FENCE.match(line.rstrip("\r"))
        if not fence and mark:
            found, fence, language, inside = True, mark[1], mark[2], []
        elif fence and mark and mark[1].startswith(fence) and not mark[2]:
            blocks.append((language, "\n".join(inside)))
            fence = ""
        elif fence:
            inside.append(line)
    if fence:
        blocks.append((language, "\n".join(inside)))
    return blocks if found else None
