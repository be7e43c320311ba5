"""What a model began with: the base that people know by its name, and the adapters that the run laid on it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assent.artifacts.find import model_of, store_at
from assent.artifacts.store import Artifact
from assent.models.lora import CONFIG
from assent.pipeline.backends import adapter_folder

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Origin:
    """The base of a model of a run."""

    artifact: Artifact
    """Where the chain of policies begins: the run's copy of its base, or the oldest policy that is still there."""
    adapters: tuple[Path, ...]
    """Folders of the adapters between it and the model, oldest first; empty where one step trained all weights."""
    name: str | None
    """Hub id or folder, as the settings name it; None for a model that the run made itself."""
    revision: str | None
    own_type: str | None
    """Type of the base's weights where it came from; None where that is not known."""

    @property
    def weights(self) -> Path:
        """The folder of its model."""
        return model_of(self.artifact)

    @property
    def has_name(self) -> bool:
        """Whether an adapter can name it: it is a whole model that lies in a folder or on the hub."""
        return self.name is not None and not (Path(self.name) / CONFIG).is_file()

    @property
    def is_on_hub(self) -> bool:
        """Whether its name is a hub id, as far as one can tell here."""
        return self.name is not None and _HUB_ID.fullmatch(self.name) is not None and not Path(self.name).exists()

    @property
    def is_here_only(self) -> bool:
        """Whether its name is a folder of this machine, which an adapter that goes elsewhere does not find."""
        return self.has_name and (Path(str(self.name)).exists() or str(self.name).startswith((".", "/")))

    def under(self, name: str) -> Origin:
        """The same under the name by which others find it; a commit belongs to the name that the settings say."""
        return self if name == self.name else replace(self, name=name, revision=None)

    @property
    def said(self) -> str:
        """What the card calls it: a path of this machine is shortened to its last part."""
        if self.name is None:
            return f"{self.artifact.name}, a model that the run made itself"
        return Path(self.name).name if Path(self.name).is_absolute() or self.name.startswith(".") else self.name


def origin_of(artifact: Artifact) -> Origin:
    """Walk from a model back through the policies that it was trained from."""
    known = {one.key: one for one in store_at(artifact.folder.parent).all()}
    adapters: list[Path] = []
    is_whole = True
    at = artifact
    while (parent := known.get(_start_key(at))) is not None:
        folder = adapter_folder(at)
        if folder is None:
            is_whole = False
        else:
            adapters.insert(0, folder)
        at = parent
    base = _base_settings(at)
    name = str(base["path"]) if base.get("kind") == "pretrained" else None
    revision = base.get("revision") or at.manifest.notes.get("commit")
    return Origin(at, tuple(adapters) if is_whole else (), name, revision, _own_type(at, name))


def _start_key(artifact: Artifact) -> str:
    parents = artifact.manifest.parents
    return str(parents.get("start") or parents.get("base") or "")


def _base_settings(artifact: Artifact) -> Mapping[str, Any]:
    found = artifact.manifest.config.get("base") if isinstance(artifact.manifest.config, dict) else None
    return found if isinstance(found, dict) else {}


def _own_type(artifact: Artifact, name: str | None) -> str | None:
    """As noted when the base was made; older runs did not note it, so the named folder is asked."""
    noted = artifact.manifest.notes.get("type")
    if noted is not None or name is None:
        return None if noted is None else str(noted)
    try:
        settings = json.loads((Path(name) / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    return settings.get("dtype") or settings.get("torch_dtype")
