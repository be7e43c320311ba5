"""What `mkdocs build` does to these pages: navigation from docs/index.md, pages of the root, links, lists and formulas.

mkdocs.yml names this file as a hook. The Markdown is written for people who read it in the repository; a site wants the
same links from other places, blank lines before lists, and formulas as MathML.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
HOME, INDEX = "README.md", "docs/index.md"
PLACES = {HOME: "index.md", INDEX: "pages.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages whose place on the site is not their place below docs/, by their place in the repository."""
ICON = ("src/assent/web/static/icon.svg", "images/icon.svg")

_SECTION = re.compile(r"^\*\*(.+?)\*\*.*?$\n((?:\n?- .*$\n)+)", re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!?\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)")
_CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LIST = re.compile(r"(?<=\n)((?!- |\d+\. |[ |#>]).+\n)(?=(?:- |\d+\. ))")
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_config(config: Any) -> Any:
    """The navigation: home, then the sections of docs/index.md with its links and their words."""
    nav: list[dict[str, Any]] = [{"Start here": PLACES[HOME]}]
    for title, listed in _SECTION.findall((ROOT / INDEX).read_text(encoding="utf-8")):
        links = [(words, target) for _, words, target in _LINK.findall(listed) if not target.startswith("http")]
        nav.append({title.rstrip(":"): [{words: place_of(f"docs/{target}")} for words, target in links]})
    others = [{"All pages": PLACES[INDEX]}, {"How to contribute": "contributing.md"}, {"Changes": "changelog.md"}]
    config.nav = [*nav, {"About": others}]
    return config


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the pages of the root and the icon."""
    own = files.get_file_from_path("index.md")
    if own is not None:
        files.remove(own)
    for source, place in (*PLACES.items(), ICON):
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Links from where the page stands on the site; a blank line before every list."""
    here = source_of(page.file.src_uri)
    parts = _CODE.split(f"\n{markdown}")
    parts[::2] = [_LINK.sub(lambda match: _moved(match, here), part) for part in parts[::2]]
    return _LIST.sub(r"\1\n", "".join(parts))


def on_page_content(text: str, **_: Any) -> str:
    """Formulas as MathML, which browsers draw without a script."""
    return _FORMULA.sub(_drawn, text)


def place_of(source: str) -> str:
    """Where a file of the repository lies on the site; an anchor stays."""
    path, _, anchor = source.partition("#")
    place = PLACES.get(path) or path.removeprefix("docs/")
    return f"{place}#{anchor}" if anchor else place


def source_of(place: str) -> str:
    """Where a page of the site lies in the repository."""
    return next((source for source, there in PLACES.items() if there == place), f"docs/{place}")


def _moved(match: re.Match[str], here: str) -> str:
    image, words, target = match.groups()
    words = _LINK.sub(lambda inner: _moved(inner, here), words)  # a picture inside a link
    if target.startswith(("http://", "https://", "#", "mailto:")):
        return f"{image}[{words}]({target})"
    path, _, anchor = target.partition("#")
    source = posixpath.normpath(posixpath.join(posixpath.dirname(here), path))
    if not source.startswith("docs/") and source not in PLACES:
        return words  # LICENSE and the like are not on the site
    place = posixpath.relpath(place_of(source), posixpath.dirname(place_of(here)) or ".")
    return f"{image}[{words}]({place}{'#' + anchor if anchor else ''})"


def _drawn(match: re.Match[str]) -> str:
    formula = html.unescape(match[2])
    return convert(formula, display="inline" if match[1] == "span" else "block")
