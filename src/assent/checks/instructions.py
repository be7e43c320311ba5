"""Instructions that a program can check, of the 25 types of IFEval (Zhou et al. 2023, arXiv 2311.07911), our own code.

Each check takes an answer and the arguments of the instruction. Arguments of 0 or of empty text are arguments; one that
is missing is refused by name. Where the paper uses a language detector and a tokenizer of sentences, these are our own
(`languages.py`, `sentences`), so that numbers differ in places from published ones.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from assent.checks.languages import LANGUAGES, language_of
from assent.core.errors import DataError

_ENDS = re.compile(r"[.!?。！？।]+[\"'”’)\]]*(?=\s|$)")
_ABBREVIATIONS = (
    "mr",
    "mrs",
    "ms",
    "dr",
    "prof",
    "st",
    "vs",
    "etc",
    "e.g",
    "i.e",
    "inc",
    "ltd",
    "no",
    "u.s",
    "jr",
    "sr",
)
_NEAR = 12  # characters before a full stop that hold any abbreviation
_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its id and its arguments."""

    id: str
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.id not in CHECKS:
            raise DataError(f"unknown instruction {self.id!r}; known are {', '.join(sorted(CHECKS))}")
        for name, wanted in CHECKS[self.id].wants.items():
            if name not in self.arguments:
                raise DataError(f"instruction {self.id} wants {name}; it has {', '.join(self.arguments) or 'nothing'}")
            value = self.arguments[name]
            if not isinstance(value, wanted) or isinstance(value, bool):
                raise DataError(f"instruction {self.id}: {name} is {value!r}; it should be {wanted.__name__}")
            if name.endswith("relation") and value not in ("at least", "less than"):
                raise DataError(f"instruction {self.id}: {name} is {value!r}; it should be at least or less than")
        code = self.arguments.get("language")
        if self.id == "language:response_language" and code not in LANGUAGES:
            raise DataError(f"language {code!r} is unknown; known are {', '.join(sorted(LANGUAGES))}")

    def holds(self, answer: str) -> bool:
        """Whether the answer does what is asked. An answer without any text does nothing."""
        return bool(answer.strip()) and CHECKS[self.id].check(answer, self.arguments)

    def holds_loosely(self, answer: str) -> bool:
        """The same for any of eight readings: without its first line, its last, both or neither, with or without *."""
        return any(self.holds(one) for one in readings(answer))


@dataclass(frozen=True)
class Check:
    """How an instruction is checked, and the arguments it wants."""

    check: Callable[[str, Mapping[str, Any]], bool]
    wants: Mapping[str, type]


