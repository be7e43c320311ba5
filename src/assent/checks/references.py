"""An answer held against references: exact, token F1, numbers; of several references the best one counts.

Both sides are read alike: compatibility forms of letters as one (NFKC), lower case, no punctuation but the sign of a
number, no articles. A reference of which that leaves nothing, such as "A" or "+", keeps what it consists of.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)
_MARKS = frozenset("()[]{}<>\"'`.,;:!?")
"""Punctuation that stands around a reference rather than being it."""
_SIGN = re.compile(r"(?<![\w)\]}])[-−]([^\w\s-]?)(?=\d)")
"""A minus before a number, a currency or a point between them: not the hyphen of 10-5 or of a list."""
_MINUS = "−"  # which is no punctuation

_PLAIN = r"(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+−]?\d+(?!\w))?"
_NUMBER = re.compile(rf"[-−]?{_PLAIN}(?: ?/ ?[-−]?{_PLAIN})*")
_MIXED = re.compile(r"(?<![\d.,/])(\d{1,9}) (\d{1,9})/(\d{1,9})(?![.,]?\d| ?/)")
_LATEX = re.compile(r"\\[dt]?frac\{([-−]?[\d.]+)\}\{([\d.]+)\}")
_AFTER_WHOLE = re.compile(r"(?<=\d)(?=\\[dt]?frac)")
_POWER = re.compile(r"(?<=\d) ?(?:[×·*]|\\times|\\cdot) ?10 ?(?:\^|\*\*) ?\{?([-+−]?\d+)\}?")
_ARITHMETIC = Context(prec=50, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])  # what overflows is far off, and no error


def normalised(text: str) -> str:
    """The text as exact match and F1 read it."""
    return " ".join(_ARTICLES.sub(" ", _bare(text)).split())


def exact(answer: str, references: Sequence[str]) -> float:
    """1 where the answer says what one of the references says, else 0."""
    return float(any(said == wanted for said, wanted in _read(answer, references)))


def contains(answer: str, references: Sequence[str]) -> float:
    """1 where one of the references stands in the answer, as whole words, else 0."""
    return float(any(f" {wanted} " in f" {said} " for said, wanted in _read(answer, references)))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Harmonic mean of the shares of words in common, of the reference that it fits best (Rajpurkar et al. 2016)."""
    return max(_f1(said.split(), wanted.split()) for said, wanted in _read(answer, references))


def numeric(answer: str, references: Sequence[str], *, tolerance: float) -> float:
    """1 where the answer's last number is one of the references', up to a share `tolerance` of it, else 0."""
    said = last_number(answer)
    if said is None:
        return 0.0
    wanted = [number for one in references if (number := last_number(one)) is not None]
    return float(any(is_near(said, number, tolerance=tolerance) for number in wanted))


def last_number(text: str) -> Decimal | None:
    """The last number of a text; None where there is none.

    Thousands may be parted by commas; 1.5e3 and 1.5 × 10^3 are 1500, 3/4 is 0.75 and 1 3/4 is 1.75. What has more
    slashes is a date or the like, and each of its numbers one by itself.
    """
    fractions = _LATEX.sub(r"\1/\2", _AFTER_WHOLE.sub(" ", text))
    found = _NUMBER.findall(_MIXED.sub(_improper, _POWER.sub(r"e\1", fractions)))
    return _value(found[-1]) if found else None


def final_number(text: str) -> Decimal | None:
    """The number after the last ####, as in GSM8K, else the last one; None where there is none."""
    _, mark, after = text.rpartition("####")
    first = last_number(after.strip().split("\n")[0]) if mark else None
    return last_number(text) if first is None else first


def is_near(said: Decimal, wanted: Decimal, *, tolerance: float) -> bool:
    """Whether two numbers differ by at most a share `tolerance` of the wanted one."""
    apart = _ARITHMETIC.abs(_ARITHMETIC.subtract(said, wanted))
    return apart <= _ARITHMETIC.multiply(Decimal(str(tolerance)), _ARITHMETIC.abs(wanted))


def _read(answer: str, references: Sequence[str]) -> list[tuple[str, str]]:
    """The answer and a reference as they are compared, for each reference."""
    return [_alike(answer, one) for one in references]


def _alike(answer: str, reference: str) -> tuple[str, str]:
    """Both normalised, but for what would leave nothing of the reference: its articles, and the signs that it holds.

    Brackets, quotes and full stops are kept only where there is nothing else: an answer "(A)." is a reference "A".
    """
    if wanted := normalised(reference):
        return normalised(answer), wanted
    signs = frozenset(unicodedata.normalize("NFKC", reference))
    for kept in (signs - _MARKS, signs):
        if wanted := " ".join(_bare(reference, kept).split()):
            return " ".join(_bare(answer, kept).split()), wanted
    return normalised(answer), ""


def _bare(text: str, kept: frozenset[str] = frozenset()) -> str:
    """A text in lower case, with spaces for punctuation that is not kept."""
    folded = _SIGN.sub(rf"\1{_MINUS}", unicodedata.normalize("NFKC", text).casefold())
    return "".join(" " if _is_punctuation(c) and c not in kept else c for c in folded)


def _is_punctuation(character: str) -> bool:
    return character in _PUNCTUATION or unicodedata.category(character).startswith("P")


def _improper(mixed: re.Match[str]) -> str:
    """1 3/4 as 7/4; 1 7/4 as it is."""
    whole, part, of = map(int, mixed.groups())
    return f"{whole * of + part}/{of}" if part < of else mixed[0]


def _value(written: str) -> Decimal | None:
    """A number or a fraction; of more numbers with slashes, and of one over zero, the last."""
    parts = [_decimal(one) for one in written.split("/")]
    if len(parts) == 2 and parts[0] is not None and parts[1]:
        quotient = _ARITHMETIC.divide(parts[0], parts[1])
        return quotient if quotient.is_finite() else None
    return parts[-1]


def _decimal(written: str) -> Decimal | None:
    try:
        return Decimal(written.replace(",", "").replace("−", "-").strip())
    except InvalidOperation:  # digits of other scripts that are no decimal number, or an exponent beyond all bounds
        return None


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))
