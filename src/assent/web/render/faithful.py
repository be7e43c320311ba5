r"""Markdown that keeps what was written: lines, indentation, list markers, and signs that stand for themselves.

CommonMark drops line breaks, backslashes, entities' names and addresses, and takes stars and underlines inside sums and
names for emphasis. Who judges a text has to see them. So here

- a line break is a line break, and blanks at the beginning of a line stay (the page shows them: `white-space`)
- only stars emphasize, at the edge of words: never in `2*3*4`, `(a)*(b)`, `*.py`; `__init__` is a name
- `\_`, `&amp;`, `---`, `===` and `[1]: …` are shown as they are; indented text is no code
- items of a list show their own marker, code is fenced by backticks
- a link shows what was written for where it leads, a table its line of dashes where they are others than three
- a quotation is the lines that begin with `>`, also those with nothing after it, and no others
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, fence, heading
from markdown_it.rules_inline import StateInline, autolink, backtick, image, link
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

NOT_READ = ("escape", "entity", "reference", "lheading", "hr", "code")
"""Rules of CommonMark that would make characters disappear, or other signs of them."""
_CLOSING = re.compile(r"(?:^|[ \t])(#+)[ \t]*$")
_DELIMITERS = re.compile(r"[-:| \t]+$")
_BEFORE = "([{<\"'«“‘„‚¿¡—–|>~"
"""Signs beside blanks after which a star may open."""
_AFTER = ")]}>\"'»”’“.,;:!?…—–|~"
"""Signs beside blanks before which it may close."""


def plugin(md: MarkdownIt) -> None:
    """Teach a parser to keep what was written."""
    md.disable(list(NOT_READ))
    md.inline.ruler.at("newline", _newline)
    md.inline.ruler.at("emphasis", _stars)
    md.inline.ruler.at("backticks", _backticks)
    md.inline.ruler.at("link", _link)
    md.inline.ruler.at("image", _image)
    md.inline.ruler.at("autolink", _autolink)
    md.block.ruler.at("paragraph", _paragraph)
    md.block.ruler.at("fence", _fence, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.block.ruler.at("heading", _heading, {"alt": ["paragraph", "reference", "blockquote"]})
    for name, rule in (
        ("softbreak", _break),
        ("hardbreak", _break),
        ("marker", _marker),
        ("blank", _blank),
        ("link_open", _link_open),
        ("link_close", _link_close),
    ):
        md.add_render_rule(name, rule)


def marked(tokens: Sequence[Token], lines: Sequence[str]) -> list[Token]:
    """The tokens with the marker of every list item before its content, no paragraph hidden, closing `#` signs back.

    Lines of a quotation that hold its `>` alone are in it as `blank`.
    """
    found: list[Token] = []
    quotes = _Quotes(found, lines)
    delimiters: list[str] = []
    for at, token in enumerate(tokens):
        quotes.fill(token)
        found.append(token)
        if token.type == "list_item_open":
            marker = Token("marker", "span", 0)
            marker.content = f"{token.info}{token.markup}"
            found.append(marker)
        elif token.type == "table_open" and token.map is not None:
            row = _DELIMITERS.search(lines[token.map[0] + 1])
            delimiters = row[0].strip().strip("|").split("|") if row else []
        elif token.type == "thead_close":
            token.meta["delimiters"] = [cell.strip() for cell in delimiters]
        elif token.type == "paragraph_open" and token.hidden:
            token.attrSet("data-tight", "")
        elif token.type == "heading_open" and token.map is not None and tokens[at + 1].children is not None:
            _close_heading(lines[token.map[0]], token, tokens[at + 1])
        token.hidden = False
    return found


class _Quotes:
    """Puts a `blank` into a quotation for each of its lines that no other token stands for."""

    def __init__(self, found: list[Token], lines: Sequence[str]) -> None:
        self._found, self._lines = found, lines
        self._ends: list[int] = []
        """Where the quotations end that are open here."""
        self._items: list[int] = []
        """Where the list items begin that are open here."""
        self._line = 0
        """All lines before it are accounted for."""

    def fill(self, token: Token) -> None:
        """Account for the lines before a token that comes next, and for its own."""
        if token.type == "blockquote_close":
            self._until(self._ends[-1])
            self._ends.pop()
        elif token.type == "list_item_close":
            self._line = max(self._line, self._items.pop() + 1)
        if token.map is None:
            return
        start, end = token.map
        self._until(start)
        if token.type == "blockquote_open":
            self._ends.append(end)
            self._line = max(self._line, start)
        elif token.type == "list_item_open":
            self._items.append(start)
            self._line = max(self._line, start)
        elif token.type not in ("bullet_list_open", "ordered_list_open"):
            self._line = max(self._line, end)

    def _until(self, end: int) -> None:
        """Account for the lines before `end`: those with as many signs as quotations are open belong here."""
        depth = len(self._ends)
        while depth and self._line < end and self._lines[self._line].count(">") == depth:
            # Between two items it belongs to the first: a list holds items only.
            at = len(self._found) - (self._found[-1].type == "list_item_close")
            self._found.insert(at, Token("blank", "p", 0))
            self._line += 1


def _close_heading(line: str, heading: Token, inline: Token) -> None:
    """Put back the signs at the end of `# Title #`, which CommonMark drops."""
    closing = _CLOSING.search(line.partition(heading.markup)[2])
    if closing is not None and inline.children is not None:
        signs = Token("text", "", 0)
        signs.content = (" " if inline.content else "") + closing[1]
        inline.children.append(signs)


def _newline(state: StateInline, silent: bool) -> bool:
    """A line break, with the blanks after it left for the text."""
    if state.src[state.pos] != "\n":
        return False
    if not silent:
        state.push("softbreak", "br", 0)
    state.pos += 1
    return True


def _stars(state: StateInline, silent: bool) -> bool:
    """Stars at the edge of words open or close emphasis; all others stand for themselves."""
    start = state.pos
    if silent or state.src[start] != "*":
        return False
    end = start
    while end < state.posMax and state.src[end] == "*":
        end += 1
    before = state.src[start - 1] if start > 0 else " "
    after = state.src[end] if end < state.posMax else " "
    can_open = (before.isspace() or before in _BEFORE) and (after.isalnum() or after in "([{\"'«“‘„`$\\")
    can_close = (after.isspace() or after in _AFTER) and not before.isspace()
    for _ in range(end - start):
        token = state.push("text", "", 0)
        token.content = "*"
        state.delimiters.append(
            Delimiter(
                marker=ord("*"), length=end - start, token=len(state.tokens) - 1, end=-1, open=can_open, close=can_close
            )
        )
    state.pos = end
    return True


def _fence(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Code between lines of backticks, tildes would look the same; `closed` is the line that ends it, or empty."""
    is_tilde = state.src[state.bMarks[start] + state.tShift[start] :][:1] == "~"
    if is_tilde or not fence(state, start, end, silent):
        return False
    if not silent:
        token, last = state.tokens[-1], state.line - 1
        text = state.src[state.bMarks[last] + state.tShift[last] : state.eMarks[last]].rstrip()
        can_close = last > start and set(text) == {"`"} and not state.is_code_block(last)
        token.meta["closed"] = text if can_close and len(text) >= len(token.markup) else ""
    return True


