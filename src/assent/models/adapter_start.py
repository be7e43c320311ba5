"""What an adapter of a run was trained on: noted beside it, so that it is laid on the same weights in the same type."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import ValidationError

from assent.artifacts.identity import hash_whole
from assent.artifacts.layout import RUNS
from assent.artifacts.store import MANIFEST, InvalidArtifactError, read_manifest
from assent.core import files
from assent.core.errors import ModelError
from assent.core.hashing import hash_json
from assent.core.types import Record

FILE = "adapter_start.json"
"""In the folder of an adapter of a run. One that was written elsewhere has none: it lies on whatever it names."""


class AdapterStart(Record):
    """The weights under an adapter, and how they are added up."""

    merged_in: str
    """The type in which the adapter is added to the weights: that of the run. Another would round elsewhere."""
    weights: str | None = None
    """Hash of what lies in the folder of its start, by that one's manifest; None where it had none."""

    @classmethod
    def of(cls, folder: str | Path) -> AdapterStart | None:
        """As noted in the folder of an adapter; None where nothing is. Raises ModelError where it cannot be read."""
        file = Path(folder) / FILE
        if not file.is_file():
            return None
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError) as error:
            raise ModelError(f"{file} cannot be read; remove the artifact: `assent run` makes it again") from error

    def write(self, folder: Path) -> None:
        """Note it in the folder of an adapter."""
        files.write_json(folder / FILE, self.model_dump(mode="json"))

    def check(self, adapter: str | Path, base: Path) -> None:
        """Raise ModelError where the folder `base` holds other weights than the adapter was trained on."""
        known = _weights(base)
        if self.weights is None or known is None:
            return
        if hash_json(known) != self.weights:
            raise ModelError(
                f"{adapter}: was trained on other weights than {base} holds now; remove {Path(adapter).parent}:"
                " `assent run` makes it again"
            )
        for name, digest in known.items():
            file = base.parent / name
            if not file.is_file() or hash_whole(file) != digest:
                raise ModelError(f"{file} has changed since it was written; `assent run` makes {base.parent} again")


def weights_of(folder: Path) -> str | None:
    """Hash of the weights in a model's folder, as the manifest of its artifact tells; None outside of artifacts."""
    known = _weights(folder)
    return None if known is None else hash_json(known)


def _weights(folder: Path) -> dict[str, str] | None:
    try:
        known = read_manifest(folder.parent).files
    except InvalidArtifactError:
        return None
    # An adapter's own note is among them, and so all that lies below.
    own = (n for n in sorted(known) if n.startswith(f"{folder.name}/") and n.endswith((".safetensors", f"/{FILE}")))
    return {name: known[name].sha256 for name in own}


def place_of(base: str, adapter: Path) -> Path | None:
    """Where the start of an adapter of a run lies, which names it as seen from itself; None where it is gone.

    A project may keep artifacts of older runs in folders of their own: they are looked into as well.
    """
    beside = Path(os.path.normpath(adapter / base))
    if beside.is_dir():
        return beside
    name, model = Path(base).parts[-2:]
    above = adapter.absolute().parents  # its artifact, the store of that, and the run or all runs of the project
    runs = [one for one in above[2:4] if one == above[2] or one.name == RUNS.name]
    places = [place for one in runs for place in (one, *sorted(p for p in one.glob("*") if p.is_dir()))]
    there = [place / "artifacts" / name for place in places]
    return next((one / model for one in there if (one / MANIFEST).is_file() and (one / model).is_dir()), None)
