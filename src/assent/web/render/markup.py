"""Texts of models and raters as HTML that is safe to show: Markdown, highlighted code, tables and formulas.

    text ── invisible ── markdown ── formulas, highlight ── allowlist ── HTML
                            ╰── reading: is it what was written?

A text is untrusted. It cannot name an HTML tag, load anything, reach the page around it or take long: what costs too
much (see `Limits`) is shown whole as plain text, with the reason. The same text gives the same HTML for every rater.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, cast

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from assent.feedback.records.settings import Texts
from assent.web.render import allowlist, faithful, formulas, highlight, invisible, reading

REASONS = {
    "long": "Shown as plain text: it is very long.",
    "line": "Shown as plain text: it has a very long line.",
    "table": "Shown as plain text: it has a very large table.",
    "deep": "Shown as plain text: its parts are nested very deeply.",
    "busy": "Shown as plain text: it has very many signs of formatting.",
}
"""Why a text is not formatted. The key is on the note as `data-plain`; pages may say it in the reader's language."""


@dataclass(frozen=True)
class Limits:
    """What a text may cost before it is shown plain."""

    characters: int = 200_000
    line: int = 20_000
    cells: int = 2_000
    nesting: int = 32
    steps: int = 12_000
    """Lines, blocks and signs looked at."""
    tokens: int = 16_000
    run: int = 200
    """The same sign of emphasis in a row."""
    seconds: float = 0.3
    """Of this thread's work; the second line of defence against a text that is slow in a way the counts do not see."""


LIMITS = Limits()
TASK_SECONDS = 3.0
"""Of a thread's work for all texts of a task."""
_CACHED_CHARACTERS = 32_000_000
_CODE_SECONDS = 0.1
_RUN = re.compile(rf"([*_~`])\1{{{LIMITS.run}}}")
_HAS_SCHEME = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)


def render(text: str, *, how: Texts = "markdown") -> str:
    """HTML of a text; its elements and attributes are those of `allowlist` alone. `plain` formats nothing."""
    if how == "plain":
        return as_written(text)
    key = _key(text)
    html = _CACHE.get(key)
    if html is None:
        html = _rendered(text)
        _CACHE.put(key, html)
    return html


def as_written(text: str) -> str:
    """A text with every sign of it, hiding characters written out."""
    return allowlist.clean(f'<pre dir="auto" data-written="">{escape(invisible.show(text), quote=False)}</pre>')


class Budget:
    """What the texts of one task may cost together; those that come after it is spent are shown plain, this time."""

    def __init__(self, seconds: float = TASK_SECONDS) -> None:
        self._left = seconds

    def render(self, text: str, *, how: Texts = "markdown") -> str:
        """HTML of a text, as `render` makes it while there is something left."""
        if how == "plain":
            return as_written(text)
        key = _key(text)
        html = _CACHE.get(key)
        if html is None and self._left <= 0:
            return allowlist.clean(_plain(invisible.show(text), "busy"))
        begun = time.thread_time()
        html = render(text) if html is None else html
        self._left -= time.thread_time() - begun
        return html


def direction(text: str) -> str:
    """ "rtl" or "ltr", by the first letter that has a direction."""
    for letter in text[:2_000]:
        match unicodedata.bidirectional(letter):
            case "L":
                return "ltr"
            case "R" | "AL":
                return "rtl"
    return "ltr"


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _TooMuch(Exception):
    """The text is over a limit; holds the key of the reason."""


class _Cache:
    """HTML by hash of its text, least recently used out first, bounded by its characters."""

    def __init__(self, characters: int) -> None:
        self._held: OrderedDict[bytes, str] = OrderedDict()
        self._room = characters
        self._lock = threading.Lock()

    def get(self, key: bytes) -> str | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: bytes, html: str) -> None:
        with self._lock:
            if key not in self._held:
                self._held[key] = html
                self._room -= len(html)
            while self._room < 0:
                self._room += len(self._held.popitem(last=False)[1])


_CACHE = _Cache(_CACHED_CHARACTERS)


def _rendered(text: str) -> str:
    shown = invisible.show(text)
    try:
        return _markdown(shown)
    except _TooMuch as reason:
        return allowlist.clean(_plain(shown, str(reason)))


