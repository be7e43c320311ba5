"""The lineage of a run as a drawing: one lane per round, an arrow for everything that went into something else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from assent.artifacts.store import Artifact
from assent.report.diff import visible

_WIDTH, _HEIGHT, _GAP, _LANE, _LEFT = 172, 50, 26, 92, 76
_MAIN = ("policy", "start", "base", "samples", "reward", "judgments")
"""Inputs drawn strongly: the way from the base to the last policy."""
_OWN_LANE = re.compile(r"(data|round \d+|final) (.+)")


@dataclass(frozen=True)
class Box:
    """An artifact with its place."""

    artifact: Artifact
    title: str
    lane: str
    column: int
    row: int

    @property
    def left(self) -> float:
        """Pixels from the left edge of the drawing."""
        return _LEFT + self.column * (_WIDTH + _GAP)

    @property
    def top(self) -> float:
        """Pixels from its upper edge."""
        return 8 + self.row * _LANE


def lineage_svg(artifacts: tuple[Artifact, ...], labels: Mapping[str, str]) -> str:
    """All artifacts of a run in lanes. Empty where there are none."""
    boxes = _place(artifacts, labels)
    if not boxes:
        return ""
    width = max(b.left for b in boxes) + _WIDTH + 8
    height = max(b.top for b in boxes) + _HEIGHT + 16
    by_key = {b.artifact.key: b for b in boxes}
    arrows = [
        (by_key[key], target, name)
        for target in boxes
        for name, keys in target.artifact.manifest.inputs.items()
        for key in ([keys] if isinstance(keys, str) else keys)
        if key in by_key
    ]
    arrows.sort(key=lambda arrow: arrow[2] in _MAIN)
    lanes = {b.row: b.lane for b in boxes}
    parts = [
        f'<svg class="lineage" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width: {width:.0f}px" role="img"'
        ' aria-label="Lineage of the run">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto-start-reverse"><path d="M0 0.5 L8 4 L0 7.5 z" class="tip"/></marker></defs>',
        *(_arrow(source, target, name) for source, target, name in arrows),
        *(
            f'<text class="lane" x="0" y="{8 + row * _LANE + _HEIGHT / 2 + 4}">{escape(n)}</text>'
            for row, n in lanes.items()
        ),
        *(_box(b) for b in boxes),
        "</svg>",
    ]
    return "".join(parts)


def _place(artifacts: tuple[Artifact, ...], labels: Mapping[str, str]) -> list[Box]:
    """Lanes from the labels ("round 1 reward"); what has no lane of its own is in that of the base."""
    named = []
    for artifact in artifacts:
        found = _OWN_LANE.fullmatch(labels[artifact.key])
        lane, title = ("start", labels[artifact.key]) if found is None else (found[1], found[2])
        named.append((artifact, lane, title))
    order = {"data": 0, "start": 1}
    lanes = sorted(
        dict.fromkeys(lane for _, lane, _ in named),
        key=lambda lane: (order.get(lane, 2), lane == "final", len(lane), lane),
    )
    used: dict[str, int] = {}
    boxes = []
    stages = {"sample": 0, "collect": 1, "reward": 2, "optimize": 3, "evaluate": 4}
    for artifact, lane, title in named:
        column = stages.get(title, used.get(lane, 0))
        used[lane] = column + 1
        boxes.append(Box(artifact, visible(title), lane, column, lanes.index(lane)))
    return boxes


def _arrow(source: Box, target: Box, name: str) -> str:
    style = "flow" if name in _MAIN else "flow faint"
    if source.row == target.row and target.column == source.column + 1:
        y = source.top + _HEIGHT / 2
        line = f"M{source.left + _WIDTH} {y} L{target.left - 2} {y}"
    elif source.row == target.row:
        a, b, y = source.left + _WIDTH * 0.7, target.left + _WIDTH * 0.3, source.top + _HEIGHT
        line = f"M{a:.0f} {y} C{a:.0f} {y + 26} {b:.0f} {y + 26} {b:.0f} {y + 2}"
    else:
        a, b = source.left + _WIDTH / 2, target.left + _WIDTH / 2
        y, z = source.top + _HEIGHT, target.top - 2
        bend = (z - y) * 0.5
        line = f"M{a:.0f} {y} C{a:.0f} {y + bend:.0f} {b:.0f} {z - bend:.0f} {b:.0f} {z}"
    return f'<path class="{style}" d="{line}" marker-end="url(#tip)"><title>{escape(name)}</title></path>'


def _box(box: Box) -> str:
    x, y = box.left, box.top
    seconds = f"{box.artifact.manifest.seconds:,.0f} s"
    return (
        f'<g><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text class="stage" x="{x + 12}" y="{y + 21}">{escape(box.title)}</text>'
        f'<text class="time" x="{x + _WIDTH - 12}" y="{y + 21}">{seconds}</text>'
        f'<text class="key" x="{x + 12}" y="{y + 38}">{escape(visible(box.artifact.name))}</text></g>'
    )
