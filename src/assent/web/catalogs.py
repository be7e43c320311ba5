"""What the pages say, in every language: plain JSON files in locales/, English where a text is not translated yet."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER = Path(__file__).parent / "locales"
ENGLISH = "en"
NAME = "language.name"
"""The key under which a catalog says its own language's name."""
Translate = Callable[..., str]
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Catalogs:
    """The catalogs by language."""

    texts: Mapping[str, Mapping[str, str]]

    @classmethod
    def load(cls, folder: Path = FOLDER) -> Catalogs:
        """Read every catalog of a folder."""
        found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
        return cls({ENGLISH: {}} | found)

    @cached_property
    def languages(self) -> dict[str, str]:
        """Name of each language in itself, by code; English first."""
        codes = sorted(self.texts, key=lambda code: (code != ENGLISH, code))
        return {code: self.texts[code].get(NAME, code) for code in codes}

    def text(self, language: str, key: str, **values: object) -> str:
        """One text with its {placeholders} filled; the key itself where no catalog has it.

        With a `count` it is the text of key.one, key.few … key.other that the language has for that number.
        """
        count = values.get("count")
        found = None
        for code in (language, ENGLISH):
            own = self.texts.get(code, {})
            plurals = (f"{key}.{plural(code, count)}", f"{key}.other") if isinstance(count, int) else ()
            found = found or next((own[form] for form in (*plurals, key) if own.get(form)), None)
        return _PLACEHOLDER.sub(lambda place: str(values.get(place[1], place[0])), found or key)

    def below(self, language: str, *prefixes: str) -> dict[str, str]:
        """All texts whose keys begin with one of the prefixes, for scripts."""
        keys = self.texts[ENGLISH].keys() | self.texts.get(language, {}).keys()
        return {key: self.text(language, key) for key in sorted(keys) if key.startswith(prefixes)}

    def direction(self, language: str) -> str:
        """ "rtl" for languages written from right to left, else "ltr"."""
        letter = next((c for c in self.languages.get(language, "") if c.isalpha()), "a")
        return "rtl" if unicodedata.bidirectional(letter) in ("R", "AL") else "ltr"

    def choose(self, *wishes: str | None, header: str = "") -> str:
        """The first known of the wishes, then of an Accept-Language header, else English."""
        for wish in (*wishes, *_accepted(header)):
            for code in (wish or "", (wish or "").partition("-")[0]):
                if code.lower() in self.texts:
                    return code.lower()
        return ENGLISH


def plural(language: str, count: int) -> str:
    """The form that a language has for a number of things, by CLDR's name: one, few … other."""
    if language == "ja":
        return "other"
    if language == "ar":
        if count in (0, 1, 2):
            return ("zero", "one", "two")[count]
        return "few" if 3 <= count % 100 <= 10 else "many" if count % 100 >= 11 else "other"
    return "one" if count == 1 else "other"


def _accepted(header: str) -> list[str]:
    """Languages of an Accept-Language header, best first; what cannot be read is left out."""
    weighed = []
    for place, part in enumerate(header[:500].split(",")):
        name, _, weight = "".join(part.split()).partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, name))
        except ValueError:
            continue
    return [name for weight, _, name in sorted(weighed) if weight < 0]
