"""Who trains with whom: only processes that joined each other, whatever a library does with torch.distributed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch.distributed as dist

from assent.learner import peers


@pytest.fixture
def group_of_a_library(tmp_path: Path) -> Iterator[None]:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/init", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_group_that_a_library_made_for_itself_makes_nobody_a_peer(group_of_a_library: None) -> None:
    assert dist.is_initialized()
    assert not peers.is_joined()
    assert (peers.count(), peers.rank(), peers.is_first()) == (1, 0, True)
    assert peers.gathered("mine") == ["mine"]


def test_who_joins_is_a_peer_until_it_leaves(tmp_path: Path) -> None:
    peers.join("gloo", f"file://{tmp_path}/init", rank=0, count=1)
    try:
        assert peers.is_joined()
        assert peers.gathered("mine") == ["mine"]
        assert peers.from_first(lambda: "found") == "found"
    finally:
        peers.leave()
    assert not peers.is_joined()
