"""The only HTML that a model's text can become: tags and attributes one by one, everything else is dropped.

Last step of `markup.render`, whatever the steps before it did. No script, style, image, form or frame, no id, no class
but the colours of code, links only to http, https and mailto.
"""

from __future__ import annotations

import nh3

from assent.web.render.highlight import CLASSES

_BLOCKS = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "table", "th", "td", "div"}
_INLINE = {"a", "em", "strong", "s", "code", "span", "bdi", "br", "hr", "thead", "tbody", "tr"}
_MATHML = {
    "math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub", "msup", "msubsup", "munder",
    "mover", "munderover", "mmultiscripts", "mprescripts", "mtable", "mtr", "mtd", "mstyle", "mphantom", "menclose",
}  # fmt: skip
TAGS = frozenset(_BLOCKS | _INLINE | _MATHML)
SCHEMES = frozenset({"http", "https", "mailto"})
FREE = {
    "a": {"href"},
    "ol": {"start"},
    "pre": {"data-language", "data-info", "data-open", "data-closed"},
    "p": {"data-plain", "data-tight", "data-blank"},
    "mo": {"lspace", "rspace"},
}
"""Attributes with any value (the sanitizer checks the scheme of a href)."""
_FLAG = {"true", "false"}
_ALIGN = {"left", "right", "center"}
_SPACES = {f"{width}em" for width in (0.056, 0.111, 0.167, 0.222, 0.278, 0.333, 0.5, 1, 2, -0.167)}
_FIXED_BY_TAG: dict[str, dict[str, set[str]]] = {
    "pre": {"tabindex": {"0"}, "data-written": {""}},
    "div": {"tabindex": {"0"}, "data-table": {""}},
    "span": {"data-image": {""}, "data-marker": {""}},
    "th": {"align": _ALIGN, "scope": {"col"}},
    "td": {"align": _ALIGN, "data-mark": {""}},
    "bdi": {"data-mark": {""}},
    "code": {"data-source": {""}},
    "math": {"display": {"block", "inline"}},
    "mi": {"mathvariant": {"normal"}},
    "mo": {
        "stretchy": _FLAG, "fence": _FLAG, "separator": _FLAG, "accent": _FLAG, "movablelimits": _FLAG,
        "form": {"prefix", "infix", "postfix"}, "minsize": {"1.2em", "2.047em"}, "maxsize": {"1.2em", "2.047em"},
    },
    "mspace": {"width": _SPACES},
    "mfrac": {"linethickness": {"0"}},
    "mtd": {"columnalign": _ALIGN},
    "mstyle": {"displaystyle": _FLAG, "scriptlevel": {"0", "1", "2"}},
    "mover": {"accent": _FLAG},
    "munder": {"accentunder": _FLAG},
}  # fmt: skip
FIXED = {
    **_FIXED_BY_TAG,
    **{tag: {**_FIXED_BY_TAG.get(tag, {}), "dir": {"auto", "ltr", "rtl"}} for tag in _BLOCKS | {"code", "bdi"}},
}
"""Attributes with the values they may have."""
GIVEN = {"a": {"target": "_blank", "data-external": ""}}
"""Attributes that are set, whatever was written."""
REL = "noopener noreferrer nofollow"
SPAN_CLASSES = frozenset(CLASSES.values())

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags={"script", "style"},
    attributes={"*": set(), **{tag: set(names) for tag, names in FREE.items()}},
    tag_attribute_values=FIXED,
    set_tag_attribute_values=GIVEN,
    allowed_classes={"span": set(SPAN_CLASSES)},
    generic_attribute_prefixes=set(),
    link_rel=REL,
    url_schemes=set(SCHEMES),
    url_relative="deny",
    strip_comments=True,
)


def clean(html: str) -> str:
    """The HTML with nothing in it that is not listed here."""
    return _CLEANER.clean(html)
