"""Whether there is anything in a store is known without opening it."""

from __future__ import annotations

from pathlib import Path

from assent.core.types import Rater
from assent.feedback.config import StoreConfig
from assent.feedback.opening import open_store


def test_a_store_has_content_from_its_first_task_or_rater_on(tmp_path: Path) -> None:
    config = StoreConfig(url=f"sqlite:///{tmp_path}/a store.db")
    assert not config.has_content
    with open_store(config) as store:
        assert not config.has_content
        store.register_rater(Rater(id="ann", kind="person"), now=0)
        assert config.has_content, "while it is open"
    assert config.has_content


def test_what_cannot_be_looked_into_is_left_to_whoever_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(b"no database" * 500)
    assert StoreConfig(url=f"sqlite:///{path}").has_content
    assert StoreConfig(url="postgresql://somebody@nowhere/db").has_content
