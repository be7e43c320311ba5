"""Skips the tests of vLLM where it is not installed, with a line that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from assent.generation.vllm_honours import is_installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if is_installed():
        return
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.skip(reason="vLLM is not installed here; `make vllm` makes its environment"))