def _plain(text: str, reason: str) -> str:
    note = f'<p dir="auto" data-plain="{reason}">{REASONS[reason]}</p>'
    return f'{note}<pre dir="auto" tabindex="0">{escape(text, quote=False)}</pre>'


def _markdown(text: str) -> str:
    if len(text) > LIMITS.characters:
        raise _TooMuch("long")
    if any(len(line) > LIMITS.line for line in text.split("\n")):
        raise _TooMuch("line")
    if _RUN.search(text):
        raise _TooMuch("busy")
    until = time.thread_time() + LIMITS.seconds
    env: dict[str, Any] = {"steps": 0, "until": until, "formulas": 0, "code_seconds": _CODE_SECONDS}
    lines = text.split("\n")
    tokens = faithful.marked(_PARSER.parse(text, env), lines)
    _check(tokens)
    _settle(tokens, lines)
    return "".join(_block(block, "\n".join(lines[start:end]), env) for block, start, end in _blocks(tokens, len(lines)))


def _blocks(tokens: Sequence[Token], end: int) -> Iterator[tuple[Sequence[Token], int, int]]:
    """The outermost blocks, each with the lines from its first to the next one's: all lines are some block's."""
    depth, firsts = 0, []
    for number, token in enumerate(tokens):
        if depth == 0 and token.nesting >= 0:
            firsts.append(number)
        depth += token.nesting
    starts = [0, *((tokens[first].map or (0, 0))[0] for first in firsts[1:]), end]
    for number, first in enumerate(firsts):
        last = firsts[number + 1] if number + 1 < len(firsts) else len(tokens)
        yield tokens[first:last], starts[number], starts[number + 1]


def _block(tokens: Sequence[Token], written: str, env: dict[str, Any]) -> str:
    """HTML of a block: formatted where all of it is there to be seen, else as it was written."""
    if reading.signs(reading.read(tokens)) != reading.signs(written):
        return as_written(written)
    # Once more: formatting may have made a hiding character of other ones.
    return allowlist.clean(invisible.show(_PARSER.renderer.render(tokens, _PARSER.options, env)))


def _count(state: StateBlock | StateInline, *_: Any) -> bool:
    """A rule that never matches; it stops a text that keeps the parser busy."""
    env = state.env
    env["steps"] += 1
    if env["steps"] > LIMITS.steps or (env["steps"] % 64 == 0 and time.thread_time() > env["until"]):
        raise _TooMuch("busy")
    return False


def _count_cells(state: StateBlock, start: int, end: int, _: bool) -> bool:
    """A rule that never matches; it stops a table whose short rows the parser would fill up to its many columns."""
    if start + 1 >= end:
        return False
    head = state.src[state.bMarks[start + 1] : state.eMarks[start + 1]]
    if "-" not in head or head.strip("|-: \t>"):
        return False
    columns = head.count("|") + 1
    rows = 1
    while start + 1 + rows < end and not state.isEmpty(start + 1 + rows):
        rows += 1
        if columns * rows > LIMITS.cells:
            raise _TooMuch("table")
    return False


def _check(tokens: Sequence[Token]) -> None:
    """Raise where the result would be too large or too deep."""
    if sum(token.type in ("td_open", "th_open") for token in tokens) > LIMITS.cells:
        raise _TooMuch("table")
    if len(tokens) + sum(len(token.children or ()) for token in tokens) > LIMITS.tokens:
        raise _TooMuch("busy")
    for row in ([*tokens], *(token.children for token in tokens if token.children)):
        depth = 0
        for token in row:
            depth += token.nesting
            if depth >= LIMITS.nesting:
                raise _TooMuch("deep")


