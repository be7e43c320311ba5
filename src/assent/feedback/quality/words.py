"""How much there is to read: words, with scripts that write no spaces counted by their characters."""

from __future__ import annotations

import re

CHARACTERS_PER_WORD = 2.0
"""Chinese, Japanese, Thai, Khmer and Burmese: so many characters take about as long to read as one English word."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def count_words(text: str) -> int:
    """Words of a text; for scripts without spaces between words, characters by `CHARACTERS_PER_WORD`."""
    unspaced = len(_UNSPACED.findall(text))
    if not unspaced:
        return len(text.split())
    spaced = sum(any(c.isalnum() for c in word) for word in _UNSPACED.sub(" ", text).split())
    return spaced + round(unspaced / CHARACTERS_PER_WORD)
