"""The catalogs: every language says everything, with the same places to fill, in the direction it is written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from assent.web.catalogs import FOLDER, Catalogs, plural

CATALOGS = Catalogs.load()
OTHERS = sorted(set(CATALOGS.texts) - {"en"})
FORMS = {
    "en": {"one", "other"},
    "de": {"one", "other"},
    "ja": {"other"},
    "ar": {"zero", "one", "two", "few", "many", "other"},
}
_FORM = re.compile(r"(.+)\.(zero|one|two|few|many|other)")


def _plurals(language: str) -> dict[str, set[str]]:
    """Keys that come in forms, and which: those with an `other`."""
    texts = CATALOGS.texts[language]
    found: dict[str, set[str]] = {}
    for key in texts:
        match = _FORM.fullmatch(key)
        if match and f"{match[1]}.other" in CATALOGS.texts["en"] and _is_counted(match[1]):
            found.setdefault(match[1], set()).add(match[2])
    return found


def _is_counted(key: str) -> bool:
    return "{count}" in CATALOGS.texts["en"].get(f"{key}.other", "")


def _plain(language: str) -> set[str]:
    forms = {f"{key}.{form}" for key, found in _plurals(language).items() for form in found}
    return set(CATALOGS.texts[language]) - forms


def _places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_there_are_catalogs_in_german_japanese_and_arabic() -> None:
    assert {"de", "ja", "ar"} <= set(OTHERS)


@pytest.mark.parametrize("language", OTHERS)
def test_every_catalog_has_exactly_the_keys_of_the_english_one(language: str) -> None:
    assert sorted(_plain("en") - _plain(language)) == [], "not translated yet"
    assert sorted(_plain(language) - _plain("en")) == [], "not in the English catalog any more"


@pytest.mark.parametrize("language", sorted(FORMS))
def test_what_is_counted_has_the_forms_that_the_language_counts_with(language: str) -> None:
    assert set(_plurals(language)) == set(_plurals("en"))
    for key, found in _plurals(language).items():
        assert found == FORMS[language], key


@pytest.mark.parametrize("language", OTHERS)
def test_every_translation_has_the_places_of_the_english_text(language: str) -> None:
    bad = {}
    for key in _plain("en") & _plain(language):
        wanted, found = _places(CATALOGS.texts["en"][key]), _places(CATALOGS.texts[language][key])
        if wanted != found:
            bad[key] = (wanted, found)
    for key in _plurals("en"):
        wanted = _places(CATALOGS.texts["en"][f"{key}.other"])
        for form in FORMS[language]:
            found = _places(CATALOGS.texts[language][f"{key}.{form}"])
            if not found <= wanted or (form == "other" and found != wanted):
                bad[f"{key}.{form}"] = (wanted, found)
    assert not bad


@pytest.mark.parametrize("language", sorted(CATALOGS.texts))
def test_catalogs_are_sorted_plain_texts_without_markup(language: str) -> None:
    raw = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    pairs = json.loads(raw, object_pairs_hook=list)
    assert [key for key, _ in pairs] == sorted({key for key, _ in pairs})
    for key, text in pairs:
        assert isinstance(text, str) and text.strip() == text and text, key
        assert not re.search(r"<\w|&\w+;|[\u202a-\u202e]", text), key


@pytest.mark.parametrize("language", OTHERS)
def test_signs_that_are_keys_stay_what_is_printed_on_the_keyboard(language: str) -> None:
    """A hint that names the key 2 or = must name the same key in every language."""
    for key, text in CATALOGS.texts["en"].items():
        for sign in re.findall(r"\((?:[A-Z]|Backspace|=)\)", text):
            assert sign in CATALOGS.texts[language].get(key, sign), (key, sign)


NOTATION = {
    "rate.hint.rank": ("{typed}", "{order}"),
    "rate.help.example": ("{order}",),
    "rate.hint.pair": ("A", "B", "1", "2", "="),
    "chat.verdict.open": ("A", "B", "1", "2", "=", "X"),
    "chat.reveal.first": ("A",),
    "chat.reveal.second": ("B",),
}
"""What raters type and read back; a sign changed here makes honest people vote the wrong way round."""


@pytest.mark.parametrize("language", sorted(CATALOGS.texts))
def test_what_raters_type_and_read_back_is_the_same_in_every_language(language: str) -> None:
    for key, signs in NOTATION.items():
        at = [CATALOGS.text(language, key).find(sign) for sign in signs]
        assert min(at) >= 0 and at == sorted(at), key


@pytest.mark.parametrize("language", sorted(CATALOGS.texts))
def test_steps_and_verdicts_are_told_apart(language: str) -> None:
    for prefix in ("rate.strength.", "rate.flag.", "chat.reveal.", "chat.went.", "rate.skip.", "admin.role."):
        texts = CATALOGS.below(language, prefix).values()
        assert len(set(texts)) == len(texts), prefix
    moves = [CATALOGS.text(language, f"rate.move.{way}") for way in ("better", "worse")]
    assert moves[0].replace("K", "") != moves[1].replace("J", "")


def test_a_text_that_is_not_translated_is_english_and_an_unknown_key_shows_itself(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text('{"a": "one {n}", "b": "two"}', encoding="utf-8")
    (tmp_path / "de.json").write_text('{"a": "eins {n}"}', encoding="utf-8")
    catalogs = Catalogs.load(tmp_path)
    assert catalogs.text("de", "a", n=3) == "eins 3"
    assert catalogs.text("de", "b") == "two"
    assert catalogs.text("de", "c") == "c"
    assert catalogs.text("xx", "b") == "two"


def test_a_value_is_put_in_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "en.json").write_text('{"a": "{who} in {place}, {what}"}', encoding="utf-8")
    text = Catalogs.load(tmp_path).text("en", "a", who="{place}", place="{who}")
    assert text == "{place} in {who}, {what}"


@pytest.mark.parametrize(
    ("language", "count", "form"),
    [
        ("en", 0, "other"),
        ("en", 1, "one"),
        ("de", 2, "other"),
        ("ja", 1, "other"),
        ("ar", 0, "zero"),
        ("ar", 1, "one"),
        ("ar", 2, "two"),
        ("ar", 3, "few"),
        ("ar", 10, "few"),
        ("ar", 11, "many"),
        ("ar", 99, "many"),
        ("ar", 100, "other"),
        ("ar", 102, "other"),
        ("ar", 103, "few"),
        ("ar", 111, "many"),
    ],
)
def test_languages_count_as_unicode_says(language: str, count: int, form: str) -> None:
    assert plural(language, count) == form


def test_the_form_of_the_number_is_taken_with_english_behind_it(tmp_path: Path) -> None:
    english = {"n.one": "{count} task", "n.other": "{count} tasks"}
    arabic = {"n.two": "مهمتان", "n.other": "{count} مهمة"}
    (tmp_path / "en.json").write_text(json.dumps(english), encoding="utf-8")
    (tmp_path / "ar.json").write_text(json.dumps(arabic), encoding="utf-8")
    catalogs = Catalogs.load(tmp_path)
    assert [catalogs.text("en", "n", count=n) for n in (1, 2)] == ["1 task", "2 tasks"]
    assert [catalogs.text("ar", "n", count=n) for n in (2, 5)] == ["مهمتان", "5 مهمة"]
    assert catalogs.below("ar", "n.")["n.two"] == "مهمتان"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("fr-FR, fr;q=0.9, ja;q=0.4", "ja"),
        ("en;q=0.2, ar;q=0.8", "ar"),
        ("ja; q=0.1, de; q=0.7", "de"),
        ("de;q=0", "en"),
        ("*;q=0.5", "en"),
        ("de;q=x", "en"),
        ("," * 10_000, "en"),
        ("../../etc/passwd", "en"),
    ],
)
def test_the_browser_is_answered_in_the_best_language_it_asks_for(header: str, language: str) -> None:
    assert CATALOGS.choose(header=header) == language


def test_a_choice_made_here_goes_before_the_browsers_and_an_unknown_one_does_not() -> None:
    assert CATALOGS.choose("ja", "de", header="ar") == "ja"
    assert CATALOGS.choose(None, "de", header="ar") == "de"
    assert CATALOGS.choose("xx", header="ar") == "ar"


@pytest.mark.parametrize(("language", "direction"), [("ar", "rtl"), ("de", "ltr"), ("en", "ltr"), ("ja", "ltr")])
def test_pages_run_in_the_direction_of_their_language(language: str, direction: str) -> None:
    assert CATALOGS.direction(language) == direction


@pytest.mark.parametrize("name", ["עברית", "فارسی", "اردو", "العربية"])
def test_languages_of_the_right_are_known_by_their_own_name(name: str, tmp_path: Path) -> None:
    (tmp_path / "xx.json").write_text(json.dumps({"language.name": name}), encoding="utf-8")
    assert Catalogs.load(tmp_path).direction("xx") == "rtl"
