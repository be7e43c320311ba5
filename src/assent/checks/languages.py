"""Which language a text is in, of thirty: by its script, and within a script by small words or letters of its own.

Made for one question, whether an answer of a few sentences is in the language that was asked for. It knows no others,
and of a short or mixed text it says nothing.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import cache

_SCRIPTS: Mapping[str, tuple[str, ...]] = {
    "LATIN": ("en", "es", "pt", "fr", "de", "it", "pl", "vi", "sw", "fi"),
    "CYRILLIC": ("ru", "uk", "bg"),
    "ARABIC": ("ar", "fa", "ur"),
    "DEVANAGARI": ("hi", "mr", "ne"),
    "BENGALI": ("bn",),
    "GURMUKHI": ("pa",),
    "GUJARATI": ("gu",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "KANNADA": ("kn",),
    "MALAYALAM": ("ml",),
    "THAI": ("th",),
    "HANGUL": ("ko",),
    "HEBREW": ("he",),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
}
_WORDS: Mapping[str, str] = {
    "en": "the of and to in is that it for was on are with as be this have from not you at by or an we they which can",
    "es": "el la de que y en los del se las por un para con no una su al lo como más pero sus es muy también este son",
    "pt": "o a de que e do da em um para com não uma os no se na por mais as dos como mas ao das foi são também você é",
    "fr": "le la de et les des en un du une que est pour qui dans pas sur plus ce avec il au sont vous nous cette ou",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an aus er wir",
    "it": "il di che e la per un in è del non con le si una della dei nel anche come più sono gli al ma alla questo",
    "pl": "w i na z się do nie jest to że o jak po od za ale przez są co dla ich tego może przy które oraz czy",
    "vi": "và của là có được cho trong một các không với người này những để đã khi từ cũng như về đến nhiều bạn tôi",
    "sw": "ya na wa kwa ni katika la za kuwa cha hii kama yake hiyo watu au pia sana lakini huu hao wake ili zaidi",
    "fi": "ja on ei se että oli hän mutta kun ovat tai niin myös joka sen kuin mukaan sekä voi ole tämä ne hyvin mitä",
    "ru": "и в не на что с по это как для из он но от к так же вы мы бы или его все было они также быть только ы э",
    "uk": "і в не на що з та для як це у від до за але про його ви ми або також був бути було їх є ще який так",
    "bg": "и на в да се за не от са е с по като че ще това но при или към до само има може така тя ни който",
    "ar": "في من على أن إلى التي عن مع هذا هذه ما لا كان الذي هو وقد أو كما بين ذلك هي لم بعد يمكن كل",
    "fa": "و در به از که این را با است برای آن یک خود تا بر هم می شود کرد شده نیز ما یا اما باید ها",
    "ur": "کے کی میں ہے اور سے کا کو پر نے کہ یہ ہیں اس ایک کر بھی نہیں تھا جو ہو آپ وہ تو گیا لئے",
    "hi": "के में है की और को से का पर यह हैं एक ने कि नहीं भी कर इस लिए तो था हो या जो वह आप",
    "mr": "आहे आणि च्या या ते हे व तो की आहेत मध्ये एक असे नाही साठी होते केले तर आपण मी त्या करण्यासाठी आम्ही",
    "ne": "छ र को मा हो लाई यो भने गर्न हुन्छ पनि छन् एक तपाईं गरेको गर्ने थियो तथा वा हामी म छैन आफ्नो",
}
_FEWEST = 2  # small words that have to be there to tell languages of one script apart
_ENOUGH = 20_000  # characters that are looked at
LANGUAGES = frozenset(code for codes in _SCRIPTS.values() for code in codes)
"""Codes of the languages that are known (ISO 639-1)."""


def language_of(text: str) -> str | None:
    """The code of the language that most of a text is in; None where it cannot be told."""
    text = text[:_ENOUGH]
    counts = Counter(_script(letter) for letter in text if letter.isalpha())
    if not counts:
        return None
    # Japanese is written with Chinese characters too.
    counts["HIRAGANA"] += counts.pop("KATAKANA", 0) + (counts.pop("CJK", 0) if counts["HIRAGANA"] else 0)
    script, number = counts.most_common(1)[0]
    codes = _SCRIPTS.get(script, ())
    if not codes or number < 0.5 * counts.total():
        return None
    return codes[0] if len(codes) == 1 else _by_words(text, codes)


def _by_words(text: str, codes: tuple[str, ...]) -> str | None:
    words = Counter(_words(text))
    scores = {code: sum(words[word] for word in set(_WORDS[code].split())) for code in codes}
    best = max(scores.values())
    winners = [code for code, score in scores.items() if score == best]
    return winners[0] if best >= _FEWEST and len(winners) == 1 else None


def _words(text: str) -> list[str]:
    # Vowel signs and the like are marks, which are no letters to a pattern.
    kept = "".join(c if c.isalpha() or unicodedata.category(c).startswith("M") else " " for c in text.casefold())
    return kept.split()


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]
