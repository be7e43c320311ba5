r"""Markdown that keeps what was written: lines, indentation, list markers, and signs that stand for themselves.

CommonMark drops line breaks, backslashes, entities' names and addresses, and takes stars and underlines inside sums and
names for emphasis. Who judges a text has to see them. So here

- a line break is a line break, and blanks at the beginning of a line stay (the page shows them: `white-space`)
- only stars emphasize, at the edge of words: never in `2*3*4`, `(a)*(b)`, `*.py`; `__init__` is a name
- `\_`, `&amp;`, `---`, `===` and `[1]: …` are shown as they are; indented text is no code
- items of a list show their own marker, a link shows where it leads, code is fenced by backticks
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock, fence, heading
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.state_inline import Delimiter
from markdown_it.token import Token

NOT_READ = ("escape", "entity", "reference", "lheading", "hr", "code")
"""Rules of CommonMark that would make characters disappear, or other signs of them."""
_CLOSING = re.compile(r"(?:^|[ \t])(#+)[ \t]*$")
_BEFORE = "([{<\"'«“‘„‚¿¡—–|>~"
"""Signs beside blanks after which a star may open."""
_AFTER = ")]}>\"'»”’“.,;:!?…—–|~"
"""Signs beside blanks before which it may close."""


def plugin(md: MarkdownIt) -> None:
    """Teach a parser to keep what was written."""
    md.disable(list(NOT_READ))
    md.inline.ruler.at("newline", _newline)
    md.inline.ruler.at("emphasis", _stars)
    md.block.ruler.at("paragraph", _paragraph)
    md.block.ruler.at("fence", _fence, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.block.ruler.at("heading", _heading, {"alt": ["paragraph", "reference", "blockquote"]})
    for name, rule in (
        ("softbreak", _break),
        ("hardbreak", _break),
        ("marker", _marker),
        ("link_open", _link_open),
        ("link_close", _link_close),
    ):
        md.add_render_rule(name, rule)


def marked(tokens: Sequence[Token], lines: Sequence[str]) -> list[Token]:
    """The tokens with the marker of every list item before its content, no paragraph hidden, closing `#` signs back."""
    found: list[Token] = []
    for at, token in enumerate(tokens):
        found.append(token)
        if token.type == "list_item_open":
            marker = Token("marker", "span", 0)
            marker.content = f"{token.info}{token.markup}"
            found.append(marker)
        elif token.type == "paragraph_open" and token.hidden:
            token.attrSet("data-tight", "")
        elif token.type == "fence" and token.map is not None:
            last = lines[token.map[1] - 1].strip(" >\t") if token.map[1] <= len(lines) else ""
            token.meta["is_open"] = not (last and set(last) == {"`"} and token.map[1] - token.map[0] > 1)
        elif token.type == "heading_open" and token.map is not None and tokens[at + 1].children is not None:
            _close_heading(lines[token.map[0]], token, tokens[at + 1])
        token.hidden = False
    return found


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
    """Code between lines of backticks; tildes would look the same."""
    is_tilde = state.src[state.bMarks[start] + state.tShift[start] :][:1] == "~"
    return not is_tilde and fence(state, start, end, silent)


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
        # A line that is indented further, or belongs to an outer block, goes on with this one.
        is_near = state.sCount[line] - state.blkIndent <= 3 and state.sCount[line] >= 0
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


def _link_open(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, env: Any) -> str:
    token = tokens[i]
    address = str(token.attrGet("href") or "")
    title = str(token.attrGet("title") or "")
    between = "" if token.markup == "autolink" else f"{address} “{title}”" if title else address
    env.setdefault("links", []).append(between)
    return f'<a href="{escape(address)}">'


def _link_close(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, env: Any) -> str:
    between = env["links"].pop() if env.get("links") else ""
    return "</a>" + (f' <bdi dir="ltr">({escape(between, quote=False)})</bdi>' if between else "")
