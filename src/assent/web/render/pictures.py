r"""The one LaTeX source that the picture of a formula stands for: what a person who sees it would write.

`x^2` and `x^{2}` make the same picture. It stands for the first: a formula written otherwise is shown with its source.
A picture that holds anything not listed here stands for none.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Sequence
from xml.etree.ElementTree import Element

from latex2mathml.symbols_parser import convert_symbol

_COMMANDS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho sigma tau"
    " upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
    " times div pm mp cdot circ bullet oplus otimes cup cap wedge vee setminus"
    " leq geq neq approx equiv sim simeq cong propto ll gg in notin subset subseteq supset supseteq perp"
    " to leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow mapsto implies iff"
    " sum prod int oint infty partial nabla forall exists neg emptyset ell hbar"
    " ldots cdots vdots ddots langle rangle lfloor rfloor lceil rceil"
)
"""Commands for signs. Of two for the same or a similar sign only the usual one is here."""
_FUNCTIONS = (
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln exp lim max min sup inf det dim gcd ker deg arg"
)
_ACCENTS = {"^": "hat", "¯": "bar", "→": "vec", "~": "tilde", "˙": "dot"}
_LETTERS = {"DOUBLE-STRUCK": "mathbb", "MATHEMATICAL BOLD": "mathbf"}
_SIGNS = {"−": "-", "′": "'", "″": "''", "‖": r"\|", "{": r"\{", "}": r"\}", "%": r"\%", "#": r"\#", "&": r"\&"}
_SIGNS |= {"$": r"\$", "_": r"\_"}
for _name in _COMMANDS.split():
    _SIGNS.setdefault(chr(int(convert_symbol(f"\\{_name}") or "0", 16)), f"\\{_name}")
_ITSELF = frozenset("+*/=<>()[]|,.!?:;")

_DOUBLE = re.compile(r"\.\.|<<|>>|\|\||(?:\\cdot){2}")
"""Signs that look like one of their own where they stand side by side: … ≪ ≫ ‖ ⋯"""


class _Unknown(Exception):
    """Something that does not show how it was written."""


def source_of(tree: Element) -> str | None:
    """LaTeX without its outer signs and without blanks, or None."""
    leaves = [node for node in tree.iter() if not len(node)]
    # Two words side by side are seen as one.
    if any(_is_word(one) and _is_word(next_) for one, next_ in itertools.pairwise(leaves)):
        return None
    try:
        source = "".join(_source(tree).split())
    except _Unknown:
        return None
    return None if _DOUBLE.search(source) else source


def _source(node: Element) -> str:
    read = _READERS.get(node.tag)
    if read is None or node.tail:
        raise _Unknown
    return read(node)


def _row(node: Element) -> str:
    parts = list(node)
    if len(parts) < 2 or not all(_is_stretched(part) for part in (parts[0], parts[-1])):
        return "".join(_source(part) for part in parts)
    # A bracket grows around a fraction, and around a letter looks like any other.
    words = (r"\left", r"\right") if any(part.tag == "mfrac" for part in node.iter()) else ("", "")
    inner = "".join(_source(part) for part in parts[1:-1])
    return f"{words[0]}{_sign(parts[0].text)}{inner}{words[1]}{_sign(parts[-1].text)}"


def _is_stretched(node: Element) -> bool:
    return node.tag == "mo" and node.get("stretchy") == "true" and node.get("fence") == "true"


def _sign(text: str | None) -> str:
    """What stands for a sign, a letter, a number or the name of a function."""
    text = text or ""
    if text in _SIGNS:
        return _SIGNS[text]
    if text in _FUNCTIONS.split():
        return f"\\{text}"
    if text and text.isascii() and (text in _ITSELF or (text.isalpha() and len(text) == 1) or _is_number(text)):
        return text
    name = unicodedata.name(text, "") if len(text) == 1 else ""
    for kind, command in _LETTERS.items():
        letter = unicodedata.normalize("NFKC", text)
        if name.startswith((f"{kind} ", f"MATHEMATICAL {kind} ")) and letter.isascii() and letter.isalnum():
            return f"\\{command}{{{letter}}}"
    raise _Unknown


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _leaf(node: Element) -> str:
    if set(node.keys()) - {"stretchy", "fence"} or node.get("stretchy") == "true":
        raise _Unknown
    return _sign(node.text)


def _is_word(node: Element) -> bool:
    return node.tag == "mtext" or (len(node.text or "") > 1 and node.tag != "mn")


def _text(node: Element) -> str:
    """Upright words; signs, numbers and names of functions would look the same outside of it."""
    text = (node.text or "").strip()
    if not text.replace(" ", "").isalpha() or text in _FUNCTIONS.split():
        raise _Unknown
    return f"\\text{{{text}}}"


def _children(node: Element, number: int) -> Sequence[Element]:
    if len(node) != number:
        raise _Unknown
    return list(node)


def _small(node: Element) -> str:
    """What stands above or below: in braces where it is more than one thing."""
    source = _source(node)
    is_one = len(source) == 1 or (source.startswith("\\") and source[1:].isalpha())
    return source if is_one else f"{{{source}}}"


def _base(node: Element) -> str:
    """What something stands above or below of: a single thing, for braces around more are not seen."""
    parts = list(node.iter())
    if sum(len(part) == 0 for part in parts) != 1:
        raise _Unknown
    return _source(node)


def _scripts(*signs: str) -> Callable[[Element], str]:
    def read(node: Element) -> str:
        base, *scripts = _children(node, 1 + len(signs))
        if node.tag == "mover" and scripts[0].text in _ACCENTS and not len(scripts[0]):
            return f"\\{_ACCENTS[scripts[0].text or '']}{{{_source(base)}}}"
        if node.tag == "mover" and set(node.keys()):
            raise _Unknown
        written = "".join(f"{sign}{_small(script)}" for sign, script in zip(signs, scripts, strict=True))
        is_prime = node.tag == "msup" and scripts[0].text in ("′", "″")
        return _base(base) + (_sign(scripts[0].text) if is_prime else written)

    return read


def _fraction(node: Element) -> str:
    if node.keys():
        raise _Unknown
    above, below = _children(node, 2)
    return f"\\frac{{{_source(above)}}}{{{_source(below)}}}"


def _root(node: Element) -> str:
    if node.tag == "msqrt":
        return f"\\sqrt{{{''.join(_source(part) for part in node)}}}"
    under, index = _children(node, 2)
    return f"\\sqrt[{_source(index)}]{{{_source(under)}}}"


_READERS: dict[str, Callable[[Element], str]] = {
    "math": _row,
    "mrow": _row,
    "mi": _leaf,
    "mn": _leaf,
    "mo": _leaf,
    "mtext": _text,
    "mfrac": _fraction,
    "msqrt": _root,
    "mroot": _root,
    "msup": _scripts("^"),
    "mover": _scripts("^"),
    "msub": _scripts("_"),
    "munder": _scripts("_"),
    "msubsup": _scripts("_", "^"),
    "munderover": _scripts("_", "^"),
}
