"""An answer held against references: exact, token F1, numbers; of several references the best one counts.

Both sides are read alike: compatibility forms of letters as one (NFKC), lower case, no punctuation, no articles.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NUMBER = re.compile(r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-−]?\.\d+")
_PUNCTUATION = frozenset(string.punctuation)


def normalised(text: str) -> str:
    """The text as exact match and F1 read it."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(" " if c in _PUNCTUATION or unicodedata.category(c).startswith("P") else c for c in folded)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def exact(answer: str, references: Sequence[str]) -> float:
    """1 where the answer says what one of the references says, else 0."""
    said = normalised(answer)
    return float(any(said == normalised(one) for one in references))


def contains(answer: str, references: Sequence[str]) -> float:
    """1 where one of the references stands in the answer, as whole words, else 0."""
    said = f" {normalised(answer)} "
    return float(any(f" {normalised(one)} " in said for one in references))


def token_f1(answer: str, references: Sequence[str]) -> float:
    """Harmonic mean of the shares of words in common, of the reference that it fits best (Rajpurkar et al. 2016)."""
    return max(_f1(normalised(answer).split(), normalised(one).split()) for one in references)


def numeric(answer: str, references: Sequence[str], *, tolerance: float) -> float:
    """1 where the answer's last number is one of the references', up to a share `tolerance` of it, else 0."""
    said = last_number(answer)
    if said is None:
        return 0.0
    wanted = [number for one in references if (number := last_number(one)) is not None]
    return float(any(is_near(said, number, tolerance=tolerance) for number in wanted))


def last_number(text: str) -> Decimal | None:
    """The last number of a text, thousands parted by commas or not; None where there is none."""
    found = _NUMBER.findall(text)
    if not found:
        return None
    try:
        return Decimal(found[-1].replace(",", "").replace("−", "-"))
    except InvalidOperation:  # digits of other scripts that are no decimal number
        return None


def final_number(text: str) -> Decimal | None:
    """The number after the last ####, as in GSM8K, else the last one; None where there is none."""
    _, mark, after = text.rpartition("####")
    first = last_number(after.strip().split("\n")[0]) if mark else None
    return last_number(text) if first is None else first


def is_near(said: Decimal, wanted: Decimal, *, tolerance: float) -> bool:
    """Whether two numbers differ by at most a share `tolerance` of the wanted one."""
    return abs(said - wanted) <= Decimal(str(tolerance)) * abs(wanted)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))
