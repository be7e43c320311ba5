"""QR codes of links, drawn into a page as plain SVG: no script, no file, black on white in every theme."""

from __future__ import annotations

import segno
from markupsafe import Markup


def code_of(text: str) -> Markup:
    """The code of a text, with the empty border that cameras look for; its size is the style sheet's business."""
    code = segno.make_qr(text, error="m")
    return Markup(code.svg_inline(omitsize=True, border=4, light="white", svgclass=None, lineclass=None))