def readings(answer: str) -> list[str]:
    """The eight readings of an answer."""
    lines = answer.split("\n")
    cut = [answer, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return [*cut, *(one.replace("*", "") for one in cut)]


def sentences(text: str) -> int:
    """How many sentences a text has: pieces with a letter or digit that end in a full stop, a mark, or with a line."""
    number = 0
    for line in text.split("\n"):
        start = 0
        for end in _ENDS.finditer(line):
            words = line[max(start, end.start() - _NEAR) : end.start()].split()
            last = words[-1].casefold().strip("(\"'") if words else ""
            # The full stop of an abbreviation, or of a number at the beginning of a list's line, ends nothing.
            is_number = start == 0 and line[: end.start()].strip() == last and last.isdigit()
            if end.group().startswith(".") and (last in _ABBREVIATIONS or is_number):
                continue
            number += any(c.isalnum() for c in line[start : end.start()])
            start = end.end()
        number += any(c.isalnum() for c in line[start:])
    return number


def _compared(number: int, arguments: Mapping[str, Any], relation: str, bound: str) -> bool:
    return number >= arguments[bound] if arguments[relation] == "at least" else number < arguments[bound]


def _count(text: str, word: str) -> int:
    return text.casefold().count(word.casefold()) if word else 0


def _has_words(text: str, words: list[str]) -> bool:
    return all(_count(text, str(word)) for word in words)


def _has_none(text: str, words: list[str]) -> bool:
    return not any(re.search(rf"\b{re.escape(str(word))}\b", text, re.IGNORECASE) for word in words)


def _paragraphs(text: str, arguments: Mapping[str, Any]) -> bool:
    parts = re.split(r"\s?\*\*\*\s?", text)
    inner = [part for n, part in enumerate(parts) if part.strip() or 0 < n < len(parts) - 1]
    return all(part.strip() for part in inner) and len(inner) == arguments["num_paragraphs"]


def _first_word(text: str, arguments: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    place = arguments["nth_paragraph"]
    if len(parts) != arguments["num_paragraphs"] or not 1 <= place <= len(parts):
        return False
    word = re.split(r"[.,?!'\"]", parts[place - 1].split()[0].lstrip("'\""))[0]
    return word.casefold() == arguments["first_word"].casefold()


def _postscript(text: str, arguments: Mapping[str, Any]) -> bool:
    marker = arguments["postscript_marker"].casefold()
    patterns = {"p.p.s": r"p\.\s?p\.\s?s", "p.s.": r"p\.\s?s\."}
    return re.search(patterns.get(marker, re.escape(marker)), text.casefold()) is not None


def _bullets(text: str, arguments: Mapping[str, Any]) -> bool:
    found = re.findall(r"^[ \t]*(?:\*[^*\n].*|-.*)$", text, re.MULTILINE)
    return len(found) == arguments["num_bullets"]


def _highlights(text: str, arguments: Mapping[str, Any]) -> bool:
    found = [one.strip() for one in re.findall(r"\*\*([^\n*]+)\*\*|\*([^\n*]+)\*", text) for one in one]
    return sum(bool(one) for one in found) >= arguments["num_highlights"]


def _sections(text: str, arguments: Mapping[str, Any]) -> bool:
    found = re.findall(rf"\b{re.escape(arguments['section_spliter'])}\s?\d+", text)
    return len(found) >= arguments["num_sections"]


def _is_json(text: str, arguments: Mapping[str, Any]) -> bool:
    bare = re.sub(r"^```(?:json)?", "", text.strip(), flags=re.IGNORECASE).removesuffix("```").strip()
    try:
        json.loads(bare)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, arguments: Mapping[str, Any]) -> bool:
    parts = ((line.find("<<"), line.rfind(">>"), line) for line in text.split("\n"))
    return any(0 <= start < end and line[start:end].strip("<> ") for start, end, line in parts)


def _two_responses(text: str, arguments: Mapping[str, Any]) -> bool:
    parts = text.split("******")
    inner = [part.strip() for n, part in enumerate(parts) if part.strip() or 0 < n < len(parts) - 1]
    return len(inner) == 2 and all(inner) and inner[0] != inner[1]


def _capitals(text: str, arguments: Mapping[str, Any]) -> bool:
    words = [word.strip(string.punctuation) for word in text.split()]
    number = sum(any(c.isalpha() for c in word) and word.isupper() for word in words)
    return _compared(number, arguments, "capital_relation", "capital_frequency")


def _quoted(text: str, arguments: Mapping[str, Any]) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


def _is_english(text: str) -> bool:
    # Shouting is read as it would be spoken; a text too short to tell is not held against it.
    return language_of(text.casefold()) in ("en", None) and not any(c.isalpha() and ord(c) > 0x24F for c in text)


CHECKS: Mapping[str, Check] = {
    "keywords:existence": Check(lambda t, a: _has_words(t, a["keywords"]), {"keywords": list}),
    "keywords:frequency": Check(
        lambda t, a: _compared(_count(t, a["keyword"]), a, "relation", "frequency"),
        {"keyword": str, "relation": str, "frequency": int},
    ),
    "keywords:forbidden_words": Check(lambda t, a: _has_none(t, a["forbidden_words"]), {"forbidden_words": list}),
    "keywords:letter_frequency": Check(
        lambda t, a: _compared(_count(t, a["letter"]), a, "let_relation", "let_frequency"),
        {"letter": str, "let_relation": str, "let_frequency": int},
    ),
    "language:response_language": Check(lambda t, a: language_of(t) == a["language"], {"language": str}),
    "length_constraints:number_sentences": Check(
        lambda t, a: _compared(sentences(t), a, "relation", "num_sentences"), {"relation": str, "num_sentences": int}
    ),
    "length_constraints:number_paragraphs": Check(_paragraphs, {"num_paragraphs": int}),
    "length_constraints:number_words": Check(
        lambda t, a: _compared(len(re.findall(r"\w+", t)), a, "relation", "num_words"),
        {"relation": str, "num_words": int},
    ),
    "length_constraints:nth_paragraph_first_word": Check(
        _first_word, {"first_word": str, "num_paragraphs": int, "nth_paragraph": int}
    ),
    "detectable_content:number_placeholders": Check(
        lambda t, a: len(re.findall(r"\[[^\[\]\n]*\]", t)) >= a["num_placeholders"], {"num_placeholders": int}
    ),
    "detectable_content:postscript": Check(_postscript, {"postscript_marker": str}),
    "detectable_format:number_bullet_lists": Check(_bullets, {"num_bullets": int}),
    "detectable_format:constrained_response": Check(lambda t, a: any(one in t for one in _ANSWERS), {}),
    "detectable_format:number_highlighted_sections": Check(_highlights, {"num_highlights": int}),
    "detectable_format:multiple_sections": Check(_sections, {"section_spliter": str, "num_sections": int}),
    "detectable_format:json_format": Check(_is_json, {}),
    "detectable_format:title": Check(_title, {}),
    "combination:two_responses": Check(_two_responses, {}),
    "combination:repeat_prompt": Check(
        lambda t, a: t.strip().casefold().startswith(a["prompt_to_repeat"].strip().casefold()),
        {"prompt_to_repeat": str},
    ),
    "startend:end_checker": Check(
        lambda t, a: t.strip().strip('"').casefold().endswith(a["end_phrase"].strip().casefold()), {"end_phrase": str}
    ),
    "startend:quotation": Check(_quoted, {}),
    "change_case:capital_word_frequency": Check(_capitals, {"capital_relation": str, "capital_frequency": int}),
    "change_case:english_capital": Check(lambda t, a: t.isupper() and _is_english(t), {}),
    "change_case:english_lowercase": Check(lambda t, a: t.islower() and _is_english(t), {}),
    "punctuation:no_comma": Check(lambda t, a: "," not in t, {}),
}
"""The types of instructions by id."""
