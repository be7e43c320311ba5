"""What this process knows of the cluster it belongs to: the engines that it may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_engines: Callable[[], tuple[Any, ...]] | None = None


def has_engines() -> bool:
    """Whether answers are drawn by engines of a cluster."""
    return _engines is not None


def engines() -> tuple[Any, ...]:
    """Handles of the cluster's engines, which are started where they are not yet there."""
    assert _engines is not None, "this process belongs to no cluster"
    return _engines()


@contextmanager
def belonging(engines: Callable[[], tuple[Any, ...]]) -> Iterator[None]:
    """Belong to a cluster inside this block."""
    global _engines
    before, _engines = _engines, engines
    try:
        yield
    finally:
        _engines = before
