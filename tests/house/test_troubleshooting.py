"""The messages that the page on troubleshooting quotes are those that the program says."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
OF_OTHERS = {"command not found: assent", "No module named 'fcntl'", "file.jsonl:17: …"}
"""Said by the shell or by Python; and the place of a row, which is an example."""


def quoted() -> list[str]:
    """What stands in backticks or quotation marks in the first column of the page's tables."""
    cells = re.findall(r"^\| (.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [one for cell in cells for one in re.findall(r'`([^`]+)`|"([^"]+)"', cell) for one in one if one]


@functools.cache
def said() -> str:
    """Every text of the program, and the catalogs of the web pages."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("locales/*.json")]
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (str(one.value) if isinstance(one, ast.Constant) else "\0" for one in node.values)
                texts.append("".join(parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


@pytest.mark.parametrize("quote", sorted({*quoted()} - OF_OTHERS))
def test_a_message_that_the_page_quotes_is_said(quote: str) -> None:
    """The parts between what differs from case to case (… and numbers), as far as they are long enough to tell."""
    parts = [part.strip(" '\"") for part in re.split(r"…|\d+", quote)]
    assert all(part in said() for part in parts if len(part) > 6)


def test_there_are_quotes_and_a_made_up_one_is_found() -> None:
    assert len(quoted()) > 30 and {*quoted()} >= OF_OTHERS
    assert "the flux capacitor is cold" not in said()
