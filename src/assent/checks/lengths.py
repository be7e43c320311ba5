"""How far a length lies outside a band."""

from __future__ import annotations


def outside_band(length: int, *, least: int, most: int | None) -> int:
    """Words or tokens that a text has too few or too many; 0 inside the band, its ends included."""
    if length < least:
        return least - length
    return max(0, length - most) if most is not None else 0
