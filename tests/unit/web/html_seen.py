"""What a browser would find in HTML: elements, attributes and text, read by the standard library's parser."""

from __future__ import annotations

from html.parser import HTMLParser

from assent.web.render import allowlist


class Seen(HTMLParser):
    """Reads HTML into `tags`, `attributes` (tag, name, value) and `text`."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.strange: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.strange.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.strange.append(f"<!{decl}")

    def handle_pi(self, data: str) -> None:
        self.strange.append(f"<?{data}")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}")


def strangers(html: str) -> list[str]:
    """Everything in the HTML that the allow-list does not name, unbalanced tags included."""
    seen = Seen(html)
    bad = [tag for tag in seen.tags if tag not in allowlist.TAGS]
    bad += [f"{tag} {name}={value}" for tag, name, value in seen.attributes if not _is_allowed(tag, name, value)]
    return bad + seen.strange + [f"<{tag}> never closed" for tag in seen.open]


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if name == "href":
        return tag == "a" and value.lower().startswith(("http://", "https://", "mailto:"))
    if name == "rel":
        return tag == "a" and value == allowlist.REL
    if name == "class":
        return tag == "span" and value in allowlist.SPAN_CLASSES
    if allowlist.GIVEN.get(tag, {}).get(name) == value or name in allowlist.FREE.get(tag, ()):
        return True
    return value in allowlist.FIXED.get(tag, {}).get(name, ())
