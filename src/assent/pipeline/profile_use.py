"""A published profile as others use it: its policy, what that is told, and the model as files."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from assent.artifacts.find import find_artifact, store_at
from assent.artifacts.store import Artifact
from assent.core import files
from assent.core.errors import UserError
from assent.models.config import ModelConfig
from assent.pipeline.backends import Backends, adapter_folder
from assent.pipeline.commands.export import BASE, export_model
from assent.pipeline.commands.origin import Origin
from assent.pipeline.config import ComputeConfig
from assent.profiles.tree import NotUsableError, Tree, read_tree
from assent.profiles.writer import ToldWriter

ABOUT = "profile.yaml"
"""In an exported folder: what the policy has to be told."""


@dataclass(frozen=True)
class ProfilePolicy:
    """What a published profile means."""

    name: str
    artifact: Artifact
    principles: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, name: str, *, today: datetime.date) -> ProfilePolicy:
        """Of a profile that may be used today. Raises NotUsableError, and UserError where its policy is gone."""
        tree = read_tree(folder)
        tree.usable(name, today)
        return cls.of_any(tree, name)

    @classmethod
    def of_any(cls, tree: Tree, name: str) -> ProfilePolicy:
        """Of any profile that has a policy, published or not. Raises UserError where it has none."""
        profile = tree.get(name)
        if profile.policy is None:
            raise NotUsableError(
                f"{tree.path(name)}: has no policy yet: assent profile fit {name} --run runs/x/round-2"
            )
        return cls(name, find_artifact(profile.policy), tree.principles(name))

    @property
    def start(self) -> Artifact | None:
        """The parent's policy, on which the adapter lies; None where the profile has principles only."""
        if self.adapter is None or self.artifact.manifest.parents.get("reward") is None:
            return None
        reward = store_at(self.artifact.folder.parent).find(self.artifact.manifest.parents["reward"])
        if reward is None or reward.manifest.stage != "profile reward":
            return None
        return store_at(self.artifact.folder.parent).find(self.artifact.manifest.parents["start"])

    @property
    def adapter(self) -> Path | None:
        """The folder of its adapter; None where it has none."""
        return adapter_folder(self.artifact)

    def writer(self, model: ModelConfig, *, name: str) -> ToldWriter:
        """Its policy, loaded to answer under its principles."""
        backends = Backends(model, ComputeConfig(max_live_rows=1))
        policy = backends.policy(self.artifact.file("policy"), trainable=False)
        return ToldWriter(backends.writer(policy, name=name), self.principles, name)


def export_profile(
    folder: Path,
    name: str,
    to: Path,
    *,
    adapter: bool = False,
    dtype: str = BASE,
    base: str | None = None,
    today: datetime.date,
) -> Iterator[str]:
    """Write a profile's model: merged, or with `adapter` its adapter beside the parent's policy; and what it is told.

    Raises UserError where it may not be used, or has principles only and `adapter` is asked for.
    """
    found = ProfilePolicy.of(folder, name, today=today)
    start = found.start
    if adapter and start is None:
        raise UserError(f"{name} has principles only, no adapter of its own; leave out --adapter")
    under = found.adapter if adapter and start is not None else None
    origin = None if start is None or under is None else Origin(start, (under,), None, None, None)
    yield from export_model(str(found.artifact.folder), to, adapter=adapter, dtype=dtype, origin=origin, base=base)
    tree = read_tree(folder)
    about = {"id": name, "principles": list(found.principles), "tone": tree.tone(name)}
    files.write_text(to / ABOUT, yaml.safe_dump(about, sort_keys=False, allow_unicode=True))
    if found.principles:
        yield f"it was published under {len(found.principles)} principles; tell it those of {ABOUT} as a system turn"
