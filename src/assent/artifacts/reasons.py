"""Why a stage runs: what differs from the newest artifact that the same stage made at the same place of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from assent.artifacts.store import Manifest
from assent.core.hashing import short

NEVER = "never made before"
_MOST = 4  # reasons said
_LONGEST = 40  # characters of a value
_MISSING = object()
_WORDS = {
    "model": "base.path",
    "rows pass": "the template and tokenizer that rows have to pass",
    "rows fit": "the limits that rows have to keep",
    "prompts have": "what rewards read of each prompt",
    "imported": "imported judgments",
    "imported marks": "imported flags and scores",
    "raters": "what raters say about themselves",
    "lab": "the wordings of the lab",
    "reading": "how this version reads files",
    "date": "model.date",
    "decisions": "decisions of adjudicators",
    "erased": "judgments that were erased",
}
"""What enters from outside under a name of its own, in words."""


def newest(now: Manifest, made: Iterable[Manifest]) -> Manifest | None:
    """The newest artifact of the same stage and place; with another seed, the one whose settings are nearest."""
    same = [one for one in made if one.stage == now.stage and one.kind == now.kind and one.key != now.key]
    here = [one for one in same if one.seed == now.seed]
    if here:
        return max(here, key=lambda one: one.created)
    return min(same, key=lambda one: (len(list(settings(one, now, {}))), _age(one)), default=None)


def reasons(now: Manifest, made: Sequence[Manifest], *, anew: Mapping[str, str], keys: Mapping[str, str]) -> list[str]:
    """In short words, what differs from the newest of the same that was made; the few that say most first.

    `anew`: key -> name of the stage, of what runs anew in this run. `keys`: the stage's own settings -> as the user
    writes them.
    """
    then = newest(now, (one for one in made if one.key not in anew))
    names = {one.key: f"{one.kind}-{short(one.key)}" for one in made}
    if then is None:
        return [NEVER]
    found = list(settings(then, now, keys))
    if then.version != now.version:
        found.append(f"version of the stage: {then.version} → {now.version}")
    if then.seed != now.seed and then.config == now.config:
        found.append("seed: another")
    found += [*_outside(then, now, keys), *_inputs(then, now, anew, names)]
    return shortened(found or ["made by other settings in between"])


def shortened(said: Sequence[str]) -> list[str]:
    """The first few, and how many more there are."""
    return [*said[:_MOST], *([f"{len(said) - _MOST} more"] if len(said) > _MOST else [])]


def settings(then: Manifest, now: Manifest, keys: Mapping[str, str]) -> Iterator[str]:
    """Settings that differ, as `optimize.kl.target: 6 → 10`; a path that leads to the same content does not."""
    old, new = dict(_leaves(then.config)), dict(_leaves(now.config))
    for key in dict.fromkeys([*new, *old]):
        before, after = old.get(key, _MISSING), new.get(key, _MISSING)
        if before == after or _is_same_content(then, now, before, after):
            continue
        yield f"{_as_written(key, keys)}: {_shown(before)} → {_shown(after)}"


def _outside(then: Manifest, now: Manifest, keys: Mapping[str, str]) -> Iterator[str]:
    """Files and others that are named as before, and hold something else."""
    places: dict[str, str] = {}
    for key, value in _leaves(now.config):
        if isinstance(value, str):
            places.setdefault(value, _as_written(key, keys))
    renamed = set(then.extra.values()) & set(now.extra.values())
    for name, digest in now.extra.items():
        if then.extra.get(name) == digest or digest in renamed:
            continue
        value = name.split(" ", 1)[-1] if name not in places else name
        if value in places:
            if name in then.extra:
                yield f"{places[value]} {_shown(value)}: content changed"
        elif name in then.extra and (before := then.notes.get(name)) is not None and name in now.notes:
            yield f"{_WORDS.get(name, name)}: {before} → {now.notes[name]}"
        elif name in then.extra:
            yield f"{_WORDS.get(name, name)}: changed"
        elif name in _WORDS:
            yield f"{_WORDS[name]}: counts now"
    for name in then.extra.keys() - now.extra.keys():
        if name in _WORDS:
            yield f"{_WORDS[name]}: counts no more"


def _inputs(then: Manifest, now: Manifest, anew: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    """Artifacts it is made from that are others."""
    changed, again = dict[str, None](), dict[str, None]()
    for name, key in now.parents.items():
        before = then.parents.get(name)
        if before == key:
            continue
        if key in anew:
            again[anew[key]] = None
        elif before is None:
            changed[f"{name} is new: {names.get(key, short(key))}"] = None
        else:
            was, is_now = (names.get(one, short(one)) for one in (before, key))
            changed[f"{name} is another: {was} → {is_now}"] = None
    for name in then.parents.keys() - now.parents.keys():
        changed[f"without {name} now"] = None
    yield from changed
    if again:
        yield f"because {' and '.join(again)} {'runs' if len(again) == 1 else 'run'} anew"


def _is_same_content(then: Manifest, now: Manifest, before: Any, after: Any) -> bool:
    if not isinstance(before, str) or not isinstance(after, str):
        return False
    digest = _digest(then, before)
    return digest is not None and digest == _digest(now, after)


def _digest(manifest: Manifest, value: str) -> str | None:
    """The hash of what a value names; one with a name of its own (the base) is known by it."""
    named = [digest for name, digest in manifest.extra.items() if name == value or name.endswith(f" {value}")]
    base = manifest.config.get("base") if isinstance(manifest.config, dict) else None
    if not named and isinstance(base, dict) and base.get("path") == value:
        return manifest.extra.get("model")
    return named[0] if named else None


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a config by its key; an empty list or mapping is one too."""
    match value:
        case dict() if value:
            for name, below in value.items():
                yield from _leaves(below, f"{key}.{name}" if key else str(name))
        case list() if value and any(isinstance(one, dict | list) for one in value):
            for number, below in enumerate(value):
                yield from _leaves(below, f"{key}[{number}]")
        case _:
            yield key, value


def _as_written(key: str, keys: Mapping[str, str]) -> str:
    first, rest = key, ""
    for at, letter in enumerate(key):
        if letter in ".[":
            first, rest = key[:at], key[at:]
            break
    return keys.get(first, first) + rest


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # settings say 1, and configs hold 1.0
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _age(one: Manifest) -> str:
    """Sorts the newest first."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in one.created)
