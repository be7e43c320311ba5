"""A rating service on a fresh store, with a clock that the tests set and people of every role."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rating_visitors import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A running service."""
    with House.open(f"sqlite:///{tmp_path}/feedback.db") as opened:
        yield opened
