"""The stylesheet of code: every class has a rule, every colour can be read."""

from __future__ import annotations

import re

import pytest

from assent.web.context import STATIC
from assent.web.render import highlight

CSS = (STATIC / "code.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--(hl-\w+): light-dark\((#\w+, #\w+)\);", CSS))


def _luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_every_class_has_a_rule_and_a_colour() -> None:
    for name in set(highlight.CLASSES.values()):
        assert f".{name} {{ color: var(--{name});" in CSS
        assert name in COLOURS


@pytest.mark.parametrize("name", sorted(set(highlight.CLASSES.values())))
def test_every_colour_of_code_can_be_read_in_light_and_in_dark(name: str) -> None:
    page = (STATIC / "assent.css").read_text(encoding="utf-8")
    found = re.search(r"--sunk: light-dark\((#\w+), (#\w+)\)", page)
    assert found
    for ink, ground in zip(COLOURS[name].split(", "), found.groups(), strict=True):
        assert _contrast(ink, ground) >= 4.5, (name, ink, ground)


def test_contrast_is_reckoned_as_the_guideline_does() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    assert _contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
