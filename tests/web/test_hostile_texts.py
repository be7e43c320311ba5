"""Hostile texts in a real browser: its own parser finds nothing in them that runs, loads, or leaves its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assent.web.render import allowlist
from assent.web.render.markup import render
from hostile_texts import HOSTILE

pytestmark = pytest.mark.browser

LOOK = """async (htmls) => {
  const seen = [];
  for (const [name, html] of htmls) {
    const host = document.createElement("div");
    host.style = "width: 300px; overflow-wrap: anywhere"; // as the pages do
    host.innerHTML = html;
    document.body.replaceChildren(host);
    await new Promise((done) => setTimeout(done, 20));
    const box = host.getBoundingClientRect();
    for (const node of host.querySelectorAll("*")) {
      const place = node.getBoundingClientRect();
      const isOut = place.width > 2000 || place.left < box.left - 200 || getComputedStyle(node).position === "fixed";
      const attributes = [...node.attributes].map((a) => a.name);
      seen.push([name, node.localName, attributes, isOut]);
    }
  }
  return seen;
}"""


def test_chromium_finds_only_what_the_allow_list_names_and_runs_and_loads_nothing(chromium: Any) -> None:
    page = chromium.new_page()
    happened: list[str] = []
    page.on("dialog", lambda dialog: (happened.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: happened.append(f"request {request.url}"))
    page.on("pageerror", lambda error: happened.append(f"error {error}"))
    page.set_content("<!doctype html><title>x</title><body></body>")
    happened.clear()
    seen = page.evaluate(LOOK, [[name, render(text)] for name, text in HOSTILE.items()])
    page.wait_for_timeout(300)
    page.close()
    assert happened == []
    assert len({name for name, *_ in seen}) > 30
    names = {"class", "href", "rel", *(n for values in allowlist.GIVEN.values() for n in values)}
    for where, tag, attributes, is_out in seen:
        allowed = names | set(allowlist.FREE.get(tag, ())) | set(allowlist.FIXED.get(tag, ()))
        assert tag in allowlist.TAGS, (where, tag)
        assert set(attributes) <= allowed, (where, tag, attributes)
        assert not any(name.startswith("on") or name in ("style", "id", "src") for name in attributes), where
        assert not is_out, (where, tag)


def test_the_browser_parses_the_html_as_it_was_written(chromium: Any) -> None:
    """No mutation: what is read back is what was put in, so that nothing changes its meaning on the way."""
    page = chromium.new_page()
    page.set_content("<!doctype html><title>x</title><body></body>")
    read_back = """htmls => htmls.map((html) => {
      const parse = (text) => { const host = document.createElement("div"); host.innerHTML = text; return host; };
      const once = parse(html).innerHTML;
      return [once, parse(once).innerHTML];
    })"""
    pairs = json.loads(json.dumps(page.evaluate(read_back, [render(text) for text in HOSTILE.values()])))
    page.close()
    assert [once for once, _ in pairs] == [twice for _, twice in pairs]
