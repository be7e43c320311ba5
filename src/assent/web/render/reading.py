"""What a person reads off a formatted text: every sign that its elements stand for, in the order of the page.

A block of which other signs are read than were written is shown as written (`markup`), so that no two texts that differ
in a sign look alike. Emphasis stands for its stars, a bar beside a line for `>`, a box for a fence, a picture of a
formula for its source (`pictures`), a table for its bars; what else was written stands there to be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it.token import Token

from assent.web.render.formulas import CLOSES

_MARKED = ("em_open", "em_close", "strong_open", "strong_close", "s_open", "s_close", "heading_open")
_ENDS = ("paragraph_close", "heading_close", "list_item_close", "tr_close")


def signs(text: str) -> str:
    """Every character of a text that has a look of its own."""
    return "".join(text.split())


def read(tokens: Sequence[Token]) -> str:
    """The text that blocks stand for, as far as its signs and lines go."""
    reader = _Reader()
    for token in tokens:
        reader.block(token)
    return reader.text


class _Reader:
    """The text so far, and what the next line begins with."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._is_at_start = True
        self._bars = self._owed = 0
        """Quotations that are open, and those whose sign is still to come in this line."""

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def block(self, token: Token) -> None:
        """Read a token of a block."""
        match token.type:
            case "blockquote_open":
                self._bars += 1
                self._owed += 1
            case "blockquote_close":
                self._end_line()
                self._bars -= 1
                self._owed = self._bars
            case "blank":
                self._write("\n")
            case "fence":
                self._write(f"{token.markup}{token.info}\n{token.content}{token.meta['closed']}")
                self._end_line()
            case "formula_block":
                self._write(f"{token.markup}{token.content}{CLOSES[token.markup]}")
                self._end_line()
            case "marker":
                self._write(token.content)
            case "tr_open" | "td_close" | "th_close":
                self._write("|")
            case "thead_close":
                self._write(f"|{'|'.join(token.meta['delimiters'])}|")
                self._end_line()
            case "inline":
                for child in token.children or ():
                    self._inline(child)
            case kind if kind in _MARKED:
                self._write(token.markup)
            case kind if kind in _ENDS:
                self._end_line()

    def _inline(self, token: Token) -> None:
        match token.type:
            case "softbreak":
                self._write("\n")
            case "code_inline":
                self._write(f"{token.markup}{token.content}{token.markup}")
            case "formula":
                self._write(f"{token.markup}{token.content}{CLOSES[token.markup]}")
            case "link_open":
                self._write("<" if token.markup == "autolink" else "[")
            case "link_close":
                self._write(">" if token.markup == "autolink" else f"]({token.meta['source']})")
            case "image":
                self._write(f"![{token.content}]({token.meta['source']})")
            case kind if kind in _MARKED:
                self._write(token.markup)
            case _:
                self._write(token.content)

    def _write(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            self._parts.append(">" * self._owed + line)
            self._is_at_start = line.endswith("\n")
            self._owed = self._bars if self._is_at_start else 0

    def _end_line(self) -> None:
        """A line that holds nothing yet is none."""
        if not self._is_at_start:
            self._write("\n")
