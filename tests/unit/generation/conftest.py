"""Each family of models, in each way of computing attention."""

from __future__ import annotations

import pytest

from assent.models import tiny


@pytest.fixture(params=sorted(tiny.FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    """Each model family in turn."""
    return request.param


@pytest.fixture(params=["groups", "padded"])
def mode(request: pytest.FixtureRequest) -> str:
    """Each way of computing attention in turn."""
    return request.param