def _backticks(state: StateInline, silent: bool) -> bool:
    """Code in a line, with its line breaks."""
    start, before = state.pos, len(state.tokens)
    found = backtick(state, silent)
    if found and len(state.tokens) > before and state.tokens[-1].type == "code_inline":
        token = state.tokens[-1]
        content = state.src[start + len(token.markup) : state.pos - len(token.markup)]
        if content.startswith(" ") and content.endswith(" ") and content.strip():
            content = content[1:-1]
        token.content = content
    return found


def _heading(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Headings of four levels, each with a look of its own; deeper ones stay as they were written."""
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]]
    return not line.startswith("#####") and heading(state, start, end, silent)


def _paragraph(state: StateBlock, start: int, end: int, _silent: bool) -> bool:
    """A paragraph with the blanks at the beginning of its lines."""
    line = start + 1
    rules = state.md.block.ruler.getRules("paragraph")
    last, state.parentType = state.parentType, "paragraph"
    stop = state.lineMax
    while line < stop and not state.isEmpty(line):
        if state.sCount[line] < 0:  # a line without the `>` of this quotation
            break
        # A line that is indented further goes on with this one.
        is_near = state.sCount[line] - state.blkIndent <= 3
        if is_near and any(rule(state, line, stop, True) for rule in rules):
            break
        line += 1
    content = state.getLines(start, line, state.blkIndent, False).rstrip()
    state.line = line
    opening = state.push("paragraph_open", "p", 1)
    opening.map = [start, state.line]
    inline = state.push("inline", "", 0)
    inline.content, inline.map, inline.children = content, [start, state.line], []
    state.push("paragraph_close", "p", -1)
    state.parentType = last
    return True


def _break(*_: Any) -> str:
    return "<br>"


def _marker(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    return f'<span data-marker="">{escape(tokens[i].content, quote=False)} </span>'


def _blank(*_: Any) -> str:
    return '<p data-blank=""></p>'


def _link(state: StateInline, silent: bool) -> bool:
    """A link; `source` is what was written between its brackets."""
    start, before = state.pos, len(state.tokens)
    found = link(state, silent)
    if found and not silent:
        tokens = state.tokens[before:]
        opening = next(token for token in tokens if token.type == "link_open")
        source = _between(state, start)
        opening.meta["source"] = tokens[-1].meta["source"] = source
    return found


def _image(state: StateInline, silent: bool) -> bool:
    """An image; `source` is what was written between its brackets."""
    start = state.pos
    found = image(state, silent)
    if found and not silent:
        state.tokens[-1].meta["source"] = _between(state, start + 1)
    return found


def _between(state: StateInline, bracket: int) -> str:
    end = state.pos
    shut = state.md.helpers.parseLinkLabel(state, bracket, False)
    state.pos = end
    return state.src[shut + 2 : end - 1].strip()


def _autolink(state: StateInline, silent: bool) -> bool:
    """An address between its signs, not in the spelling that a browser would give it."""
    start = state.pos
    found = autolink(state, silent)
    if found and not silent:
        state.tokens[-2].content = state.src[start + 1 : state.pos - 1]
    return found


def _link_open(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    token = tokens[i]
    sign = mark("<") if token.markup == "autolink" else ""
    return f'{sign}<a href="{escape(str(token.attrGet("href") or ""))}">'


def _link_close(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    token = tokens[i]
    return "</a>" + (mark(">") if token.markup == "autolink" else " " + mark(f"({token.meta['source']})"))


def mark(text: str) -> str:
    """Signs of formatting as they were written, to be seen beside what they make."""
    return f'<bdi dir="ltr" data-mark="">{escape(text, quote=False)}</bdi>'
