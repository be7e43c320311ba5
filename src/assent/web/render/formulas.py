r"""LaTeX in a text: found at $…$, $$…$$, \(…\) and \[…\], written as MathML.

A formula that cannot be read, or costs too much, stays what was written. Formulas define nothing: a macro could grow
without end. What comes out is still untrusted (LaTeX can name links, styles and classes) and goes through `allowlist`.
"""

from __future__ import annotations

import re
from html import escape, unescape
from xml.etree.ElementTree import Element, tostring

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

from assent.web.render import invisible, pictures

MAX_LENGTH = 2_000
"""Characters of one formula."""
MAX_TOTAL = 12_000
"""Characters of all formulas of one text; later ones are shown as they were written."""
_MAX_BRACES = 40
_MAX_LINES = 60
CLOSES = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}
"""The sign that ends a formula, by that which begins it."""
_DEFINES = re.compile(
    r"\\(?:(?:re|provide)?newcommand|(?:re)?newenvironment|DeclareMathOperator|[egx]?def|let)(?![a-zA-Z])"
)
_ENTITY = re.compile(r"&#?\w+;")


def plugin(md: MarkdownIt) -> None:
    """Teach a parser to find formulas; their tokens are `formula` and `formula_block`."""
    md.inline.ruler.before("escape", "formula", _inline)
    md.block.ruler.before("fence", "formula_block", _block, {"alt": ["paragraph", "reference", "blockquote", "list"]})


def mathml(latex: str, *, is_block: bool) -> str | None:
    """MathML of a formula, with its source where the picture could stand for another; None where it cannot be read."""
    if not latex.strip() or len(latex) > MAX_LENGTH or _depth(latex) > _MAX_BRACES or _DEFINES.search(latex):
        return None
    try:
        tree = convert_to_element(latex, display="block" if is_block else "inline")
    except Exception:  # latex2mathml raises whatever its parser trips over; any of it means "not readable"
        return None
    _settle(tree)
    picture = tostring(tree, encoding="unicode")
    if pictures.source_of(tree) == "".join(latex.split()):
        return picture
    return f'{picture} <code data-source="">{escape(latex.strip(), quote=False)}</code>'


def as_code(latex: str, markup: str) -> str:
    """A formula as it was written, with its signs."""
    return f"<code>{escape(markup + latex + CLOSES[markup])}</code>"


def _settle(tree: Element) -> None:
    """Texts in place of the entities that latex2mathml leaves in them, and no namespace that HTML does not want."""
    tree.attrib.pop("xmlns", None)
    for element in tree.iter():
        if element.text:
            element.text = invisible.show(_ENTITY.sub(lambda entity: unescape(entity.group()), element.text))


def _depth(latex: str) -> int:
    deepest = depth = 0
    for sign in re.findall(r"\\left|\\right|\\begin|\\end|\\.|[{}^_]", latex):
        if sign in ("{", "\\left", "\\begin"):
            depth += 1
        elif sign in ("}", "\\right", "\\end"):
            depth -= 1
        deepest = max(deepest, depth)
    return deepest


def _inline(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    sign = source[start : start + 2]
    if sign not in CLOSES:
        sign = sign[:1]
    if sign not in CLOSES:
        return False
    begin = start + len(sign)
    end = _closing(state, sign, begin)
    if end is None or not source[begin:end].strip():
        return False
    if not silent:
        token = state.push("formula", "math", 0)
        token.content, token.markup = source[begin:end], sign
    state.pos = end + len(sign)
    return True


def _closing(state: StateInline, sign: str, begin: int) -> int | None:
    """Where the formula ends. A single $ is a formula only where it hugs its text and no digit follows: not "$5"."""
    source, close = state.src, CLOSES[sign]
    limit = min(state.posMax, begin + MAX_LENGTH + len(close))
    if sign != "$":
        end = source.find(close, begin, limit)
        return None if end < 0 else end
    if begin >= limit or source[begin].isspace() or (begin > 1 and source[begin - 2].isalnum()):
        return None
    end = begin
    while True:
        end = source.find("$", end, limit)
        if end < 0:
            return None
        if source[end - 1] != "\\":
            break
        end += 1
    follows = source[end + 1 : end + 2]
    return None if source[end - 1].isspace() or follows.isalnum() or follows == "$" else end


def _block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if state.is_code_block(start):
        return False
    begin = state.bMarks[start] + state.tShift[start]
    sign = state.src[begin : begin + 2]
    if sign not in ("$$", "\\[") or state.src.find(CLOSES[sign], begin + 2, begin + MAX_LENGTH) < 0:
        return False
    parts = []
    for line in range(start, min(end, start + _MAX_LINES)):
        if line > start and state.sCount[line] < state.blkIndent:
            return False
        first = begin + 2 if line == start else state.bMarks[line] + state.tShift[line]
        text = state.src[first : state.eMarks[line]].rstrip()
        if CLOSES[sign] in text:
            if not text.endswith(CLOSES[sign]) or text.index(CLOSES[sign]) != len(text) - 2:
                return False
            parts.append(text[:-2])
            break
        parts.append(text)
    else:
        return False
    if silent:
        return True
    token = state.push("formula_block", "math", 0)
    token.content, token.markup, token.block, token.map = "\n".join(parts).strip(), sign, True, [start, line + 1]
    state.line = line + 1
    return True
