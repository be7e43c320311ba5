"""Text of others on a terminal: what could steer it or turn the direction of writing is shown, not obeyed."""

from __future__ import annotations

import re

# C0 and C1 controls but newline and tab, marks that turn the direction of writing, line separators, tags.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def safe(text: str) -> str:
    """A text with everything that could steer a terminal or turn the direction of writing made visible."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)
