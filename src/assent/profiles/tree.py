"""The tree of profiles: a folder of YAML files, one each; what a profile inherits, and whether it may be used.

What the program writes stands below a line of its own in the same file; everything above it stays as a team wrote it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assent.core import files
from assent.core.config import load_yaml, read_yaml
from assent.core.errors import ConfigError
from assent.core.hashing import hash_json, short
from assent.profiles.config import WRITTEN, FloorLine, Profile

FOLDER = Path("profiles")
MARK = "# ---- below: written by `assent profile`; edits there are lost ----"


class NotUsableError(ConfigError):
    """A profile that may not be used: unpublished, changed since, or expired."""


@dataclass(frozen=True)
class Tree:
    """All profiles of a folder, by id; every parent is there, and no line of a safety floor is weakened."""

    folder: Path
    profiles: Mapping[str, Profile]

    def path(self, name: str) -> Path:
        """The file of a profile."""
        return self.folder / f"{name}.yaml"

    def get(self, name: str) -> Profile:
        """A profile. Raises ConfigError saying which there are."""
        if name not in self.profiles:
            there = ", ".join(sorted(self.profiles)) or "none"
            raise ConfigError(f"there is no profile {name!r} in {self.folder}; there is: {there}")
        return self.profiles[name]

    def descent(self, name: str) -> tuple[Profile, ...]:
        """A profile and all it descends from, the root first."""
        found = [self.get(name)]
        while (parent := found[0].parent) is not None:
            found.insert(0, self.profiles[parent])
        return tuple(found)

    def audience(self, name: str) -> dict[str, tuple[str, ...]]:
        """Everything that somebody must have told to belong."""
        return {attribute: values for one in self.descent(name) for attribute, values in one.audience.items()}

    def principles(self, name: str) -> tuple[str, ...]:
        """Those of the parents first; each once."""
        return tuple(dict.fromkeys(said for one in self.descent(name) for said in one.principles))

    def tone(self, name: str) -> dict[str, float]:
        """Each axis as the nearest of the line says it."""
        return {axis: value for one in self.descent(name) for axis, value in one.tone.items()}

    def floor(self, name: str) -> tuple[FloorLine, ...]:
        """Every line that must hold, the strictest of each measure and limit."""
        found: dict[tuple[str, str], FloorLine] = {}
        for one in self.descent(name):
            for line in one.safety:
                asked = (line.measure, line.limit[0])
                if asked not in found or not line.is_weaker_than(found[asked]):
                    found[asked] = line
        return tuple(found.values())

    def hash(self, name: str) -> str:
        """Of all that people wrote into a profile and its parents, and of the policies that it means."""
        return short(hash_json([[one.written_by_people(), one.policy] for one in self.descent(name)]))

    def state(self, name: str, today: datetime.date) -> str:
        """In words: published, expired, changed since it was published, fitted, or new."""
        try:
            self.usable(name, today)
        except NotUsableError as error:
            return str(error).partition(": ")[2].partition(";")[0]
        return "published"

    def usable(self, name: str, today: datetime.date) -> Profile:
        """A profile that may be used today. Raises NotUsableError saying why it may not, and what to do."""
        for one in self.descent(name):
            if one.expires is not None and one.expires < today:
                raise NotUsableError(
                    f"{self.path(one.id)}: expired on {one.expires}; gather new labels, set a later `expires` and"
                    f" publish it again: assent profile publish {name}"
                )
        profile = self.get(name)
        if profile.published is None:
            raise NotUsableError(
                f"{self.path(name)}: not published; see what is missing: assent profile publish {name}"
            )
        if profile.published.of != self.hash(name):
            raise NotUsableError(
                f"{self.path(name)}: changed since it was published, or a parent was; assent profile publish {name}"
            )
        return profile

    def write(self, name: str, **values: Any) -> Tree:
        """Write some of the program's keys into a profile's file; what people wrote there stays to the letter."""
        path, profile = self.path(name), self.get(name)
        kept = {key: getattr(profile, key) for key in WRITTEN} | values
        new = Profile.parse({**profile.model_dump(exclude=set(WRITTEN)), **kept}, where=str(path))
        told = {key: value for key, value in new.model_dump(mode="json").items() if key in WRITTEN and value}
        above = path.read_text(encoding="utf-8").partition(MARK)[0].rstrip("\n")
        below = yaml.safe_dump(told, sort_keys=False, allow_unicode=True) if told else ""
        files.write_text(path, f"{above}\n\n{MARK}\n{below}")
        return read_tree(self.folder)


def read_tree(folder: Path) -> Tree:
    """All profiles of a folder. Raises ConfigError naming file and key for anything that cannot be right."""
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; make a profile: assent profile new NAME")
    profiles: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.yaml")):
        profile = Profile.parse(read_yaml(path), where=str(path))
        if profile.id != path.stem:
            raise ConfigError(f"{path}: id is {profile.id!r}; name the file {profile.id}.yaml, or change the id")
        profiles[profile.id] = profile
    tree = Tree(folder, profiles)
    for name in profiles:
        for problem in _problems(tree, name):
            raise ConfigError(f"{tree.path(name)}: {problem}")
    return tree


def new_profile(folder: Path, name: str, *, parent: str | None, audience: Mapping[str, str]) -> Path:
    """Write the file of a new profile, with what to fill in. Raises ConfigError where it is there, or cannot be right.

    Without profiles in the folder a root, `everyone`, is written too.
    """
    path = folder / f"{name}.yaml"
    if path.exists():
        raise ConfigError(f"{path} is there already; edit it, or choose another name")
    known = read_tree(folder).profiles if folder.is_dir() else {}
    roots = [one.id for one in known.values() if one.parent is None]
    if parent is None:
        parent = roots[0] if roots else "everyone"
    chosen = {attribute: [value] for attribute, value in audience.items()}
    names = yaml.safe_dump({"id": name, "parent": parent}, sort_keys=False).strip()  # a name like a date is quoted
    text = _TEXT.format(names=names, audience=yaml.safe_dump(chosen, default_flow_style=True).strip())
    Profile.parse(load_yaml(text), where=str(path))
    if not known and parent == "everyone":
        files.write_text(folder / "everyone.yaml", _ROOT)
    elif parent not in known:
        raise ConfigError(f"{path}: there is no profile {parent!r}; there is: {', '.join(known) or 'none'}")
    files.write_text(path, text)
    read_tree(folder)
    return path


def _problems(tree: Tree, name: str) -> Iterator[str]:
    profile = tree.profiles[name]
    met = [name]
    while (parent := tree.profiles[met[-1]].parent) is not None:
        if parent not in tree.profiles:
            there = ", ".join(one for one in sorted(tree.profiles) if one != name) or "none"
            yield f"parent {parent!r} is no profile of {tree.folder}; there is: {there}"
            return
        if parent in met:
            yield f"its parents go round in a circle ({' → '.join([*met, parent])}); take one of them out"
            return
        met.append(parent)
    if profile.parent is None:
        return
    for attribute, values in tree.audience(profile.parent).items():
        beyond = [one for one in profile.audience.get(attribute, values) if one not in values]
        if beyond:
            yield (
                f"audience.{attribute} names {beyond[0]!r}, no part of {profile.parent!r} ({', '.join(values)});"
                " an audience is a part of its parent's"
            )
    for line in profile.safety:
        for theirs in tree.floor(profile.parent):
            if line.is_weaker_than(theirs):
                kind, value = line.limit
                yield (
                    f"safety: {line.measure} {kind} {value:g} is weaker than {theirs.limit[1]:g} of {profile.parent!r};"
                    " a floor may only become stricter: tighten it, or leave the line out"
                )


_ROOT = """# Everybody: what every profile starts from.
id: everyone
principles: []
safety: []                 # as `keep` in a gate file, e.g. {measure: lab.harm, margin: 0.03}
"""
_TEXT = """# A profile: what one audience wants beyond its parent. Explained in docs/methods/profiles.md.
{names}
audience: {audience}       # what raters told about themselves; more attributes narrow it
principles: []             # sentences that the policy is told before each conversation
tone: {{}}                   # axes from -1 to 1, e.g. {{polite: 0.8, direct: -0.3}}
safety: []                 # lines beside the parent's; none of those may be weakened
expires: null              # last day of use, e.g. 2027-12-31
"""
