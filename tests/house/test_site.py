"""The documentation builds as a site: links lead somewhere, every page is there, formulas and lists are drawn."""

from __future__ import annotations

import html.parser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class _Sources(html.parser.HTMLParser):
    """What a page fetches when it is opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        key = {"script": "src", "img": "src", "link": "href"}.get(tag)
        self.found += [value or "" for name, value in attrs if name == key]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make docs` without the environment, into a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_repository_is_a_page_of_the_site(site: Path) -> None:
    own = {"docs/index.md": "pages.html"}
    for page in (ROOT / "docs").rglob("*.md"):
        source = page.relative_to(ROOT).as_posix()
        assert (site / own.get(source, source.removeprefix("docs/").replace(".md", ".html"))).is_file(), source
    assert "The first ten minutes" in (site / "index.html").read_text(encoding="utf-8")


def test_pages_fetch_nothing_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        elsewhere = [one for one in _Sources(page.read_text(encoding="utf-8")).found if one.startswith(("http", "//"))]
        assert not elsewhere, page


def test_formulas_are_drawn_and_lists_are_lists(site: Path) -> None:
    text = (site / "methods" / "ppo.html").read_text(encoding="utf-8")
    assert text.count("<math") > 20 and "arithmatex" not in text
    left = {
        page.name: found
        for page in site.rglob("*.html")
        if (found := re.findall(r"<p>[^<]*\n- .*", page.read_text(encoding="utf-8")))
    }
    assert not left, "a list after a line of text, which Markdown for sites takes for text"


def test_search_knows_the_settings(site: Path) -> None:
    assert "KLConfig" in (site / "search" / "search_index.json").read_text(encoding="utf-8")
