"""OpenAssistant messages one a row (message_id, parent_id, text, role, rank), made into trees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assent.data.rows import BadRow, Row
from assent.data.sources import oasst
from assent.data.sources.format import Format
from assent.data.values import name_of, number


def together(rows: Sequence[Row]) -> Iterator[Row | BadRow]:
    """Messages of a file as one row per tree. A message whose parent is missing, or whose id stands twice, is bad."""
    nodes: dict[str, dict[str, Any]] = {}
    roots: list[tuple[Row, str]] = []
    held: list[tuple[Row, str, str | None]] = []
    for row in rows:
        name = name_of(row.values.get("message_id"))
        reason = "'message_id' is missing" if name is None else f"message {name!r} stands twice in the file"
        if name is None or name in nodes:
            yield BadRow(row.error(reason), dict(row.raw or row.values))
            continue
        nodes[name] = _node(row, name)
        held.append((row, name, name_of(row.values.get("parent_id"))))
    for row, name, parent in held:
        if parent is None:
            roots.append((row, name))
        elif parent in nodes and parent != name:
            nodes[parent]["replies"].append(nodes[name])
        else:
            reason = f"its parent {parent!r} is not in the file, so what it answers is not known"
            yield BadRow(row.error(reason), dict(row.raw or row.values))
    reached = set(_below(nodes[name] for _, name in roots))
    lost = {name for _, name, parent in held if parent is not None and parent in nodes and name not in reached}
    for row, name, _ in held:
        if name in lost:
            yield BadRow(row.error("it belongs to no tree: a message above it is missing"), dict(row.raw or row.values))
    for row, name in roots:
        tree = {"message_tree_id": name_of(row.values.get("message_tree_id")) or name, "prompt": nodes[name]}
        yield row.with_values(tree)


def _below(trees: Any) -> Iterator[str]:
    waiting = list(trees)
    while waiting:
        node = waiting.pop()
        yield node["message_id"]
        waiting += node["replies"]


def _node(row: Row, name: str) -> dict[str, Any]:
    values = row.values
    rank = number(values.get("rank"))
    deleted = str(values.get("deleted", False)).lower() in ("true", "1")
    kept = {key: values.get(key) for key in ("role", "text", "model_name")}
    return {**kept, "message_id": name, "rank": rank, "deleted": deleted, "replies": []}


def _matches(values: Mapping[str, Any]) -> bool:
    return {"message_id", "text", "role"} <= values.keys() and "replies" not in values


FORMAT = Format(
    name="oasst",
    columns="message_id, parent_id, text, role, rank",
    matches=_matches,
    conversations=oasst.conversations,
    comparisons=oasst.comparisons,
    regroup=together,
    regrouped=("comparisons", "demonstrations", "prompts"),
    is_closed=True,
)