def _settle(tokens: Iterable[Token], lines: Sequence[str]) -> None:
    """Attributes of blocks: their direction, the column heads of tables, headings below those of the page."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.nesting != 1:
            continue
        start, end = token.map or (0, 0)
        align = str(token.attrGet("style") or "").partition("text-align:")[2]
        token.attrs = {name: value for name, value in token.attrs.items() if name in ("start", "data-tight")}
        if token.type in ("bullet_list_open", "ordered_list_open", "blockquote_open", "table_open"):
            # A browser skips children that have their own direction when it looks for that of a list.
            token.attrSet("dir", direction("\n".join(lines[start : min(end, start + 20)])))
        elif token.tag not in ("thead", "tbody", "tr"):
            token.attrSet("dir", "auto")
        if token.tag == "th":
            token.attrSet("scope", "col")
        if align:
            token.attrSet("align", align)


def _table_open(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    return f'<div data-table="" tabindex="0" dir="{tokens[i].attrGet("dir")}"><table dir="{tokens[i].attrGet("dir")}">'


def _thead_close(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    """The line of dashes where it is not the usual one; three dashes, and colons that are seen, need no telling."""
    delimiters = tokens[i].meta["delimiters"]
    cells = "".join(f'<td data-mark="" dir="ltr">{cell}</td>' for cell in delimiters)
    is_seen = all(cell in ("---", ":---:", "---:") for cell in delimiters)
    return "</thead>\n" if is_seen else f"<tr>{cells}</tr>\n</thead>\n"


def _table_close(*_: Any) -> str:
    return "</table></div>\n"


def _fence(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, env: Any) -> str:
    token = tokens[i]
    name = highlight.language(token.info)
    said = f' data-language="{name}"' if name else ""
    info = f"{token.markup if len(token.markup) > 3 else ''} {token.info}".strip()
    said += f' data-info="{escape(info)}"' if info else ""
    closed = token.meta.get("closed", token.markup)
    said += ' data-open=""' if not closed else f' data-closed="{closed}"' if closed != token.markup else ""
    lexer = highlight.lexer_of(name)
    began = time.thread_time()
    code = highlight.highlight(token.content, lexer, seconds=env["code_seconds"])
    env["code_seconds"] -= time.thread_time() - began
    return f'<pre dir="{_code_direction(token, name)}" tabindex="0"{said}><code>{code}</code></pre>\n'


def _code_direction(token: Token, name: str | None) -> str:
    """Code runs left to right; a fence without a language may hold anything, so its letters decide."""
    return "ltr" if name or token.type == "code_block" else direction(token.content)


def _code_inline(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    token = tokens[i]
    sign = token.markup if len(token.markup) > 1 else ""  # one backtick is what code looks like
    return f'{sign}<code dir="auto">{escape(token.content, quote=False)}</code>{sign}'


def _image(_: RendererHTML, tokens: Sequence[Token], i: int, *__: Any) -> str:
    """What it shows and where it lies; loading it would tell a stranger who reads, and when."""
    token = tokens[i]
    alt = escape(token.content.strip(), quote=False)
    between = " · " if alt and token.meta["source"] else ""
    return f'<span data-image="">[image: <bdi>{alt}</bdi>{between}{faithful.mark(token.meta["source"])}]</span>'


def _formula(_: RendererHTML, tokens: Sequence[Token], i: int, __: Any, env: Any) -> str:
    token = tokens[i]
    env["formulas"] += len(token.content)
    is_block = token.markup in ("$$", "\\[")
    html = None
    if env["formulas"] <= formulas.MAX_TOTAL:
        html = formulas.mathml(token.content, is_block=is_block)
    if html is None:
        html = formulas.as_code(token.content, token.markup)
    elif token.markup not in ("$", "$$"):  # what the picture alone stands for
        html = faithful.mark(token.markup) + html + faithful.mark(formulas.CLOSES[token.markup])
    return f'<p dir="ltr">{html}</p>\n' if token.type == "formula_block" else html


def _parser() -> MarkdownIt:
    md = MarkdownIt("js-default", {"html": False, "linkify": False, "typographer": False})
    md.options["maxNesting"] = LIMITS.nesting
    md.validateLink = lambda url: _HAS_SCHEME.match(url) is not None  # type: ignore[method-assign]
    formulas.plugin(md)
    faithful.plugin(md)
    anywhere = cast(Any, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    md.block.ruler.before("table", "count_cells", _count_cells, anywhere)
    md.block.ruler.before("count_cells", "count", _count, anywhere)
    md.inline.ruler.before(md.inline.ruler.get_all_rules()[0], "count", _count)
    rules = {
        "table_open": _table_open,
        "thead_close": _thead_close,
        "table_close": _table_close,
        "fence": _fence,
        "code_block": _fence,
        "code_inline": _code_inline,
        "image": _image,
        "formula": _formula,
        "formula_block": _formula,
    }
    for name, rule in rules.items():
        md.add_render_rule(name, rule)
    return md


_PARSER = _parser()
