"""Limits for chat templates: Jinja's sandbox stops these programs of strangers from reaching out, not from running on.

Steps are counted while a template runs. What takes memory in a single step is refused by its text.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from assent.core.errors import ModelError

MOST_STEPS = 1_000_000
"""Lines of a template's code in one rendering; a conversation of a thousand turns takes a few ten thousand."""
MOST_TIMES = 1_000
"""A constant that a template may multiply with."""
_FILE = "<template>"  # what Jinja calls code that it compiled from a string
_TAGS = ("generation",)


def refuse_hostile(template: str, origin: str) -> None:
    """Raise ModelError for a template that can fill the memory in one step: powers, large products, `lipsum`."""
    try:
        tree = jinja2.Environment(extensions=["jinja2.ext.loopcontrols", _GenerationTag]).parse(template)
    except jinja2.TemplateSyntaxError:
        return  # whoever renders it says where
    for node in tree.find_all((nodes.Pow, nodes.Mul, nodes.Name)):
        what = _hostile(node)
        if what:
            raise ModelError(f"{origin} uses {what}, which can fill any memory; give another with `template`")


def bounded(render: Callable[[], Any], origin: str) -> Any:
    """What a rendering returns. Raises ModelError where a template runs on and on."""
    left = MOST_STEPS

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        left -= event == "line"
        if left < 0:
            raise ModelError(f"{origin} ran {MOST_STEPS:,} steps and did not end; give another with `template`")
        return step

    def watch(frame: FrameType, _event: str, _: Any) -> Any:
        return step if frame.f_code.co_filename == _FILE else None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        return render()
    finally:
        sys.settrace(before)


class _GenerationTag(Extension):
    """`{% generation %}`, a tag of Hugging Face templates, read as what is in it."""

    tags = {*_TAGS}  # noqa: RUF012 - as Jinja declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """What stands between the tags."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _hostile(node: nodes.Node) -> str:
    match node:
        case nodes.Pow():
            return "a power (**)"
        case nodes.Mul():
            sides = [side.value for side in (node.left, node.right) if isinstance(side, nodes.Const)]
            large = [side for side in sides if isinstance(side, int) and side > MOST_TIMES]
            return f"a product with {large[0]}" if large else ""
        case nodes.Name(name="lipsum"):
            return "lipsum"
    return ""
