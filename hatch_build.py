"""The long description of the package: the README without its pictures and without links into the repository."""

from __future__ import annotations

import re
from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface

IMAGE = re.compile(r"^!\[[^\]]*\]\((?!https?://)[^)]*\)\n\n?", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?://|#)[^)]*\)")


class LongDescription(MetadataHookInterface):
    """Gives `readme`, which pyproject.toml declares dynamic."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set the long description in place."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": described(text)}


def described(readme: str) -> str:
    """A README as it can be read anywhere: relative pictures are left out, relative links keep their words."""
    return LINK.sub(r"\1", IMAGE.sub("", readme))
