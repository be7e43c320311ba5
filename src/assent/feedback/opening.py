"""A store that is opened when something is in it to read: what opens stores is loaded only then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assent.feedback.config import StoreConfig

if TYPE_CHECKING:
    from assent.feedback.store import Store


def open_store(config: StoreConfig) -> Store:
    """The store that settings name, to be used as a context. Raises StoreError where it cannot be used."""
    from assent.feedback.store import Store

    return Store.open(config.url)
