r"""What a person sees of a page of formatted text, written apart from the renderer.

`written` writes down the text that a page stands for. `look` is how it looks, without anything that is not seen:
addresses behind links, directions, groups inside formulas, white space.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

SIGNS = {"em": ("*", "*"), "strong": ("**", "**"), "s": ("~~", "~~")}
SIGNS |= {"h3": ("#", ""), "h4": ("##", ""), "h5": ("###", ""), "h6": ("####", "")}
LINES = ("p", "li", "tr", "h3", "h4", "h5", "h6", "pre")
DASHES = {None: "---", "center": ":---:", "right": "---:"}
GLYPHS = {"−": "-", "≤": r"\leq", "α": r"\alpha", "∑": r"\sum", "→": r"\to", "sin": r"\sin", "{": r"\{", "}": r"\}"}
GLYPHS |= {
    "×": r"\times",
    "⋅": r"\cdot",
    "%": r"\%",
    "ℝ": r"\mathbb{R}",
    "‖": r"\|",
    "&": r"\&",
    "_": r"\_",
    "#": r"\#",
    "$": r"\$",
}


@dataclass
class Node:
    """An element, with texts and elements in it."""

    tag: str
    said: dict[str, str | None]
    parts: list[Node | str] = field(default_factory=list)

    @property
    def children(self) -> list[Node]:
        return [part for part in self.parts if isinstance(part, Node)]

    @property
    def text(self) -> str:
        return "".join(part if isinstance(part, str) else part.text for part in self.parts)

    def has(self, *tags: str) -> bool:
        return self.tag in tags or any(child.has(*tags) for child in self.children)


class _Tree(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open = [Node("page", {})]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.open[-1].parts.append(node)
        if tag not in ("br", "hr"):
            self.open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def signs(text: str) -> str:
    """Every character that has a look."""
    return "".join(text.split())


# -- what it says ------------------------------------------------------------------------------------------------------


def written(html: str) -> str:
    """The text that a page shows, with the signs that its formatting stands for.

    A bar beside a line of a quotation stands for `>`, a box for code between lines of three backticks unless it names
    others, a tinted word for one backtick on each side unless there are more, a table for bars around each cell and a
    line of three dashes below its head unless it shows another, a picture of a formula for what anyone would write.
    """
    (page,) = _Tree(html).open
    writing = _Writing()
    writing.all(page)
    return writing.text


class _Writing:
    def __init__(self) -> None:
        self.text = ""
        self.bars = self.owed = 0
        """Quotations that are open, and those whose sign is still to be written in this line."""

    def write(self, text: str) -> None:
        """Lines, each with the bars beside it."""
        for line in text.splitlines(keepends=True):
            self.text += ">" * self.owed + line
            self.owed = self.bars if line.endswith("\n") else 0

    def end_line(self) -> None:
        """A line that holds nothing yet is none."""
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"
            self.owed = self.bars

    def all(self, node: Node) -> None:
        for n, part in enumerate(node.parts):
            if isinstance(part, str):
                self.write(part if part.strip("\n") else "")
            else:
                self.one(part, node.parts[:n], node.parts[n + 1 :])

    def one(self, node: Node, before: list[Node | str], after: list[Node | str]) -> None:
        if node.tag == "blockquote":
            self.bars += 1
            self.owed += 1
            self.all(node)
            self.end_line()
            self.bars -= 1
            self.owed = self.bars
        elif node.tag == "br" or "data-blank" in node.said:
            self.write("\n")
        elif "data-image" in node.said:
            alt, address = (child.text for child in node.children)
            self.write(f"![{alt}]({address})")
        elif node.tag == "pre" and "data-written" not in node.said:
            self.write(_fenced(node))
        elif node.tag == "math":
            self.write(_formula(node, before, after))
        elif node.tag == "code" and "data-source" not in node.said and "dir" in node.said:
            ticks = "" if self.text.endswith("`") else "`"
            self.write(f"{ticks}{node.text}{ticks}")
        elif node.tag == "a":
            is_bare = _mark(before[-1:]) == "<" and _mark(after[:1]) == ">"
            self.write("" if is_bare else "[")
            self.all(node)
            self.write("" if is_bare else "]")
        elif node.tag == "tr":
            self.write("|")
            self.all(node)
        elif node.tag == "thead":
            self.all(node)
            if len(node.children) == 1:
                cells = [DASHES.get(cell.said.get("align"), "?") for cell in node.children[0].children]
                self.write(f"|{'|'.join(cells)}|\n")
        elif "data-source" not in node.said:
            opening, closing = SIGNS.get(node.tag, ("", "|" if node.tag in ("td", "th") else ""))
            self.write(opening)
            self.all(node)
            self.write(closing)
        if node.tag in LINES:
            self.end_line()


def _mark(parts: list[Node | str]) -> str:
    """The text of the last or next part, if it is a sign of formatting."""
    return parts[0].text if parts and isinstance(parts[0], Node) and "data-mark" in parts[0].said else ""


def _fenced(node: Node) -> str:
    info = node.said.get("data-info") or ""
    opening = "" if info.startswith("`") else "```"
    ticks = opening or info[: len(info) - len(info.lstrip("`"))]
    closing = "" if "data-open" in node.said else node.said.get("data-closed") or ticks
    return f"{opening}{info}\n{node.text}{closing}"


def _formula(node: Node, before: list[Node | str], after: list[Node | str]) -> str:
    sources = [part for part in after[:2] if isinstance(part, Node) and "data-source" in part.said]
    is_marked = _mark(before[-1:]) in (r"\(", r"\[")
    sign = "" if is_marked else "$$" if node.said.get("display") == "block" else "$"
    return f"{sign}{sources[0].text if sources else _latex(node)}{sign}"


def _latex(node: Node) -> str:
    """What anyone would write for a picture; of letters and signs that are not expected here, themselves."""
    parts = [_latex(child) for child in node.children]
    match node.tag:
        case "mi" | "mn" | "mo":
            return GLYPHS.get(node.text, node.text)
        case "mtext":
            return f"\\text{{{node.text}}}"
        case "mfrac":
            return "\\frac{{{}}}{{{}}}".format(*parts)
        case "msqrt":
            return f"\\sqrt{{{''.join(parts)}}}"
        case "mroot":
            return f"\\sqrt[{parts[1]}]{{{parts[0]}}}"
        case "mover" if parts[1] in ("^", "¯"):
            return f"\\{'hat' if parts[1] == '^' else 'bar'}{{{parts[0]}}}"
        case "msup" if parts[1] in ("′", "″"):
            return parts[0] + ("'" if parts[1] == "′" else "''")
        case "msub" | "munder":
            return f"{parts[0]}_{_argument(parts[1])}"
        case "msup" | "mover":
            return f"{parts[0]}^{_argument(parts[1])}"
        case "msubsup" | "munderover":
            return f"{parts[0]}_{_argument(parts[1])}^{_argument(parts[2])}"
    inner = "".join(parts)
    brackets = [child.said.get("stretchy") == "true" for child in node.children]
    if len(brackets) > 1 and brackets[0] and brackets[-1] and node.has("mfrac"):
        return f"\\left{parts[0]}{''.join(parts[1:-1])}\\right{parts[-1]}"
    return inner


def _argument(latex: str) -> str:
    return latex if len(latex) == 1 or latex in GLYPHS.values() else f"{{{latex}}}"


# -- how it looks ------------------------------------------------------------------------------------------------------

SEEN = ("data-info", "data-open", "data-closed", "data-mark", "data-source", "data-image", "data-marker", "data-blank")


def look(html: str) -> str:
    """The page as a person sees it: texts, and the boxes, bars, tables and styles that they stand in."""
    (page,) = _Tree(html).open
    return _look(page, in_quote=False)


def _look(node: Node, *, in_quote: bool) -> str:
    if node.tag == "math":
        return f"<math {node.said.get('display')}>{_glyphs(node, is_tall=node.has('mfrac'))}</math>"
    in_quote = in_quote or node.tag == "blockquote"
    inner = "".join(
        _look(part, in_quote=in_quote)
        if isinstance(part, Node)
        else signs(part.replace("\n", "¶") if in_quote and node.tag != "blockquote" else part).replace("<", "&lt;")
        for part in node.parts
    )
    # Where no bar stands beside them, lines differ in white space alone; a cell is aligned to its left as it is.
    is_plain = node.tag in ("page", "p", "br", "div", "tbody", "span", "bdi") or "data-written" in node.said
    kept = {name: node.said[name] for name in SEEN if name in node.said}
    if (align := node.said.get("align")) in ("right", "center"):
        kept["align"] = align
    end = "¶" if in_quote and node.tag in ("br", *LINES) else ""
    return inner + end if is_plain and not kept else f"<{node.tag} {kept or ''}>{inner}</{node.tag}>{end}"


def _glyphs(node: Node, *, is_tall: bool) -> str:
    if not node.children:
        is_slanted = node.tag == "mi" and len(node.text) == 1 and node.said.get("mathvariant") != "normal"
        grown = "↕" if is_tall and node.said.get("stretchy") == "true" else ""
        return signs(f"{grown}{node.text}{'/' if is_slanted and node.text.isalpha() else ''}")
    inner = [_glyphs(child, is_tall=is_tall) for child in node.children]
    if node.tag in ("mrow", "mstyle", "math"):
        return "".join(inner)
    return f"<{node.tag}>{'<,>'.join(inner)}</{node.tag}>"
